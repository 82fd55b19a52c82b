// ListOffsets: first, last, by time.

#include "wire/messages/list_offsets.h"
#include "broker/apis/registry.h"
#include "broker/topics.h"
#include "log/partition.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;

// Special timestamps of the protocol.
constexpr int64_t kLatest = -1, kEarliest = -2, kMaxTimestamp = -3, kEarliestLocal = -4, kLatestTiered = -5;

}  // namespace

Status HandleListOffsets(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::ListOffsetsRequest::Decode(call->body(), call->version()));
  log::Isolation isolation =
      request.isolation_level == 1 ? log::Isolation::kReadCommitted : log::Isolation::kReadUncommitted;
  wire::ListOffsetsResponse response;
  for (auto& topic : request.topics) {
    auto& topic_answer = response.topics.emplace_back();
    topic_answer.name = topic.name;
    for (auto& wanted : topic.partitions) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.partition_index = wanted.partition_index;
      auto partition = parts.topics.FindPartition(topic.name, wanted.partition_index);
      if (!partition) {
        answer.error_code = call->Code(KafkaError::kUnknownTopicOrPartition);
        continue;
      }
      if (wanted.current_leader_epoch > 0) {  // ours is always 0
        answer.error_code = call->Code(KafkaError::kUnknownLeaderEpoch);
        continue;
      }
      log::PartitionEnds ends = partition->Ends();
      int64_t visible_end = isolation == log::Isolation::kReadCommitted ? ends.last_stable_offset : ends.high_watermark;
      Result<log::TimestampOffset> found = log::TimestampOffset{};
      switch (wanted.timestamp) {
        case kLatest: found = log::TimestampOffset{-1, visible_end}; break;
        case kEarliest:
        case kEarliestLocal: found = log::TimestampOffset{-1, ends.log_start_offset}; break;
        case kLatestTiered: break;
        case kMaxTimestamp: found = partition->MaxTimestamp(isolation); break;
        default:
          if (wanted.timestamp < 0) {
            answer.error_code = call->Code(KafkaError::kUnsupportedVersion);
            continue;
          }
          found = partition->OffsetForTime(wanted.timestamp, isolation);
      }
      if (!found.ok()) {
        answer.error_code =
            call->Code(found.error().code() == ErrorCode::kNotFound ? KafkaError::kUnknownTopicOrPartition
                                                                    : KafkaError::kKafkaStorageError);
        continue;
      }
      answer.timestamp = found->timestamp_ms;
      answer.offset = found->offset;
      if (found->offset >= 0) answer.leader_epoch = 0;
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
