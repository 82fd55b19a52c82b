#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "http/client.h"
#include "http/events.h"
#include "http/json_writer.h"
#include "http/server.h"
#include "http/url.h"

namespace tailrace::http {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<Server> StartOrDie(Router router, ServerOptions options = {}) {
  auto server = Server::Start(std::move(options), std::move(router));
  EXPECT_TRUE(server.ok()) << server.error().ToString();
  return std::move(server).value();
}
std::string At(const Server& server, const std::string& path) {
  return "http://127.0.0.1:" + std::to_string(server.port()) + path;
}

Response Echo(const Request& r) {
  std::string body = r.method + " " + r.route;
  for (auto& [k, v] : r.params) body += " " + k + "=" + v;
  for (auto& [k, v] : r.query) body += " ?" + k + "=" + v;
  if (!r.body.empty()) body += " body:" + std::to_string(r.body.size());
  return Response::Text(200, body);
}

/// Bytes in, everything that comes back out: for what the client refuses to send.
std::string Raw(uint16_t port, const std::string& bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  timeval wait{5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  EXPECT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  std::string out;
  char buffer[4096];
  for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) out.append(buffer, static_cast<size_t>(n));
  close(fd);
  return out;
}

TEST(Url, PartsAndErrors) {
  auto url = ParseUrl("https://example.org:8443/a/b?c=1#frag");
  ASSERT_TRUE(url.ok());
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "example.org");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->target, "/a/b?c=1");
  EXPECT_EQ(ParseUrl("http://[::1]")->host, "::1");
  EXPECT_EQ(ParseUrl("http://h?x")->target, "/?x");
  for (const char* bad : {"h:80", "ftp://h", "http://", "http://h:99999", "http://h:x", "http://u:p@h", "http://[::1"})
    EXPECT_FALSE(ParseUrl(bad).ok()) << bad;
  EXPECT_EQ(PercentEncode("a b/ü"), "a%20b%2F%C3%BC");
}

TEST(JsonWriter, EscapesAndPlacesCommas) {
  JsonWriter json;
  json.BeginObject()
      .Field("a", "x\"\n\x01")
      .Field("bad", "\xff\xc3\xa4\xed\xa0\x80")
      .Key("l")
      .BeginArray()
      .Value(1)
      .Value(true)
      .BeginObject();
  json.EndObject().Value(0.5).Null().EndArray().Field("none", std::optional<int64_t>()).EndObject();
  EXPECT_EQ(json.Take(),
            "{\"a\":\"x\\\"\\n\\u0001\",\"bad\":\"\xEF\xBF\xBD\xc3\xa4\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\",\"l\":[1,"
            "true,{},0.5,null],\"none\":null}");
}

TEST(Router, LiteralsWinOverParameters) {
  Router router;
  router.Add("GET", "/a/{x}", Echo);
  router.Add("GET", "/a/b", Echo);
  router.Add("POST", "/a/{x}", Echo);
  router.Add("GET", "/files/{path*}", Echo);
  auto run = [&](std::string method, std::string path) {
    Request r;
    r.method = std::move(method);
    r.path = std::move(path);
    return router.Handle(r);
  };
  EXPECT_EQ(run("GET", "/a/b").body, "GET /a/b");
  EXPECT_EQ(run("GET", "/a/c%2Fd").body, "GET /a/{x} x=c/d");
  EXPECT_EQ(run("POST", "/a/b").body, "POST /a/{x} x=b");
  EXPECT_EQ(run("GET", "/files/x/y").body, "GET /files/{path*} path=x/y");
  EXPECT_EQ(run("GET", "/nothing").status, 404);
  EXPECT_EQ(run("DELETE", "/a/c").status, 405);
}

TEST(Server, ServesRoutesQueryBodyAndKeepsAlive) {
  Router router;
  router.Add("GET", "/x/{id}", Echo);
  router.Add("POST", "/x", Echo);
  auto server = StartOrDie(std::move(router));
  auto got = Call({.url = At(*server, "/x/a%20b?q=1%202&r")});
  ASSERT_TRUE(got.ok()) << got.error().ToString();
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->body, "GET /x/{id} id=a b ?q=1 2 ?r=");
  EXPECT_EQ(Call({.method = "POST", .url = At(*server, "/x"), .body = std::string(100'000, 'b')})->body,
            "POST /x body:100000");
  EXPECT_EQ(Call({.method = "HEAD", .url = At(*server, "/x/1")})->body, "");
  EXPECT_EQ(Call({.method = "PUT", .url = At(*server, "/x")})->status, 405);
  const std::string two =
      "GET /x/1 HTTP/1.1\r\nHost: h\r\n\r\nGET /x/2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  const std::string answers = Raw(server->port(), two);
  EXPECT_NE(answers.find("id=1"), std::string::npos);
  EXPECT_NE(answers.find("id=2"), std::string::npos);
}

TEST(Server, LimitsAndMalformedRequests) {
  Router router;
  router.Add("POST", "/x", Echo);
  auto server = StartOrDie(std::move(router), {.max_body_bytes = 1000, .max_header_bytes = 2000});
  EXPECT_EQ(Call({.method = "POST", .url = At(*server, "/x"), .body = std::string(1001, 'b')})->status, 413);
  EXPECT_NE(Raw(server->port(), "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n").find(" 413 "),
            std::string::npos);
  EXPECT_NE(Raw(server->port(), "GET /x HTTP/1.1\r\nA: " + std::string(3000, 'a') + "\r\n\r\n").find(" 431 "),
            std::string::npos);
  EXPECT_NE(Raw(server->port(), "garbage\r\n\r\n").find(" 400 "), std::string::npos);
  EXPECT_NE(Raw(server->port(), std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9) + "\r\n\r\n").find(" 400 "),
            std::string::npos);
  EXPECT_EQ(Call({.method = "POST", .url = At(*server, "/x"), .body = "fine"})->status, 200);
}

TEST(Server, AnswersExpectContinue) {
  Router router;
  router.Add("POST", "/x", Echo);
  auto server = StartOrDie(std::move(router));
  const std::string answer =
      Raw(server->port(),
          "POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\n")) << answer;
  EXPECT_NE(answer.find("body:3"), std::string::npos);
}

TEST(Server, LongHandlerDoesNotHoldUpOthers) {
  Router router;
  std::atomic<bool> release{false};
  router.Add("GET", "/slow", [&](const Request&) {
    while (!release) std::this_thread::sleep_for(1ms);
    return Response::Text(200, "slow");
  });
  router.Add("GET", "/fast", [](const Request&) { return Response::Text(200, "fast"); });
  auto server = StartOrDie(std::move(router));
  std::thread slow([&] { EXPECT_EQ(Call({.url = At(*server, "/slow")})->body, "slow"); });
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(Call({.url = At(*server, "/fast")})->body, "fast");
  release = true;
  slow.join();
}

TEST(Server, StopLetsARunningHandlerAnswer) {
  Router router;
  std::atomic<bool> entered{false};
  router.Add("GET", "/slow", [&](const Request&) {
    entered = true;
    std::this_thread::sleep_for(100ms);
    return Response::Text(200, "done");
  });
  auto server = StartOrDie(std::move(router));
  std::thread caller([&] {
    auto got = Call({.url = At(*server, "/slow")});
    ASSERT_TRUE(got.ok()) << got.error().ToString();
    EXPECT_EQ(got->body, "done");
  });
  while (!entered) std::this_thread::sleep_for(1ms);
  const auto before = std::chrono::steady_clock::now();
  server->Stop(20'000);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 10s);
  caller.join();
}

TEST(Server, BusyPortNamesPortAndRemedy) {
  auto first = StartOrDie(Router());
  auto second = Server::Start({.port = first->port()}, Router());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
  EXPECT_NE(second.error().ToString().find(std::to_string(first->port())), std::string::npos);
  EXPECT_NE(second.error().remedy().find("--port-http"), std::string::npos);
}

TEST(Server, GuardRefusesAndExceptionsBecome500) {
  Router router;
  router.Add("GET", "/throws", [](const Request&) -> Response { throw std::runtime_error("broken"); });
  auto server = StartOrDie(std::move(router), {.guard = [](const Request& r) {
                             Response out;
                             out.status = r.Header("x-bad").empty() ? 0 : 403;
                             return out;
                           }});
  EXPECT_EQ(Call({.url = At(*server, "/throws")})->status, 500);
  EXPECT_EQ(Call({.url = At(*server, "/throws"), .headers = {{"X-Bad", "1"}}})->status, 403);
}

TEST(Server, EventStreamEndsWithTheServer) {
  auto hub = std::make_shared<EventHub>();
  hub->Publish("status", "{\"n\":1}");
  Router router;
  router.Add("GET", "/events", [&](const Request&) {
    Response r;
    r.events = hub;
    return r;
  });
  auto server = StartOrDie(std::move(router));
  std::string got;
  std::thread reader([&] { got = Raw(server->port(), "GET /events HTTP/1.1\r\nHost: h\r\n\r\n"); });
  while (hub->listeners() == 0) std::this_thread::sleep_for(1ms);
  hub->Publish("status", "{\"n\":2}");
  std::this_thread::sleep_for(50ms);
  server->Stop(1000);
  reader.join();
  EXPECT_NE(got.find("text/event-stream"), std::string::npos);
  EXPECT_NE(got.find("event: status\ndata: {\"n\":1}\n\n"), std::string::npos);
  EXPECT_NE(got.find("data: {\"n\":2}"), std::string::npos);
  EXPECT_EQ(hub->listeners(), 0u);
}

TEST(Client, ErrorsSayWhat) {
  auto server = StartOrDie(Router());
  const std::string url = At(*server, "/");
  server.reset();
  auto refused = Call({.url = url});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  Router router;
  router.Add("GET", "/slow", [](const Request&) {
    std::this_thread::sleep_for(300ms);
    return Response::Text(200, "");
  });
  router.Add("GET", "/large", [](const Request&) { return Response::Text(200, std::string(5000, 'x')); });
  auto second = StartOrDie(std::move(router));
  auto late = Call({.url = At(*second, "/slow")}, {.timeout_ms = 50});
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code(), ErrorCode::kTimeout);
  auto large = Call({.url = At(*second, "/large")}, {.max_response_bytes = 1000});
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code(), ErrorCode::kLimitExceeded);
}

}  // namespace
}  // namespace tailrace::http
