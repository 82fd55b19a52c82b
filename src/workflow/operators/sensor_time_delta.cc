#include "base/clock.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// True so long after the end of the run's data interval (Airflow: TimeDeltaSensor).
class TimeDeltaSensor final : public Operator {
 public:
  Result<bool> Poke(TaskContext& context, Outcome*) override {
    int64_t delta_ms = TRY(context.DurationMs("delta"));
    return context.environment.clock.NowMs() >= context.run.interval_end_ms + delta_ms;
  }
};

}  // namespace

std::unique_ptr<Operator> MakeTimeDeltaSensor() { return std::make_unique<TimeDeltaSensor>(); }

}  // namespace tailrace::workflow
