#pragma once
// What a handler gets and gives. No protocol detail of HTTP/1.1 shows: the server does framing, limits and keep-alive.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tailrace::http {

class EventHub;

/// In the order they came. Names in lower case where the server fills them.
using Headers = std::vector<std::pair<std::string, std::string>>;

/// The first header of that name (compared without case), or empty.
std::string_view FindHeader(const Headers& headers, std::string_view name);

struct Request {
  std::string method;                                      // "GET"
  std::string target;                                      // as sent: path and query, still encoded
  std::string path;                                        // of the target, still encoded
  std::map<std::string, std::string> params;               // {name} parts of the route, decoded
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  Headers headers;
  std::string body;
  std::string peer;   // address of the client, "127.0.0.1"
  std::string route;  // the pattern that matched, "/api/v1/dags/{dag_id}"

  /// The parameter of the route. REQUIRES: the route has it.
  const std::string& Param(const std::string& name) const { return params.at(name); }
  std::optional<std::string> Query(std::string_view name) const;
  std::string_view Header(std::string_view name) const { return FindHeader(headers, name); }
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  Headers headers;
  /// Set: the answer is a stream of server-sent events of this hub that lasts until the client or the server leaves.
  std::shared_ptr<EventHub> events;

  static Response Text(int status, std::string body) {
    return {status, "text/plain; charset=utf-8", std::move(body), {}, nullptr};
  }
  static Response Json(int status, std::string body) {
    return {status, "application/json", std::move(body), {}, nullptr};
  }
};

}  // namespace tailrace::http
