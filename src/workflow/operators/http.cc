#include "http/client.h"

#include <fmt/format.h>

#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// One HTTP request (Airflow: HttpOperator). The body is the XCom return_value, parsed where it is JSON.
class Http final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    http::ClientRequest request;
    request.url = TRY(context.Text("url"));
    request.method = TRY(context.Text("method", "GET"));
    if (const Value* headers = context.with.Find("headers"); headers && headers->is_map())
      for (const auto& [name, value] : headers->map()) request.headers.emplace_back(name, PythonStr(value));
    if (const Value* data = context.with.Find("data"); data && !data->is_null()) {
      request.body = data->is_string() ? data->string() : ToJson(*data);
      if (!data->is_string() && http::FindHeader(request.headers, "content-type").empty())
        request.headers.emplace_back("Content-Type", "application/json");
    }
    http::ClientOptions options;
    options.timeout_ms = TRY(context.DurationMs("timeout", 30'000));
    options.verify_peer = TRY(context.Boolean("verify", true));
    http::ClientResponse response = TRY(http::Call(request, options));
    context.log.Info(
        fmt::format("{} {}: status {}, {} bytes", request.method, request.url, response.status, response.body.size()));
    List expected = TRY(context.Values("expected_status"));
    bool good = expected.empty() ? response.status >= 200 && response.status < 300 : false;
    for (const Value& status : expected) good |= PythonStr(status) == std::to_string(response.status);
    if (!good) return Outcome::Fail(fmt::format("status {}: {}", response.status, response.body.substr(0, 200)));
    std::string wanted = TRY(context.Text("contains", ""));
    if (response.body.find(wanted) == std::string::npos)
      return Outcome::Fail(fmt::format("the answer does not contain '{}'", wanted));
    if (!context.task.do_xcom_push || response.body.size() > (1 << 20)) return Outcome::Success();
    Result<Value> json = ParseJson(response.body);
    return Outcome::Success().Return(json.ok() ? *json : Value(response.body));
  }
};

}  // namespace

std::unique_ptr<Operator> MakeHttp() { return std::make_unique<Http>(); }

}  // namespace tailrace::workflow
