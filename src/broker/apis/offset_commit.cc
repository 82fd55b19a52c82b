// OffsetCommit: answered when the offsets are on disk.

#include "wire/messages/offset_commit.h"
#include "base/clock.h"
#include "broker/apis/registry.h"
#include "broker/groups/coordinator.h"
#include "broker/offsets.h"
#include "broker/topics.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleOffsetCommit(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::OffsetCommitRequest::Decode(call->body(), call->version()));
  constexpr size_t kMetadataBytesMax = 4096;  // offset.metadata.max.bytes
  bool by_id = call->version() >= 10;
  KafkaError group_error = parts.groups.CheckCommit(request.group_id, request.generation_id, request.member_id,
                                                    request.group_instance_id, false);
  auto response = std::make_shared<wire::OffsetCommitResponse>();
  std::vector<OffsetCommitItem> items;
  std::vector<std::pair<size_t, size_t>> places;  // of the items in the response
  int64_t now_ms = parts.clock.NowMs();
  for (auto& topic : request.topics) {
    auto& topic_answer = response->topics.emplace_back();
    topic_answer.name = topic.name;
    topic_answer.topic_id = topic.topic_id;
    TopicPtr found = by_id ? parts.topics.FindById(topic.topic_id.bytes) : parts.topics.Find(topic.name);
    for (auto& p : topic.partitions) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.partition_index = p.partition_index;
      KafkaError error = group_error;
      if (error == KafkaError::kNone && !found)
        error = by_id ? KafkaError::kUnknownTopicId : KafkaError::kUnknownTopicOrPartition;
      if (error == KafkaError::kNone &&
          (p.partition_index < 0 || p.partition_index >= static_cast<int32_t>(found->partitions.size()))) {
        error = KafkaError::kUnknownTopicOrPartition;
      }
      if (error == KafkaError::kNone && p.committed_metadata && p.committed_metadata->size() > kMetadataBytesMax) {
        error = KafkaError::kOffsetMetadataTooLarge;
      }
      answer.error_code = call->Code(error);
      if (error != KafkaError::kNone) continue;
      OffsetCommitItem item;
      item.from = {found->name, p.partition_index};
      item.value.offset = p.committed_offset;
      item.value.leader_epoch = p.committed_leader_epoch;
      item.value.metadata = p.committed_metadata.value_or("");
      item.value.commit_ms = now_ms;
      if (request.retention_time_ms >= 0) item.value.expire_ms = now_ms + request.retention_time_ms;
      items.push_back(std::move(item));
      places.emplace_back(response->topics.size() - 1, topic_answer.partitions.size() - 1);
    }
  }
  if (items.empty()) {
    call->Respond(*response);
    return Ok();
  }
  parts.offsets.Commit(request.group_id, items, [call, response, places = std::move(places)](Status status) {
    if (!status.ok()) {
      for (auto [t, p] : places) {
        response->topics[t].partitions[p].error_code = call->Code(KafkaError::kCoordinatorNotAvailable);
      }
    }
    call->Respond(*response);
  });
  return Ok();
}

}  // namespace tailrace::broker
