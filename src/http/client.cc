#include "http/client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <optional>

#include "http/url.h"

namespace tailrace::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
namespace ssl = boost::asio::ssl;
using tcp = asio::ip::tcp;
using boost::system::error_code;

/// One call: resolve, connect, shake hands, write, read, each step started by the end of the one before.
class Exchange {
 public:
  Exchange(const ClientRequest& request, const ClientOptions& options, Url url)
      : options_(options), url_(std::move(url)), tls_(ssl::context::tls_client), resolver_(io_), stream_(io_, tls_) {
    message_.version(11);
    message_.method_string(request.method);
    message_.target(url_.target);
    const bool usual_port = url_.port == (url_.tls ? 443 : 80);
    const std::string host = url_.host.find(':') == std::string::npos ? url_.host : "[" + url_.host + "]";
    message_.set(bhttp::field::host, usual_port ? host : host + ":" + std::to_string(url_.port));
    message_.set(bhttp::field::user_agent, "tailrace");
    message_.set(bhttp::field::connection, "close");
    for (const auto& [name, value] : request.headers) message_.set(name, value);
    message_.body() = request.body;
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH")
      message_.content_length(request.body.size());
    parser_.body_limit(options_.max_response_bytes);
    parser_.header_limit(64 << 10);
    parser_.skip(request.method == "HEAD");
  }

  Result<ClientResponse> Run() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.timeout_ms);
    if (url_.tls) {
      error_code e;
      if (options_.verify_peer) {
        if (options_.ca_file.empty()) tls_.set_default_verify_paths(e);
        else tls_.load_verify_file(options_.ca_file, e);
        if (e) return InvalidArgument("the certificates of '" + options_.ca_file + "' do not load: " + e.message());
        stream_.set_verify_mode(ssl::verify_peer);
        stream_.set_verify_callback(ssl::host_name_verification(url_.host));
      } else {
        stream_.set_verify_mode(ssl::verify_none);
      }
      SSL_set_tlsext_host_name(stream_.native_handle(), url_.host.c_str());
    }
    Layer().expires_after(std::chrono::milliseconds(std::min(options_.connect_timeout_ms, options_.timeout_ms)));
    resolver_.async_resolve(url_.host, std::to_string(url_.port),
                            [this](error_code e, tcp::resolver::results_type found) {
                              if (e) return Fail("looking up " + url_.host, e);
                              Layer().async_connect(found, [this](error_code failed, const tcp::endpoint&) {
                                if (failed) return Fail("connecting", failed);
                                Layer().expires_after(std::chrono::milliseconds(options_.timeout_ms));
                                if (!url_.tls) return Write();
                                stream_.async_handshake(ssl::stream_base::client, [this](error_code refused) {
                                  if (refused) return Fail("the TLS handshake", refused);
                                  Write();
                                });
                              });
                            });
    io_.run_until(deadline);
    if (!done_)
      return Error(ErrorCode::kTimeout,
                   Where() + " did not answer within " + std::to_string(options_.timeout_ms) + " ms");
    if (error_) return std::move(*error_);
    auto response = parser_.release();
    ClientResponse out;
    out.status = static_cast<int>(response.result_int());
    for (const auto& field : response)
      out.headers.emplace_back(std::string(field.name_string().data(), field.name_string().size()),
                               std::string(field.value().data(), field.value().size()));
    out.body = std::move(response.body());
    return out;
  }

 private:
  beast::tcp_stream& Layer() { return stream_.next_layer(); }
  std::string Where() const { return url_.host + ":" + std::to_string(url_.port); }

  void Write() {
    auto next = [this](error_code e, size_t) {
      if (e) return Fail("sending", e);
      Read();
    };
    if (url_.tls) bhttp::async_write(stream_, message_, next);
    else bhttp::async_write(Layer(), message_, next);
  }
  void Read() {
    auto next = [this](error_code e, size_t) {
      if (e) return Fail("reading the answer", e);
      done_ = true;
      error_code ignored;
      Layer().socket().shutdown(tcp::socket::shutdown_both, ignored);
    };
    if (url_.tls) bhttp::async_read(stream_, buffer_, parser_, next);
    else bhttp::async_read(Layer(), buffer_, parser_, next);
  }
  void Fail(const std::string& step, error_code e) {
    done_ = true;
    const std::string what = Where() + ": " + step + ": " + e.message();
    if (e == bhttp::error::body_limit)
      error_ = Error(ErrorCode::kLimitExceeded,
                     Where() + ": the answer is larger than " + std::to_string(options_.max_response_bytes) + " bytes");
    else if (e == beast::error::timeout) error_ = Error(ErrorCode::kTimeout, what);
    else if (e.category() == asio::error::get_ssl_category())
      error_ = Error(ErrorCode::kPermissionDenied, what).Remedy("check the server's certificate");
    else error_ = Error(ErrorCode::kUnavailable, what);
  }

  const ClientOptions& options_;
  const Url url_;
  asio::io_context io_{1};
  ssl::context tls_;
  tcp::resolver resolver_;
  beast::ssl_stream<beast::tcp_stream> stream_;
  bhttp::request<bhttp::string_body> message_;
  beast::flat_buffer buffer_;
  bhttp::response_parser<bhttp::string_body> parser_;
  bool done_ = false;
  std::optional<Error> error_;
};

}  // namespace

Result<ClientResponse> Call(const ClientRequest& request, const ClientOptions& options) {
  Url url = TRY(ParseUrl(request.url));
  return Exchange(request, options, std::move(url)).Run();
}

}  // namespace tailrace::http
