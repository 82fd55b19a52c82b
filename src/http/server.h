#pragma once
// A small HTTP/1.1 server. One thread does all network work; handlers run on a few threads of their own, so that a long
// one (a SQL query) does not hold up the others.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/router.h"

namespace tailrace::http {

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;                        // 0: any free one
  std::string port_option = "--port-http";  // named in the error where the port is taken
  int handler_threads = 4;
  size_t max_body_bytes = 8 << 20;
  uint32_t max_header_bytes = 16 << 10;
  size_t max_connections = 512;
  int64_t read_timeout_ms = 30'000;  // from the first wait to the last byte of a request; idle keep-alive too
  int64_t write_timeout_ms = 30'000;
  size_t max_queued_events = 32;  // of one event stream; a slower reader misses the oldest
  /// Runs before every handler; a response with status != 0 ends the request there. May be empty.
  std::function<Response(const Request&)> guard;
  /// Runs after every handler, on the response about to be sent. May be empty.
  std::function<void(const Request&, Response*)> finish;
};

/// Thread-safe.
class Server {
 public:
  /// Serves at once. kConflict: the port is taken.
  static Result<std::unique_ptr<Server>> Start(ServerOptions options, Router router);
  virtual ~Server() = default;
  virtual uint16_t port() const = 0;
  /// No new connection; running handlers get `deadline_ms` to answer, event streams end. The destructor calls Stop(0).
  virtual void Stop(int64_t deadline_ms) = 0;
};

}  // namespace tailrace::http
