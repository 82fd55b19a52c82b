#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace tailrace::http {

using Handler = std::function<Response(const Request&)>;

/// Patterns such as "/api/v1/dags/{dag_id}/runs"; a parameter takes one segment, "{name*}" at the end takes the rest.
/// Where several match, the one with a literal further left wins. Not changed once the server runs.
class Router {
 public:
  /// REQUIRES: the same method and pattern were not added before.
  void Add(std::string method, std::string pattern, Handler handler);
  /// Runs the handler, or answers 404 or 405. Fills params and route of the request. HEAD is served by GET.
  Response Handle(Request& request) const;

  struct Route {
    std::string method;
    std::string pattern;
  };
  std::vector<Route> routes() const;

 private:
  struct Entry {
    std::string method;
    std::string pattern;
    std::vector<std::string> segments;
    Handler handler;
  };
  std::vector<Entry> entries_;
};

/// The body of every error: {"error":{"code":…,"message":…,"remedy":…}}.
Response ErrorResponse(int status, std::string_view code, std::string_view message, std::string_view remedy = "");

}  // namespace tailrace::http
