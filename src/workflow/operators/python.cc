#include <fmt/format.h>

#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"
#include "workflow/operators/output.h"
#include "workflow/operators/template_scope.h"

namespace tailrace::workflow {
namespace {

/// A script or a piece of code under python3. The last line of output is the XCom return_value, as JSON where it is
/// JSON.
class Python final : public Operator {
 public:
  Result<std::optional<ProcessSpec>> Process(TaskContext& context) override {
    ProcessSpec spec;
    spec.arguments = {TRY(context.Text("python", "python3")), "-u"};
    std::string code = TRY(context.Text("code", "")), script = TRY(context.Text("script", ""));
    if (code.empty() == script.empty()) return InvalidArgument("operator python needs either 'code' or 'script'");
    if (!code.empty()) {
      spec.arguments.insert(spec.arguments.end(), {"-c", code});
    } else {
      spec.arguments.push_back(context.Path(script));
    }
    for (const Value& argument : TRY(context.Values("args"))) spec.arguments.push_back(PythonStr(argument));
    spec.cwd = context.Path(TRY(context.Text("cwd", "")));
    spec.environment.emplace_back("TAILRACE_PARAMS", ToJson(Value(EffectiveParams(context.dag, context.run))));
    if (const Value* env = context.with.Find("env"); env && env->is_map())
      for (const auto& [name, value] : env->map()) spec.environment.emplace_back(name, PythonStr(value));
    context.log.Info("Running " + spec.arguments[0] + (script.empty() ? " -c ..." : " " + script));
    return std::optional<ProcessSpec>(std::move(spec));
  }

  Outcome ProcessEnded(TaskContext& context, int code) override {
    context.log.Info(fmt::format("Command exited with return code {}", code));
    if (code == 99) return Outcome::Skip("exit status 99");
    if (code != 0) return Operator::ProcessEnded(context, code);
    if (!context.task.do_xcom_push) return Outcome::Success();
    std::string line = LastOutputLine(context.log_path);
    Result<Value> json = ParseJson(line);
    return Outcome::Success().Return(json.ok() ? *json : Value(line));
  }
};

}  // namespace

std::unique_ptr<Operator> MakePython() { return std::make_unique<Python>(); }

}  // namespace tailrace::workflow
