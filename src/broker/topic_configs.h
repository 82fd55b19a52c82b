#pragma once
// The one table of topic configs: Kafka's names, types, defaults and ranges
// (kafka.apache.org/documentation/#topicconfigs).

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "broker/topics.h"
#include "log/partition.h"

namespace tailrace::broker {

/// The numbers are those of DescribeConfigs' config_type.
enum class ConfigType : int8_t { kBoolean = 1, kString = 2, kInt = 3, kShort = 4, kLong = 5, kDouble = 6, kList = 7 };

struct TopicConfigDef {
  std::string_view name;
  ConfigType type;
  std::string_view default_value;
  double min = 0, max = 0;       // of numbers
  std::string_view choices;      // of strings and lists: "a,b"; empty: anything
  std::string_view broker_name;  // the broker setting that gives its default: "log.retention.ms"
  std::string_view documentation;
};

std::span<const TopicConfigDef> TopicConfigDefs();
/// nullptr where Kafka has no such config.
const TopicConfigDef* FindTopicConfig(std::string_view name);
/// kInvalidArgument with name, value and what is allowed.
Status CheckTopicConfigs(const TopicConfigs& configs);
Status CheckTopicConfig(std::string_view name, std::string_view value);

/// What the broker's own settings make the default.
std::string TopicConfigDefault(const TopicConfigDef& def, const BrokerOptions& options);
log::PartitionOptions PartitionOptionsFor(const TopicConfigs& configs, const BrokerOptions& options);
/// Fills in what the topic resolves from its configs.
void ResolveConfigs(const BrokerOptions& options, Topic* topic);

}  // namespace tailrace::broker
