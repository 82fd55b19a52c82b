#pragma once
// Incremental fetch sessions (KIP-227): a consumer of many partitions names them once, later requests and answers carry
// only what changed.

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/topics.h"
#include "wire/error_codes.h"

namespace tailrace {
class Clock;
}

namespace tailrace::broker {

/// What a client wants of one partition, as it said last.
struct FetchWant {
  std::string topic;  // empty where only the id is known
  TopicId topic_id{};
  int32_t partition = 0;
  int64_t offset = 0;
  int32_t max_bytes = 0;
  int32_t current_leader_epoch = -1;
};

/// One session. One request at a time uses it, so no lock.
struct FetchSession {
  static constexpr size_t kPartitionsMax = 200'000;
  struct Entry {
    FetchWant want;
    // What the client was told last; -2: never.
    int64_t sent_high_watermark = -2;
    int64_t sent_log_start = -2;
    wire::KafkaError sent_error = wire::KafkaError::kNone;
  };
  int32_t id = 0;
  int32_t next_epoch = 1;
  std::vector<Entry> entries;
  size_t first = 0;  // where the next answer begins: behind the last partition that had data, so that none starves
  // Guarded by FetchSessions:
  int64_t used_ms = 0;
  bool in_use = true;

  /// Replaces what is wanted of that partition, or adds it. False where the session is full.
  bool Put(FetchWant want);
  void Forget(const FetchWant& want);

 private:
  static std::string Key(const FetchWant& want);
  std::unordered_map<std::string, size_t> places_;  // in `entries`
};

/// Thread-safe.
class FetchSessions {
 public:
  static constexpr size_t kSessionsMax = 1000;       // max.incremental.fetch.session.cache.slots
  static constexpr int64_t kEvictAfterMs = 120'000;  // idle sessions make room for new ones after this

  explicit FetchSessions(Clock& clock) : clock_(clock) {}

  /// In use by the caller until Release. Null where there is no room: the client then fetches without a session.
  std::shared_ptr<FetchSession> Create();
  /// kFetchSessionIdNotFound or kInvalidFetchSessionEpoch (also where another request is using it) in `error`; else the
  /// session, its epoch moved on, in use until Release.
  std::shared_ptr<FetchSession> Use(int32_t id, int32_t epoch, wire::KafkaError* error);
  void Release(FetchSession& session);
  void Remove(int32_t id);
  size_t size() const;

 private:
  static int32_t NextEpoch(int32_t epoch) { return epoch == INT32_MAX ? 1 : epoch + 1; }

  Clock& clock_;
  mutable std::mutex mutex_;  // guards what follows
  std::unordered_map<int32_t, std::shared_ptr<FetchSession>> sessions_;
  int32_t last_id_ = 0;
};

}  // namespace tailrace::broker
