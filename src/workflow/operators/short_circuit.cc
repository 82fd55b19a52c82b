#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"
#include "workflow/operators/sql_support.h"

namespace tailrace::workflow {
namespace {

/// Skips what follows unless a condition holds (Airflow: ShortCircuitOperator).
class ShortCircuit final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    bool holds;
    if (context.with.Find("sql")) {
      connectors::QueryResult result = TRY(RunSql(context, context.with, 1));
      holds = !result.rows.empty() && !result.rows[0].empty() && TextHolds(result.rows[0][0].value_or(""));
    } else {
      const Value* condition = context.with.Find("condition");
      if (condition == nullptr) return InvalidArgument("operator short_circuit needs 'condition' or 'sql'");
      holds = condition->is_string() ? TextHolds(condition->string()) : Truthy(*condition);
    }
    context.log.Info(holds ? "The condition holds: going on" : "The condition does not hold: skipping what follows");
    Outcome outcome = Outcome::Success().Return(Value(holds));
    if (!holds) outcome.skip_all_downstream = TRY(context.Boolean("ignore_downstream_trigger_rules", true));
    return outcome;
  }
};

}  // namespace

std::unique_ptr<Operator> MakeShortCircuit() { return std::make_unique<ShortCircuit>(); }

}  // namespace tailrace::workflow
