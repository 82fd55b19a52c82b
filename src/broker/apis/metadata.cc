// Metadata: the broker, topics and partitions. Makes missing topics where client and broker allow it.

#include "wire/messages/metadata.h"
#include "broker/apis/answers.h"
#include "broker/apis/registry.h"
#include "broker/broker.h"
#include "broker/topics.h"
#include "io/event_loop.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;

void Describe(Parts& parts, const Topic& topic, bool operations, wire::MetadataResponse::Topic* answer) {
  answer->name = topic.name;
  answer->topic_id.bytes = topic.id;
  if (operations) answer->topic_authorized_operations = kAllTopicOperations;
  answer->partitions.resize(topic.partitions.size());
  for (size_t i = 0; i < topic.partitions.size(); ++i) {
    auto& p = answer->partitions[i];
    p.partition_index = static_cast<int32_t>(i);
    p.leader_id = parts.options.node_id;
    p.leader_epoch = 0;
    p.replica_nodes = {parts.options.node_id};
    p.isr_nodes = {parts.options.node_id};
  }
}

}  // namespace

Status HandleMetadata(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::MetadataRequest::Decode(call->body(), call->version()));
  bool create = parts.options.auto_create_topics && (call->version() < 4 || request.allow_auto_topic_creation);
  if (create && request.topics && !parts.house.InLoop()) {
    for (auto& wanted : *request.topics) {
      if (!wanted.topic_id.is_zero() || !wanted.name || parts.topics.Find(*wanted.name)) continue;
      parts.house.Post([&parts, call] { (void)HandleMetadata(parts, call); });  // decoded once already: not malformed
      return Ok();
    }
  }
  wire::MetadataResponse response;
  response.brokers.push_back({parts.options.node_id, parts.options.advertised_host, parts.port.load(), std::nullopt});
  response.cluster_id = parts.topics.cluster_id();
  response.controller_id = parts.options.node_id;
  if (request.include_cluster_authorized_operations) response.cluster_authorized_operations = kAllClusterOperations;
  bool operations = request.include_topic_authorized_operations;
  // v0 has no null: an empty list means all topics.
  bool all = !request.topics || (call->version() == 0 && request.topics->empty());
  if (all) {
    for (const TopicPtr& topic : parts.topics.List())
      Describe(parts, *topic, operations, &response.topics.emplace_back());
  } else {
    for (auto& wanted : *request.topics) {
      auto& answer = response.topics.emplace_back();
      answer.name = wanted.name;
      answer.topic_id = wanted.topic_id;
      TopicPtr topic;
      KafkaError error = KafkaError::kUnknownTopicOrPartition;
      if (!wanted.topic_id.is_zero()) {
        topic = parts.topics.FindById(wanted.topic_id.bytes);
        error = KafkaError::kUnknownTopicId;
      } else if (wanted.name) {
        topic = parts.topics.Find(*wanted.name);
        if (!topic && !CheckTopicName(*wanted.name).ok()) {
          error = KafkaError::kInvalidTopicException;
        } else if (!topic && create) {
          auto made = parts.topics.FindOrAutoCreate(*wanted.name);
          if (made.ok()) {
            topic = *made;
          } else if (made.error().code() != ErrorCode::kNotFound) {
            error = TopicError(made.error());
          }
        }
      } else {
        error = KafkaError::kInvalidRequest;
      }
      if (topic) {
        Describe(parts, *topic, operations, &answer);
      } else {
        answer.error_code = call->Code(error);
        if (!answer.name && call->version() < 12) answer.name = "";
      }
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
