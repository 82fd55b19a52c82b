#include <fmt/format.h>

#include "workflow/executor/run_command.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// True when a command ends with status 0 (Airflow: BashSensor). Other statuses mean not yet, unless `retry_exit_code`
/// is given: then only that one does, and the rest fail the task.
class BashSensor final : public Operator {
 public:
  Result<bool> Poke(TaskContext& context, Outcome* outcome) override {
    CommandRequest request;
    request.arguments = {"bash", "-c", TRY(context.Text("command"))};
    request.cwd = context.environment.options.base_dir;
    request.output_fd = context.log.fd();
    request.cancel = &context.cancel;
    int code = TRY(RunCommand(request));
    if (code == 0) return true;
    if (context.with.Find("retry_exit_code") && TRY(context.Integer("retry_exit_code")) != code)
      return Error(ErrorCode::kInvalidArgument, fmt::format("exit status {}", code));
    outcome->message = fmt::format("exit status {}", code);
    return false;
  }
};

}  // namespace

std::unique_ptr<Operator> MakeBashSensor() { return std::make_unique<BashSensor>(); }

}  // namespace tailrace::workflow
