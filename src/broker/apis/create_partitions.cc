// CreatePartitions: grows topics.

#include <fmt/format.h>

#include "broker/apis/answers.h"
#include "broker/apis/registry.h"
#include "broker/topics.h"
#include "wire/messages/create_partitions.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleCreatePartitions(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::CreatePartitionsRequest::Decode(call->body(), call->version()));
  NamesGivenTwice names(request.topics);
  wire::CreatePartitionsResponse response;
  for (auto& wanted : request.topics) {
    auto place = names.Next(wanted.name);
    if (place == NamesGivenTwice::Place::kLater) continue;
    auto& answer = response.topics.emplace_back();
    answer.name = wanted.name;
    auto refuse = [&](KafkaError error, std::string message) {
      answer.error_code = call->Code(error);
      answer.error_message = std::move(message);
    };
    if (place == NamesGivenTwice::Place::kFirstOfMany) {
      refuse(KafkaError::kInvalidRequest, "Duplicate topic name.");
      continue;
    }
    TopicPtr topic = parts.topics.Find(wanted.name);
    if (!topic) {
      refuse(KafkaError::kUnknownTopicOrPartition, "This server does not host this topic-partition.");
      continue;
    }
    auto now = static_cast<int32_t>(topic->partitions.size());
    if (wanted.count <= now) {
      refuse(KafkaError::kInvalidPartitions,
             wanted.count == now
                 ? fmt::format("Topic already has {} partition(s).", now)
                 : fmt::format("The topic {} currently has {} partition(s); {} would not be an increase.", wanted.name,
                               now, wanted.count));
      continue;
    }
    if (wanted.count > TopicManager::kPartitionsMax) {
      refuse(KafkaError::kInvalidPartitions,
             fmt::format("a topic has at most {} partitions", TopicManager::kPartitionsMax));
      continue;
    }
    if (wanted.assignments && static_cast<int32_t>(wanted.assignments->size()) != wanted.count - now) {
      refuse(KafkaError::kInvalidReplicaAssignment,
             fmt::format("{} additional partition(s) were asked for, but {} assignment(s) given.", wanted.count - now,
                         wanted.assignments->size()));
      continue;
    }
    if (request.validate_only) continue;
    auto grown = parts.topics.AddPartitions(wanted.name, wanted.count);
    if (!grown.ok()) refuse(TopicError(grown.error()), grown.error().ToString());
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
