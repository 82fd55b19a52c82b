#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tailrace::app {

class Platform;

/// The live picture of `tailrace run`: events in and out per second, every job's lag and latency, every DAG's tasks.
/// Redrawn in place on a terminal; elsewhere one line every five seconds and one a task's change of state.
class Progress {
 public:
  Progress(Platform& platform, bool terminal);
  void Draw();
  /// Leaves the last picture standing.
  void Finish();
  /// Records read and rows written by all jobs, and records taken in by the log: unchanged means idle.
  uint64_t EventsMoved() const { return moved_; }

 private:
  std::vector<std::string> Lines();
  void PrintPlain();

  Platform& platform_;
  const bool terminal_;
  const int64_t start_ms_;
  size_t drawn_lines_ = 0;
  uint64_t moved_ = 0;
  uint64_t last_in_ = 0, last_out_ = 0;
  int64_t last_ms_ = 0, last_plain_ms_ = 0;
  double in_per_second_ = 0, out_per_second_ = 0;
  std::map<std::string, std::string> task_states_;  // "dag/run/task"
  std::map<std::string, std::string> job_states_;
};

}  // namespace tailrace::app
