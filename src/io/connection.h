#pragma once
// One TCP connection that carries frames: 4 bytes big-endian length, then that many bytes (the Kafka protocol).

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace tailrace::io {

class EventLoop;

/// A received frame without its length prefix, in a buffer of exactly its size. The receiver may write into it
/// (offsets are patched in place) and share it.
struct Frame {
  std::shared_ptr<char[]> data;
  size_t size = 0;
  BytesView view() const { return {data.get(), size}; }
};

/// A part of a file, sent by the kernel without passing through the process. `owner` keeps fd open.
struct FileRange {
  std::shared_ptr<const void> owner;
  int fd = -1;
  int64_t offset = 0;
  int64_t length = 0;
};

/// Bytes or a file range (file.fd >= 0).
struct OutPiece {
  SharedBytes bytes;
  FileRange file;

  static OutPiece Of(SharedBytes b) { return {std::move(b), {}}; }
  static OutPiece Of(FileRange f) { return {{}, std::move(f)}; }
  int64_t size() const { return file.fd >= 0 ? file.length : static_cast<int64_t>(bytes.size()); }
};
using OutChain = std::vector<OutPiece>;

class Connection;

/// What a server does with its connections' frames. Everything on the connection's loop.
class FrameHandler {
 public:
  virtual ~FrameHandler() = default;
  virtual void OnFrame(Frame frame) = 0;
  /// Everything sent so far has gone to the kernel.
  virtual void OnDrained() {}
  /// The last call. The connection is gone; sends after it are ignored.
  virtual void OnClosed() = 0;
};

/// On its loop's thread only, except where noted.
class Connection {
 public:
  virtual ~Connection() = default;
  /// Queues the chain behind what was sent before; written at the end of the loop's turn.
  virtual void Send(OutChain chain) = 0;
  /// After this no OnFrame until ResumeReading, not even of frames received already.
  virtual void PauseReading() = 0;
  virtual void ResumeReading() = 0;
  /// Closes at the end of the turn; `reason` is logged where it isn't empty. Unsent output is dropped.
  virtual void Close(const std::string& reason) = 0;
  /// Close once everything queued is sent.
  virtual void CloseWhenDrained() = 0;
  /// Tells whether requests are being worked on: a connection without is closed after the idle time.
  virtual void SetBusy(bool busy) = 0;
  virtual int64_t unsent_bytes() const = 0;
  virtual EventLoop& loop() = 0;                // any thread
  virtual uint64_t id() const = 0;              // any thread; never used twice
  virtual const std::string& peer() const = 0;  // "127.0.0.1:53211"; any thread
};

}  // namespace tailrace::io
