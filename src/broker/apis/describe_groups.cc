// DescribeGroups: state, members, assignments.

#include <fmt/format.h>

#include "broker/apis/answers.h"
#include "broker/apis/registry.h"
#include "broker/groups/coordinator.h"
#include "wire/messages/describe_groups.h"

namespace tailrace::broker {

Status HandleDescribeGroups(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::DescribeGroupsRequest::Decode(call->body(), call->version()));
  wire::DescribeGroupsResponse response;
  for (auto& id : request.groups) {
    GroupDescription d = parts.groups.Describe(id);
    auto& answer = response.groups.emplace_back();
    answer.group_id = id;
    answer.group_state = d.state;
    answer.protocol_type = d.protocol_type;
    answer.protocol_data = d.protocol;
    if (d.error != wire::KafkaError::kNone && call->version() >= 6) {  // below, a group that isn't is simply dead
      answer.error_code = call->Code(d.error);
      answer.error_message = fmt::format("Group {} not found.", id);
    }
    for (auto& m : d.members) {
      answer.members.push_back({std::move(m.id), std::move(m.instance_id), std::move(m.client_id),
                                std::move(m.client_host), std::move(m.metadata), std::move(m.assignment)});
    }
    if (request.include_authorized_operations) answer.authorized_operations = kAllGroupOperations;
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
