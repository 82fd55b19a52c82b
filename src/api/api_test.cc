#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "api/embedded.h"
#include "api/guard.h"
#include "api/json_body.h"
#include "api/metrics.h"
#include "api/routes.h"
#include "api/server.h"
#include "api/status.h"
#include "api/to_json.h"
#include "base/clock.h"
#include "http/client.h"

namespace tailrace::api {
namespace {

std::string Embedded(std::string_view name) {
  for (const EmbeddedFile& file : kEmbeddedFiles)
    if (file.name == name) return std::string(file.content);
  return "";
}

class ApiTest : public testing::Test {
 protected:
  ApiTest() {
    services_.clock = &Clock::System();
    services_.data_dir = "/tmp";
  }
  Services services_;
};

TEST_F(ApiTest, EveryRouteOfTheDocumentIsServedAndTheOtherWayRound) {
  StatusService status(services_);
  std::set<std::string> served, documented;
  for (const auto& route : MakeRouter(services_, status).routes()) served.insert(route.method + " " + route.pattern);
  const YAML::Node document = YAML::Load(Embedded("openapi.yaml"));
  for (const auto& path : document["paths"])
    for (const auto& entry : path.second) {
      std::string method = entry.first.Scalar();
      if (method == "parameters") continue;
      std::transform(method.begin(), method.end(), method.begin(), ::toupper);
      documented.insert(method + " " + path.first.Scalar());
    }
  EXPECT_EQ(served, documented);
}

TEST_F(ApiTest, EveryPathParameterIsDeclaredAndEveryReferenceLeadsSomewhere) {
  const YAML::Node document = YAML::Load(Embedded("openapi.yaml"));
  auto resolve = [&](const YAML::Node& node) {
    if (!node["$ref"]) return YAML::Clone(node);
    YAML::Node at = YAML::Clone(document);
    std::string path = node["$ref"].Scalar().substr(2);
    while (!path.empty()) {
      const size_t slash = path.find('/');
      at.reset(at[path.substr(0, slash)]);
      EXPECT_TRUE(at.IsDefined()) << node["$ref"].Scalar();
      path = slash == std::string::npos ? "" : path.substr(slash + 1);
    }
    return at;
  };
  std::set<std::string> operations;
  for (const auto& path : document["paths"]) {
    std::set<std::string> declared;
    auto declare = [&](const YAML::Node& list) {
      for (const auto& parameter : list) {
        const YAML::Node p = resolve(parameter);
        if (p["in"].Scalar() == "path") declared.insert(p["name"].Scalar());
      }
    };
    if (path.second["parameters"]) declare(path.second["parameters"]);
    for (const auto& entry : path.second) {
      if (entry.first.Scalar() == "parameters") continue;
      if (entry.second["parameters"]) declare(entry.second["parameters"]);
      EXPECT_TRUE(operations.insert(entry.second["operationId"].Scalar()).second)
          << entry.second["operationId"].Scalar();
      EXPECT_TRUE(entry.second["responses"].IsDefined()) << path.first.Scalar();
    }
    const std::string pattern = path.first.Scalar();
    for (size_t at = 0; (at = pattern.find('{', at)) != std::string::npos; ++at) {
      const std::string name = pattern.substr(at + 1, pattern.find('}', at) - at - 1);
      EXPECT_TRUE(declared.contains(name)) << pattern << " does not declare " << name;
    }
  }
}

TEST_F(ApiTest, AnswersWithoutAnyComponent) {
  auto server = Server::Start(services_, "127.0.0.1", 0);
  ASSERT_TRUE(server.ok()) << server.error().ToString();
  const std::string url = "http://127.0.0.1:" + std::to_string((*server)->port());
  EXPECT_EQ(http::Call({.url = url + "/health"})->status, 503);
  (*server)->Open();
  EXPECT_EQ(http::Call({.url = url + "/health"})->status, 200);
  for (const char* path : {"/", "/page/app.js", "/page/style.css", "/metrics", "/api/v1/status", "/api/v1/streams",
                           "/api/v1/dags", "/api/v1/topics", "/api/v1/groups", "/api/v1/stores", "/api/v1/alerts",
                           "/api/v1/generators", "/api/v1/openapi.yaml"})
    EXPECT_EQ(http::Call({.url = url + path})->status, 200) << path;
  for (const char* path : {"/api/v1/streams/x", "/api/v1/dags/x", "/api/v1/runs", "/api/v1/topics/x"})
    EXPECT_EQ(http::Call({.url = url + path})->status, 409) << path;
  EXPECT_EQ(http::Call({.url = url + "/page/../openapi.yaml"})->status, 404);
  EXPECT_EQ(http::Call({.method = "POST", .url = url + "/api/v1/streams", .body = "{}"})->status, 409);
  (*server)->Stop(100);
}

TEST_F(ApiTest, SqlIsReadOnlyUnlessAsked) {
  auto server = Server::Start(services_, "127.0.0.1", 0);
  ASSERT_TRUE(server.ok());
  (*server)->Open();
  const std::string url = "http://127.0.0.1:" + std::to_string((*server)->port()) + "/api/v1/sql";
  auto ask = [&](const std::string& body) { return *http::Call({.method = "POST", .url = url, .body = body}); };
  EXPECT_NE(ask(R"({"sql":"SELECT 40 + 2 AS answer"})").body.find(R"([[42]])"), std::string::npos);
  EXPECT_NE(ask(R"({"sql":"-- why\nSELECT ';', \"a\" FROM (VALUES (1)) t(a); SELECT 7"})").body.find(R"([[7]])"),
            std::string::npos);
  EXPECT_EQ(ask(R"x({"sql":"SELECT 1; CREATE TABLE t (a INT)"})x").status, 403);
  EXPECT_EQ(ask(R"({"sql":"COMMIT; SELECT 1"})").status, 403);
  EXPECT_EQ(ask(R"x({"sql":"CREATE TABLE t (a INT)","write":true})x").status, 200);
  EXPECT_EQ(ask(R"({"sql":"SELEC 1","write":true})").status, 400);
  EXPECT_EQ(ask(R"({"sql":"SELECT 1","store":"nope"})").status, 404);
  EXPECT_EQ(ask(R"({"sqll":"SELECT 1"})").status, 400);
  EXPECT_NE(ask(R"x({"sql":"SELECT * FROM range(100)","max_rows":3})x").body.find(R"("truncated":true)"),
            std::string::npos);
}

TEST_F(ApiTest, MetricsHaveOneTypeLineAFamily) {
  const std::string page = MetricsPage(services_);
  std::set<std::string> families;
  for (size_t at = 0; (at = page.find("# TYPE ", at)) != std::string::npos; ++at) {
    const std::string name = page.substr(at + 7, page.find(' ', at + 7) - at - 7);
    EXPECT_TRUE(families.insert(name).second) << name;
  }
  EXPECT_TRUE(families.contains("process_resident_memory_bytes"));
}

http::Request FromBrowser(const std::string& method, const std::string& host, const std::string& origin,
                          const std::string& site = "") {
  http::Request r;
  r.method = method;
  r.headers = {{"host", host}};
  if (!origin.empty()) r.headers.emplace_back("origin", origin);
  if (!site.empty()) r.headers.emplace_back("sec-fetch-site", site);
  return r;
}

TEST(Guard, OtherSitesChangeNothing) {
  EXPECT_EQ(CheckOrigin(FromBrowser("POST", "127.0.0.1:8080", "http://127.0.0.1:8080"), "127.0.0.1").status, 0);
  EXPECT_EQ(CheckOrigin(FromBrowser("POST", "localhost:8080", ""), "127.0.0.1").status, 0);
  EXPECT_EQ(CheckOrigin(FromBrowser("POST", "[::1]:8080", ""), "::1").status, 0);
  EXPECT_EQ(CheckOrigin(FromBrowser("POST", "127.0.0.1:8080", "https://evil.example"), "127.0.0.1").status, 403);
  EXPECT_EQ(CheckOrigin(FromBrowser("POST", "127.0.0.1:8080", "null"), "127.0.0.1").status, 403);
  EXPECT_EQ(CheckOrigin(FromBrowser("POST", "127.0.0.1:8080", "http://127.0.0.1:9999"), "127.0.0.1").status, 403);
  EXPECT_EQ(CheckOrigin(FromBrowser("DELETE", "127.0.0.1:8080", "", "cross-site"), "127.0.0.1").status, 403);
  // DNS rebinding: the name leads here, but it is not ours.
  EXPECT_EQ(CheckOrigin(FromBrowser("GET", "evil.example:8080", ""), "127.0.0.1").status, 403);
  EXPECT_EQ(CheckOrigin(FromBrowser("GET", "127.evil.example:8080", ""), "127.0.0.1").status, 403);
  EXPECT_EQ(CheckOrigin(FromBrowser("GET", "console.example:8080", ""), "0.0.0.0").status, 0);
}

TEST(JsonBody, TypesNamesAndDepth) {
  auto parse = [](std::string body) {
    http::Request r;
    r.body = std::move(body);
    return JsonBody::Parse(r, {"name", "n", "map"});
  };
  EXPECT_TRUE(parse("").ok());
  EXPECT_FALSE(parse("[]").ok());
  EXPECT_FALSE(parse("{").ok());
  EXPECT_EQ(parse(R"({"nmae":1})").error().remedy(), "did you mean 'name'?");
  EXPECT_EQ(parse(std::string(100'000, '[')).error().code(), ErrorCode::kLimitExceeded);
  auto body = parse(R"({"name":"x","n":3,"map":{"a":1,"b":"y"}})");
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(body->RequiredText("name").value(), "x");
  EXPECT_FALSE(body->Text("n").ok());
  EXPECT_EQ(body->TextMap("map")->at("a"), "1");
}

}  // namespace
}  // namespace tailrace::api
