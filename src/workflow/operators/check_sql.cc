#include <fmt/format.h>

#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"
#include "workflow/operators/sql_support.h"

namespace tailrace::workflow {
namespace {

/// Conditions on what a store holds (Airflow: SQLCheckOperator). One query with `min`, `max`, `equals`, or true values
/// in its first row; or a list of such under `checks`. All are run; one that fails fails the task.
class CheckSql final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    List checks = TRY(context.Values("checks"));
    if (checks.empty()) checks.push_back(Value(context.with));
    std::vector<std::string> failed;
    Map values;
    for (size_t i = 0; i < checks.size(); ++i) {
      if (!checks[i].is_map()) return InvalidArgument(fmt::format("checks[{}]: expected a map with 'sql'", i));
      Map with = checks[i].map();
      if (const Value* store = context.with.Find("store"); store && !with.Find("store")) with.Set("store", *store);
      const Value* named = with.Find("name");
      std::string name = named ? PythonStr(*named) : fmt::format("check {}", i + 1);
      connectors::QueryResult result = TRY(RunSql(context, with, 10));
      std::vector<std::string> why = TRY(CheckFirstRow(with, result));
      if (!result.rows.empty() && !result.rows[0].empty()) values.Set(name, Cell(result, 0, 0));
      if (why.empty()) context.log.Info(name + ": passed");
      else {
        std::string text = fmt::format("{}: {}", name, fmt::join(why, "; "));
        context.log.Error(text);
        failed.push_back(std::move(text));
      }
    }
    if (!failed.empty()) return Outcome::Fail(fmt::format("{}", fmt::join(failed, "; ")));
    return Outcome::Success().Return(Value(std::move(values)));
  }
};

}  // namespace

std::unique_ptr<Operator> MakeCheckSql() { return std::make_unique<CheckSql>(); }

}  // namespace tailrace::workflow
