#pragma once
// A connection to one Kafka broker, without encryption: requests of wire/messages, answers in buffers that are used
// again. For what librdkafka costs too much for (fetcher.h).

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "wire/header.h"

namespace tailrace::connectors {

struct BrokerAddress {
  std::string host;
  int32_t port = 9092;
  auto operator<=>(const BrokerAddress&) const = default;
};
/// "HOST:PORT,[V6]:PORT,HOST"; what does not read as one is left out.
std::vector<BrokerAddress> ParseBootstrap(const std::string& text);

/// One thread at a time. `stop`, once set, ends any wait within 200 ms; it outlives the connection.
class BrokerConnection {
 public:
  /// kUnavailable: nobody answers there within 10 s; kUnsupported: a broker that does not speak Fetch v4 to v11.
  static Result<std::unique_ptr<BrokerConnection>> Open(const BrokerAddress& address, const std::atomic<bool>& stop);
  ~BrokerConnection();

  /// The answer's body, valid until the owner goes.
  struct Answer {
    BytesView body;
    std::shared_ptr<const void> owner;
  };
  /// Any error leaves the connection unusable.
  template <typename Request>
  Result<Answer> Ask(const Request& request, int16_t version) {
    wire::ByteChain frame = wire::EncodeRequestFrame(request, version, ++correlation_id_, "tailrace");
    return Exchange(frame, Request::kApi, version);
  }
  int16_t fetch_version() const { return fetch_version_; }

 private:
  struct Buffer;
  BrokerConnection(BrokerAddress address, int fd, const std::atomic<bool>& stop)
      : address_(std::move(address)), fd_(fd), stop_(stop) {}
  Result<Answer> Exchange(const wire::ByteChain& frame, wire::ApiKey api, int16_t version);
  Status Receive(char* to, size_t bytes);
  std::shared_ptr<Buffer> TakeBuffer(size_t bytes);

  const BrokerAddress address_;
  const int fd_;
  const std::atomic<bool>& stop_;
  int32_t correlation_id_ = 0;
  int16_t fetch_version_ = 0;
  std::vector<std::shared_ptr<Buffer>> buffers_;
};

}  // namespace tailrace::connectors
