#pragma once
// Keys and values on disk in one append-only file, changed in atomic batches, group-synced; the last value wins.
// DATA_DIR/meta.journal is ONE of these, shared by the topic manager, the offset store and the transaction coordinator,
// so that a transaction's decision and its offsets are one write. It plays the part of Kafka's metadata log,
// __consumer_offsets and __transaction_state. Format: docs/formats/journal.md. Keys start with a letter for their owner
// and '/': "t/" topics, "b/" broker configs, "o/" group offsets, "g/" groups, "x/" transactions, "p/" producer ids,
// "c/" the cluster id.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tailrace::log {

class Flusher;

/// Changes that stand together or not at all. Later entries of one key win.
class JournalBatch {
 public:
  /// REQUIRES: a key of at most Journal::kKeyBytesMax (names are checked where they enter).
  void Put(std::string_view key, std::string_view value);
  void Delete(std::string_view key);
  bool empty() const { return count_ == 0; }
  uint32_t count() const { return count_; }

 private:
  friend class Journal;
  std::string bytes_;  // entries as on disk
  uint32_t count_ = 0;
};

/// Thread-safe. Get and ForEach show what was appended, synced or not; who must not show unsynced values to others
/// waits for the callback.
class Journal {
 public:
  using Done = std::function<void(Status)>;
  static constexpr size_t kKeyBytesMax = 128 << 10;  // a group, a topic and a partition, each with its length
  static constexpr size_t kBatchBytesMax = 64 << 20;

  struct Options {
    bool flush_before_ack = true;         // false: a batch counts as durable once written to the page cache
    int64_t compact_bytes_min = 4 << 20;  // no compaction below this file size
    int garbage_ratio = 3;                // compacts when dead bytes > this * live bytes
  };

  /// Reads the file (made where missing); a torn last batch is dropped. kCorrupt with file and position where a batch
  /// before the last is damaged. `flusher` must outlive the journal.
  static Result<std::shared_ptr<Journal>> Open(const std::string& path, Flusher& flusher, Options options);
  static Result<std::shared_ptr<Journal>> Open(const std::string& path, Flusher& flusher);
  virtual ~Journal() = default;

  virtual std::optional<std::string> Get(std::string_view key) const = 0;
  /// Calls `visit` for each key that starts with `prefix`, in byte order, under the journal's lock (call nothing of
  /// the journal from it).
  virtual void ForEach(std::string_view prefix,
                       const std::function<void(std::string_view key, std::string_view value)>& visit) const = 0;

  /// Writes the batch; returns once it is on disk. After kIo nothing of the batch stands.
  virtual Status Append(const JournalBatch& batch) = 0;
  /// Writes the batch in the calling thread and returns; `done` is called once from a flusher thread when it is on
  /// disk, or from the caller's where the write itself failed or nothing has to be synced. `done` may be null: the
  /// batch becomes durable with a later one (order is kept) or at Close. `done` must be cheap and may append to the
  /// journal, but not wait for it.
  virtual void Append(const JournalBatch& batch, Done done) = 0;

  /// Syncs. No calls after it.
  virtual Status Close() = 0;
  virtual uint64_t file_bytes() const = 0;
  /// For Journal implementations.
  static std::string_view EntriesOf(const JournalBatch& batch) { return batch.bytes_; }
};

}  // namespace tailrace::log
