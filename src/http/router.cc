#include "http/router.h"

#include <algorithm>

#include "base/check.h"
#include "http/json_writer.h"
#include "http/url.h"

namespace tailrace::http {
namespace {

std::vector<std::string> Split(std::string_view path) {
  std::vector<std::string> out;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const size_t slash = path.find('/');
    out.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    path.remove_prefix(slash + 1);
  }
}

bool IsParameter(const std::string& segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}
bool IsRest(const std::string& segment) { return IsParameter(segment) && segment[segment.size() - 2] == '*'; }

/// 0 = literal, 1 = parameter, 2 = rest, segment by segment: smaller wins.
bool MoreLiteral(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  auto rank = [](const std::string& s) { return IsRest(s) ? 2 : IsParameter(s) ? 1 : 0; };
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [&](const auto& x, const auto& y) { return rank(x) < rank(y); });
}

bool Match(const std::vector<std::string>& pattern, const std::vector<std::string>& path,
           std::map<std::string, std::string>* params) {
  params->clear();
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (i >= path.size()) return false;
    if (IsRest(pattern[i])) {
      std::string rest;
      for (size_t k = i; k < path.size(); ++k) {
        std::string piece;
        if (!PercentDecode(path[k], false, &piece)) return false;
        if (k > i) rest += '/';
        rest += piece;
      }
      (*params)[pattern[i].substr(1, pattern[i].size() - 3)] = std::move(rest);
      return true;
    }
    if (IsParameter(pattern[i])) {
      std::string value;
      if (path[i].empty() || !PercentDecode(path[i], false, &value)) return false;
      (*params)[pattern[i].substr(1, pattern[i].size() - 2)] = std::move(value);
    } else if (pattern[i] != path[i]) {
      return false;
    }
  }
  return pattern.size() == path.size();
}

}  // namespace

void Router::Add(std::string method, std::string pattern, Handler handler) {
  for (const Entry& entry : entries_) CHECK(entry.method != method || entry.pattern != pattern);
  Entry entry{std::move(method), std::move(pattern), {}, std::move(handler)};
  entry.segments = Split(entry.pattern);
  auto at = std::upper_bound(entries_.begin(), entries_.end(), entry,
                             [](const Entry& a, const Entry& b) { return MoreLiteral(a.segments, b.segments); });
  entries_.insert(at, std::move(entry));
}

Response Router::Handle(Request& request) const {
  const std::vector<std::string> path = Split(request.path);
  std::string allowed;
  for (const Entry& entry : entries_) {
    std::map<std::string, std::string> params;
    if (!Match(entry.segments, path, &params)) continue;
    if (entry.method != request.method && !(entry.method == "GET" && request.method == "HEAD")) {
      if (!allowed.empty()) allowed += ", ";
      allowed += entry.method;
      continue;
    }
    request.params = std::move(params);
    request.route = entry.pattern;
    return entry.handler(request);
  }
  if (allowed.empty())
    return ErrorResponse(404, "not found", "nothing is served at " + request.path,
                         "see /api/v1/openapi.yaml for what is");
  Response response =
      ErrorResponse(405, "invalid argument", request.method + " is not possible at " + request.path, "use " + allowed);
  response.headers.emplace_back("Allow", allowed);
  return response;
}

std::vector<Router::Route> Router::routes() const {
  std::vector<Route> out;
  for (const Entry& entry : entries_) out.push_back({entry.method, entry.pattern});
  return out;
}

Response ErrorResponse(int status, std::string_view code, std::string_view message, std::string_view remedy) {
  JsonWriter json;
  json.BeginObject().Key("error").BeginObject().Field("code", code).Field("message", message);
  if (!remedy.empty()) json.Field("remedy", remedy);
  json.EndObject().EndObject();
  return Response::Json(status, json.Take() + "\n");
}

}  // namespace tailrace::http
