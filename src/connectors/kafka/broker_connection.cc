#include "connectors/kafka/broker_connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/clock.h"
#include "connectors/kafka/rdkafka_handle.h"
#include "wire/messages/api_versions.h"
#include "wire/messages/fetch.h"

namespace tailrace::connectors {

namespace {

constexpr int kAnswerTimeoutMs = 40'000, kLookUpMs = 200;
constexpr size_t kAnswerBytesMax = size_t{256} << 20;
constexpr size_t kBufferBytesLeast = 1 << 20;
constexpr size_t kBuffersKept = 8, kBufferKeptBytesMax = 8 << 20;
constexpr int16_t kFetchVersion = 11;  // the last with names of topics in the plain encoding

Error Unavailable(const BrokerAddress& address, const std::string& what) {
  return {ErrorCode::kUnavailable, "Kafka broker " + address.host + ":" + std::to_string(address.port) + ": " + what};
}

/// A connected socket, or -1 with errno.
int Connect(const addrinfo& to, const std::atomic<bool>& stop) {
  int fd = socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  int error = 0;
  if (connect(fd, to.ai_addr, to.ai_addrlen) != 0) error = errno;
  for (int waited_ms = 0; error == EINPROGRESS; waited_ms += 100) {
    pollfd ready{fd, POLLOUT, 0};
    if (stop || waited_ms >= kClusterTimeoutMs) error = ETIMEDOUT;
    else if (poll(&ready, 1, 100) > 0) {
      socklen_t size = sizeof error;
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  if (error != 0) {
    close(fd);
    errno = error;
    return -1;
  }
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  timeval look_up{0, kLookUpMs * 1000}, timeout{kAnswerTimeoutMs / 1000, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &look_up, sizeof look_up);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  return fd;
}

}  // namespace

std::vector<BrokerAddress> ParseBootstrap(const std::string& text) {
  std::vector<BrokerAddress> addresses;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find(',', at), text.size());
    std::string_view one = std::string_view(text).substr(at, end - at);
    at = end + 1;
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    while (!one.empty() && one.back() == ' ') one.remove_suffix(1);
    if (size_t scheme = one.find("://"); scheme != std::string_view::npos) one.remove_prefix(scheme + 3);
    BrokerAddress address;
    size_t colon = one.rfind(':');
    if (colon != std::string_view::npos && one.find(']', colon) == std::string_view::npos) {
      std::string_view port = one.substr(colon + 1);
      auto [rest, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
      if (error != std::errc() || rest != port.data() + port.size()) continue;
      one = one.substr(0, colon);
    }
    if (one.size() > 2 && one.front() == '[' && one.back() == ']') one = one.substr(1, one.size() - 2);
    if (one.empty()) continue;
    address.host = one;
    addresses.push_back(std::move(address));
  }
  return addresses;
}

/// Not cleared, and given out again once nobody holds it: an answer's megabytes cost no page faults.
struct BrokerConnection::Buffer {
  std::unique_ptr<char[]> bytes;
  size_t capacity = 0;
};

Result<std::unique_ptr<BrokerConnection>> BrokerConnection::Open(const BrokerAddress& address,
                                                                 const std::atomic<bool>& stop) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int failed = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (failed != 0) return Unavailable(address, gai_strerror(failed));
  int fd = -1;
  for (addrinfo* each = found; each && fd < 0; each = each->ai_next) fd = Connect(*each, stop);
  int error = errno;
  freeaddrinfo(found);
  if (fd < 0) return Unavailable(address, strerror(error));
  std::unique_ptr<BrokerConnection> connection(new BrokerConnection(address, fd, stop));
  Answer answer = TRY(connection->Ask(wire::ApiVersionsRequest{}, 0));
  auto versions = TRY(wire::ApiVersionsResponse::Decode(answer.body, 0));
  for (const auto& api : versions.api_keys)
    if (api.api_key == static_cast<int16_t>(wire::ApiKey::kFetch) && api.min_version <= kFetchVersion)
      connection->fetch_version_ = std::min(kFetchVersion, api.max_version);
  if (connection->fetch_version_ < wire::FetchRequest::kMinVersion)
    return Unsupported("Kafka broker " + address.host + " is too old or too new: it does not speak Fetch v4 to v11");
  return connection;
}

BrokerConnection::~BrokerConnection() { close(fd_); }

Status BrokerConnection::Receive(char* to, size_t bytes) {
  int64_t deadline_ms = Clock::System().MonotonicMs() + kAnswerTimeoutMs;
  while (bytes > 0) {
    ssize_t n = recv(fd_, to, bytes, MSG_WAITALL);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
      if (stop_ || Clock::System().MonotonicMs() >= deadline_ms) return Unavailable(address_, "no answer in time");
      continue;
    }
    if (n == 0) return Unavailable(address_, "the connection was closed");
    if (n < 0) return Unavailable(address_, strerror(errno));
    to += n;
    bytes -= static_cast<size_t>(n);
  }
  return Ok();
}

std::shared_ptr<BrokerConnection::Buffer> BrokerConnection::TakeBuffer(size_t bytes) {
  for (auto& buffer : buffers_) {
    if (buffer.use_count() != 1 || buffer->capacity < bytes) continue;
    std::atomic_thread_fence(std::memory_order_acquire);  // its last holder is through
    return buffer;
  }
  auto buffer = std::make_shared<Buffer>();
  buffer->capacity = std::max(bytes + bytes / 4, kBufferBytesLeast);
  buffer->bytes.reset(new char[buffer->capacity]);
  if (buffer->capacity <= kBufferKeptBytesMax) {
    if (buffers_.size() == kBuffersKept) buffers_.erase(buffers_.begin());
    buffers_.push_back(buffer);
  }
  return buffer;
}

Result<BrokerConnection::Answer> BrokerConnection::Exchange(const wire::ByteChain& frame, wire::ApiKey api,
                                                            int16_t version) {
  Status sent = Ok();
  frame.ForEach([&](BytesView bytes) {
    while (!bytes.empty() && sent.ok()) {
      ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) sent = Unavailable(address_, strerror(errno));
      else bytes.remove_prefix(static_cast<size_t>(n));
    }
  });
  TRY(std::move(sent));
  char prefix[4];
  TRY(Receive(prefix, sizeof prefix));
  size_t size = LoadBe32(prefix);
  if (size > kAnswerBytesMax) return Unavailable(address_, "an answer of " + std::to_string(size) + " bytes");
  std::shared_ptr<Buffer> buffer = TakeBuffer(size);
  TRY(Receive(buffer->bytes.get(), size));
  BytesView bytes(buffer->bytes.get(), size);
  wire::Decoder from(bytes);
  int32_t correlation_id = wire::DecodeResponseHeader(api, version, from);
  if (!from.ok()) return Unavailable(address_, "an answer without a header");
  if (correlation_id != correlation_id_) return Unavailable(address_, "an answer to another request");
  return Answer{from.rest(), std::move(buffer)};
}

}  // namespace tailrace::connectors
