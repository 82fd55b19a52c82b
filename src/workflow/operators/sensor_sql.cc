#include "workflow/operators/list.h"
#include "workflow/operators/sql_support.h"

namespace tailrace::workflow {
namespace {

/// True when the first value of the query is (Airflow: SqlSensor), or passes `min`, `max`, `equals`.
class SqlSensor final : public Operator {
 public:
  Result<bool> Poke(TaskContext& context, Outcome* outcome) override {
    Result<connectors::QueryResult> result = RunSql(context, context.with, 1);
    if (!result.ok()) {
      // The table may not be there yet; what is wrong for good shows in the log until the timeout.
      if (TRY(context.Boolean("fail_on_error", false))) return std::move(result).error();
      context.log.Warning(result.error().ToString());
      outcome->message = result.error().message();
      return false;
    }
    std::vector<std::string> why = TRY(CheckFirstRow(context.with, *result));
    if (why.empty()) return true;
    outcome->message = why[0];
    return false;
  }
};

}  // namespace

std::unique_ptr<Operator> MakeSqlSensor() { return std::make_unique<SqlSensor>(); }

}  // namespace tailrace::workflow
