#include <fmt/format.h>

#include "log/client.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// Topics by name, or {name, partitions, configs}; those that exist are left as they are.
class KafkaCreateTopics final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    log::Client* client = context.environment.services.log;
    if (client == nullptr) return Unsupported("no log is configured for this scheduler");
    const int64_t partitions = TRY(context.Integer("partitions", 1));
    List created;
    for (const Value& topic : TRY(context.Values("topics"))) {
      log::TopicSpec spec;
      spec.partitions = static_cast<int32_t>(partitions);
      const Value* configs = context.with.Find("configs");
      if (topic.is_map()) {
        const Value *name = topic.Find("name"), *count = topic.Find("partitions");
        if (name == nullptr) return InvalidArgument("topics: a map needs 'name'");
        spec.name = PythonStr(*name);
        if (count) spec.partitions = static_cast<int32_t>(strtol(PythonStr(*count).c_str(), nullptr, 10));
        if (topic.Find("configs")) configs = topic.Find("configs");
      } else {
        spec.name = PythonStr(topic);
      }
      if (configs && configs->is_map())
        for (const auto& [key, value] : configs->map())
          spec.configs[key] = value.is_bool() ? (value.boolean() ? "true" : "false") : PythonStr(value);
      Status made = client->CreateTopic(spec);
      if (made.ok()) {
        context.log.Info(fmt::format("Created topic {} with {} partitions", spec.name, spec.partitions));
        created.push_back(spec.name);
      } else if (made.error().code() == ErrorCode::kAlreadyExists) {
        context.log.Info(fmt::format("Topic {} exists", spec.name));
      } else {
        return std::move(made).error().Context("topic " + spec.name);
      }
    }
    return Outcome::Success().Return(Value(std::move(created)));
  }
};

}  // namespace

std::unique_ptr<Operator> MakeKafkaCreateTopics() { return std::make_unique<KafkaCreateTopics>(); }

}  // namespace tailrace::workflow
