// AddPartitionsToTxn: all partitions or none.

#include "wire/messages/add_partitions_to_txn.h"
#include "broker/apis/answers.h"
#include "broker/apis/registry.h"
#include "broker/topics.h"
#include "broker/transaction_coordinator.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleAddPartitionsToTxn(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::AddPartitionsToTxnRequest::Decode(call->body(), call->version()));
  auto response = std::make_shared<wire::AddPartitionsToTxnResponse>();
  std::vector<TopicPartition> partitions;
  bool all_known = true;
  for (auto& topic : request.topics) {
    auto& topic_answer = response->topics.emplace_back();
    topic_answer.name = topic.name;
    for (int32_t index : topic.partitions) {
      bool known = parts.topics.FindPartition(topic.name, index) != nullptr;
      all_known = all_known && known;
      partitions.push_back({topic.name, index});
      topic_answer.partitions.push_back(
          {index, wire::Code(known ? KafkaError::kNone : KafkaError::kUnknownTopicOrPartition)});
    }
  }
  auto set_all = [call, response](KafkaError error) {
    for (auto& topic : response->topics) {
      for (auto& p : topic.partitions) {
        if (p.error_code == 0) p.error_code = call->Code(error);
      }
    }
    call->Respond(*response);
  };
  if (!all_known) {
    set_all(KafkaError::kOperationNotAttempted);
    return Ok();
  }
  parts.transactions.AddPartitions(request.transactional_id, {request.producer_id, request.producer_epoch}, partitions,
                                   [set_all, call](KafkaError error) { set_all(FencedAs(error, call->version(), 2)); });
  return Ok();
}

}  // namespace tailrace::broker
