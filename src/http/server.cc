#include "http/server.h"

#include <fcntl.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <deque>
#include <set>
#include <thread>

#include "base/logging.h"
#include "http/events.h"
#include "http/url.h"

namespace tailrace::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;

// Tasks that the scheduler forks must not inherit our sockets: they would keep the port taken after we are gone.
void CloseOnExec(int fd) { ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

std::string Lower(std::string_view s) {
  std::string out(s);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

class Session;

/// What sessions share. Sessions hold it by shared_ptr, so that a late handler finds it alive.
struct Core {
  Core(ServerOptions o, Router r)
      : options(std::move(o)), router(std::move(r)), pool(std::max(1, options.handler_threads)) {}
  const ServerOptions options;
  const Router router;
  asio::io_context io{1};
  // A request in a handler is no work of `io`: without this the thread would leave while one runs.
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  asio::thread_pool pool;
  std::set<std::shared_ptr<Session>> sessions;  // only the network thread touches it
  std::atomic<bool> stopping{false};
  std::atomic<int> busy{0};  // requests whose answer is not yet written
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, std::shared_ptr<Core> core) : stream_(std::move(socket)), core_(std::move(core)) {
    error_code ignored;
    peer_ = stream_.socket().remote_endpoint(ignored).address().to_string();
    stream_.socket().set_option(tcp::no_delay(true), ignored);
  }

  void Read() {
    if (core_->stopping) return Close();
    parser_.emplace();
    parser_->body_limit(core_->options.max_body_bytes);
    parser_->header_limit(core_->options.max_header_bytes);
    stream_.expires_after(std::chrono::milliseconds(core_->options.read_timeout_ms));
    bhttp::async_read_header(stream_, buffer_, *parser_,
                             [self = shared_from_this()](error_code e, size_t) { self->OnHeader(e); });
  }

  void Refuse(int status, std::string_view message, std::string_view remedy) {
    keep_alive_ = false;
    head_ = false;
    ++core_->busy;
    Send(ErrorResponse(status, "limit exceeded", message, remedy));
  }

  /// Ends idle connections and event streams; one with a request under way ends after its answer.
  void BeginStop() {
    if (!running_) Close();
  }
  void Close() {
    if (closed_) return;
    closed_ = true;
    if (hub_) hub_->Leave(listener_);
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
    core_->sessions.erase(shared_from_this());
  }

 private:
  void OnHeader(error_code e) {
    if (e) return OnReadError(e);
    if (ExpectsContinue(parser_->get())) {
      static const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      asio::async_write(stream_, asio::buffer(go_on), [self = shared_from_this()](error_code failed, size_t) {
        if (failed) return self->Close();
        self->ReadBody();
      });
      return;
    }
    ReadBody();
  }

  void ReadBody() {
    bhttp::async_read(stream_, buffer_, *parser_,
                      [self = shared_from_this()](error_code e, size_t) { self->OnRead(e); });
  }

  void OnReadError(error_code e) {
    if (e == bhttp::error::body_limit)
      return Refuse(413, "the body is larger than " + std::to_string(core_->options.max_body_bytes) + " bytes",
                    "send less at once");
    if (e == bhttp::error::header_limit)
      return Refuse(431, "the headers are larger than " + std::to_string(core_->options.max_header_bytes) + " bytes",
                    "send fewer");
    if (e.category() == bhttp::make_error_code(bhttp::error::bad_method).category() &&
        e != bhttp::error::end_of_stream && e != bhttp::error::partial_message) {
      keep_alive_ = false;
      head_ = false;
      ++core_->busy;
      return Send(ErrorResponse(400, "invalid argument", "not an HTTP/1.1 request: " + e.message()));
    }
    Close();
  }

  void OnRead(error_code e) {
    if (e) return OnReadError(e);
    auto message = parser_->release();
    auto request = std::make_shared<Request>();
    request->method = std::string(message.method_string());
    request->target = std::string(message.target());
    const size_t question = request->target.find('?');
    request->path = request->target.substr(0, question);
    if (question != std::string::npos)
      request->query = ParseQuery(std::string_view(request->target).substr(question + 1));
    for (const auto& field : message)
      request->headers.emplace_back(Lower(std::string_view(field.name_string().data(), field.name_string().size())),
                                    std::string(field.value().data(), field.value().size()));
    request->peer = peer_;
    keep_alive_ = message.keep_alive();
    head_ = message.method() == bhttp::verb::head;
    request->body = std::move(message.body());
    stream_.expires_never();
    running_ = true;
    ++core_->busy;
    asio::post(core_->pool, [self = shared_from_this(), request] {
      Response response = self->Run(*request);
      asio::post(self->core_->io,
                 [self, response = std::move(response)]() mutable { self->Send(std::move(response)); });
    });
  }

  Response Run(Request& request) {
    Response response;
    try {
      if (core_->options.guard) {
        response.status = 0;
        response = core_->options.guard(request);
        if (response.status != 0) return response;
      }
      response = core_->router.Handle(request);
    } catch (
        const std::exception& e) {  // a library's exception that a handler let through: ours to fix, not the caller's
      LogError("http", request.method + " " + request.path + ": " + e.what());
      response = ErrorResponse(500, "internal", e.what());
    }
    if (core_->options.finish) core_->options.finish(request, &response);
    return response;
  }

  void Send(Response response) {
    if (closed_) {
      --core_->busy;
      return;
    }
    stream_.expires_after(std::chrono::milliseconds(core_->options.write_timeout_ms));
    if (response.events && !core_->stopping) return SendEventHead(std::move(response));
    auto message = std::make_shared<bhttp::response<bhttp::string_body>>();
    message->version(11);
    message->result(static_cast<unsigned>(response.status));
    message->set(bhttp::field::content_type, response.content_type);
    message->set(bhttp::field::server, "tailrace");
    for (auto& [name, value] : response.headers) message->set(name, value);
    const bool keep = keep_alive_ && !core_->stopping;
    message->keep_alive(keep);
    message->content_length(response.body.size());
    if (!head_) message->body() = std::move(response.body);
    auto done = [self = shared_from_this(), message, keep](error_code e, size_t) {
      self->running_ = false;
      --self->core_->busy;
      if (e || !keep) return self->Linger();
      self->Read();
    };
    if (head_) {
      auto serializer = std::make_shared<bhttp::response_serializer<bhttp::string_body>>(*message);
      bhttp::async_write_header(stream_, *serializer, [serializer, done](error_code e, size_t n) { done(e, n); });
    } else {
      bhttp::async_write(stream_, *message, done);
    }
  }

  /// Half-closes and reads what still comes for a moment: a client in the middle of a body that is too large would
  /// otherwise see a reset instead of the answer.
  void Linger() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::chrono::milliseconds(core_->stopping ? 50 : 500));
    Drain();
  }
  void Drain() {
    stream_.async_read_some(asio::buffer(drain_), [self = shared_from_this()](error_code e, size_t) {
      if (e) return self->Close();
      self->Drain();
    });
  }

  void SendEventHead(Response response) {
    running_ = false;
    --core_->busy;
    hub_ = response.events;
    auto head = std::make_shared<std::string>(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nConnection: close\r\nServer: "
        "tailrace\r\n");
    for (auto& [name, value] : response.headers) *head += name + ": " + value + "\r\n";
    *head += "\r\nretry: 1000\n\n";
    queue_.push_back(head);
    std::weak_ptr<Session> weak = weak_from_this();
    asio::io_context* io = &core_->io;
    std::shared_ptr<Core> core = core_;
    listener_ = hub_->Listen([weak, io, core](std::shared_ptr<const std::string> frame) {
      asio::post(*io, [weak, frame = std::move(frame)] {
        if (auto self = weak.lock()) self->PushEvent(frame);
      });
    });
    stream_.expires_never();
    Drain();  // learns that the client left
    WriteEvents();
  }
  void PushEvent(std::shared_ptr<const std::string> frame) {
    if (closed_) return;
    if (queue_.size() > core_->options.max_queued_events)
      queue_.erase(queue_.begin() + 1);  // the front is being written
    queue_.push_back(std::move(frame));
    if (queue_.size() == 1) WriteEvents();
  }
  void WriteEvents() {
    // The read that waits for the client's end was started without a deadline; this one is for the write alone.
    stream_.expires_after(std::chrono::milliseconds(core_->options.write_timeout_ms));
    asio::async_write(stream_, asio::buffer(*queue_.front()), [self = shared_from_this()](error_code e, size_t) {
      if (e || self->closed_) return self->Close();
      self->queue_.pop_front();
      self->stream_.expires_never();
      if (!self->queue_.empty()) self->WriteEvents();
    });
  }

  // Expect: 100-continue, as curl sends with large bodies.
  static bool ExpectsContinue(const bhttp::request<bhttp::string_body>& message) {
    return beast::iequals(message[bhttp::field::expect], "100-continue");
  }

  beast::tcp_stream stream_;
  std::shared_ptr<Core> core_;
  std::string peer_;
  beast::flat_buffer buffer_;
  std::optional<bhttp::request_parser<bhttp::string_body>> parser_;
  bool keep_alive_ = false, head_ = false, running_ = false, closed_ = false;
  std::shared_ptr<EventHub> hub_;
  uint64_t listener_ = 0;
  std::deque<std::shared_ptr<const std::string>> queue_;
  char drain_[4096];
};

class ServerImpl final : public Server {
 public:
  ServerImpl(ServerOptions options, Router router)
      : core_(std::make_shared<Core>(std::move(options), std::move(router))), acceptor_(core_->io) {}
  ~ServerImpl() override { Stop(0); }

  Status Open() {
    const ServerOptions& options = core_->options;
    error_code e;
    const asio::ip::address address =
        asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, e);
    if (e)
      return InvalidArgument("'" + options.host + "' is not an address to listen on")
          .Remedy("use 127.0.0.1, or 0.0.0.0 for every interface");
    const tcp::endpoint endpoint(address, options.port);
    acceptor_.open(endpoint.protocol(), e);
    if (e) return IoError("listening for HTTP", e.value());
    CloseOnExec(acceptor_.native_handle());
    acceptor_.set_option(asio::socket_base::reuse_address(true), e);
    acceptor_.bind(endpoint, e);
    if (!e) acceptor_.listen(256, e);
    if (e == boost::system::errc::address_in_use)
      return Error(ErrorCode::kConflict,
                   "port " + std::to_string(options.port) + " of " + options.host + " is taken by another program")
          .Remedy("stop that program or give " + options.port_option + " another port (0 = any free one)");
    if (e) return IoError("listening on " + options.host + ":" + std::to_string(options.port), e.value());
    port_ = acceptor_.local_endpoint(e).port();
    Accept();
    thread_ = std::thread([core = core_] { core->io.run(); });
    return Ok();
  }

  uint16_t port() const override { return port_; }

  void Stop(int64_t deadline_ms) override {
    if (!thread_.joinable()) return;
    core_->stopping = true;
    asio::post(core_->io, [this] {
      error_code ignored;
      acceptor_.close(ignored);
      const auto sessions = core_->sessions;  // Close() takes itself out of the set
      for (const auto& session : sessions) session->BeginStop();
    });
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(deadline_ms);
    while (core_->busy > 0 && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    core_->pool.stop();
    core_->pool.join();
    asio::post(core_->io, [core = core_] {
      const auto sessions = core->sessions;
      for (const auto& session : sessions) session->Close();
      core->io.stop();
    });
    thread_.join();
    core_->io.restart();
    core_->io.poll();  // what was posted meanwhile holds sessions, and they the core
  }

 private:
  void Accept() {
    acceptor_.async_accept([this](error_code e, tcp::socket socket) {
      if (core_->stopping) return;
      if (e) {
        // Out of file descriptors: waiting beats spinning.
        auto timer = std::make_shared<asio::steady_timer>(core_->io, std::chrono::milliseconds(100));
        timer->async_wait([this, timer](error_code cancelled) {
          if (!cancelled && !core_->stopping) Accept();
        });
        return;
      }
      CloseOnExec(socket.native_handle());
      auto session = std::make_shared<Session>(std::move(socket), core_);
      core_->sessions.insert(session);
      if (core_->sessions.size() > core_->options.max_connections)
        session->Refuse(503, "more than " + std::to_string(core_->options.max_connections) + " connections",
                        "try again later");
      else session->Read();
      Accept();
    });
  }

  std::shared_ptr<Core> core_;
  tcp::acceptor acceptor_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(ServerOptions options, Router router) {
  auto server = std::make_unique<ServerImpl>(std::move(options), std::move(router));
  TRY(server->Open());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace tailrace::http
