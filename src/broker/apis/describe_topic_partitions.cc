// DescribeTopicPartitions: Metadata in pages (KIP-966).

#include <algorithm>

#include "broker/apis/answers.h"
#include "broker/apis/registry.h"
#include "broker/broker.h"
#include "broker/topics.h"
#include "wire/messages/describe_topic_partitions.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleDescribeTopicPartitions(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::DescribeTopicPartitionsRequest::Decode(call->body(), call->version()));
  constexpr int32_t kPartitionsMax = 2000;  // max.request.partition.size.limit
  int32_t left = std::clamp(request.response_partition_limit, 1, kPartitionsMax);
  std::vector<std::string> names;
  for (auto& topic : request.topics) names.push_back(topic.name);
  if (names.empty()) {
    for (const TopicPtr& topic : parts.topics.List()) names.push_back(topic->name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  wire::DescribeTopicPartitionsResponse response;
  for (const std::string& name : names) {
    int32_t from = 0;
    if (request.cursor) {
      if (name < request.cursor->topic_name) continue;
      if (name == request.cursor->topic_name) from = std::max(request.cursor->partition_index, 0);
    }
    if (left == 0) {
      response.next_cursor.emplace();
      response.next_cursor->topic_name = name;
      response.next_cursor->partition_index = from;
      break;
    }
    auto& answer = response.topics.emplace_back();
    answer.name = name;
    TopicPtr topic = parts.topics.Find(name);
    if (!topic) {
      answer.error_code = call->Code(CheckTopicName(name).ok() ? KafkaError::kUnknownTopicOrPartition
                                                               : KafkaError::kInvalidTopicException);
      continue;
    }
    answer.topic_id.bytes = topic->id;
    answer.topic_authorized_operations = kAllTopicOperations;
    auto count = static_cast<int32_t>(topic->partitions.size());
    for (; from < count && left > 0; ++from, --left) {
      auto& p = answer.partitions.emplace_back();
      p.partition_index = from;
      p.leader_id = parts.options.node_id;
      p.leader_epoch = 0;
      p.replica_nodes = {parts.options.node_id};
      p.isr_nodes = {parts.options.node_id};
      p.eligible_leader_replicas.emplace();
      p.last_known_elr.emplace();
    }
    if (from < count) {
      response.next_cursor.emplace();
      response.next_cursor->topic_name = name;
      response.next_cursor->partition_index = from;
      break;
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
