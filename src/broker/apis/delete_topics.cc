// DeleteTopics: by name, or by id from v6 on.

#include "wire/messages/delete_topics.h"
#include "broker/apis/answers.h"
#include "broker/apis/registry.h"
#include "broker/topics.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleDeleteTopics(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::DeleteTopicsRequest::Decode(call->body(), call->version()));
  for (auto& name : request.topic_names) request.topics.push_back({name, {}});
  wire::DeleteTopicsResponse response;
  for (auto& wanted : request.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = wanted.name;
    answer.topic_id = wanted.topic_id;
    if (wanted.name.has_value() != wanted.topic_id.is_zero()) {
      answer.error_code = call->Code(KafkaError::kInvalidRequest);
      answer.error_message = "You may not specify both topic name and topic id, nor neither.";
      continue;
    }
    TopicPtr topic = wanted.name ? parts.topics.Find(*wanted.name) : parts.topics.FindById(wanted.topic_id.bytes);
    if (!topic) {
      answer.error_code = call->Code(wanted.name ? KafkaError::kUnknownTopicOrPartition : KafkaError::kUnknownTopicId);
      answer.error_message = "This server does not host this topic-partition.";
      continue;
    }
    answer.name = topic->name;
    answer.topic_id.bytes = topic->id;
    if (Status status = parts.topics.Delete(topic->name); !status.ok()) {
      answer.error_code = call->Code(TopicError(status.error()));
      answer.error_message = status.error().ToString();
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
