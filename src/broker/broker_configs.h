#pragma once
// The broker's own configs under Kafka's names: what DescribeConfigs shows of a broker, and which of them change while
// it runs.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "broker/topic_configs.h"

namespace tailrace::broker {

struct BrokerConfigEntry {
  std::string name;
  std::string value;
  ConfigType type;
  bool dynamic;  // may be altered while running
  std::string documentation;
};

/// All of them with the values of `options`.
std::vector<BrokerConfigEntry> BrokerConfigEntries(const BrokerOptions& options);
/// kInvalidArgument: unknown, not dynamic, or a value out of range.
Status CheckBrokerConfig(std::string_view name, std::string_view value);
BrokerOptions ApplyBrokerConfigs(BrokerOptions options, const TopicConfigs& configs);

}  // namespace tailrace::broker
