#include "broker/apis/config_resources.h"

#include <fmt/format.h>

#include "broker/apis/answers.h"
#include "broker/broker.h"
#include "broker/broker_configs.h"

namespace tailrace::broker {

using wire::KafkaError;

std::optional<ConfigRefusal> ReadConfigs(Parts& parts, int8_t type, const std::string& name, TopicConfigs* configs) {
  if (type == kResourceTopic) {
    if (Status ok = CheckTopicName(name); !ok.ok())
      return ConfigRefusal{KafkaError::kInvalidTopicException, ok.error().message()};
    TopicPtr topic = parts.topics.Find(name);
    if (!topic)
      return ConfigRefusal{KafkaError::kUnknownTopicOrPartition, fmt::format("The topic '{}' does not exist.", name)};
    *configs = topic->configs;
    return std::nullopt;
  }
  if (type == kResourceBroker) {
    // The empty name is the default of all brokers; there is one.
    if (!name.empty() && name != std::to_string(parts.options.node_id)) {
      return ConfigRefusal{KafkaError::kInvalidRequest,
                           fmt::format("Unexpected broker id, expected {} or empty string, but received {}",
                                       parts.options.node_id, name)};
    }
    *configs = parts.topics.BrokerConfigs();
    return std::nullopt;
  }
  return ConfigRefusal{KafkaError::kInvalidRequest, fmt::format("Unsupported resource type {}", type)};
}

std::optional<ConfigRefusal> WriteConfigs(Parts& parts, int8_t type, const std::string& name,
                                          const TopicConfigs& configs, bool validate_only) {
  for (const auto& [key, value] : configs) {
    Status ok = type == kResourceTopic ? CheckTopicConfig(key, value) : CheckBrokerConfig(key, value);
    if (!ok.ok()) return ConfigRefusal{KafkaError::kInvalidConfig, ok.error().message()};
  }
  if (validate_only) return std::nullopt;
  Status done =
      type == kResourceTopic ? parts.topics.SetConfigs(name, configs) : parts.topics.SetBrokerConfigs(configs);
  if (done.ok()) return std::nullopt;
  return ConfigRefusal{TopicError(done.error()), done.error().ToString()};
}

}  // namespace tailrace::broker
