// IncrementalAlterConfigs: changes single overrides (KIP-339).

#include <fmt/format.h>

#include "broker/apis/config_resources.h"
#include "broker/apis/registry.h"
#include "broker/broker.h"
#include "broker/topic_configs.h"
#include "wire/messages/incremental_alter_configs.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;
constexpr int8_t kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3;

bool HasItem(std::string_view list, std::string_view item) {
  for (size_t from = 0; from <= list.size();) {
    size_t to = std::min(list.find(',', from), list.size());
    if (list.substr(from, to - from) == item) return true;
    from = to + 1;
  }
  return false;
}

std::string WithoutItem(std::string_view list, std::string_view item) {
  std::string kept;
  for (size_t from = 0; from < list.size();) {
    size_t to = std::min(list.find(',', from), list.size());
    std::string_view part = list.substr(from, to - from);
    if (part != item) kept.append(kept.empty() ? "" : ",").append(part);
    from = to + 1;
  }
  return kept;
}

std::optional<ConfigRefusal> Apply(Parts& parts, bool topic,
                                   const wire::IncrementalAlterConfigsRequest::Resource::Config& config,
                                   TopicConfigs* configs) {
  if (config.config_operation == kDelete) {
    configs->erase(config.name);
    return std::nullopt;
  }
  if (!config.value)
    return ConfigRefusal{KafkaError::kInvalidRequest, fmt::format("Null value not supported for : {}", config.name)};
  if (config.config_operation == kSet) {
    (*configs)[config.name] = *config.value;
    return std::nullopt;
  }
  const TopicConfigDef* def = topic ? FindTopicConfig(config.name) : nullptr;
  if ((config.config_operation != kAppend && config.config_operation != kSubtract) || !def ||
      def->type != ConfigType::kList) {
    return ConfigRefusal{KafkaError::kInvalidConfig, fmt::format("Operation {} is not allowed for config key: {}",
                                                                 config.config_operation, config.name)};
  }
  auto it = configs->find(config.name);
  std::string list = it != configs->end() ? it->second : TopicConfigDefault(*def, parts.options);
  if (config.config_operation == kAppend) {
    if (!HasItem(list, *config.value)) list += (list.empty() ? "" : ",") + *config.value;
  } else {
    list = WithoutItem(list, *config.value);
  }
  (*configs)[config.name] = list;
  return std::nullopt;
}

}  // namespace

Status HandleIncrementalAlterConfigs(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::IncrementalAlterConfigsRequest::Decode(call->body(), call->version()));
  wire::IncrementalAlterConfigsResponse response;
  for (auto& resource : request.resources) {
    auto& answer = response.resources.emplace_back();
    answer.resource_type = resource.resource_type;
    answer.resource_name = resource.resource_name;
    TopicConfigs configs;
    auto refusal = ReadConfigs(parts, resource.resource_type, resource.resource_name, &configs);
    for (auto& config : resource.configs) {
      if (!refusal) refusal = Apply(parts, resource.resource_type == kResourceTopic, config, &configs);
    }
    if (!refusal)
      refusal = WriteConfigs(parts, resource.resource_type, resource.resource_name, configs, request.validate_only);
    AnswerRefusal(*call, std::move(refusal), &answer);
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
