#include "broker/fetch_sessions.h"

#include <algorithm>

#include "base/clock.h"

namespace tailrace::broker {

std::string FetchSession::Key(const FetchWant& want) {
  std::string key(reinterpret_cast<const char*>(want.topic_id.data()), want.topic_id.size());
  key.append(reinterpret_cast<const char*>(&want.partition), sizeof want.partition).append(want.topic);
  return key;
}

bool FetchSession::Put(FetchWant want) {
  auto [place, added] = places_.try_emplace(Key(want), entries.size());
  if (!added) {
    entries[place->second].want = std::move(want);
    return true;
  }
  if (entries.size() >= kPartitionsMax) {
    places_.erase(place);
    return false;
  }
  entries.push_back({std::move(want)});
  return true;
}

void FetchSession::Forget(const FetchWant& want) {
  auto place = places_.find(Key(want));
  if (place == places_.end()) return;
  size_t hole = place->second;
  places_.erase(place);
  if (hole + 1 < entries.size()) {
    entries[hole] = std::move(entries.back());
    places_[Key(entries[hole].want)] = hole;
  }
  entries.pop_back();
}

std::shared_ptr<FetchSession> FetchSessions::Create() {
  std::lock_guard lock(mutex_);
  int64_t now_ms = clock_.MonotonicMs();
  if (sessions_.size() >= kSessionsMax) {
    auto oldest = std::min_element(sessions_.begin(), sessions_.end(),
                                   [](auto& a, auto& b) { return a.second->used_ms < b.second->used_ms; });
    if (oldest->second->in_use || now_ms - oldest->second->used_ms < kEvictAfterMs) return nullptr;
    sessions_.erase(oldest);
  }
  auto session = std::make_shared<FetchSession>();
  do { last_id_ = NextEpoch(last_id_); } while (sessions_.count(last_id_) > 0);
  session->id = last_id_;
  session->used_ms = now_ms;
  sessions_[session->id] = session;
  return session;
}

std::shared_ptr<FetchSession> FetchSessions::Use(int32_t id, int32_t epoch, wire::KafkaError* error) {
  std::lock_guard lock(mutex_);
  auto it = sessions_.find(id);
  if (it == sessions_.end()) {
    *error = wire::KafkaError::kFetchSessionIdNotFound;
    return nullptr;
  }
  if (it->second->next_epoch != epoch || it->second->in_use) {
    *error = wire::KafkaError::kInvalidFetchSessionEpoch;
    return nullptr;
  }
  it->second->next_epoch = NextEpoch(epoch);
  it->second->used_ms = clock_.MonotonicMs();
  it->second->in_use = true;
  *error = wire::KafkaError::kNone;
  return it->second;
}

void FetchSessions::Release(FetchSession& session) {
  std::lock_guard lock(mutex_);
  session.in_use = false;
}

void FetchSessions::Remove(int32_t id) {
  std::lock_guard lock(mutex_);
  sessions_.erase(id);
}

size_t FetchSessions::size() const {
  std::lock_guard lock(mutex_);
  return sessions_.size();
}

}  // namespace tailrace::broker
