// FindCoordinator: groups, transactions, share groups: always this node.

#include "wire/messages/find_coordinator.h"
#include "broker/apis/registry.h"
#include "broker/broker.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleFindCoordinator(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::FindCoordinatorRequest::Decode(call->body(), call->version()));
  wire::FindCoordinatorResponse response;
  constexpr int8_t kGroup = 0, kTransaction = 1;
  bool known = request.key_type == kGroup || request.key_type == kTransaction;
  if (call->version() < 4) {
    response.node_id = -1;
    response.port = -1;
    if (known) {
      response.node_id = parts.options.node_id;
      response.host = parts.options.advertised_host;
      response.port = parts.port.load();
    } else {
      response.error_code = call->Code(KafkaError::kInvalidRequest);
    }
  } else {
    for (auto& key : request.coordinator_keys) {
      auto& answer = response.coordinators.emplace_back();
      answer.key = key;
      answer.node_id = -1;
      answer.port = -1;
      if (!known) {
        answer.error_code = call->Code(KafkaError::kInvalidRequest);
        continue;
      }
      answer.node_id = parts.options.node_id;
      answer.host = parts.options.advertised_host;
      answer.port = parts.port.load();
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
