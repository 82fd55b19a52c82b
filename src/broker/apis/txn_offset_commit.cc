// TxnOffsetCommit: offsets that stand when their transaction commits.

#include "wire/messages/txn_offset_commit.h"
#include "base/clock.h"
#include "broker/apis/registry.h"
#include "broker/groups/coordinator.h"
#include "broker/offsets.h"
#include "broker/topics.h"
#include "broker/transaction_coordinator.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleTxnOffsetCommit(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::TxnOffsetCommitRequest::Decode(call->body(), call->version()));
  constexpr size_t kMetadataBytesMax = 4096;
  KafkaError error = request.group_id.empty() ? KafkaError::kInvalidGroupId
                                              : parts.transactions.CheckGroup(
                                                    request.transactional_id,
                                                    {request.producer_id, request.producer_epoch}, request.group_id);
  if (error == KafkaError::kNone) {
    error = parts.groups.CheckCommit(request.group_id, request.generation_id, request.member_id,
                                     request.group_instance_id, true);
  }
  auto response = std::make_shared<wire::TxnOffsetCommitResponse>();
  std::vector<OffsetCommitItem> items;
  int64_t now_ms = parts.clock.NowMs();
  for (auto& topic : request.topics) {
    auto& topic_answer = response->topics.emplace_back();
    topic_answer.name = topic.name;
    for (auto& p : topic.partitions) {
      KafkaError own = error;
      if (own == KafkaError::kNone && !parts.topics.FindPartition(topic.name, p.partition_index))
        own = KafkaError::kUnknownTopicOrPartition;
      if (own == KafkaError::kNone && p.committed_metadata && p.committed_metadata->size() > kMetadataBytesMax) {
        own = KafkaError::kOffsetMetadataTooLarge;
      }
      topic_answer.partitions.push_back({p.partition_index, call->Code(own)});
      if (own != KafkaError::kNone) continue;
      items.push_back({{topic.name, p.partition_index},
                       {p.committed_offset, p.committed_leader_epoch, p.committed_metadata.value_or(""), now_ms, -1}});
    }
  }
  if (items.empty()) {
    call->Respond(*response);
    return Ok();
  }
  parts.offsets.CommitPending(request.producer_id, request.group_id, items, [call, response](Status status) {
    if (!status.ok()) {
      for (auto& topic : response->topics) {
        for (auto& p : topic.partitions) {
          if (p.error_code == 0) p.error_code = call->Code(KafkaError::kCoordinatorNotAvailable);
        }
      }
    }
    call->Respond(*response);
  });
  return Ok();
}

}  // namespace tailrace::broker
