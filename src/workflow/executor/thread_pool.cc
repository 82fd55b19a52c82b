#include "workflow/executor/thread_pool.h"

namespace tailrace::workflow {

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  cv_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void ThreadPool::Submit(std::function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
    if (static_cast<int>(work_.size()) > idle_ && static_cast<int>(threads_.size()) < threads_max_)
      threads_.emplace_back([this] { Loop(); });
  }
  cv_.notify_one();
}

void ThreadPool::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    cv_.wait(lock, [&] { return stop_ || !work_.empty(); });
    --idle_;
    if (work_.empty()) return;
    std::function<void()> work = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace tailrace::workflow
