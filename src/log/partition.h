#pragma once
// One partition's log: segments of record batches v2 as Kafka keeps them, indexes, producer state, transactions.
// docs/decisions/0004-log-storage.md says why; docs/formats/segment.md what is on disk.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/record.h"
#include "base/result.h"
#include "log/client.h"  // Isolation

namespace tailrace {
class Clock;
}
namespace tailrace::io {
class File;
}

namespace tailrace::log {

class Flusher;

struct PartitionOptions {
  int64_t segment_bytes = 1 << 30;         // a segment is closed before it outgrows this; at most 2^31 - 1
  int64_t segment_ms = 7 * 86400'000ll;    // or when its first record is this old
  int64_t retention_ms = 7 * 86400'000ll;  // -1: for ever
  int64_t retention_bytes = -1;            // -1: no bound
  int32_t index_interval_bytes = 4096;
  bool log_append_time = false;         // message.timestamp.type=LogAppendTime
  bool flush_before_ack = true;         // false: the high watermark is the log end at once
  int64_t checkpoint_bytes = 64 << 20;  // a recovery point at least this often
  int64_t producer_id_expiration_ms = 86400'000;
};

/// Why an append was refused, named as Kafka's errors.
enum class AppendCode : uint8_t {
  kNone,
  kDuplicateSequence,  // already there: base_offset is the original's; answer with success
  kOutOfOrderSequence,
  kInvalidProducerEpoch,
  kInvalidTxnState,     // a transactional batch within a non-transactional one's transaction, or alike
  kCorruptMessage,      // lengths or counts that don't fit
  kRecordListTooLarge,  // larger than segment_bytes
  kNotFound,            // the partition was deleted
  kStorageError,        // disk full or broken: KAFKA_STORAGE_ERROR, retriable
};

struct AppendResult {
  AppendCode code = AppendCode::kNone;
  int64_t base_offset = -1;
  int64_t end_offset = -1;          // one past the last record: what WhenFlushed waits for
  int64_t log_append_time_ms = -1;  // set where log_append_time
  int64_t log_start_offset = 0;
  std::string message;  // what a log line says about a refusal
  bool ok() const { return code == AppendCode::kNone || code == AppendCode::kDuplicateSequence; }
};

struct AbortedTransaction {
  int64_t producer_id;
  int64_t first_offset;
  int64_t last_offset;  // of its abort marker
};

/// Whole batches of one segment: [position, position + length) of `file`, for sendfile. `file` stays readable after
/// retention or deletion. The first batch may begin before the offset asked for.
struct FileRange {
  std::shared_ptr<const io::File> file;
  uint64_t position = 0;
  uint32_t length = 0;
};

struct PartitionEnds {
  int64_t log_start_offset = 0;
  int64_t high_watermark = 0;      // readers see offsets below it
  int64_t last_stable_offset = 0;  // read_committed readers see offsets below it
  int64_t log_end_offset = 0;
};

/// What one read found. No bytes: nothing at or above the offset that this isolation may see yet.
struct ReadResult {
  FileRange range;                          // set by ReadRange
  SharedBytes bytes;                        // set by ReadBytes: the same batches as a view of the mapped segment
  std::vector<AbortedTransaction> aborted;  // that touch these batches; read_committed only
  PartitionEnds ends;
};

struct TimestampOffset {
  int64_t timestamp_ms = -1;
  int64_t offset = -1;  // -1: none
};

struct ProducerInfo {
  int64_t producer_id;
  int16_t producer_epoch;
  int32_t coordinator_epoch;
  int32_t last_sequence;
  int64_t last_timestamp_ms;
  int64_t txn_start_offset;  // -1: no transaction open here
};

/// Thread-safe; one lock per partition, held while batches are copied to the page cache and never during an fsync.
class Partition {
 public:
  using FlushDone = std::function<void(Status)>;

  /// Opens DIRECTORY (made where missing) and recovers: reads the newest recovery point, scans only what is after it,
  /// drops a torn tail. `clock` and `flusher` must outlive it. kCorrupt, kIo.
  static Result<std::shared_ptr<Partition>> Open(const std::string& directory, const TopicPartition& name,
                                                 const PartitionOptions& options, Clock& clock, Flusher& flusher);
  virtual ~Partition() = default;

  virtual const TopicPartition& name() const = 0;
  virtual PartitionOptions options() const = 0;
  virtual void SetOptions(const PartitionOptions& options) = 0;

  /// Appends one or more whole record batches v2 standing one after the other. REQUIRES: each batch's CRC and lengths
  /// were checked (wire::CheckBatch). Writes base offsets and leader epoch into `batches` in place (outside of the CRC;
  /// for log_append_time also the timestamp and a new CRC). All batches stand or none. Idempotent producers' sequences
  /// are checked. The bytes reach the file together with others before the next sync: `owner`, where given, is held
  /// until then and nobody may write to `batches` any more; without it they are copied, and `batches` is free on
  /// return. Acknowledge only when WhenFlushed(end_offset) calls back.
  virtual AppendResult Append(std::span<char> batches, std::shared_ptr<const void> owner) = 0;
  AppendResult Append(std::span<char> batches) { return Append(batches, nullptr); }

  /// `done` is called once when everything below `end_offset` is on disk (at once where it is, or where
  /// flush_before_ack is off), from a flusher thread or the caller's; it must be cheap and not wait. An error means the
  /// records may be lost and were not acknowledged: they are cut off the log again.
  virtual void WhenFlushed(int64_t end_offset, FlushDone done) = 0;
  /// Blocks for the same.
  virtual Status WaitFlushed(int64_t end_offset) = 0;

  /// Appends a transaction's end: commit or abort marker. Does nothing (code kNone, end_offset = -1) where this
  /// producer's last entry with this epoch is such a marker already. kInvalidProducerEpoch: older than what is known.
  virtual AppendResult AppendMarker(int64_t producer_id, int16_t producer_epoch, int32_t coordinator_epoch,
                                    bool commit) = 0;

  /// Batches from the one that holds `offset` on, of one segment, up to `max_bytes` but at least one batch where
  /// `at_least_one`. kInvalidArgument: offset below the log start or above the end ("out of range"). kCorrupt: damaged
  /// bytes, with file and position. kNotFound: deleted.
  virtual Result<ReadResult> ReadRange(int64_t offset, uint32_t max_bytes, bool at_least_one, Isolation isolation) = 0;
  virtual Result<ReadResult> ReadBytes(int64_t offset, uint32_t max_bytes, Isolation isolation) = 0;

  virtual PartitionEnds Ends() const = 0;
  /// The first record at or after `timestamp_ms` visible to `isolation`, with its time.
  virtual Result<TimestampOffset> OffsetForTime(int64_t timestamp_ms, Isolation isolation) = 0;
  /// The record with the largest timestamp.
  virtual Result<TimestampOffset> MaxTimestamp(Isolation isolation) = 0;

  /// Calls `wake` once, when the visible end passes `offset` (is > offset), or at once where it has; also when the
  /// partition is deleted or its log start moves past `offset`. `wake` must be cheap and must not call this partition.
  /// Returns an id for RemoveWaiter; 0 where `wake` has been called already.
  virtual uint64_t AddWaiter(int64_t offset, Isolation isolation, std::function<void()> wake) = 0;
  /// After it returns, `wake` neither runs nor will run. Unknown id: nothing.
  virtual void RemoveWaiter(uint64_t id) = 0;

  /// Moves the log start to `offset` (-1: the high watermark), on disk on return; returns the new log start.
  /// kInvalidArgument above the high watermark.
  virtual Result<int64_t> DeleteRecords(int64_t offset) = 0;
  /// Deletes whole old segments by time and size, expires idle producer ids; returns how many segments went.
  /// `now_ms`: wall clock that may be believed (PatientClock).
  virtual Result<int> ApplyRetention(int64_t now_ms) = 0;

  virtual int64_t SizeBytes() const = 0;
  virtual std::vector<ProducerInfo> Producers() const = 0;

  /// Syncs and writes a recovery point at the end, so that the next start scans nothing. No appends after it.
  virtual Status Close() = 0;
  /// Refuses everything from now on, wakes all waiters, removes the directory. Readers who hold ranges or bytes may go
  /// on.
  virtual Status Delete() = 0;
};

}  // namespace tailrace::log
