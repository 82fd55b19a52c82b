#pragma once
// Formats: bytes of one record <-> rows of columns. One pair of factories a format.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/record.h"
#include "base/result.h"
#include "data/batch.h"

namespace tailrace::data {

struct DecodeFailure {
  uint32_t record;     // index into the span given
  std::string reason;  // says field, what was expected, what was found
};

/// Values of records to columns. One thread at a time; reused from call to call.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// Decodes records from the front until all are done or `out` has kBatchRows rows, and returns how many records it
  /// took. `out` gets the columns asked for at construction and an origin per row; strings may point into the records
  /// (the caller adds their owners to out->owners). A record that does not decode adds no row, only a failure.
  virtual uint32_t Decode(const TopicPartition& from, std::span<const RecordView> records, Batch* out,
                          std::vector<DecodeFailure>* failures) = 0;
};

/// Rows to values of records. One thread at a time.
class Encoder {
 public:
  virtual ~Encoder() = default;
  /// Appends one value for each row of `in`. The views stay valid until the next call of Encode.
  virtual Status Encode(const Batch& in, std::vector<BytesView>* values) = 0;
};

/// How times are written in text: SQL ("2024-01-15 10:30:00.123") or ISO-8601 ("2024-01-15T10:30:00.123Z"). Decoders
/// take both always.
enum class TimestampFormat { kSql, kIso8601 };

struct FormatOptions {
  Schema schema;             // every physical column of the table
  std::vector<int> columns;  // decoders: those wanted, in the order wanted (indices into schema)
  TimestampFormat timestamps = TimestampFormat::kIso8601;
  bool fail_on_missing_field = false;  // json: an absent field is null unless this is set
  char delimiter = ',';                // csv
  bool header = false;                 // csv: the first record names the columns
  size_t max_record_bytes = 16 << 20;
  int max_depth = 64;
};

/// json: one object a record. csv: one line a record. raw: the value as the one VARCHAR or BLOB column.
Result<std::unique_ptr<Decoder>> MakeDecoder(const std::string& format, FormatOptions options);
Result<std::unique_ptr<Encoder>> MakeEncoder(const std::string& format, FormatOptions options);

}  // namespace tailrace::data
