#pragma once
// One request while it is being answered.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "io/connection.h"
#include "wire/error_codes.h"
#include "wire/header.h"

namespace tailrace::io {
class EventLoop;
}

namespace tailrace::broker {

class Session;

/// Shared by whatever has to happen before the answer goes out. Answer once: Respond, RespondNothing or Close; a call
/// that is dropped unanswered closes its connection. Answering is thread-safe, the rest belongs to the connection's
/// loop.
class Call {
 public:
  Call(std::weak_ptr<Session> session, io::EventLoop& loop, uint64_t sequence, wire::RequestHeader header,
       io::Frame frame, size_t body_at, size_t api_index, int64_t received_ns);
  ~Call();

  int16_t version() const { return header_.api_version; }
  const wire::RequestHeader& header() const { return header_; }
  std::string client_id() const { return header_.client_id.value_or(""); }
  std::string client_host() const;
  io::EventLoop& loop() const { return loop_; }
  /// Valid until ReleaseFrame or the end of the call. The bytes are this call's own: they may be written to.
  BytesView body() const { return frame_.view().substr(body_at_); }
  /// Keeps the body where it is for longer than the call does.
  std::shared_ptr<const void> body_owner() const { return frame_.data; }
  /// Gives the request's memory back early; the body is gone.
  void ReleaseFrame() { frame_ = {}; }

  template <typename Response>
  void Respond(const Response& response) {
    Send(ToChain(wire::EncodeResponseFrame(response, header_.api_version, header_.correlation_id)));
  }
  /// Pieces as they go to the socket, length prefix included.
  void Send(io::OutChain chain);
  /// Produce with acks=0.
  void RespondNothing();
  void Close(const std::string& reason);
  /// `gone` is called on the loop where the connection ends before the answer: whoever waits for something may stop.
  /// On the loop, before the answer; not for Produce, beside which others run.
  void WhenGone(std::function<void()> gone);

  /// The code for the answer; an error is counted in the API's statistics.
  int16_t Code(wire::KafkaError error) {
    if (error != wire::KafkaError::kNone) error_ = true;
    return wire::Code(error);
  }

  static io::OutChain ToChain(wire::ByteChain bytes);

 private:
  friend class Session;
  void Finish(io::OutChain chain, bool close, std::string reason);

  const std::weak_ptr<Session> session_;
  io::EventLoop& loop_;
  const uint64_t sequence_;
  const wire::RequestHeader header_;
  io::Frame frame_;
  const size_t body_at_;
  const size_t api_index_;
  const int64_t received_ns_;
  bool error_ = false;
  bool answered_ = false;
};
using CallPtr = std::shared_ptr<Call>;

}  // namespace tailrace::broker
