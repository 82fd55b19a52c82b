// JoinGroup: answered when the group's rebalance completes.

#include "wire/messages/join_group.h"
#include "broker/apis/registry.h"
#include "broker/groups/coordinator.h"

namespace tailrace::broker {

Status HandleJoinGroup(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::JoinGroupRequest::Decode(call->body(), call->version()));
  JoinRequest join;
  join.group = std::move(request.group_id);
  join.member_id = std::move(request.member_id);
  join.instance_id = std::move(request.group_instance_id);
  join.client_id = call->client_id();
  join.client_host = call->client_host();
  join.session_timeout_ms = request.session_timeout_ms;
  join.rebalance_timeout_ms = request.rebalance_timeout_ms;
  join.protocol_type = std::move(request.protocol_type);
  for (auto& protocol : request.protocols)
    join.protocols.emplace_back(std::move(protocol.name), std::move(protocol.metadata));
  join.require_known_member_id = call->version() >= 4 && !join.instance_id;
  join.supports_skip_assignment = call->version() >= 9;
  call->ReleaseFrame();
  parts.groups.Join(std::move(join), [call](JoinResult result) {
    wire::JoinGroupResponse response;
    response.error_code = call->Code(result.error);
    response.generation_id = result.generation;
    if (!result.protocol_type.empty()) response.protocol_type = std::move(result.protocol_type);
    response.protocol_name = std::move(result.protocol);
    if (call->version() < 7 && !response.protocol_name) response.protocol_name = "";
    response.leader = std::move(result.leader);
    response.skip_assignment = result.skip_assignment;
    response.member_id = std::move(result.member_id);
    for (auto& m : result.members) {
      response.members.push_back({std::move(m.member_id), std::move(m.instance_id), std::move(m.metadata)});
    }
    call->Respond(response);
  });
  return Ok();
}

}  // namespace tailrace::broker
