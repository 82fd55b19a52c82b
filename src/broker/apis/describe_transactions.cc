// DescribeTransactions: state, producer, partitions.

#include "wire/messages/describe_transactions.h"
#include "broker/apis/registry.h"
#include "broker/transaction_coordinator.h"

namespace tailrace::broker {

Status HandleDescribeTransactions(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::DescribeTransactionsRequest::Decode(call->body(), call->version()));
  wire::DescribeTransactionsResponse response;
  for (auto& id : request.transactional_ids) {
    auto& answer = response.transaction_states.emplace_back();
    answer.transactional_id = id;
    auto info = parts.transactions.Describe(id);
    if (!info) {
      answer.error_code = call->Code(wire::KafkaError::kTransactionalIdNotFound);
      continue;
    }
    answer.transaction_state = TransactionStateName(info->state);
    answer.transaction_timeout_ms = info->timeout_ms;
    answer.transaction_start_time_ms = info->start_ms;
    answer.producer_id = info->producer.id;
    answer.producer_epoch = info->producer.epoch;
    for (auto& p : info->partitions) {
      if (answer.topics.empty() || answer.topics.back().topic != p.topic) answer.topics.push_back({p.topic, {}});
      answer.topics.back().partitions.push_back(p.partition);
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
