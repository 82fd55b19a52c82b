#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace tailrace {

/// One thread sleeps, any thread wakes it; a wake before the sleep is not lost. Everything a pipeline waits for
/// (records, a sink with room, a checkpoint, a stop) wakes the same Waker.
class Waker {
 public:
  void Wake() {
    {
      std::lock_guard lock(mutex_);
      if (awake_) return;
      awake_ = true;
    }
    cv_.notify_one();
  }
  /// Until Wake() or `timeout_ms`, whichever is first. Only the owner calls it.
  void Sleep(int64_t timeout_ms);

 private:
  std::mutex mutex_;
  std::condition_variable cv_;
  bool awake_ = false;
};

}  // namespace tailrace
