// ConsumerGroupDescribe (KIP-848): there are only classic groups here, and Kafka answers for one of those that it is no
// consumer group of the new protocol. Admin clients then ask DescribeGroups.

#include <fmt/format.h>

#include "broker/apis/registry.h"
#include "wire/messages/consumer_group_describe.h"

namespace tailrace::broker {

Status HandleConsumerGroupDescribe(Parts&, const CallPtr& call) {
  auto request = TRY(wire::ConsumerGroupDescribeRequest::Decode(call->body(), call->version()));
  wire::ConsumerGroupDescribeResponse response;
  for (auto& id : request.group_ids) {
    auto& answer = response.groups.emplace_back();
    answer.group_id = id;
    answer.error_code = call->Code(wire::KafkaError::kGroupIdNotFound);
    answer.error_message = fmt::format("Group {} is not a consumer group.", id);
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
