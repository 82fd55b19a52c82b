#include "base/waker.h"

#include <chrono>

namespace tailrace {

void Waker::Sleep(int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  cv_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return awake_; });
  awake_ = false;
}

}  // namespace tailrace
