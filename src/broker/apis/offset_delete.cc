// OffsetDelete: single committed offsets of a group (KIP-496).

#include "wire/messages/offset_delete.h"
#include "broker/apis/registry.h"
#include "broker/groups/coordinator.h"
#include "broker/offsets.h"
#include "broker/topics.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleOffsetDelete(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::OffsetDeleteRequest::Decode(call->body(), call->version()));
  auto response = std::make_shared<wire::OffsetDeleteResponse>();
  std::vector<TopicPartition> which;
  for (auto& topic : request.topics) {
    KafkaError error = parts.groups.CheckOffsetDelete(request.group_id, topic.name);
    if (error == KafkaError::kGroupIdNotFound || error == KafkaError::kNonEmptyGroup) {
      response->topics.clear();
      response->error_code = call->Code(error);
      call->Respond(*response);
      return Ok();
    }
    auto& topic_answer = response->topics.emplace_back();
    topic_answer.name = topic.name;
    for (auto& p : topic.partitions) {
      KafkaError partition_error = error;
      if (error == KafkaError::kNone && !parts.topics.FindPartition(topic.name, p.partition_index)) {
        partition_error = KafkaError::kUnknownTopicOrPartition;
      }
      topic_answer.partitions.push_back({p.partition_index, call->Code(partition_error)});
      if (partition_error == KafkaError::kNone) which.push_back({topic.name, p.partition_index});
    }
  }
  parts.offsets.Delete(request.group_id, which, [call, response](Status status) {
    if (!status.ok()) response->error_code = call->Code(KafkaError::kCoordinatorNotAvailable);
    call->Respond(*response);
  });
  return Ok();
}

}  // namespace tailrace::broker
