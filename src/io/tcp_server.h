#pragma once
// Listens and hands framed connections to handlers, spread over event loops.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/connection.h"

namespace tailrace::io {

class ByteBudget;
class EventLoop;

struct TcpServerOptions {
  uint32_t frame_bytes_max = 104'857'600;  // a longer frame closes its connection
  int32_t connections_max = 4096;          // further ones are closed as they come
  int64_t idle_ms_max = 600'000;           // connections.max.idle.ms
  int64_t stalled_ms_max = 10'000;         // silence in the middle of a frame, while others wait for the budget
  std::string log_name = "io";
  /// Frames count against it from their first byte until the last reference to them goes; while it is over, no
  /// connection starts another frame. May be null; outlives every frame.
  ByteBudget* budget = nullptr;
};

struct TcpServerStats {
  std::atomic<uint64_t> connections{0};  // open now
  std::atomic<uint64_t> accepted{0};
  std::atomic<uint64_t> refused{0};
  std::atomic<uint64_t> bytes_in{0};
  std::atomic<uint64_t> bytes_out{0};
  // Log lines about closed connections: a client that comes back with the same mistake in a loop must not fill the
  // disk.
  std::atomic<int64_t> log_second{0};
  std::atomic<int> log_lines{0};  // in that second
};

/// Thread-safe. The loops must outlive it.
class TcpServer {
 public:
  /// Called on the connection's loop. The connection is valid until the handler's OnClosed.
  using Accept = std::function<std::shared_ptr<FrameHandler>(Connection* connection)>;

  /// Binds and listens. kConflict: the port is taken. kInvalidArgument: no such address.
  static Result<std::unique_ptr<TcpServer>> Listen(const std::string& host, uint16_t port,
                                                   std::vector<EventLoop*> loops, TcpServerOptions options,
                                                   Accept accept);
  /// Closes the listener and every connection.
  virtual ~TcpServer() = default;
  virtual uint16_t port() const = 0;
  virtual const TcpServerStats& stats() const = 0;
  /// Takes no more connections; those open go on.
  virtual void StopAccepting() = 0;
  /// Reads nothing more from any connection; what was read goes on to be answered. Returns when it is so.
  virtual void StopReading() = 0;
};

}  // namespace tailrace::io
