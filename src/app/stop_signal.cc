#include "app/stop_signal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <ctime>

#include "base/check.h"

namespace tailrace::app {
namespace {

std::atomic<int> g_signals{0};
int g_pipe[2] = {-1, -1};

void OnSignal(int) {
  if (g_signals.fetch_add(1) > 0) _exit(130);
  const int saved = errno;
  [[maybe_unused]] const ssize_t written = ::write(g_pipe[1], "x", 1);
  errno = saved;
}
void OnPipe(int) {}  // writes to a closed socket or pipe give EPIPE

int64_t NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

void StopSignal::Install() {
  CHECK(::pipe2(g_pipe, O_CLOEXEC | O_NONBLOCK) == 0);
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  action.sa_handler = OnPipe;
  sigaction(SIGPIPE, &action, nullptr);
}

bool StopSignal::requested() { return g_signals.load() > 0; }

bool StopSignal::Wait(int64_t timeout_ms) {
  const int64_t end = NowMs() + timeout_ms;
  while (!requested()) {
    const int64_t left = timeout_ms < 0 ? 60'000 : end - NowMs();
    if (timeout_ms >= 0 && left <= 0) return false;
    pollfd waiting{g_pipe[0], POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(left > 60'000 ? 60'000 : left));
  }
  return true;
}

}  // namespace tailrace::app
