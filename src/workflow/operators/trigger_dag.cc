#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// Runs another DAG (Airflow: TriggerDagRunOperator). The run's id comes from the try, so that a restart in the middle
/// finds the run it made instead of making a second.
class TriggerDag final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    std::string dag_id = TRY(context.Text("dag_id"));
    std::string run_id = TRY(context.Text("run_id", ""));
    const bool named = !run_id.empty();
    if (!named)
      run_id = fmt::format("operator_triggered__{}_{}", IsoFormat(DateTime{context.run.logical_date_ms * 1000}),
                           Sha1Hex(fmt::format("{}#{}#{}#{}", context.dag.dag_id, context.run.run_id,
                                               context.task.task_id, context.instance.try_number))
                               .substr(0, 10));
    const Value* conf = context.with.Find("conf");
    bool wait = TRY(context.Boolean("wait", false));
    int64_t timeout_ms = TRY(context.DurationMs("timeout", 24LL * 3'600'000));
    List allowed = TRY(context.Values("allowed_states"));
    if (allowed.empty()) allowed.push_back("success");

    Result<DagRunInfo> run =
        context.environment.trigger(dag_id, conf && conf->is_map() ? ToJson(*conf) : "{}", run_id, std::nullopt);
    if (!run.ok() && (run.error().code() != ErrorCode::kAlreadyExists || named)) return std::move(run).error();
    context.log.Info(fmt::format("Triggered {} as {}", dag_id, run_id));
    Outcome outcome = Outcome::Success();
    outcome.xcoms.emplace_back("trigger_run_id", ToJson(Value(run_id)));
    if (!wait) return outcome;
    Clock& clock = context.environment.clock;
    const int64_t deadline_ms = clock.MonotonicMs() + timeout_ms;
    while (true) {
      Result<DagRunInfo> ended = context.environment.wait_run(
          dag_id, run_id, std::min<int64_t>(500, std::max<int64_t>(deadline_ms - clock.MonotonicMs(), 1)));
      if (ended.ok() && (ended->state == "success" || ended->state == "failed")) {
        context.log.Info(fmt::format("{} ended: {}", run_id, ended->state));
        for (const Value& state : allowed)
          if (PythonStr(state) == ended->state) return outcome;
        return Outcome::Fail(fmt::format("the run {} of {} ended as {}", run_id, dag_id, ended->state));
      }
      if (!ended.ok() && ended.error().code() != ErrorCode::kTimeout) return std::move(ended).error();
      if (context.cancel.cancelled()) return Outcome::Fail("cancelled");
      if (clock.MonotonicMs() >= deadline_ms)
        return Outcome::Fail(fmt::format("the run {} of {} has not ended in time", run_id, dag_id));
    }
  }
};

}  // namespace

std::unique_ptr<Operator> MakeTriggerDag() { return std::make_unique<TriggerDag>(); }

}  // namespace tailrace::workflow
