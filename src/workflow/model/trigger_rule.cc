#include "workflow/model/trigger_rule.h"

#include <array>

namespace tailrace::workflow {
namespace {

constexpr std::array<std::string_view, 13> kNames = {"all_success",
                                                     "all_failed",
                                                     "all_done",
                                                     "all_done_min_one_success",
                                                     "all_done_setup_success",
                                                     "always",
                                                     "one_success",
                                                     "one_failed",
                                                     "one_done",
                                                     "none_failed",
                                                     "none_failed_min_one_success",
                                                     "none_skipped",
                                                     "all_skipped"};

}  // namespace

std::string_view Name(TriggerRule rule) { return kNames[static_cast<size_t>(rule)]; }

std::optional<TriggerRule> ParseTriggerRule(std::string_view name) {
  if (name == "dummy") return TriggerRule::kAlways;
  if (name == "none_failed_or_skipped") return TriggerRule::kNoneFailedMinOneSuccess;
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<TriggerRule>(i);
  return std::nullopt;
}

const std::vector<std::string_view>& TriggerRuleNames() {
  static const std::vector<std::string_view> names(kNames.begin(), kNames.end());
  return names;
}

void UpstreamCounts::Add(TaskState state, bool setup) {
  ++total;
  if (setup) {
    ++setups;
    setups_success += state == TaskState::kSuccess;
    setups_skipped += state == TaskState::kSkipped;
  }
  switch (state) {
    case TaskState::kSuccess: ++success; break;
    case TaskState::kFailed: ++failed; break;
    case TaskState::kUpstreamFailed: ++upstream_failed; break;
    case TaskState::kSkipped: ++skipped; break;
    case TaskState::kRemoved: ++removed; break;
    default: break;
  }
}

// Airflow: ti_deps/deps/trigger_rule_dep.py. A verdict other than "run" may fall before all upstreams are done; a task
// is then skipped or failed early, as Airflow does it.
Verdict Evaluate(TriggerRule rule, const UpstreamCounts& up) {
  const int total = up.total;
  if (total == 0) return Verdict::kRun;
  const int bad = up.failed + up.upstream_failed;
  const bool done = up.done() >= total;
  switch (rule) {
    case TriggerRule::kAlways: return Verdict::kRun;
    case TriggerRule::kAllSuccess:
      if (bad > 0) return Verdict::kUpstreamFailed;
      if (up.skipped > 0) return Verdict::kSkip;
      return up.success + up.removed >= total ? Verdict::kRun : Verdict::kWait;
    case TriggerRule::kAllFailed:
      if (up.success > 0 || up.skipped > 0) return Verdict::kSkip;
      return bad + up.removed >= total ? Verdict::kRun : Verdict::kWait;
    case TriggerRule::kAllDone: return done ? Verdict::kRun : Verdict::kWait;
    case TriggerRule::kAllDoneMinOneSuccess:
      if (up.skipped > 0) return Verdict::kSkip;
      if (!done) return Verdict::kWait;
      return up.success > 0 ? Verdict::kRun : Verdict::kUpstreamFailed;
    case TriggerRule::kAllDoneSetupSuccess:
      if (!done) return Verdict::kWait;
      if (up.setups == 0) return Verdict::kRun;
      if (up.setups_skipped >= up.setups) return Verdict::kSkip;
      return up.setups_success > 0 ? Verdict::kRun : Verdict::kUpstreamFailed;
    case TriggerRule::kOneSuccess:
      if (up.success > 0) return Verdict::kRun;
      if (!done) return Verdict::kWait;
      return up.skipped >= total ? Verdict::kSkip : Verdict::kUpstreamFailed;
    case TriggerRule::kOneFailed:
      if (bad > 0) return Verdict::kRun;
      return done ? Verdict::kSkip : Verdict::kWait;
    case TriggerRule::kOneDone:  // a skip does not count as done here
      if (up.success + bad > 0) return Verdict::kRun;
      return done ? Verdict::kSkip : Verdict::kWait;
    case TriggerRule::kNoneFailed:
      if (bad > 0) return Verdict::kUpstreamFailed;
      return done ? Verdict::kRun : Verdict::kWait;
    case TriggerRule::kNoneFailedMinOneSuccess:
      if (bad > 0) return Verdict::kUpstreamFailed;
      if (!done) return Verdict::kWait;
      return up.skipped >= total ? Verdict::kSkip : Verdict::kRun;
    case TriggerRule::kNoneSkipped:
      if (up.skipped > 0) return Verdict::kSkip;
      return done ? Verdict::kRun : Verdict::kWait;
    case TriggerRule::kAllSkipped:
      if (up.success > 0 || bad > 0) return Verdict::kSkip;
      return done ? Verdict::kRun : Verdict::kWait;
  }
  return Verdict::kWait;
}

// Airflow: models/dagrun.py, update_state.
std::optional<RunState> RunVerdict(const std::vector<TaskState>& leaves) {
  bool failed = false;
  for (TaskState state : leaves) {
    if (!Finished(state)) return std::nullopt;
    failed |= state == TaskState::kFailed || state == TaskState::kUpstreamFailed;
  }
  return failed ? RunState::kFailed : RunState::kSuccess;
}

}  // namespace tailrace::workflow
