#include "io/event_loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>

#include "base/check.h"
#include "base/clock.h"

namespace tailrace::io {

Result<std::unique_ptr<EventLoop>> EventLoop::Start(const std::string& name) {
  // A peer that went away is an error code of write(), never a signal: sendfile has no MSG_NOSIGNAL.
  ::signal(SIGPIPE, SIG_IGN);
  std::unique_ptr<EventLoop> loop(new EventLoop);
  loop->epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (loop->epoll_fd_ < 0) return IoError("epoll_create1", errno);
  loop->wake_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (loop->wake_fd_ < 0) return IoError("eventfd", errno);
  epoll_event ev{};
  ev.events = EPOLLIN;
  ev.data.ptr = nullptr;
  if (::epoll_ctl(loop->epoll_fd_, EPOLL_CTL_ADD, loop->wake_fd_, &ev) < 0) return IoError("epoll_ctl", errno);
  loop->now_ms_ = Clock::System().MonotonicMs();
  loop->thread_ = std::thread([l = loop.get()] { l->Run(); });
  pthread_setname_np(loop->thread_.native_handle(), name.substr(0, 15).c_str());
  return loop;
}

EventLoop::~EventLoop() {
  Stop();
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

void EventLoop::Wake() {
  uint64_t one = 1;
  while (::write(wake_fd_, &one, sizeof one) < 0 && errno == EINTR) {}
}

void EventLoop::Post(Task task) {
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
    if (wake_sent_) return;
    wake_sent_ = true;
  }
  Wake();
}

void EventLoop::PostAndWait(Task task) {
  CHECK(!InLoop());
  std::mutex mutex;
  std::condition_variable cv;
  bool done = false;
  Post([&] {
    task();
    std::lock_guard lock(mutex);
    done = true;
    cv.notify_one();
  });
  std::unique_lock lock(mutex);
  cv.wait(lock, [&] { return done; });
}

void EventLoop::Stop() {
  stop_ = true;
  if (!thread_.joinable()) return;
  CHECK(!InLoop());
  Wake();
  thread_.join();
  // Tasks own connections and requests; they go while the loop still stands.
  std::vector<Task> left;
  {
    std::lock_guard lock(mutex_);
    left.swap(posted_);
  }
  left.clear();
  timers_.clear();
  end_of_turn_.clear();
}

EventLoop::TimerId EventLoop::After(int64_t delay_ms, Task task) {
  TimerId id{Clock::System().MonotonicMs() + std::max<int64_t>(delay_ms, 0), ++timer_sequence_};
  timers_.emplace(id, std::move(task));
  return id;
}

void EventLoop::Cancel(TimerId* id) {
  if (id->second != 0) timers_.erase(*id);
  *id = {0, 0};
}

Status EventLoop::Watch(int fd, uint32_t events, FdHandler* handler) {
  auto watched = std::make_unique<Watched>(Watched{fd, handler});
  epoll_event ev{};
  ev.events = events;
  ev.data.ptr = watched.get();
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &ev) < 0) return IoError("epoll_ctl", errno);
  watched_[fd] = std::move(watched);
  return Ok();
}

void EventLoop::Change(int fd, uint32_t events) {
  auto it = watched_.find(fd);
  if (it == watched_.end()) return;
  epoll_event ev{};
  ev.events = events;
  ev.data.ptr = it->second.get();
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &ev);
}

void EventLoop::Unwatch(int fd) {
  auto it = watched_.find(fd);
  if (it == watched_.end()) return;
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  it->second->handler = nullptr;
  unwatched_.push_back(std::move(it->second));
  watched_.erase(it);
}

int EventLoop::RunTimers() {
  while (!timers_.empty() && timers_.begin()->first.first <= now_ms_) {
    Task task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
  }
  if (timers_.empty()) return -1;
  int64_t wait_ms = timers_.begin()->first.first - now_ms_;
  return static_cast<int>(std::clamp<int64_t>(wait_ms, 0, 3'600'000));
}

void EventLoop::RunPosted() {
  std::vector<Task> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(posted_);
    wake_sent_ = false;
  }
  for (Task& task : tasks) task();
}

void EventLoop::Run() {
  constexpr int kEventsMax = 128;
  epoll_event events[kEventsMax];
  while (!stop_.load(std::memory_order_relaxed)) {
    int timeout_ms = RunTimers();
    while (!end_of_turn_.empty()) {
      std::vector<Task> tasks;
      tasks.swap(end_of_turn_);
      for (Task& task : tasks) task();
    }
    unwatched_.clear();
    int n = ::epoll_wait(epoll_fd_, events, kEventsMax, timeout_ms);
    now_ms_ = Clock::System().MonotonicMs();
    bool posted = false;
    for (int i = 0; i < n; ++i) {
      auto* watched = static_cast<Watched*>(events[i].data.ptr);
      if (watched == nullptr) {
        uint64_t count;
        while (::read(wake_fd_, &count, sizeof count) < 0 && errno == EINTR) {}
        posted = true;
      } else if (watched->handler != nullptr) {
        watched->handler->OnReady(events[i].events);
      }
    }
    if (posted) RunPosted();
  }
}

}  // namespace tailrace::io
