#include <fmt/format.h>

#include "connectors/generator/generator_manager.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// Starts a generator of generators/*.yaml; `overrides` as on the command line. One that runs already is left alone.
class GeneratorStart final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    connectors::GeneratorManager* generators = context.environment.services.generators;
    if (generators == nullptr) return Unsupported("no generators are configured for this scheduler");
    std::map<std::string, std::string> overrides;
    if (const Value* given = context.with.Find("overrides"); given && given->is_map())
      for (const auto& [key, value] : given->map())
        overrides[key] = value.is_bool() ? (value.boolean() ? "true" : "false") : PythonStr(value);
    for (const char* key : {"rate", "limit", "topic"})
      if (const Value* v = context.with.Find(key); v && !v->is_null()) overrides[key] = PythonStr(*v);
    std::string path = context.Path(TRY(context.Text("file")));
    Result<std::string> started = generators->StartFile(path, context.environment.options.base_dir, overrides);
    if (!started.ok()) {
      if (started.error().code() != ErrorCode::kAlreadyExists) return std::move(started).error();
      context.log.Info("It runs already");
      return Outcome::Success();
    }
    context.log.Info("Started generator " + *started);
    return Outcome::Success().Return(Value(*started));
  }
};

}  // namespace

std::unique_ptr<Operator> MakeGeneratorStart() { return std::make_unique<GeneratorStart>(); }

}  // namespace tailrace::workflow
