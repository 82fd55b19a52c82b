// SyncGroup: answered when the leader has assigned.

#include "wire/messages/sync_group.h"
#include "broker/apis/registry.h"
#include "broker/groups/coordinator.h"

namespace tailrace::broker {

Status HandleSyncGroup(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::SyncGroupRequest::Decode(call->body(), call->version()));
  SyncRequest sync;
  sync.group = std::move(request.group_id);
  sync.generation = request.generation_id;
  sync.member_id = std::move(request.member_id);
  sync.instance_id = std::move(request.group_instance_id);
  sync.protocol_type = std::move(request.protocol_type);
  sync.protocol = std::move(request.protocol_name);
  for (auto& a : request.assignments) sync.assignments.emplace_back(std::move(a.member_id), std::move(a.assignment));
  call->ReleaseFrame();
  parts.groups.Sync(std::move(sync), [call](SyncResult result) {
    wire::SyncGroupResponse response;
    response.error_code = call->Code(result.error);
    if (result.error == wire::KafkaError::kNone) {
      response.protocol_type = std::move(result.protocol_type);
      response.protocol_name = std::move(result.protocol);
    }
    response.assignment = std::move(result.assignment);
    call->Respond(response);
  });
  return Ok();
}

}  // namespace tailrace::broker
