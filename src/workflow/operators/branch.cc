#include <fmt/format.h>

#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"
#include "workflow/operators/sql_support.h"

namespace tailrace::workflow {
namespace {

/// Chooses which of the directly downstream tasks go on (Airflow: BranchPythonOperator). `follow`: a task id or a list,
/// as templates; "" follows none. Or `sql`, whose first column holds the ids.
class Branch final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    std::vector<std::string> follow;
    if (context.with.Find("sql")) {
      connectors::QueryResult result = TRY(RunSql(context, context.with, 1000));
      for (const auto& row : result.rows)
        if (!row.empty() && row[0]) follow.push_back(*row[0]);
    } else {
      for (const Value& id : TRY(context.Values("follow"))) {
        std::string text = PythonStr(id);
        if (text != "None" && !text.empty()) follow.push_back(std::move(text));
      }
    }
    List ids;
    for (const std::string& id : follow) {
      bool direct = false;
      for (int d : context.task.downstream) direct |= context.dag.tasks[static_cast<size_t>(d)].task_id == id;
      if (!direct)
        return InvalidArgument(
            fmt::format("branch: '{}' is not directly downstream of '{}'", id, context.task.task_id));
      ids.push_back(id);
      context.log.Info("Following " + id);
    }
    Outcome outcome = Outcome::Success().Return(ids.size() == 1 ? ids[0] : Value(std::move(ids)));
    outcome.follow = std::move(follow);
    return outcome;
  }
};

}  // namespace

std::unique_ptr<Operator> MakeBranch() { return std::make_unique<Branch>(); }

}  // namespace tailrace::workflow
