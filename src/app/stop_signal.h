#pragma once

#include <cstdint>

namespace tailrace::app {

/// SIGINT, SIGTERM and SIGHUP as an event of the main thread. Handlers, not a mask or SIG_IGN: tasks that the scheduler
/// starts would inherit those. A second SIGINT ends the process at once.
class StopSignal {
 public:
  /// Call once, before other threads.
  static void Install();
  static bool requested();
  /// Until a signal came or `timeout_ms` passed (-1: for ever); says whether one came.
  static bool Wait(int64_t timeout_ms);
};

}  // namespace tailrace::app
