#include "app/cli/follow_run.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/cli/output.h"
#include "app/stop_signal.h"
#include "base/clock.h"

namespace tailrace::app {

std::string TaskMark(const std::string& state, bool colours) {
  const char* mark = "○";
  const char* colour = "90";
  if (state == "success") mark = "✔", colour = "32";
  else if (state == "failed" || state == "upstream_failed") mark = "✖", colour = "31";
  else if (state == "running") mark = "●", colour = "36";
  else if (state == "up_for_retry" || state == "up_for_reschedule") mark = "↻", colour = "33";
  else if (state == "queued" || state == "scheduled") mark = "◌", colour = "90";
  else if (state == "skipped") mark = "–", colour = "90";
  if (!colours) return mark;
  return std::string("\033[") + colour + "m" + mark + "\033[0m";
}

namespace {

/// Every task with its mark; where the terminal is too narrow for that, the marks alone and the names of what is at
/// work.
std::string OneLine(const nlohmann::json& tasks) {
  std::string whole, marks, at_work;
  size_t columns = 0;
  for (const auto& task : tasks) {
    const std::string state = task.value("state", ""), mark = TaskMark(state, true);
    const int tries = task.value("try_number", 0);
    const std::string name = task.value("task_id", "") + (tries > 1 ? " (try " + std::to_string(tries) + ")" : "");
    whole += mark + " " + name + "  ";
    columns += TextWidth(name) + 4;
    marks += mark;
    if (state == "running" || state.starts_with("up_for")) at_work += " " + name;
  }
  const size_t width = TerminalWidth(stderr);
  if (columns < width) return whole;
  if (tasks.size() + 8 > width / 2) marks = std::to_string(tasks.size()) + " tasks", columns = marks.size();
  else columns = tasks.size();
  return marks + CutText(at_work, width - columns - 1);
}

}  // namespace

Result<std::string> FollowRun(const Rest& rest, const std::string& dag_id, const std::string& run_id,
                              int64_t timeout_ms, bool quiet) {
  const std::string path = "/api/v1/dags/" + PathPart(dag_id) + "/runs/" + PathPart(run_id);
  const int64_t end = Clock::System().MonotonicMs() + timeout_ms;
  std::string shown;
  while (true) {
    // Short waits while a person watches or Ctrl-C may come; the answer is there at once when the run ends.
    const std::string run = TRY(rest.Get(path + "?wait_ms=" + std::to_string(quiet ? 1000 : 250)));
    const auto state = nlohmann::json::parse(run).value("state", "");
    if (!quiet) {
      const std::string line = OneLine(nlohmann::json::parse(TRY(rest.Get(path + "/tasks"))));
      if (line != shown) std::fprintf(stderr, "\r\033[K%s", line.c_str());
      shown = line;
    }
    const bool over = state == "success" || state == "failed";
    const bool stop = StopSignal::requested(), late = timeout_ms > 0 && Clock::System().MonotonicMs() >= end;
    if (!quiet && (over || stop || late)) std::fputs("\n", stderr);
    if (over) return run;
    if (stop)
      return Error(ErrorCode::kCancelled, "stopped waiting; the run " + run_id + " goes on")
          .Remedy("see 'tailrace dag state " + dag_id + " " + run_id + "'");
    if (late)
      return Error(ErrorCode::kTimeout,
                   "the run " + run_id + " has not ended within " + FormatMs(static_cast<double>(timeout_ms)));
  }
}

}  // namespace tailrace::app
