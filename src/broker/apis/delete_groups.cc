// DeleteGroups: empty groups with their offsets.

#include "wire/messages/delete_groups.h"
#include "broker/apis/registry.h"
#include "broker/groups/coordinator.h"

namespace tailrace::broker {

Status HandleDeleteGroups(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::DeleteGroupsRequest::Decode(call->body(), call->version()));
  wire::DeleteGroupsResponse response;
  for (auto& id : request.group_ids) {
    wire::KafkaError error = parts.groups.Delete(id);
    auto& answer = response.groups.emplace_back();
    answer.group_id = id;
    answer.error_code = call->Code(error);
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
