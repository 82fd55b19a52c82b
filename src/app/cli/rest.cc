#include "app/cli/rest.h"

#include <nlohmann/json.hpp>

#include "http/client.h"
#include "http/url.h"

namespace tailrace::app {
namespace {

ErrorCode CodeOf(const std::string& name) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code)
    if (ErrorCodeName(static_cast<ErrorCode>(code)) == name) return static_cast<ErrorCode>(code);
  return ErrorCode::kInternal;
}

Error ToError(const http::ClientResponse& response, const std::string& what) {
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  if (json.is_object() && json.contains("error") && json["error"].is_object()) {
    const auto& e = json["error"];
    Error error(CodeOf(e.value("code", "")), e.value("message", "status " + std::to_string(response.status)));
    if (e.contains("remedy")) error = std::move(error).Remedy(e.value("remedy", ""));
    if (e.contains("where") && e["where"].is_object())
      error =
          std::move(error).At(e["where"].value("file", ""), e["where"].value("line", 0), e["where"].value("column", 0));
    return error;
  }
  return Error(ErrorCode::kInternal, what + " answered " + std::to_string(response.status))
      .Remedy("is it a tailrace? Check --url and TAILRACE_URL");
}

}  // namespace

Result<std::string> Rest::Call(const std::string& method, const std::string& path, const std::string& body,
                               int64_t timeout_ms) const {
  http::ClientRequest request;
  request.method = method;
  request.url = url_ + path;
  request.body = body;
  if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  auto response = http::Call(request, {.timeout_ms = timeout_ms});
  if (!response.ok()) {
    if (response.error().code() == ErrorCode::kUnavailable)
      return Error(ErrorCode::kUnavailable, "no platform answers at " + url_)
          .Remedy("start one with 'tailrace up', or say where it is with TAILRACE_URL");
    return std::move(response).error();
  }
  if (response->status / 100 != 2) return ToError(*response, url_);
  return std::move(response->body);
}

std::string PathPart(const std::string& text) { return http::PercentEncode(text); }

}  // namespace tailrace::app
