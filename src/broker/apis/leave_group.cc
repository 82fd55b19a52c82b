// LeaveGroup: one member up to v2, several from v3 on (KIP-345).

#include "wire/messages/leave_group.h"
#include "broker/apis/registry.h"
#include "broker/groups/coordinator.h"

namespace tailrace::broker {

Status HandleLeaveGroup(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::LeaveGroupRequest::Decode(call->body(), call->version()));
  std::vector<LeavingMember> members;
  bool several = call->version() >= 3;
  if (several) {
    for (auto& m : request.members) members.push_back({m.member_id, m.group_instance_id});
  } else {
    members.push_back({request.member_id, std::nullopt});
  }
  wire::KafkaError group_error = wire::KafkaError::kNone;
  std::vector<wire::KafkaError> answers = parts.groups.Leave(request.group_id, members, &group_error);
  wire::LeaveGroupResponse response;
  response.error_code = call->Code(group_error);
  if (!several) {
    if (group_error == wire::KafkaError::kNone) response.error_code = call->Code(answers[0]);
  } else {
    for (size_t i = 0; i < members.size(); ++i) {
      response.members.push_back({members[i].member_id, members[i].instance_id, call->Code(answers[i])});
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
