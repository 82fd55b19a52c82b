#pragma once
// Headers of requests and responses, and whole frames (int32 size, header, body) of either.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "wire/api_versions.h"
#include "wire/codec.h"

namespace tailrace::wire {

struct RequestHeader {
  int16_t api_key = 0;
  int16_t api_version = 0;
  int32_t correlation_id = 0;
  std::optional<std::string> client_id;

  bool operator==(const RequestHeader&) const = default;
  /// Header v2 where the body is flexible, else v1; the client id keeps its old form in both.
  void Encode(Encoder& to) const;
  /// The first bytes of a frame without its size. Keys and versions nobody knows still decode (as header v1;
  /// ApiVersions from the future as v2), so that the server can answer or log them.
  static RequestHeader DecodeFrom(Decoder& from);
};

/// Header v1 where the body is flexible, else v0; ApiVersions always v0, since its reader does not know yet what the
/// server speaks.
void EncodeResponseHeader(ApiKey api, int16_t version, int32_t correlation_id, Encoder& to);
/// Returns the correlation id.
int32_t DecodeResponseHeader(ApiKey api, int16_t version, Decoder& from);

/// A frame ready for the socket. REQUIRES: the message speaks `version`.
template <typename Response>
ByteChain EncodeResponseFrame(const Response& response, int16_t version, int32_t correlation_id) {
  Encoder to;
  to.BeginFrame();
  EncodeResponseHeader(Response::kApi, version, correlation_id, to);
  response.Encode(to, version);
  return std::move(to).FinishFrame();
}

template <typename Request>
ByteChain EncodeRequestFrame(const Request& request, int16_t version, int32_t correlation_id,
                             std::optional<std::string> client_id = std::nullopt) {
  Encoder to;
  to.BeginFrame();
  RequestHeader{static_cast<int16_t>(Request::kApi), version, correlation_id, std::move(client_id)}.Encode(to);
  request.Encode(to, version);
  return std::move(to).FinishFrame();
}

}  // namespace tailrace::wire
