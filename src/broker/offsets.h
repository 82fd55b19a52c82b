#pragma once
// Committed offsets of consumer groups, in memory and under the keys "o/" of DATA_DIR/meta.journal
// (docs/formats/broker-metadata.md).

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/record.h"
#include "base/result.h"

namespace tailrace {
class Clock;
}
namespace tailrace::log {
class Journal;
class JournalBatch;
}  // namespace tailrace::log

namespace tailrace::broker {

struct OffsetAndMetadata {
  int64_t offset = -1;  // the next one to read
  int32_t leader_epoch = -1;
  std::string metadata;
  int64_t commit_ms = 0;
  int64_t expire_ms = -1;  // -1: by the broker's offsets retention
};

struct OffsetCommitItem {
  TopicPartition from;
  OffsetAndMetadata value;
};

/// Thread-safe. A commit is visible to Fetch once it is on disk, in the order of the calls.
class OffsetStore {
 public:
  /// Called once, from any thread (the caller's own where no flush is needed): durable, or why not.
  using Done = std::function<void(Status)>;

  static Result<std::unique_ptr<OffsetStore>> Open(std::shared_ptr<log::Journal> journal, Clock& clock);
  ~OffsetStore();

  void Commit(const std::string& group, std::span<const OffsetCommitItem> items, Done done);

  /// Offsets inside a transaction: durable but invisible until EndTransaction of that producer id. A later item for
  /// the same partition replaces the earlier.
  void CommitPending(int64_t producer_id, const std::string& group, std::span<const OffsetCommitItem> items, Done done);
  /// Makes the producer's pending offsets stand, or drops them. Repeating it does nothing (a coordinator that
  /// recovers repeats it).
  void EndTransaction(int64_t producer_id, bool commit, Done done);
  /// For the transaction coordinator: the same change as part of a batch of its own, so that its decision and the
  /// offsets are one write. ApplyEnd makes it visible once that batch is durable.
  void PrepareEnd(int64_t producer_id, bool commit, log::JournalBatch* batch) const;
  void ApplyEnd(int64_t producer_id, bool commit);
  /// True while a transaction has a pending offset for it (KIP-447's require_stable).
  bool HasPending(const std::string& group, const TopicPartition& from) const;

  std::optional<OffsetAndMetadata> Fetch(const std::string& group, const TopicPartition& from) const;
  std::vector<OffsetCommitItem> FetchAll(const std::string& group) const;
  std::vector<std::string> Groups() const;
  bool HasGroup(const std::string& group) const;

  /// Drops the group's offsets: all, or those listed.
  void Delete(const std::string& group, Done done);
  void Delete(const std::string& group, std::span<const TopicPartition> which, Done done);
  void DeleteTopic(const std::string& topic);

  /// Drops what is older than `retention_ms` at `now_ms` (wall clock that may be believed: PatientClock).
  /// `idle_since_ms(group, topic)` says since when nobody uses it: the later of it and the commit counts; INT64_MAX =
  /// in use now. Returns how many were dropped.
  int64_t Expire(int64_t now_ms, int64_t retention_ms,
                 const std::function<int64_t(const std::string& group, const std::string& topic)>& idle_since_ms);

 private:
  struct Impl;
  explicit OffsetStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tailrace::broker
