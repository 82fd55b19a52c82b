// Heartbeat: a member lives; it learns that a rebalance has begun.

#include "wire/messages/heartbeat.h"
#include "broker/apis/registry.h"
#include "broker/groups/coordinator.h"

namespace tailrace::broker {

Status HandleHeartbeat(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::HeartbeatRequest::Decode(call->body(), call->version()));
  wire::HeartbeatResponse response;
  response.error_code = call->Code(
      parts.groups.Heartbeat(request.group_id, request.generation_id, request.member_id, request.group_instance_id));
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
