#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tailrace::workflow {

/// Threads made when there is work and all others are busy, up to a limit; work beyond it waits in order.
class ThreadPool {
 public:
  explicit ThreadPool(int threads_max) : threads_max_(threads_max) {}
  /// Finishes what was submitted.
  ~ThreadPool();
  void Submit(std::function<void()> work);

 private:
  void Loop();
  const int threads_max_;
  std::mutex mutex_;
  std::condition_variable cv_;
  std::deque<std::function<void()>> work_;
  std::vector<std::thread> threads_;
  int idle_ = 0;
  bool stop_ = false;
};

}  // namespace tailrace::workflow
