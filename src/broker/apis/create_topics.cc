// CreateTopics: one status per topic. A replication factor above 1 is taken as 1, so that clients written for clusters
// work unchanged: there is one node.

#include <fmt/format.h>

#include "broker/apis/answers.h"
#include "broker/apis/registry.h"
#include "broker/broker.h"
#include "broker/topic_configs.h"
#include "broker/topics.h"
#include "wire/messages/create_topics.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;

struct Refusal {
  KafkaError error;
  std::string message;
};

/// Kafka's checks in Kafka's order; fills in partitions and configs.
std::optional<Refusal> Check(Parts& parts, const wire::CreateTopicsRequest::Topic& topic, int32_t* partitions,
                             TopicConfigs* configs) {
  if (Status name = CheckTopicName(topic.name); !name.ok())
    return Refusal{KafkaError::kInvalidTopicException, name.error().message()};
  if (parts.topics.Find(topic.name))
    return Refusal{KafkaError::kTopicAlreadyExists, fmt::format("Topic '{}' already exists.", topic.name)};
  *partitions = topic.num_partitions;
  if (!topic.assignments.empty()) {
    if (topic.num_partitions != -1 || topic.replication_factor != -1) {
      return Refusal{KafkaError::kInvalidRequest,
                     "Both partitions/replicationFactor and a manual assignment were given: use one of them"};
    }
    *partitions = static_cast<int32_t>(topic.assignments.size());
    std::vector<bool> seen(topic.assignments.size());
    for (auto& a : topic.assignments) {
      if (a.partition_index < 0 || a.partition_index >= *partitions || seen[static_cast<size_t>(a.partition_index)]) {
        return Refusal{KafkaError::kInvalidReplicaAssignment,
                       "partitions should be a consecutive 0-based integer sequence"};
      }
      seen[static_cast<size_t>(a.partition_index)] = true;
      if (a.broker_ids.empty()) return Refusal{KafkaError::kInvalidReplicaAssignment, "an empty replica list"};
    }
  } else {
    if (*partitions == -1) *partitions = parts.options.default_partitions;
    if (*partitions < 1)
      return Refusal{KafkaError::kInvalidPartitions, "Number of partitions was set to an invalid non-positive value."};
    if (*partitions > TopicManager::kPartitionsMax) {
      return Refusal{KafkaError::kInvalidPartitions,
                     fmt::format("a topic has at most {} partitions", TopicManager::kPartitionsMax)};
    }
    if (topic.replication_factor != -1 && topic.replication_factor < 1) {
      return Refusal{KafkaError::kInvalidReplicationFactor,
                     "Replication factor must be larger than 0, or -1 to use the default value."};
    }
  }
  for (auto& config : topic.configs) {
    if (!config.value)
      return Refusal{KafkaError::kInvalidConfig,
                     fmt::format("Null value not supported for topic configs: {}", config.name)};
    if (Status ok = CheckTopicConfig(config.name, *config.value); !ok.ok())
      return Refusal{KafkaError::kInvalidConfig, ok.error().message()};
    (*configs)[config.name] = *config.value;
  }
  return std::nullopt;
}

}  // namespace

Status HandleCreateTopics(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::CreateTopicsRequest::Decode(call->body(), call->version()));
  NamesGivenTwice names(request.topics);
  wire::CreateTopicsResponse response;
  for (auto& topic : request.topics) {
    auto place = names.Next(topic.name);
    if (place == NamesGivenTwice::Place::kLater) continue;
    auto& answer = response.topics.emplace_back();
    answer.name = topic.name;
    auto refuse = [&](KafkaError error, std::string message) {
      answer.error_code = call->Code(error);
      answer.error_message = std::move(message);
      answer.topic_config_error_code = 0;
    };
    if (place == NamesGivenTwice::Place::kFirstOfMany) {
      refuse(KafkaError::kInvalidRequest, "Duplicate topic name.");
      continue;
    }
    int32_t partitions = 0;
    TopicConfigs configs;
    if (auto refusal = Check(parts, topic, &partitions, &configs)) {
      refuse(refusal->error, std::move(refusal->message));
      continue;
    }
    if (!request.validate_only) {
      auto made = parts.topics.Create(topic.name, partitions, configs);
      if (!made.ok()) {
        refuse(TopicError(made.error()), made.error().ToString());
        continue;
      }
      answer.topic_id.bytes = (*made)->id;
    }
    answer.num_partitions = partitions;
    answer.replication_factor = 1;
    answer.configs.emplace();
    for (const TopicConfigDef& def : TopicConfigDefs()) {
      auto set = configs.find(def.name);
      bool own = set != configs.end();
      answer.configs->push_back({std::string(def.name), own ? set->second : TopicConfigDefault(def, parts.options),
                                 false, static_cast<int8_t>(own ? 1 : 5), false});
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
