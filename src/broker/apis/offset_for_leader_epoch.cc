// OffsetForLeaderEpoch: where an epoch's records end. One node, one epoch: 0.

#include "wire/messages/offset_for_leader_epoch.h"
#include "broker/apis/registry.h"
#include "broker/topics.h"
#include "log/partition.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleOffsetForLeaderEpoch(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::OffsetForLeaderEpochRequest::Decode(call->body(), call->version()));
  wire::OffsetForLeaderEpochResponse response;
  for (auto& topic : request.topics) {
    auto& topic_answer = response.topics.emplace_back();
    topic_answer.topic = topic.topic;
    for (auto& wanted : topic.partitions) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.partition = wanted.partition;
      auto partition = parts.topics.FindPartition(topic.topic, wanted.partition);
      if (!partition) {
        answer.error_code = call->Code(KafkaError::kUnknownTopicOrPartition);
      } else if (wanted.current_leader_epoch > 0) {
        answer.error_code = call->Code(KafkaError::kUnknownLeaderEpoch);
      } else if (wanted.leader_epoch == 0) {
        answer.leader_epoch = 0;
        answer.end_offset = partition->Ends().high_watermark;
      }
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
