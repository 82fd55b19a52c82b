#include "io/tcp_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/logging.h"
#include "io/byte_budget.h"
#include "io/connection_impl.h"
#include "io/event_loop.h"

namespace tailrace::io {
namespace {

std::string AddressText(const sockaddr_storage& address) {
  char host[INET6_ADDRSTRLEN] = "?";
  uint16_t port = 0;
  if (address.ss_family == AF_INET) {
    auto& a = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &a.sin_addr, host, sizeof host);
    port = ntohs(a.sin_port);
  } else if (address.ss_family == AF_INET6) {
    auto& a = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &a.sin6_addr, host, sizeof host);
    port = ntohs(a.sin6_port);
  }
  return std::string(host) + ":" + std::to_string(port);
}

Result<int> BindAndListen(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  std::string port_text = std::to_string(port);
  int rc = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port_text.c_str(), &hints, &found);
  if (rc != 0) {
    return InvalidArgument("can't listen on host '" + host + "': " + gai_strerror(rc))
        .Remedy("name an address of this machine, or 0.0.0.0 for all");
  }
  int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int failed = fd < 0 ? errno : 0;
  if (fd >= 0) {
    int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, found->ai_addr, found->ai_addrlen) < 0 || ::listen(fd, 512) < 0) failed = errno;
  }
  ::freeaddrinfo(found);
  if (failed == 0) return fd;
  if (fd >= 0) ::close(fd);
  std::string place = host + ":" + port_text;
  if (failed == EADDRINUSE) {
    return Error(ErrorCode::kConflict, "port " + port_text + " on " + host + " is taken by another process")
        .Remedy("stop that process (ss -ltnp 'sport = :" + port_text +
                "' names it), or choose another port; 0 takes any free one");
  }
  if (failed == EACCES) {
    return Error(ErrorCode::kPermissionDenied, "no permission to listen on " + place)
        .Remedy("choose a port above 1023");
  }
  if (failed == EADDRNOTAVAIL) {
    return InvalidArgument(place + " is no address of this machine")
        .Remedy("name an address of this machine, or 0.0.0.0 for all");
  }
  return IoError("can't listen on " + place, failed);
}

void SetConnectionOptions(int fd) {
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A peer that vanished without a word (half-open) is found after about two minutes.
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  int idle_s = 60, interval_s = 15, probes = 4;
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

class TcpServerImpl final : public TcpServer, public FdHandler {
 public:
  TcpServerImpl(std::vector<EventLoop*> loops, TcpServerOptions options, Accept accept)
      : options_(std::move(options)), accept_(std::move(accept)) {
    for (EventLoop* loop : loops) {
      shards_.push_back(std::make_unique<Shard>());
      shards_.back()->loop = loop;
    }
  }

  ~TcpServerImpl() override {
    StopAccepting();
    for (auto& shard : shards_) {
      shard->loop->PostAndWait([&shard] {
        shard->loop->Cancel(&shard->sweep);
        for (auto& [id, connection] : shard->connections) connection->CloseNow();
      });
      // A turn later, when no task of this turn can hold one any more.
      shard->loop->PostAndWait([&shard] { shard->connections.clear(); });
    }
  }

  Status Open(const std::string& host, uint16_t port) {
    listen_fd_ = TRY(BindAndListen(host, port));
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                                : reinterpret_cast<sockaddr_in&>(address).sin_port);
    Status status;
    Loop().PostAndWait([&] { status = Loop().Watch(listen_fd_, EPOLLIN, this); });
    for (auto& shard : shards_) shard->loop->Post([this, s = shard.get()] { ScheduleSweep(*s); });
    return status;
  }

  uint16_t port() const override { return port_; }
  const TcpServerStats& stats() const override { return stats_; }

  void StopAccepting() override {
    if (listen_fd_ < 0) return;
    Loop().PostAndWait([this] {
      Loop().Cancel(&accept_again_);
      Loop().Unwatch(listen_fd_);
    });
    ::close(listen_fd_);
    listen_fd_ = -1;
  }

  void StopReading() override {
    for (auto& shard : shards_) {
      shard->loop->PostAndWait([&shard] {
        for (auto& [id, connection] : shard->connections) connection->StopReading();
      });
    }
  }

  void OnReady(uint32_t) override {
    for (int i = 0; i < 64; ++i) {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      int fd = ::accept4(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
          LogError(options_.log_name, std::string("can't accept connections: ") + strerror(errno) +
                                          "; trying again in 100 ms. Raise the limit of open files (ulimit -n)");
          Loop().Change(listen_fd_, 0);
          accept_again_ = Loop().After(100, [this] { Loop().Change(listen_fd_, EPOLLIN); });
        }
        return;
      }
      if (stats_.connections.load() >= static_cast<uint64_t>(options_.connections_max)) {
        if (stats_.refused.fetch_add(1) % 1000 == 0) {
          LogWarning(options_.log_name, "connection from " + AddressText(address) +
                                            " refused: " + std::to_string(options_.connections_max) +
                                            " are open already (max_connections)");
        }
        ::close(fd);
        continue;
      }
      SetConnectionOptions(fd);
      stats_.connections++;
      uint64_t id = ++stats_.accepted;
      Shard* shard = shards_[id % shards_.size()].get();
      auto start = [this, shard, fd, id, peer = AddressText(address)]() mutable {
        Start(*shard, fd, id, std::move(peer));
      };
      if (shard->loop->InLoop()) {
        start();
      } else {
        shard->loop->Post(std::move(start));
      }
    }
  }

 private:
  struct Shard {
    EventLoop* loop = nullptr;
    std::map<uint64_t, std::unique_ptr<ConnectionImpl>> connections;  // loop thread only
    EventLoop::TimerId sweep{0, 0};
  };

  EventLoop& Loop() { return *shards_[0]->loop; }

  void Start(Shard& shard, int fd, uint64_t id, std::string peer) {
    auto gone = [this, &shard](ConnectionImpl* connection) {
      // Behind the tasks of this turn that hold the pointer; a closing connection adds none.
      shard.loop->AtEndOfTurn([this, &shard, id = connection->id()] {
        auto it = shard.connections.find(id);
        if (it == shard.connections.end()) return;
        it->second->CloseNow();
        shard.connections.erase(it);
        stats_.connections--;
      });
    };
    auto connection =
        std::make_unique<ConnectionImpl>(fd, id, std::move(peer), *shard.loop, options_, *pool_, stats_, gone);
    ConnectionImpl* c = connection.get();
    shard.connections.emplace(id, std::move(connection));
    if (Status status = c->Open(accept_(c)); !status.ok()) c->Close(status.error().ToString());
  }

  void ScheduleSweep(Shard& shard) {
    int64_t interval_ms =
        std::clamp<int64_t>(std::min(options_.idle_ms_max / 4, options_.stalled_ms_max / 2), 100, 30'000);
    shard.sweep = shard.loop->After(interval_ms, [this, &shard] {
      int64_t before_ms = shard.loop->NowMs() - options_.idle_ms_max;
      if (&shard == shards_[0].get()) pool_->Trim();
      // A few clients that announce large requests and send nothing must not keep the budget from all others.
      bool starving = options_.budget && options_.budget->Over();
      int64_t stalled_before_ms = shard.loop->NowMs() - options_.stalled_ms_max;
      for (auto& [id, connection] : shard.connections) {
        if (connection->IdleSince(before_ms)) connection->Close("");
        else if (starving && connection->StalledSince(stalled_before_ms))
          connection->Close("nothing came for " + std::to_string(options_.stalled_ms_max) +
                            " ms in the middle of a request, while other requests wait for its memory");
      }
      ScheduleSweep(shard);
    });
  }

  const TcpServerOptions options_;
  const Accept accept_;
  const std::shared_ptr<BufferPool> pool_ = std::make_shared<BufferPool>();
  std::vector<std::unique_ptr<Shard>> shards_;
  TcpServerStats stats_;
  int listen_fd_ = -1;
  uint16_t port_ = 0;
  EventLoop::TimerId accept_again_{0, 0};
};

}  // namespace

Result<std::unique_ptr<TcpServer>> TcpServer::Listen(const std::string& host, uint16_t port,
                                                     std::vector<EventLoop*> loops, TcpServerOptions options,
                                                     Accept accept) {
  auto server = std::make_unique<TcpServerImpl>(std::move(loops), std::move(options), std::move(accept));
  TRY(server->Open(host, port));
  return std::unique_ptr<TcpServer>(std::move(server));
}

}  // namespace tailrace::io
