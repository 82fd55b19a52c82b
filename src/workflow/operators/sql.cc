#include <fmt/format.h>

#include "workflow/operators/list.h"
#include "workflow/operators/sql_support.h"

namespace tailrace::workflow {
namespace {

/// SQL in a DuckDB store (Airflow: SQLExecuteQueryOperator). The rows are the XCom return_value.
class Sql final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    connectors::QueryResult result =
        TRY(RunSql(context, context.with, static_cast<uint64_t>(TRY(context.Integer("row_limit", 1000)))));
    if (TRY(context.Boolean("check", false))) {
      std::vector<std::string> why = TRY(CheckFirstRow(context.with, result));
      if (!why.empty()) return Outcome::Fail(fmt::format("check failed: {}", fmt::join(why, "; ")));
    }
    if (!context.task.do_xcom_push) return Outcome::Success();
    return Outcome::Success().Return(RowsAsValue(result));
  }
};

}  // namespace

std::unique_ptr<Operator> MakeSql() { return std::make_unique<Sql>(); }

}  // namespace tailrace::workflow
