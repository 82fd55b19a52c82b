#include "workflow/operators/sensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"

namespace tailrace::workflow {

Result<Outcome> RunSensor(Operator& op, TaskContext& context) {
  const std::string mode = TRY(context.Text("mode", "poke"));
  if (mode != "poke" && mode != "reschedule")
    return InvalidArgument(fmt::format("mode: expected poke or reschedule, found '{}'", mode));
  const int64_t interval_ms = std::max<int64_t>(TRY(context.DurationMs("poke_interval", 60'000)), 1);
  const int64_t timeout_ms = TRY(context.DurationMs("timeout", 7LL * 86'400'000));
  const bool soft_fail = TRY(context.Boolean("soft_fail", false)),
             backoff = TRY(context.Boolean("exponential_backoff", false));
  const int64_t max_wait_ms = TRY(context.DurationMs("max_wait", 0));
  Clock& clock = context.environment.clock;
  const int64_t now_ms = clock.NowMs();
  // From here on the monotonic clock counts: the wall clock may jump while a poke-mode sensor waits.
  const int64_t began_ms =
      clock.MonotonicMs() - std::max<int64_t>(now_ms - context.instance.first_poke_ms.value_or(now_ms), 0);
  for (int poke = context.instance.pokes;; ++poke) {
    Outcome outcome;
    if (TRY(op.Poke(context, &outcome))) {
      context.log.Info(fmt::format("Success criteria met after {} pokes", poke + 1));
      return outcome;
    }
    if (context.cancel.cancelled()) return Outcome::Fail("cancelled");
    if (clock.MonotonicMs() - began_ms >= timeout_ms) {
      std::string why = fmt::format("sensor has timed out after {} s{}{}", static_cast<double>(timeout_ms) / 1000,
                                    outcome.message.empty() ? "" : ": ", outcome.message);
      // A sensor's timeout is final (Airflow: AirflowSensorTimeout is not retried).
      return soft_fail ? Outcome::Skip(why) : Outcome::FailForGood(why);
    }
    int64_t wait_ms = interval_ms;
    if (backoff)
      wait_ms =
          static_cast<int64_t>(std::min(static_cast<double>(interval_ms) * std::pow(2, std::min(poke, 40)), 8.64e7));
    if (max_wait_ms > 0) wait_ms = std::min(wait_ms, max_wait_ms);
    if (mode == "reschedule") {
      Outcome later = std::move(outcome);
      later.kind = Outcome::Kind::kReschedule;
      later.due_ms = clock.NowMs() + wait_ms;
      return later;
    }
    if (!context.cancel.Sleep(std::min(wait_ms, std::max<int64_t>(timeout_ms - (clock.MonotonicMs() - began_ms), 1))))
      return Outcome::Fail("cancelled");
  }
}

}  // namespace tailrace::workflow
