#pragma once
// The socket side of a Connection; only tcp_server.cc and its own file see it.

#include <deque>
#include <memory>
#include <string>

#include "io/buffer_pool.h"
#include "io/connection.h"
#include "io/event_loop.h"
#include "io/tcp_server.h"

namespace tailrace::io {

/// Owned by the server's per-loop list; `gone` asks the owner to destroy it at the end of the turn.
class ConnectionImpl final : public Connection, public FdHandler {
 public:
  using Gone = std::function<void(ConnectionImpl*)>;

  ConnectionImpl(int fd, uint64_t id, std::string peer, EventLoop& loop, const TcpServerOptions& options,
                 BufferPool& pool, TcpServerStats& stats, Gone gone);
  ~ConnectionImpl() override;

  Status Open(std::shared_ptr<FrameHandler> handler);
  /// Now, with OnClosed; the owner then destroys it.
  void CloseNow();
  void StopReading();
  bool IdleSince(int64_t before_ms) const { return !busy_ && last_activity_ms_ < before_ms; }
  /// Holds memory for a frame of which nothing came for so long.
  bool StalledSince(int64_t before_ms) const { return frame_.data && Reading() && last_activity_ms_ < before_ms; }

  void Send(OutChain chain) override;
  void PauseReading() override;
  void ResumeReading() override;
  void Close(const std::string& reason) override;
  void CloseWhenDrained() override;
  void SetBusy(bool busy) override { busy_ = busy; }
  int64_t unsent_bytes() const override { return unsent_bytes_; }
  EventLoop& loop() override { return loop_; }
  uint64_t id() const override { return id_; }
  const std::string& peer() const override { return peer_; }

  void OnReady(uint32_t events) override;

 private:
  // What is read ahead beyond the frame at hand. Small: what lands here is copied once more when it is the start of a
  // large frame; large enough that many small requests come with one system call.
  static constexpr size_t kReadAhead = 4096;
  static constexpr int64_t kReadPerTurnMax = 1 << 20;  // then other connections have their turn

  bool Reading() const { return !paused_ && !waits_for_budget_ && !stopped_; }
  bool NewFrame(uint32_t size);
  void ReadSome();
  bool ReadOnce(int64_t* budget);
  void TakeFrames();
  void Flush();
  void ScheduleFlush();
  void UpdateInterest();

  const int fd_;
  const uint64_t id_;
  const std::string peer_;
  EventLoop& loop_;
  const TcpServerOptions& options_;
  BufferPool& pool_;
  TcpServerStats& stats_;
  Gone gone_;
  std::shared_ptr<FrameHandler> handler_;

  Frame frame_;  // being received, size 0: none
  size_t frame_filled_ = 0;
  std::unique_ptr<char[]>
      ahead_;  // kReadAhead bytes; [ahead_begin_, ahead_end_) not yet taken. Freed while empty and idle.
  size_t ahead_begin_ = 0, ahead_end_ = 0;

  std::deque<OutPiece> out_;
  int64_t out_front_sent_ = 0;
  int64_t unsent_bytes_ = 0;
  uint32_t interest_ = 0;
  int64_t last_activity_ms_ = 0;
  bool paused_ = false;
  bool waits_for_budget_ = false;
  bool stopped_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false once destroyed; read on the loop
  bool busy_ = false;
  bool flush_scheduled_ = false;
  bool write_blocked_ = false;
  bool close_when_drained_ = false;
  bool closing_ = false;
  bool closed_ = false;
};

}  // namespace tailrace::io
