#pragma once

#include <cstdint>
#include <string>

#include "app/cli/rest.h"

namespace tailrace::app {

/// Until the run has ended: its JSON. Draws the tasks' states on stderr unless `quiet`. kTimeout after `timeout_ms`
/// (0: never), kCancelled on Ctrl-C; the run goes on in both cases.
Result<std::string> FollowRun(const Rest& rest, const std::string& dag_id, const std::string& run_id,
                              int64_t timeout_ms, bool quiet);

/// One coloured mark for a task's state, Airflow's names: ✔ success, ✖ failed, ● running, ○ not begun …
std::string TaskMark(const std::string& state, bool colours);

}  // namespace tailrace::app
