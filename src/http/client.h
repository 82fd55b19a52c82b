#pragma once
// A blocking HTTP/1.1 client: one connection a call, time and size bounded. For the CLI, sensors, notifications.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace tailrace::http {

struct ClientOptions {
  int64_t connect_timeout_ms = 5'000;
  int64_t timeout_ms = 30'000;  // of the whole call, connecting included
  size_t max_response_bytes = 64 << 20;
  bool verify_peer = true;  // https: against the system's certificates, or `ca_file`
  std::string ca_file;
};

struct ClientRequest {
  std::string method = "GET";
  std::string url;  // http://… or https://…
  Headers headers;
  std::string body;
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

/// Any status is a response. Errors: kUnavailable (no connection), kTimeout, kLimitExceeded, kInvalidArgument (the
/// URL), kPermissionDenied (the certificate). Redirects are not followed.
Result<ClientResponse> Call(const ClientRequest& request, const ClientOptions& options = {});

}  // namespace tailrace::http
