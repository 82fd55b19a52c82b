// ListGroups: by state and type.

#include <algorithm>

#include "broker/apis/registry.h"
#include "broker/groups/coordinator.h"
#include "wire/messages/list_groups.h"

namespace tailrace::broker {
namespace {

bool SameIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

bool Wanted(const std::vector<std::string>& filter, std::string_view value) {
  return filter.empty() ||
         std::any_of(filter.begin(), filter.end(), [&](auto& f) { return SameIgnoringCase(f, value); });
}

}  // namespace

Status HandleListGroups(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::ListGroupsRequest::Decode(call->body(), call->version()));
  constexpr std::string_view kClassic = "classic";
  wire::ListGroupsResponse response;
  if (Wanted(request.types_filter, kClassic)) {
    for (GroupListing& group : parts.groups.List()) {
      if (!Wanted(request.states_filter, group.state)) continue;
      response.groups.push_back({group.id, group.protocol_type, group.state, std::string(kClassic)});
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
