#include "broker/offsets.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/clock.h"
#include "base/logging.h"
#include "log/journal.h"
#include "wire/codec.h"

namespace tailrace::broker {
namespace {

constexpr int8_t kOffsetVersion = 1;
constexpr std::string_view kOffsetPrefix = "o/";  // "o/c/" committed, "o/p/" pending in a transaction
constexpr std::string_view kCommittedPrefix = "o/c/";
constexpr std::string_view kPendingPrefix = "o/p/";

// Keys hold names of any bytes, so each part goes with its length.
std::string CommittedKey(std::string_view group, const TopicPartition& from) {
  wire::Encoder to;
  to.String(group, true);
  to.String(from.topic, true);
  to.Int32(from.partition);
  return std::string(kCommittedPrefix) + std::move(to).Finish().Flatten();
}

std::string PendingKey(int64_t producer_id, std::string_view group, const TopicPartition& from) {
  wire::Encoder to;
  to.Int64(producer_id);
  to.String(group, true);
  to.String(from.topic, true);
  to.Int32(from.partition);
  return std::string(kPendingPrefix) + std::move(to).Finish().Flatten();
}

std::string EncodeValue(const OffsetAndMetadata& value) {
  wire::Encoder to;
  to.Int8(kOffsetVersion);
  to.Int64(value.offset);
  to.Int32(value.leader_epoch);
  to.String(value.metadata, true);
  to.Int64(value.commit_ms);
  to.Int64(value.expire_ms);
  return std::move(to).Finish().Flatten();
}

OffsetAndMetadata DecodeValue(wire::Decoder& from) {
  OffsetAndMetadata value;
  if (from.Int8("version") != kOffsetVersion) from.Fail("an unknown format version", "version");
  value.offset = from.Int64("offset");
  value.leader_epoch = from.Int32("leader_epoch");
  value.metadata = from.String(true, "metadata");
  value.commit_ms = from.Int64("commit_ms");
  value.expire_ms = from.Int64("expire_ms");
  return value;
}

}  // namespace

struct OffsetStore::Impl {
  using Offsets = std::map<TopicPartition, OffsetAndMetadata>;

  std::shared_ptr<log::Journal> journal;
  Clock& clock;
  mutable std::mutex mutex;  // guards what follows; never held while calling the journal
  std::map<std::string, Offsets, std::less<>> committed;
  std::map<int64_t, std::map<std::string, Offsets>> pending;  // producer id, group

  Impl(std::shared_ptr<log::Journal> j, Clock& c) : journal(std::move(j)), clock(c) {}

  Status Load() {
    Status status;
    journal->ForEach(kOffsetPrefix, [&](std::string_view key, std::string_view bytes) {
      if (!status.ok()) return;
      bool is_pending = key.substr(0, kPendingPrefix.size()) == kPendingPrefix;
      wire::Decoder k(key.substr(kCommittedPrefix.size()));
      int64_t producer_id = is_pending ? k.Int64("producer_id") : -1;
      std::string group = k.String(true, "group");
      TopicPartition from;
      from.topic = k.String(true, "topic");
      from.partition = k.Int32("partition");
      wire::Decoder v(bytes);
      OffsetAndMetadata value = DecodeValue(v);
      if (!k.ok() || !v.ok()) {
        status = k.ok() ? v.ToError("a committed offset in meta.journal", kOffsetVersion)
                        : k.ToError("a committed offset's key in meta.journal", kOffsetVersion);
        return;
      }
      if (is_pending) {
        pending[producer_id][group][from] = std::move(value);
      } else {
        committed[group][from] = std::move(value);
      }
    });
    return status;
  }
};

OffsetStore::OffsetStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OffsetStore::~OffsetStore() = default;

Result<std::unique_ptr<OffsetStore>> OffsetStore::Open(std::shared_ptr<log::Journal> journal, Clock& clock) {
  auto impl = std::make_unique<Impl>(std::move(journal), clock);
  TRY(impl->Load());
  return std::unique_ptr<OffsetStore>(new OffsetStore(std::move(impl)));
}

void OffsetStore::Commit(const std::string& group, std::span<const OffsetCommitItem> items, Done done) {
  log::JournalBatch batch;
  for (const OffsetCommitItem& item : items) batch.Put(CommittedKey(group, item.from), EncodeValue(item.value));
  impl_->journal->Append(batch, [this, group, kept = std::vector<OffsetCommitItem>(items.begin(), items.end()),
                                 done = std::move(done)](Status status) {
    if (status.ok()) {
      std::lock_guard lock(impl_->mutex);
      auto& offsets = impl_->committed[group];
      for (const OffsetCommitItem& item : kept) offsets[item.from] = item.value;
    }
    if (done) done(std::move(status));
  });
}

void OffsetStore::CommitPending(int64_t producer_id, const std::string& group, std::span<const OffsetCommitItem> items,
                                Done done) {
  log::JournalBatch batch;
  for (const OffsetCommitItem& item : items)
    batch.Put(PendingKey(producer_id, group, item.from), EncodeValue(item.value));
  {
    // At once, not when durable: PrepareEnd must find what an earlier request of the same producer has written.
    std::lock_guard lock(impl_->mutex);
    auto& offsets = impl_->pending[producer_id][group];
    for (const OffsetCommitItem& item : items) offsets[item.from] = item.value;
  }
  impl_->journal->Append(batch, std::move(done));
}

void OffsetStore::PrepareEnd(int64_t producer_id, bool commit, log::JournalBatch* batch) const {
  std::lock_guard lock(impl_->mutex);
  auto it = impl_->pending.find(producer_id);
  if (it == impl_->pending.end()) return;
  for (const auto& [group, offsets] : it->second) {
    for (const auto& [from, value] : offsets) {
      if (commit) batch->Put(CommittedKey(group, from), EncodeValue(value));
      batch->Delete(PendingKey(producer_id, group, from));
    }
  }
}

void OffsetStore::ApplyEnd(int64_t producer_id, bool commit) {
  std::lock_guard lock(impl_->mutex);
  auto it = impl_->pending.find(producer_id);
  if (it == impl_->pending.end()) return;
  if (commit) {
    for (auto& [group, offsets] : it->second) {
      auto& to = impl_->committed[group];
      for (auto& [from, value] : offsets) to[from] = std::move(value);
    }
  }
  impl_->pending.erase(it);
}

void OffsetStore::EndTransaction(int64_t producer_id, bool commit, Done done) {
  log::JournalBatch batch;
  PrepareEnd(producer_id, commit, &batch);
  if (batch.empty()) {
    if (done) done(Ok());
    return;
  }
  impl_->journal->Append(batch, [this, producer_id, commit, done = std::move(done)](Status status) {
    if (status.ok()) ApplyEnd(producer_id, commit);
    if (done) done(std::move(status));
  });
}

bool OffsetStore::HasPending(const std::string& group, const TopicPartition& from) const {
  std::lock_guard lock(impl_->mutex);
  for (const auto& [producer_id, groups] : impl_->pending) {
    auto it = groups.find(group);
    if (it != groups.end() && it->second.count(from) > 0) return true;
  }
  return false;
}

std::optional<OffsetAndMetadata> OffsetStore::Fetch(const std::string& group, const TopicPartition& from) const {
  std::lock_guard lock(impl_->mutex);
  auto it = impl_->committed.find(group);
  if (it == impl_->committed.end()) return std::nullopt;
  auto offset = it->second.find(from);
  if (offset == it->second.end()) return std::nullopt;
  return offset->second;
}

std::vector<OffsetCommitItem> OffsetStore::FetchAll(const std::string& group) const {
  std::lock_guard lock(impl_->mutex);
  std::vector<OffsetCommitItem> items;
  auto it = impl_->committed.find(group);
  if (it == impl_->committed.end()) return items;
  for (const auto& [from, value] : it->second) items.push_back({from, value});
  return items;
}

std::vector<std::string> OffsetStore::Groups() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<std::string> groups;
  for (const auto& [group, offsets] : impl_->committed) groups.push_back(group);
  return groups;
}

bool OffsetStore::HasGroup(const std::string& group) const {
  std::lock_guard lock(impl_->mutex);
  return impl_->committed.count(group) > 0;
}

void OffsetStore::Delete(const std::string& group, Done done) {
  std::vector<TopicPartition> all;
  for (const OffsetCommitItem& item : FetchAll(group)) all.push_back(item.from);
  Delete(group, all, std::move(done));
}

void OffsetStore::Delete(const std::string& group, std::span<const TopicPartition> which, Done done) {
  log::JournalBatch batch;
  {
    std::lock_guard lock(impl_->mutex);
    auto it = impl_->committed.find(group);
    if (it != impl_->committed.end()) {
      for (const TopicPartition& from : which) {
        if (it->second.erase(from) > 0) batch.Delete(CommittedKey(group, from));
      }
      if (it->second.empty()) impl_->committed.erase(it);
    }
  }
  if (batch.empty()) {
    if (done) done(Ok());
    return;
  }
  impl_->journal->Append(batch, std::move(done));
}

void OffsetStore::DeleteTopic(const std::string& topic) {
  for (const std::string& group : Groups()) {
    std::vector<TopicPartition> which;
    for (const OffsetCommitItem& item : FetchAll(group)) {
      if (item.from.topic == topic) which.push_back(item.from);
    }
    if (!which.empty()) Delete(group, which, nullptr);
  }
}

int64_t OffsetStore::Expire(int64_t now_ms, int64_t retention_ms,
                            const std::function<int64_t(const std::string&, const std::string&)>& idle_since_ms) {
  int64_t dropped = 0;
  for (const std::string& group : Groups()) {
    std::vector<TopicPartition> old;
    for (const OffsetCommitItem& item : FetchAll(group)) {
      int64_t idle_ms = idle_since_ms(group, item.from.topic);
      if (idle_ms == INT64_MAX) continue;
      int64_t until_ms =
          item.value.expire_ms >= 0 ? item.value.expire_ms : std::max(item.value.commit_ms, idle_ms) + retention_ms;
      if (until_ms <= now_ms) old.push_back(item.from);
    }
    dropped += static_cast<int64_t>(old.size());
    if (!old.empty()) Delete(group, old, nullptr);
  }
  return dropped;
}

}  // namespace tailrace::broker
