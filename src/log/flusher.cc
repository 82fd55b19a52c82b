#include "log/flusher.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace tailrace::log {

// A flushable is in `ready` iff queued_ and not running_; one that is requested while it runs goes back into `ready`
// when its thread is done with it.
struct Flusher::Impl {
  static constexpr size_t kRoundMax = 64;
  struct Work {
    std::shared_ptr<Flushable> what;
    bool checkpoint;
  };
  struct Timer {
    int64_t due_ms;
    std::weak_ptr<Flushable> what;
  };

  Clock& clock;
  Options options;
  std::mutex mutex;
  std::condition_variable work;       // ready or stopping
  std::condition_variable idle;       // something stopped running
  std::condition_variable gathering;  // stopping
  std::deque<std::shared_ptr<Flushable>> ready;
  std::deque<Timer> timers;  // in order of due_ms: the interval is the same for all
  bool stopping = false;
  std::vector<std::thread> threads;

  Impl(Clock& c, Options o) : clock(c), options(o) {}

  void Enqueue(std::shared_ptr<Flushable> what, bool checkpoint) {
    if (checkpoint) what->checkpoint_due_ = true;
    if (what->queued_) return;
    what->queued_ = true;
    if (what->running_) return;
    ready.push_back(std::move(what));
    work.notify_one();
  }

  void FireTimers() {
    int64_t now = clock.MonotonicMs();
    while (!timers.empty() && timers.front().due_ms <= now) {
      if (auto what = timers.front().what.lock()) {
        what->checkpoint_set_ = false;
        Enqueue(std::move(what), true);
      }
      timers.pop_front();
    }
  }

  /// Waits for more to sync at once. Called with the lock held, after a round that was busy.
  void Gather(std::unique_lock<std::mutex>& lock, const std::atomic<uint64_t>& bytes, uint64_t since, size_t files) {
    constexpr int kSlices = 4;
    int64_t all_us = std::clamp<int64_t>(options.gather_us * static_cast<int64_t>(files), 2000, 5000);
    uint64_t seen = bytes.load(std::memory_order_relaxed);
    for (int i = 0; i < kSlices && !stopping && seen - since < options.group_bytes; i++) {
      gathering.wait_for(lock, std::chrono::microseconds(all_us / kSlices));
      uint64_t now = bytes.load(std::memory_order_relaxed);
      if (now == seen) return;  // whoever appends waits for us
      seen = now;
    }
  }

  void Run(const std::atomic<uint64_t>& bytes) {
    std::unique_lock lock(mutex);
    uint64_t round_began = 0;  // `bytes` then
    bool busy = false;         // the last round was
    size_t files = 0;          // of the last round
    for (;;) {
      FireTimers();
      if (ready.empty()) {
        if (stopping) return;
        if (timers.empty()) {
          work.wait(lock);
        } else {
          int64_t wait_ms = std::clamp<int64_t>(timers.front().due_ms - clock.MonotonicMs(), 1, 1000);
          work.wait_for(lock, std::chrono::milliseconds(wait_ms));
        }
        continue;
      }
      if (busy) Gather(lock, bytes, round_began, files);
      uint64_t now_bytes = bytes.load(std::memory_order_relaxed);
      busy = now_bytes - std::exchange(round_began, now_bytes) >= options.busy_bytes;
      std::vector<Work> round;
      while (!ready.empty() && round.size() < kRoundMax) {
        Flushable& what = *ready.front();
        what.queued_ = false;
        what.running_ = true;
        round.push_back({std::move(ready.front()), std::exchange(what.checkpoint_due_, false)});
        ready.pop_front();
      }
      files = round.size();
      lock.unlock();
      if (round.size() > 1) {
        for (Work& one : round) one.what->Prepare();
        for (Work& one : round) one.what->Settle();
      }
      for (Work& one : round) {
        one.what->Flush();
        if (one.checkpoint) one.what->Checkpoint();
        lock.lock();
        one.what->running_ = false;
        if (one.what->queued_) {
          ready.push_back(one.what);
          work.notify_one();
        }
        idle.notify_all();
        lock.unlock();
        one.what.reset();  // may be the last owner: its destructor runs outside of the lock
      }
      lock.lock();
    }
  }
};

Flusher::Flusher(Clock& clock) : Flusher(clock, Options{}) {}

Flusher::Flusher(Clock& clock, Options options) : impl_(std::make_unique<Impl>(clock, options)) {
  for (int i = 0; i < std::max(1, options.threads); i++) impl_->threads.emplace_back([this] { impl_->Run(bytes_); });
}

Flusher::~Flusher() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->gathering.notify_all();
  }
  impl_->work.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

void Flusher::Request(std::shared_ptr<Flushable> what) {
  std::lock_guard lock(impl_->mutex);
  impl_->Enqueue(std::move(what), false);
}

void Flusher::RequestCheckpoint(std::shared_ptr<Flushable> what) {
  std::lock_guard lock(impl_->mutex);
  impl_->Enqueue(std::move(what), true);
}

void Flusher::NoteDirty(std::shared_ptr<Flushable> what) {
  std::lock_guard lock(impl_->mutex);
  if (what->checkpoint_set_) return;
  what->checkpoint_set_ = true;
  bool first = impl_->timers.empty();
  impl_->timers.push_back({impl_->clock.MonotonicMs() + impl_->options.checkpoint_interval_ms, what});
  if (first) impl_->work.notify_one();
}

void Flusher::Drain(const std::shared_ptr<Flushable>& what) {
  std::unique_lock lock(impl_->mutex);
  impl_->idle.wait(lock, [&] { return !what->running_ && !what->queued_; });
}

FlusherStats Flusher::stats() const {
  return {fsyncs_.load(std::memory_order_relaxed), fsync_us_.load(std::memory_order_relaxed)};
}

}  // namespace tailrace::log
