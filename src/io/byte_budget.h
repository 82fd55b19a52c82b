#pragma once
// How many bytes of requests may wait in the process, all connections together.

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

namespace tailrace::io {

/// Thread-safe. Charging never fails (the bytes are there already): whoever finds it Over() stops reading and asks to
/// be told when there is room again.
class ByteBudget {
 public:
  explicit ByteBudget(int64_t limit) : limit_(limit) {}

  void Charge(int64_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void Release(int64_t bytes) {
    // Either this sees the waiter, or the waiter (WhenRoom) sees the bytes gone: both orders are sequential.
    int64_t before = used_.fetch_sub(bytes);
    if (waiting_.load() && before - bytes <= limit_ / 2) Notify();
  }
  bool Over() const { return used_.load(std::memory_order_relaxed) > limit_; }
  int64_t used() const { return used_.load(std::memory_order_relaxed); }
  /// `room` is called once, by the thread that makes room or at once: it only posts to its loop.
  void WhenRoom(std::function<void()> room) {
    {
      std::lock_guard lock(mutex_);
      waiters_.push_back(std::move(room));
      waiting_ = true;
    }
    if (used_.load() <= limit_ / 2) Notify();
  }

 private:
  void Notify() {
    std::vector<std::function<void()>> waiters;
    {
      std::lock_guard lock(mutex_);
      waiters.swap(waiters_);
      waiting_ = false;
    }
    for (auto& room : waiters) room();
  }

  const int64_t limit_;
  std::atomic<int64_t> used_{0};
  std::atomic<bool> waiting_{false};
  std::mutex mutex_;
  std::vector<std::function<void()>> waiters_;
};

}  // namespace tailrace::io
