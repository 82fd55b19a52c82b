#include <fmt/format.h>

#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"
#include "workflow/operators/output.h"

namespace tailrace::workflow {
namespace {

/// `bash -c command` (Airflow: BashOperator). The last line of output is the XCom return_value.
class Bash final : public Operator {
 public:
  Result<std::optional<ProcessSpec>> Process(TaskContext& context) override {
    ProcessSpec spec;
    spec.arguments = {"bash", "-c", TRY(context.Text("command"))};
    spec.cwd = context.Path(TRY(context.Text("cwd", "")));
    spec.append_environment = TRY(context.Boolean("append_env", true));
    if (const Value* env = context.with.Find("env"); env && env->is_map())
      for (const auto& [name, value] : env->map()) spec.environment.emplace_back(name, PythonStr(value));
    context.log.Info("Running command: " + spec.arguments.back());
    return std::optional<ProcessSpec>(std::move(spec));
  }

  Outcome ProcessEnded(TaskContext& context, int code) override {
    context.log.Info(fmt::format("Command exited with return code {}", code));
    const Result<List> given = context.Values("skip_on_exit_code");
    bool skip = false;
    if (given.ok() && !given.value().empty()) {
      for (const Value& listed : given.value()) skip |= PythonStr(listed) == std::to_string(code);
    } else {
      skip = code == 99;
    }
    if (skip) return Outcome::Skip(fmt::format("exit status {}", code));
    if (code != 0) return Operator::ProcessEnded(context, code);
    if (!context.task.do_xcom_push) return Outcome::Success();
    return Outcome::Success().Return(LastOutputLine(context.log_path));
  }
};

}  // namespace

std::unique_ptr<Operator> MakeBash() { return std::make_unique<Bash>(); }

}  // namespace tailrace::workflow
