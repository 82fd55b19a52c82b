// DescribeProducers: idempotent and transactional producers that a partition remembers.

#include "wire/messages/describe_producers.h"
#include "broker/apis/registry.h"
#include "broker/topics.h"
#include "log/partition.h"

namespace tailrace::broker {

Status HandleDescribeProducers(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::DescribeProducersRequest::Decode(call->body(), call->version()));
  wire::DescribeProducersResponse response;
  for (auto& topic : request.topics) {
    auto& topic_answer = response.topics.emplace_back();
    topic_answer.name = topic.name;
    for (int32_t index : topic.partition_indexes) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.partition_index = index;
      auto partition = parts.topics.FindPartition(topic.name, index);
      if (!partition) {
        answer.error_code = call->Code(wire::KafkaError::kUnknownTopicOrPartition);
        continue;
      }
      for (const log::ProducerInfo& p : partition->Producers()) {
        auto& producer = answer.active_producers.emplace_back();
        producer.producer_id = p.producer_id;
        producer.producer_epoch = p.producer_epoch;
        producer.last_sequence = p.last_sequence;
        producer.last_timestamp = p.last_timestamp_ms;
        producer.coordinator_epoch = p.coordinator_epoch;
        producer.current_txn_start_offset = p.txn_start_offset;
      }
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
