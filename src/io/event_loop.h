#pragma once
// One thread that waits for sockets, timers and posted work. Linux epoll, level-triggered: docs/decisions/0001.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tailrace::io {

class FdHandler {
 public:
  virtual ~FdHandler() = default;
  /// `events` as epoll gives them. On the loop's thread.
  virtual void OnReady(uint32_t events) = 0;
};

class EventLoop {
 public:
  using Task = std::function<void()>;
  using TimerId = std::pair<int64_t, uint64_t>;  // {0, 0}: none

  /// Starts the thread; `name` shows in ps and perf (15 characters).
  static Result<std::unique_ptr<EventLoop>> Start(const std::string& name);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;

  /// From any thread: runs `task` on the loop, in the order posted. After Stop() tasks are dropped unrun.
  void Post(Task task);
  /// Posts and waits until it has run. Not from the loop itself.
  void PostAndWait(Task task);
  bool InLoop() const { return std::this_thread::get_id() == thread_.get_id(); }
  /// Ends the thread after the task it is at. Idempotent, not from the loop itself.
  void Stop();

  // On the loop's thread only:

  TimerId After(int64_t delay_ms, Task task);
  /// A timer that has fired or {0,0} is ignored. Sets *id to none.
  void Cancel(TimerId* id);
  /// Runs once before the loop waits again: work batched over one wake-up (responses of many requests, one write).
  void AtEndOfTurn(Task task) { end_of_turn_.push_back(std::move(task)); }
  /// The loop doesn't own fd or handler. Unwatch before closing the fd.
  Status Watch(int fd, uint32_t events, FdHandler* handler);
  void Change(int fd, uint32_t events);
  void Unwatch(int fd);
  int64_t NowMs() const { return now_ms_; }  // monotonic, taken when the loop woke

 private:
  struct Watched {
    int fd;
    FdHandler* handler;
  };
  EventLoop() = default;
  void Run();
  int RunTimers();
  void RunPosted();
  void Wake();

  int epoll_fd_ = -1;
  int wake_fd_ = -1;
  std::thread thread_;
  int64_t now_ms_ = 0;
  std::map<int, std::unique_ptr<Watched>> watched_;
  std::vector<std::unique_ptr<Watched>> unwatched_;  // kept until this turn's events are through
  std::map<TimerId, Task> timers_;
  uint64_t timer_sequence_ = 0;
  std::vector<Task> end_of_turn_;

  std::mutex mutex_;  // guards posted_ and wake_sent_
  std::vector<Task> posted_;
  bool wake_sent_ = false;
  std::atomic<bool> stop_{false};
};

}  // namespace tailrace::io
