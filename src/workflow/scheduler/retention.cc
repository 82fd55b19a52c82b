// What is old goes: finished runs with their logs, alerts. In small transactions between the engine's own, and logs
// first: a crash leaves rows without logs, which the next pass deletes, never logs that nobody knows of.

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "base/logging.h"
#include "io/file.h"
#include "workflow/scheduler/scheduler_impl.h"

namespace tailrace::workflow {
namespace {

constexpr int kRunsAtOnce = 20;
constexpr int kAlertsAtOnce = 1'000;
constexpr int64_t kFirstMs = 10'000;  // not while everything else starts

}  // namespace

void SchedulerImpl::KeepTidy() {
  for (int64_t wait_ms = std::min(kFirstMs, options_.tidy_every_ms); stopping_.Sleep(wait_ms);
       wait_ms = options_.tidy_every_ms) {
    Status done = Tidy();
    if (!done.ok() && !stopping_.cancelled()) LogError("scheduler", "deleting old runs: " + done.error().ToString());
  }
}

Status SchedulerImpl::Tidy() {
  const int64_t before_ms = options_.retention_ms < 0 ? INT64_MIN : patient_clock_.NowMs() - options_.retention_ms;
  int64_t runs_gone = 0;
  while (!stopping_.cancelled()) {
    std::vector<RunKey> runs = TRY(store_->ExpiredRuns(before_ms, options_.runs_kept, kRunsAtOnce));
    if (runs.empty()) break;
    for (const RunKey& run : runs) TRY(io::RemoveTree(RunLogFolder(options_.data_dir, run.dag_id, run.run_id)));
    int gone = 0;
    TRY(OnEngine([&]() -> Status {
      gone = TRY(engine_->DeleteRuns(runs));
      return {};
    }));
    if (gone == 0) break;  // something happens to all of them just now: next time
    runs_gone += gone;
  }
  while (!stopping_.cancelled() && TRY(store_->DeleteAlerts(before_ms, kAlertsAtOnce)) == kAlertsAtOnce) {}
  if (runs_gone > 0) LogInfo("scheduler", fmt::format("deleted {} old runs and their logs", runs_gone));
  return {};
}

}  // namespace tailrace::workflow
