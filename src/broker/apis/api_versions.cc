// ApiVersions: what we speak. A version from the future gets a v0 answer that says so (KIP-511).

#include "wire/messages/api_versions.h"
#include "broker/apis/registry.h"

namespace tailrace::broker {

Status HandleApiVersions(Parts&, const CallPtr& call) {
  const wire::ApiVersionRange& self = wire::GetApi(wire::ApiKey::kApiVersions);
  bool known = self.Serves(call->version());
  wire::ApiVersionsResponse response;
  if (known) {
    TRY(wire::ApiVersionsRequest::Decode(call->body(), call->version()));
  } else {
    response.error_code = call->Code(wire::KafkaError::kUnsupportedVersion);
  }
  for (const wire::ApiVersionRange& api : wire::kApis) {
    if (!FindHandler(api.key)) continue;
    response.api_keys.push_back({static_cast<int16_t>(api.key), api.min_advertised, api.max});
  }
  if (known) {
    call->Respond(response);
  } else {
    call->Send(Call::ToChain(wire::EncodeResponseFrame(response, 0, call->header().correlation_id)));
  }
  return Ok();
}

}  // namespace tailrace::broker
