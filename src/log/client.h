#pragma once
// The log as the engine, the scheduler and the connectors see it: topics of partitions of records, transactions,
// groups. Two implementations: broker/embedded_client (called in process, batches read from the mapped segment without
// a copy) and connectors/kafka (any Apache Kafka cluster). app/ chooses. docs/decisions/0002 says what one
// commit is on each.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/record.h"
#include "base/result.h"

namespace tailrace {
class Waker;
}

namespace tailrace::log {

struct TopicSpec {
  std::string name;
  int32_t partitions = 1;
  std::map<std::string, std::string> configs;  // Kafka's topic configs: retention.ms, segment.bytes, ...
};

struct TopicDescription {
  std::string name;
  int32_t partitions = 0;
};

struct CommittedOffset {
  int64_t offset = -1;   // the next one to read; -1 = none committed
  std::string metadata;  // the engine keeps its epoch here
};

enum class Isolation { kReadUncommitted, kReadCommitted };
enum class StartAt { kEarliest, kLatest };

/// Reads one partition in order. One thread at a time.
class Reader {
 public:
  virtual ~Reader() = default;
  /// Appends what is there from the position on, up to about `max_bytes` but at least one batch, to `out` (out->from
  /// is set; `out` keeps the buffers alive) and moves the position. Nothing there: returns at once with no records;
  /// the Waker given at opening wakes when more arrives.
  /// Errors: kNotFound (topic deleted), kInvalidArgument (offset out of range: retention was faster), kCorrupt.
  virtual Status Poll(uint32_t max_bytes, RecordSet* out) = 0;
  virtual void Seek(int64_t offset) = 0;
  virtual int64_t position() const = 0;
  /// The end a reader of this isolation may see now (high watermark or last stable offset).
  virtual Result<int64_t> EndOffset() = 0;
};

struct RecordToWrite {
  BytesView key;              // data() == nullptr: no key
  BytesView value;            // data() == nullptr: tombstone
  int64_t timestamp_ms = -1;  // -1: now
  std::span<const HeaderView> headers;
};

struct OffsetToCommit {
  TopicPartition from;
  int64_t offset;  // the next one to read
  std::string metadata;
};

/// Appends records. One thread at a time.
class Writer {
 public:
  virtual ~Writer() = default;
  /// Copies the records into the current batch of that partition; may block while too much is in flight.
  /// partition -1: by the key's murmur2 hash as Kafka's clients do, round-robin by batch without a key.
  virtual Status Append(const std::string& topic, int32_t partition, std::span<const RecordToWrite> records) = 0;
  /// Returns when everything appended is acknowledged (on disk).
  virtual Status Flush() = 0;
};

/// A Writer whose appends become visible to read_committed readers all at once, or never. A new one with the same
/// transactional id fences the old and aborts what it left open.
class TransactionalWriter : public Writer {
 public:
  /// Opens a transaction; Append between Begin and Commit belongs to it. REQUIRES: none open.
  virtual Status Begin() = 0;
  /// One atomic step: the records appended since Begin, and the group's offsets with their metadata, stand; after a
  /// crash either all or none do. kConflict: fenced by a newer writer of the same id.
  virtual Status Commit(const std::string& group, std::span<const OffsetToCommit> offsets) = 0;
  virtual Status Abort() = 0;
};

/// Thread-safe.
class Client {
 public:
  virtual ~Client() = default;

  virtual Result<TopicDescription> DescribeTopic(const std::string& topic) = 0;
  virtual Result<std::vector<TopicDescription>> ListTopics() = 0;
  /// kAlreadyExists where it does.
  virtual Status CreateTopic(const TopicSpec& spec) = 0;
  virtual Status DeleteTopic(const std::string& topic) = 0;
  /// First and end offset (high watermark).
  virtual Result<std::pair<int64_t, int64_t>> Offsets(const TopicPartition& partition) = 0;
  /// The first offset whose timestamp is at or after `timestamp_ms`; the end offset where there is none.
  virtual Result<int64_t> OffsetForTime(const TopicPartition& partition, int64_t timestamp_ms) = 0;

  /// `offset` -1: earliest, -2: latest. `waker` (may be null) is woken when records arrive; it must outlive the Reader.
  virtual Result<std::unique_ptr<Reader>> OpenReader(const TopicPartition& partition, int64_t offset,
                                                     Isolation isolation, Waker* waker) = 0;
  virtual Result<std::unique_ptr<Writer>> OpenWriter() = 0;
  virtual Result<std::unique_ptr<TransactionalWriter>> OpenTransactionalWriter(const std::string& transactional_id) = 0;

  virtual Result<CommittedOffset> Committed(const std::string& group, const TopicPartition& partition) = 0;
  /// Outside a transaction (at-least-once jobs).
  virtual Status CommitOffsets(const std::string& group, std::span<const OffsetToCommit> offsets) = 0;
};

}  // namespace tailrace::log
