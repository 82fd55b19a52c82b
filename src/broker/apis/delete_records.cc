// DeleteRecords: moves the start of partitions forward.

#include "wire/messages/delete_records.h"
#include "broker/apis/registry.h"
#include "broker/topics.h"
#include "log/partition.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleDeleteRecords(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::DeleteRecordsRequest::Decode(call->body(), call->version()));
  wire::DeleteRecordsResponse response;
  for (auto& topic : request.topics) {
    auto& topic_answer = response.topics.emplace_back();
    topic_answer.name = topic.name;
    for (auto& wanted : topic.partitions) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.partition_index = wanted.partition_index;
      answer.low_watermark = -1;
      auto partition = parts.topics.FindPartition(topic.name, wanted.partition_index);
      if (!partition) {
        answer.error_code = call->Code(KafkaError::kUnknownTopicOrPartition);
        continue;
      }
      auto moved = wanted.offset < -1 ? Result<int64_t>(InvalidArgument("a negative offset"))
                                      : partition->DeleteRecords(wanted.offset);
      if (moved.ok()) {
        answer.low_watermark = *moved;
      } else {
        answer.error_code =
            call->Code(moved.error().code() == ErrorCode::kInvalidArgument ? KafkaError::kOffsetOutOfRange
                       : moved.error().code() == ErrorCode::kNotFound      ? KafkaError::kUnknownTopicOrPartition
                                                                           : KafkaError::kKafkaStorageError);
      }
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
