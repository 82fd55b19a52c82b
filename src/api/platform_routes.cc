#include <charconv>
#include <string_view>

#include "api/embedded.h"
#include "api/json_body.h"
#include "api/metrics.h"
#include "api/routes.h"
#include "api/status.h"
#include "api/to_json.h"
#include "observe/alerts.h"

namespace tailrace::api {

using http::Request;
using http::Response;

const char* const kVersion = "0.1.0";

Result<int64_t> QueryInt(const Request& request, const char* name, int64_t least, int64_t most, int64_t otherwise) {
  auto text = request.Query(name);
  if (!text) return otherwise;
  int64_t value = 0;
  auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (failed != std::errc() || end != text->data() + text->size() || value < least || value > most)
    return InvalidArgument("'" + *text + "' is not possible for the parameter '" + name + "'")
        .Remedy("use a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return value;
}

namespace {

Response File(std::string_view name, const char* type) {
  for (const EmbeddedFile& file : kEmbeddedFiles) {
    if (file.name != name) continue;
    Response response{200, type, std::string(file.content), {}, nullptr};
    response.headers.emplace_back("Cache-Control", "no-cache");
    if (std::string_view(type).starts_with("text/html"))
      response.headers.emplace_back(
          "Content-Security-Policy",
          "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'");
    return response;
  }
  return http::ErrorResponse(404, "not found", "there is no file " + std::string(name));
}

Response GeneratorAnswer(Result<GeneratorStatus> result) {
  if (!result.ok()) return ErrorToResponse(result.error());
  return JsonResponse(200, *result);
}

}  // namespace

void AddPageRoutes(http::Router& router) {
  router.Add("GET", "/", [](const Request&) { return File("page/index.html", "text/html; charset=utf-8"); });
  router.Add("GET", "/page/{file}", [](const Request& r) {
    const std::string& name = r.Param("file");
    const char* type = name.ends_with(".css")   ? "text/css; charset=utf-8"
                       : name.ends_with(".svg") ? "image/svg+xml"
                                                : "text/javascript; charset=utf-8";
    return File("page/" + name, type);
  });
  router.Add("GET", "/api/v1/openapi.yaml", [](const Request&) { return File("openapi.yaml", "application/yaml"); });
}

void AddPlatformRoutes(http::Router& router, const Services& services, StatusService& status) {
  router.Add("GET", "/health", [&status](const Request&) {
    bool ok = false;
    std::string body = status.HealthJson(&ok);
    return Response::Json(ok ? 200 : 503, body + "\n");
  });
  router.Add("GET", "/metrics", [&services](const Request&) {
    return Response{200, "text/plain; version=0.0.4; charset=utf-8", MetricsPage(services), {}, nullptr};
  });
  router.Add("GET", "/api/v1/status",
             [&status](const Request&) { return Response::Json(200, status.StatusJson() + "\n"); });
  router.Add("GET", "/api/v1/events", [&status](const Request&) {
    Response response;
    response.events = status.events();
    return response;
  });
  router.Add("POST", "/api/v1/apply", [&services](const Request&) -> Response {
    if (!services.apply)
      return ErrorToResponse(
          Error(ErrorCode::kConflict, "this process runs no project").Remedy("start one with 'tailrace up PROJECT'"));
    return Response::Json(200, TRY_HTTP(services.apply()) + "\n");
  });
  router.Add("GET", "/api/v1/alerts", [&services](const Request&) {
    http::JsonWriter json;
    json.BeginArray();
    if (services.alerts)
      for (const auto& alert : services.alerts->Alerts()) json.Raw(alert.ToJson());
    json.EndArray();
    return Response::Json(200, json.Take() + "\n");
  });
  router.Add("GET", "/api/v1/generators", [&services](const Request&) {
    return JsonListResponse(services.generators ? services.generators() : std::vector<GeneratorStatus>());
  });
  router.Add("POST", "/api/v1/generators/{name}/start", [&services](const Request& r) -> Response {
    const JsonBody body = TRY_HTTP(JsonBody::Parse(r, {"rate"}));
    const auto rate = TRY_HTTP(body.Number("rate"));
    if (!services.start_generator) return ErrorToResponse(NotFound("this process runs no generators"));
    return GeneratorAnswer(services.start_generator(r.Param("name"), rate.value_or(0)));
  });
  router.Add("POST", "/api/v1/generators/{name}/stop", [&services](const Request& r) -> Response {
    if (!services.stop_generator) return ErrorToResponse(NotFound("this process runs no generators"));
    return GeneratorAnswer(services.stop_generator(r.Param("name")));
  });
}

http::Router MakeRouter(const Services& services, StatusService& status) {
  http::Router router;
  AddPageRoutes(router);
  AddPlatformRoutes(router, services, status);
  AddStreamRoutes(router, services);
  AddDagRoutes(router, services);
  AddTopicRoutes(router, services, status);
  AddSqlRoutes(router, services);
  return router;
}

}  // namespace tailrace::api
