#pragma once

#include <cstdint>
#include <memory>

#include "api/services.h"

namespace tailrace::api {

/// The REST interface, metrics and status page on a port, with the sampler behind them.
class Server {
 public:
  /// Takes the port and answers 503 to everything until Open(). `services` outlives the server and may change until
  /// then. kConflict: the port is taken. `port` 0: any free one.
  static Result<std::unique_ptr<Server>> Start(const Services& services, const std::string& host, uint16_t port);
  virtual void Open() = 0;
  virtual ~Server() = default;
  virtual uint16_t port() const = 0;
  virtual void Stop(int64_t deadline_ms) = 0;
};

}  // namespace tailrace::api
