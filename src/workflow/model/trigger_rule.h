#pragma once
// When a task may run, given how its upstreams ended (Airflow: Concepts, DAGs, Trigger Rules).

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "workflow/model/states.h"

namespace tailrace::workflow {

enum class TriggerRule : uint8_t {
  kAllSuccess,
  kAllFailed,
  kAllDone,
  kAllDoneMinOneSuccess,
  kAllDoneSetupSuccess,  // of teardowns
  kAlways,
  kOneSuccess,
  kOneFailed,
  kOneDone,
  kNoneFailed,
  kNoneFailedMinOneSuccess,
  kNoneSkipped,
  kAllSkipped,
};

std::string_view Name(TriggerRule rule);
/// Airflow 2's aliases `dummy` and `none_failed_or_skipped` too.
std::optional<TriggerRule> ParseTriggerRule(std::string_view name);
const std::vector<std::string_view>& TriggerRuleNames();

/// How the direct upstreams of a task stand.
struct UpstreamCounts {
  int total = 0, success = 0, failed = 0, upstream_failed = 0, skipped = 0, removed = 0;
  int setups = 0, setups_success = 0, setups_skipped = 0;  // of these, the setup tasks
  int done() const { return success + failed + upstream_failed + skipped + removed; }
  void Add(TaskState state, bool setup = false);
};

enum class Verdict : uint8_t { kWait, kRun, kSkip, kUpstreamFailed };
Verdict Evaluate(TriggerRule rule, const UpstreamCounts& up);

/// The verdict on a run by its leaf tasks; nullopt: not finished. A deadlock (nothing can move any more) is the
/// scheduler's to find.
std::optional<RunState> RunVerdict(const std::vector<TaskState>& leaves);

}  // namespace tailrace::workflow
