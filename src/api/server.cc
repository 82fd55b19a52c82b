#include "api/server.h"

#include <atomic>

#include "api/guard.h"
#include "api/routes.h"
#include "api/status.h"
#include "http/server.h"

namespace tailrace::api {
namespace {

class ServerImpl final : public Server {
 public:
  explicit ServerImpl(const Services& services) : status_(services) {}
  Status Start(const Services& services, const std::string& host, uint16_t port) {
    http::ServerOptions options;
    options.host = host;
    options.port = port;
    options.handler_threads = static_cast<int>(services.settings.Int("http.handler.threads"));
    options.max_body_bytes = static_cast<size_t>(services.settings.Bytes("http.max.body.bytes"));
    options.guard = [this, host](const http::Request& request) {
      if (!open_.load(std::memory_order_acquire))
        return http::ErrorResponse(503, "unavailable", "tailrace is starting", "try again in a moment");
      return CheckOrigin(request, host);
    };
    options.finish = [](const http::Request&, http::Response* response) {
      response->headers.emplace_back("X-Content-Type-Options", "nosniff");
    };
    server_ = TRY(http::Server::Start(std::move(options), MakeRouter(services, status_)));
    return Ok();
  }
  void Open() override {
    status_.Start();
    open_.store(true, std::memory_order_release);
  }
  uint16_t port() const override { return server_->port(); }
  void Stop(int64_t deadline_ms) override { server_->Stop(deadline_ms); }

 private:
  StatusService status_;
  std::atomic<bool> open_{false};
  std::unique_ptr<http::Server> server_;  // its handlers use status_
};

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(const Services& services, const std::string& host, uint16_t port) {
  auto server = std::make_unique<ServerImpl>(services);
  TRY(server->Start(services, host, port));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace tailrace::api
