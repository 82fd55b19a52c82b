#pragma once
// One client connection: requests in, answers out in the same order.

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "broker/call.h"
#include "io/connection.h"

namespace tailrace::broker {

struct Parts;

/// Requests of one connection are handled one after the other, as Kafka does; only Produce runs beside Produce, so that
/// a producer's pipeline fills one group fsync instead of waiting for each. Its appends keep their order.
class Session final : public io::FrameHandler, public std::enable_shared_from_this<Session> {
 public:
  Session(Parts& parts, io::Connection* connection);

  void OnFrame(io::Frame frame) override;
  void OnDrained() override;
  void OnClosed() override;

  const std::string& peer() const { return peer_; }

 private:
  friend class Call;
  static constexpr int64_t kUnsentBytesMax = 4 << 20;  // a client that doesn't read its answers gets no new ones
  static constexpr size_t kPipelinedMax = 1000;

  struct Slot {
    bool ready = false;
    io::OutChain chain;
  };

  bool MustWait(bool produce) const;
  void Start(io::Frame frame);
  void StartHeld();
  void Answered(Call& call, io::OutChain chain, bool close, const std::string& reason);

  Parts& parts_;
  io::Connection* connection_;  // null once closed
  const std::string peer_;
  std::deque<Slot> slots_;       // requests not yet answered or whose answer waits for an earlier one's
  uint64_t first_sequence_ = 0;  // of slots_.front()
  bool only_produces_ = true;    // what the slots belong to
  io::Frame held_;               // read, but must wait
  std::function<void()> gone_;   // of the call under way
};

}  // namespace tailrace::broker
