#include "api/guard.h"

#include "http/router.h"

namespace tailrace::api {
namespace {

/// "[::1]:8080" and "localhost:8080" without the port.
std::string_view HostOf(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.rfind(':'));
}

bool IsLoopbackName(std::string_view host) {
  return host == "localhost" || host == "[::1]" || host.ends_with(".localhost") ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

}  // namespace

http::Response CheckOrigin(const http::Request& request, const std::string& bind_address) {
  http::Response pass;
  pass.status = 0;
  const std::string_view host = request.Header("host");
  const bool loopback = bind_address.starts_with("127.") || bind_address == "localhost" || bind_address == "::1";
  if (loopback && !IsLoopbackName(HostOf(host)))
    return http::ErrorResponse(403, "permission denied", "the Host '" + std::string(host) + "' is not this server",
                               "use http://127.0.0.1:PORT, or start with --bind-address to serve a network");
  if (request.method == "GET" || request.method == "HEAD") return pass;
  const std::string_view origin = request.Header("origin");
  if (!origin.empty()) {
    std::string_view authority = origin;
    if (const size_t scheme = authority.find("://"); scheme != std::string_view::npos)
      authority.remove_prefix(scheme + 3);
    if (authority != host)
      return http::ErrorResponse(403, "permission denied",
                                 "a page of '" + std::string(origin) + "' may not change anything here",
                                 "use this server's own page or the command line");
  }
  // Browsers that leave Origin out still say where a request comes from.
  const std::string_view site = request.Header("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none")
    return http::ErrorResponse(403, "permission denied", "a page of another site may not change anything here",
                               "use this server's own page or the command line");
  return pass;
}

}  // namespace tailrace::api
