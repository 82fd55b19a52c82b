// AlterConfigs: replaces all overrides of a resource.

#include "wire/messages/alter_configs.h"
#include "broker/apis/config_resources.h"
#include "broker/apis/registry.h"

namespace tailrace::broker {

Status HandleAlterConfigs(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::AlterConfigsRequest::Decode(call->body(), call->version()));
  wire::AlterConfigsResponse response;
  for (auto& resource : request.resources) {
    auto& answer = response.resources.emplace_back();
    answer.resource_type = resource.resource_type;
    answer.resource_name = resource.resource_name;
    TopicConfigs configs;
    auto refusal = ReadConfigs(parts, resource.resource_type, resource.resource_name, &configs);
    if (!refusal) {
      configs.clear();
      for (auto& config : resource.configs) {
        if (config.value) configs[config.name] = *config.value;
      }
      refusal = WriteConfigs(parts, resource.resource_type, resource.resource_name, configs, request.validate_only);
    }
    AnswerRefusal(*call, std::move(refusal), &answer);
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
