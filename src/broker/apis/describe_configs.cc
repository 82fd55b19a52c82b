// DescribeConfigs: of topics and of the broker.

#include <algorithm>

#include "broker/apis/config_resources.h"
#include "broker/apis/registry.h"
#include "broker/broker.h"
#include "broker/broker_configs.h"
#include "broker/topic_configs.h"
#include "wire/messages/describe_configs.h"

namespace tailrace::broker {
namespace {

using Answer = wire::DescribeConfigsResponse::Resource;

bool Wanted(const std::optional<std::vector<std::string>>& keys, std::string_view name) {
  return !keys || std::find(keys->begin(), keys->end(), name) != keys->end();
}

void DescribeTopic(Parts& parts, const wire::DescribeConfigsRequest& request,
                   const std::optional<std::vector<std::string>>& keys, const TopicConfigs& set, Answer* answer) {
  TopicConfigs broker = parts.topics.BrokerConfigs();
  auto options = parts.topics.effective_options();
  for (const TopicConfigDef& def : TopicConfigDefs()) {
    if (!Wanted(keys, def.name)) continue;
    auto& c = answer->configs.emplace_back();
    c.name = def.name;
    c.config_type = static_cast<int8_t>(def.type);
    if (request.include_documentation) c.documentation = std::string(def.documentation);
    auto own = set.find(def.name);
    std::string otherwise = TopicConfigDefault(def, *options);
    int8_t otherwise_source = broker.count(def.broker_name) > 0 ? kSourceDynamicBroker
                              : otherwise != def.default_value  ? kSourceStaticBroker
                                                                : kSourceDefault;
    c.value = own != set.end() ? own->second : otherwise;
    c.config_source = own != set.end() ? kSourceTopic : otherwise_source;
    if (!request.include_synonyms) continue;
    if (own != set.end()) c.synonyms.push_back({c.name, own->second, kSourceTopic});
    if (!def.broker_name.empty()) c.synonyms.push_back({std::string(def.broker_name), otherwise, otherwise_source});
  }
}

void DescribeBroker(Parts& parts, const wire::DescribeConfigsRequest& request,
                    const std::optional<std::vector<std::string>>& keys, const TopicConfigs& set, Answer* answer) {
  for (BrokerConfigEntry& entry : BrokerConfigEntries(*parts.topics.effective_options())) {
    if (!Wanted(keys, entry.name)) continue;
    bool dynamic = set.count(entry.name) > 0;
    auto& c = answer->configs.emplace_back();
    c.name = entry.name;
    c.value = entry.value;
    c.read_only = !entry.dynamic;
    c.config_source = dynamic ? kSourceDynamicBroker : kSourceStaticBroker;
    c.config_type = static_cast<int8_t>(entry.type);
    if (request.include_documentation) c.documentation = entry.documentation;
    if (request.include_synonyms) c.synonyms.push_back({c.name, c.value, c.config_source});
  }
}

}  // namespace

Status HandleDescribeConfigs(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::DescribeConfigsRequest::Decode(call->body(), call->version()));
  wire::DescribeConfigsResponse response;
  for (auto& resource : request.resources) {
    auto& answer = response.resources.emplace_back();
    answer.resource_type = resource.resource_type;
    answer.resource_name = resource.resource_name;
    TopicConfigs set;
    if (auto refusal = ReadConfigs(parts, resource.resource_type, resource.resource_name, &set)) {
      AnswerRefusal(*call, std::move(refusal), &answer);
    } else if (resource.resource_type == kResourceTopic) {
      DescribeTopic(parts, request, resource.configuration_keys, set, &answer);
    } else {
      DescribeBroker(parts, request, resource.configuration_keys, set, &answer);
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
