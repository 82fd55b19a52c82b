#pragma once
// Record batches, magic 2 (KIP-98; docs/formats/record-batch.md): the unit that clients send, the log stores and serves
// undecoded. Here: the header in place, checks of what clients send, the decoder, and the builder.
//
//   0 base offset i64   8 length of the rest i32   12 partition leader epoch i32   16 magic i8   17 CRC-32C u32 of all
//   below   21 attributes i16   23 last offset delta i32   27 base timestamp i64   35 max timestamp i64
//   43 producer id i64   51 producer epoch i16   53 base sequence i32   57 record count i32   61 records

#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/record.h"
#include "base/result.h"
#include "wire/compression.h"
#include "wire/error_codes.h"

namespace tailrace::wire {

inline constexpr size_t kBatchHeaderBytes = 61;
inline constexpr size_t kBatchPrefixBytes = 12;  // base offset and length, not counted in the length
inline constexpr size_t kBatchCrcFrom = 21;      // base offset and leader epoch stay outside: a broker patches them
inline constexpr int8_t kBatchMagic = 2;

// Attribute bits.
inline constexpr int16_t kAttributeCodecMask = 0x07;
inline constexpr int16_t kAttributeLogAppendTime = 0x08;
inline constexpr int16_t kAttributeTransactional = 0x10;
inline constexpr int16_t kAttributeControl = 0x20;
inline constexpr int16_t kAttributeDeleteHorizon = 0x40;

/// One whole batch in memory of somebody else.
class BatchView {
 public:
  BatchView() = default;
  /// The first batch of `bytes`: whole, magic 2, its length and count possible. Does not look at the CRC.
  /// Errors: kCorrupt; a tail shorter than its batch is kCorrupt too (see CompleteBatches).
  static Result<BatchView> Parse(BytesView bytes);
  /// REQUIRES: Parse accepted these bytes before (a batch read back from our own log).
  static BatchView Trusted(BytesView bytes) {
    return BatchView(bytes.substr(0, kBatchPrefixBytes + LoadBe32(bytes.data() + 8)));
  }

  int64_t base_offset() const { return I64(0); }
  int32_t partition_leader_epoch() const { return I32(12); }
  uint32_t crc() const { return LoadBe32(bytes_.data() + 17); }
  int16_t attributes() const { return I16(21); }
  int32_t last_offset_delta() const { return I32(23); }
  int64_t base_timestamp() const { return I64(27); }
  int64_t max_timestamp() const { return I64(35); }
  int64_t producer_id() const { return I64(43); }
  int16_t producer_epoch() const { return I16(51); }
  int32_t base_sequence() const { return I32(53); }
  int32_t record_count() const { return I32(57); }

  int64_t last_offset() const { return base_offset() + last_offset_delta(); }
  int64_t next_offset() const { return last_offset() + 1; }
  int32_t last_sequence() const;  // wraps from 2^31-1 to 0
  Compression compression() const { return static_cast<Compression>(attributes() & kAttributeCodecMask); }
  bool log_append_time() const { return attributes() & kAttributeLogAppendTime; }
  bool transactional() const { return attributes() & kAttributeTransactional; }
  bool control() const { return attributes() & kAttributeControl; }
  bool has_producer_id() const { return producer_id() >= 0; }

  BytesView bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  /// Records as they lie there, compressed or not.
  BytesView payload() const { return bytes_.substr(kBatchHeaderBytes); }
  bool CrcMatches() const { return Crc32c(bytes_.substr(kBatchCrcFrom)) == crc(); }

 private:
  explicit BatchView(BytesView bytes) : bytes_(bytes) {}
  int16_t I16(size_t at) const { return static_cast<int16_t>(LoadBe16(bytes_.data() + at)); }
  int32_t I32(size_t at) const { return static_cast<int32_t>(LoadBe32(bytes_.data() + at)); }
  int64_t I64(size_t at) const { return static_cast<int64_t>(LoadBe64(bytes_.data() + at)); }
  BytesView bytes_;
};

/// Size of the batch that starts at `bytes`, prefix included; 0 where fewer than 12 bytes are there or the length is
/// impossible. The batch itself may be cut off: compare with bytes.size().
size_t BatchSize(BytesView bytes);
/// The part of `bytes` that holds whole batches (a Fetch answer may end inside one).
BytesView CompleteBatches(BytesView bytes);

// Patches in place. `batch` points at a whole batch. Offset and epoch lie outside the CRC.
inline void SetBaseOffset(char* batch, int64_t offset) { StoreBe64(batch, static_cast<uint64_t>(offset)); }
inline void SetPartitionLeaderEpoch(char* batch, int32_t epoch) { StoreBe32(batch + 12, static_cast<uint32_t>(epoch)); }
/// message.timestamp.type=LogAppendTime: attribute bit, max timestamp, and the CRC anew.
void SetLogAppendTime(char* batch, int64_t now_ms);
/// Max timestamp, and the CRC anew.
void SetMaxTimestamp(char* batch, int64_t timestamp_ms);

struct ProduceCheck {
  KafkaError error = KafkaError::kNone;
  std::string reason;  // for the client's log; empty without an error
  BatchView batch;
  /// Largest of the records' timestamps. Where it is not batch.max_timestamp(), see SetMaxTimestamp.
  int64_t max_timestamp_ms = -1;
};
struct ProduceLimits {
  size_t max_batch_bytes = 1'048'588;  // max.message.bytes
  size_t max_inflated_bytes = size_t{256} << 20;
  bool require_keys = false;  // cleanup.policy=compact
  bool allow_zstd = true;     // false for Produce below v7
};
/// What a broker checks before it appends what a client sent for one partition, with Kafka's error codes: exactly one
/// batch, magic 2, size, CRC, counts that agree, no control batch, a sequence with a producer id, a known codec; and
/// the records themselves: lengths that add up, as many as announced, offsets from 0 upward, keys where required.
/// Compressed records are inflated into `scratch` for that, so a bomb is refused here and not at every reader.
ProduceCheck CheckProduce(BytesView records, const ProduceLimits& limits, InflateBuffer* scratch);

struct DecodeOptions {
  int64_t from_offset = 0;  // earlier records of the batch are left out
  size_t max_inflated_bytes = size_t{256} << 20;
  bool check_crc = false;
};
/// Appends the records of one batch to `out->records` and sets `out->next_offset` past the batch. A control batch adds
/// none. Keys, values and headers are views into `batch`, which the caller keeps alive (put its owner into
/// out->owners); where it was compressed, into memory that `out->owners` then holds. No allocation per record.
/// Errors: kCorrupt, kLimitExceeded; `out` is then as before.
Status DecodeRecords(const BatchView& batch, const DecodeOptions& options, RecordSet* out);
/// The same for all whole batches of `bytes`.
Status DecodeAllRecords(BytesView bytes, const DecodeOptions& options, RecordSet* out);

struct ControlRecord {
  enum Type : int16_t { kAbort = 0, kCommit = 1 };
  Type type = kAbort;
  int32_t coordinator_epoch = 0;
};
/// The one record of a control batch. kUnsupported: a type nobody knows.
Result<ControlRecord> DecodeControl(const BatchView& batch);

struct BatchOptions {
  Compression compression = Compression::kNone;
  int compression_level = 0;  // 0 = the codec's default
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  int32_t base_sequence = -1;
  bool transactional = false;
};
/// Builds batches one after the other in the same memory. One thread at a time.
class RecordBatchBuilder {
 public:
  /// Drops what was appended.
  void Reset(const BatchOptions& options);
  /// Key and value with data() == nullptr are null. Copies once.
  void Append(BytesView key, BytesView value, int64_t timestamp_ms, std::span<const HeaderView> headers = {});
  bool empty() const { return count_ == 0; }
  int32_t count() const { return count_; }
  /// Of the batch so far, before compression.
  size_t size_bytes() const { return buffer_.size(); }
  /// An upper bound of what one more record adds.
  static size_t RecordBound(BytesView key, BytesView value, std::span<const HeaderView> headers);
  /// The batch, to be Reset before the next Append. Valid until Reset; or moved away by TakeBytes.
  /// REQUIRES: not empty.
  BytesView Finish(int64_t base_offset = 0, int32_t partition_leader_epoch = -1);
  std::string TakeBytes() { return std::move(finished_ == &deflated_ ? deflated_ : buffer_); }

 private:
  BatchOptions options_;
  std::string buffer_;    // header and records
  std::string deflated_;  // header and compressed records
  const std::string* finished_ = nullptr;
  int64_t base_timestamp_ = 0;
  int64_t max_timestamp_ = 0;
  int32_t count_ = 0;
};

/// The marker that ends a transaction in one partition.
std::string BuildControlBatch(ControlRecord record, int64_t producer_id, int16_t producer_epoch, int64_t timestamp_ms,
                              int64_t base_offset = 0, int32_t partition_leader_epoch = -1);

}  // namespace tailrace::wire
