// ListConfigResources (KIP-1142): topics and the broker.

#include <algorithm>

#include "broker/apis/config_resources.h"
#include "broker/apis/registry.h"
#include "broker/broker.h"
#include "wire/messages/list_config_resources.h"

namespace tailrace::broker {

Status HandleListConfigResources(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::ListConfigResourcesRequest::Decode(call->body(), call->version()));
  constexpr int8_t kClientMetrics = 16;
  // v0 knows client metrics only, of which there are none here.
  std::vector<int8_t> types = request.resource_types;
  if (call->version() == 0) types = {kClientMetrics};
  if (types.empty()) types = {kResourceTopic, kResourceBroker};
  wire::ListConfigResourcesResponse response;
  auto has = [&](int8_t type) { return std::find(types.begin(), types.end(), type) != types.end(); };
  if (has(kResourceTopic)) {
    for (const TopicPtr& topic : parts.topics.List())
      response.config_resources.push_back({topic->name, kResourceTopic});
  }
  if (has(kResourceBroker))
    response.config_resources.push_back({std::to_string(parts.options.node_id), kResourceBroker});
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
