#include <fmt/format.h>

#include "connectors/generator/generator_manager.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/generator_stop.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// XCom return_value: {name: events sent}.
class GeneratorStop final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    List names = TRY(context.Values("name"));
    for (const Value& name : TRY(context.Values("names"))) names.push_back(name);
    return Outcome::Success().Return(Value(TRY(StopGenerators(context, names))));
  }
};

}  // namespace

Result<Map> StopGenerators(TaskContext& context, const List& names) {
  connectors::GeneratorManager* generators = context.environment.services.generators;
  if (generators == nullptr) return Unsupported("no generators are configured for this scheduler");
  Map sent;
  for (const Value& value : names) {
    std::string name = PythonStr(value);
    Status done = generators->Stop(name);
    if (!done.ok() && done.error().code() != ErrorCode::kNotFound && done.error().code() != ErrorCode::kConflict)
      return std::move(done).error();
    Result<connectors::GeneratorInfo> info = generators->Describe(name);
    if (!info.ok()) continue;
    context.log.Info(fmt::format("Generator {} is {}: {} events sent, {} of them broken", name,
                                 connectors::GeneratorStateName(info->state), info->sent, info->broken));
    sent.Set(name, Value(static_cast<int64_t>(info->sent)));
  }
  return sent;
}

std::unique_ptr<Operator> MakeGeneratorStop() { return std::make_unique<GeneratorStop>(); }

}  // namespace tailrace::workflow
