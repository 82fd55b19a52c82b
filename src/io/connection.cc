#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "base/logging.h"
#include "io/byte_budget.h"
#include "io/connection_impl.h"

namespace tailrace::io {

ConnectionImpl::ConnectionImpl(int fd, uint64_t id, std::string peer, EventLoop& loop, const TcpServerOptions& options,
                               BufferPool& pool, TcpServerStats& stats, Gone gone)
    : fd_(fd),
      id_(id),
      peer_(std::move(peer)),
      loop_(loop),
      options_(options),
      pool_(pool),
      stats_(stats),
      gone_(std::move(gone)),
      last_activity_ms_(loop.NowMs()) {}

ConnectionImpl::~ConnectionImpl() {
  CloseNow();
  *alive_ = false;
  ::close(fd_);
}

Status ConnectionImpl::Open(std::shared_ptr<FrameHandler> handler) {
  handler_ = std::move(handler);
  interest_ = EPOLLIN | EPOLLRDHUP;
  return loop_.Watch(fd_, interest_, this);
}

void ConnectionImpl::CloseNow() {
  if (closed_) return;
  closed_ = closing_ = true;
  loop_.Unwatch(fd_);
  ::shutdown(fd_, SHUT_RDWR);
  out_.clear();
  unsent_bytes_ = 0;
  if (auto handler = std::move(handler_)) handler->OnClosed();
}

void ConnectionImpl::Close(const std::string& reason) {
  if (closing_) return;
  closing_ = true;
  constexpr int kLinesPerSecondMax = 10;
  if (int64_t second = loop_.NowMs() / 1000; stats_.log_second.exchange(second) != second) stats_.log_lines = 0;
  if (int line = reason.empty() ? kLinesPerSecondMax : stats_.log_lines++; line < kLinesPerSecondMax) {
    const char* more = line + 1 == kLinesPerSecondMax ? " (further ones of this second are not logged)" : "";
    LogWarning(options_.log_name, "connection from " + peer_ + " closed: " + reason + more);
  }
  gone_(this);
}

void ConnectionImpl::CloseWhenDrained() {
  close_when_drained_ = true;
  ScheduleFlush();
}

void ConnectionImpl::UpdateInterest() {
  uint32_t want = EPOLLRDHUP;
  if (Reading()) want |= EPOLLIN;
  if (write_blocked_) want |= EPOLLOUT;
  // A paused connection whose peer hangs up is told by EPOLLHUP; RDHUP would fire on every turn.
  if (!Reading()) want &= ~static_cast<uint32_t>(EPOLLRDHUP);
  if (want == interest_ || closing_) return;
  interest_ = want;
  loop_.Change(fd_, want);
}

void ConnectionImpl::PauseReading() {
  paused_ = true;  // epoll's interest changes at the end of the turn, if it is still paused then
  ScheduleFlush();
}

void ConnectionImpl::StopReading() {
  stopped_ = true;
  ScheduleFlush();
}

void ConnectionImpl::ResumeReading() {
  if (!paused_) return;
  paused_ = false;
  ScheduleFlush();
}

void ConnectionImpl::OnReady(uint32_t events) {
  if (closing_) return;
  last_activity_ms_ = loop_.NowMs();
  if (events & EPOLLOUT) {
    write_blocked_ = false;
    ScheduleFlush();
  }
  if ((events & (EPOLLIN | EPOLLRDHUP)) && Reading()) {
    ReadSome();
  } else if (events & (EPOLLERR | EPOLLHUP)) {
    Close("");
  }
}

void ConnectionImpl::ReadSome() {
  int64_t budget = kReadPerTurnMax;
  while (Reading() && !closing_ && budget > 0 && ReadOnce(&budget)) {}
  if (ahead_begin_ == ahead_end_ && !closing_) ahead_.reset();
}

/// False when the socket has no more for now.
bool ConnectionImpl::ReadOnce(int64_t* budget) {
  if (!ahead_) ahead_ = std::make_unique_for_overwrite<char[]>(kReadAhead);
  if (ahead_begin_ > 0) {
    memmove(ahead_.get(), ahead_.get() + ahead_begin_, ahead_end_ - ahead_begin_);
    ahead_end_ -= ahead_begin_;
    ahead_begin_ = 0;
  }
  iovec iov[2];
  int count = 0;
  size_t asked = 0;
  if (frame_.data) {
    iov[count++] = {frame_.data.get() + frame_filled_, frame_.size - frame_filled_};
    asked += frame_.size - frame_filled_;
  }
  iov[count++] = {ahead_.get() + ahead_end_, kReadAhead - ahead_end_};
  asked += kReadAhead - ahead_end_;
  ssize_t n;
  do { n = ::readv(fd_, iov, count); } while (n < 0 && errno == EINTR);
  if (n == 0) {
    Close(frame_.data ? "the peer hung up in the middle of a request" : "");
    return false;
  }
  if (n < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK) Close("");  // reset by peer: everyday life
    return false;
  }
  *budget -= n;
  stats_.bytes_in.fetch_add(static_cast<uint64_t>(n), std::memory_order_relaxed);
  size_t left = static_cast<size_t>(n);
  if (frame_.data) {
    size_t into_frame = std::min(left, frame_.size - frame_filled_);
    frame_filled_ += into_frame;
    left -= into_frame;
  }
  ahead_end_ += left;
  TakeFrames();
  return static_cast<size_t>(n) == asked;
}

/// False, and reading stops, while the process has too many requests in memory.
bool ConnectionImpl::NewFrame(uint32_t size) {
  ByteBudget* budget = options_.budget;
  if (budget && budget->Over()) {
    waits_for_budget_ = true;
    ScheduleFlush();
    budget->WhenRoom([this, alive = alive_, loop = &loop_] {
      loop->Post([this, alive] {
        if (!*alive) return;
        waits_for_budget_ = false;
        ScheduleFlush();
      });
    });
    return false;
  }
  if (budget) budget->Charge(size);
  BufferPool::Buffer buffer = pool_.Take(size);
  size_t capacity = buffer.capacity;
  frame_.data = std::shared_ptr<char[]>(buffer.bytes.release(),
                                        [budget, size, capacity, pool = pool_.shared_from_this()](char* bytes) {
                                          pool->GiveBack({std::unique_ptr<char[]>(bytes), capacity});
                                          if (budget) budget->Release(size);
                                        });
  frame_.size = size;
  frame_filled_ = 0;
  return true;
}

/// Hands on whatever frames are complete, until the handler pauses.
void ConnectionImpl::TakeFrames() {
  while (Reading() && !closing_) {
    if (!frame_.data) {
      if (ahead_end_ - ahead_begin_ < 4) return;
      uint32_t size = LoadBe32(ahead_.get() + ahead_begin_);
      if (size > options_.frame_bytes_max || size < 4) {
        // An HTTP or TLS client on this port shows up here as well.
        Close("a request of " + std::to_string(size) + " bytes; at most " + std::to_string(options_.frame_bytes_max) +
              " are taken (socket.request.max.bytes). Is the client speaking TLS or HTTP to a plaintext Kafka port?");
        return;
      }
      if (!NewFrame(size)) return;
      ahead_begin_ += 4;
    }
    if (frame_filled_ < frame_.size) {
      size_t n = std::min(frame_.size - frame_filled_, ahead_end_ - ahead_begin_);
      memcpy(frame_.data.get() + frame_filled_, ahead_.get() + ahead_begin_, n);
      frame_filled_ += n;
      ahead_begin_ += n;
      if (frame_filled_ < frame_.size) return;
    }
    Frame whole = std::move(frame_);
    frame_ = {};
    handler_->OnFrame(std::move(whole));
  }
}

void ConnectionImpl::Send(OutChain chain) {
  if (closing_) return;
  for (OutPiece& piece : chain) {
    if (piece.size() == 0) continue;
    unsent_bytes_ += piece.size();
    out_.push_back(std::move(piece));
  }
  ScheduleFlush();
}

void ConnectionImpl::ScheduleFlush() {
  if (flush_scheduled_ || closing_) return;
  flush_scheduled_ = true;
  loop_.AtEndOfTurn([this] {
    flush_scheduled_ = false;
    if (closing_) return;
    if (!write_blocked_) Flush();
    if (closing_) return;
    if (Reading() && ahead_begin_ < ahead_end_) {
      TakeFrames();
      if (ahead_begin_ == ahead_end_) ahead_.reset();
    }
    UpdateInterest();
  });
}

void ConnectionImpl::Flush() {
  while (!out_.empty()) {
    ssize_t n;
    if (out_.front().file.fd < 0) {
      constexpr int kPiecesMax = 64;
      iovec iov[kPiecesMax];
      int count = 0;
      bool file_follows = false;
      for (const OutPiece& piece : out_) {
        if (piece.file.fd >= 0) {
          file_follows = true;
          break;
        }
        if (count == kPiecesMax) break;
        int64_t skip = count == 0 ? out_front_sent_ : 0;
        iov[count++] = {const_cast<char*>(piece.bytes.view.data()) + skip,
                        piece.bytes.size() - static_cast<size_t>(skip)};
      }
      msghdr message{};
      message.msg_iov = iov;
      message.msg_iovlen = static_cast<size_t>(count);
      n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | (file_follows ? MSG_MORE : 0));
    } else {
      const FileRange& file = out_.front().file;
      off_t offset = file.offset + out_front_sent_;
      n = ::sendfile(fd_, file.fd, &offset, static_cast<size_t>(file.length - out_front_sent_));
      if (n == 0) {  // the file is shorter than the answer's header has promised
        Close("a log segment ended before what the answer announced");
        return;
      }
    }
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        write_blocked_ = true;
        return;
      }
      Close("");
      return;
    }
    unsent_bytes_ -= n;
    stats_.bytes_out.fetch_add(static_cast<uint64_t>(n), std::memory_order_relaxed);
    while (n > 0) {
      int64_t left = out_.front().size() - out_front_sent_;
      int64_t taken = std::min<int64_t>(left, n);
      n -= taken;
      if (taken < left) {
        out_front_sent_ += taken;
        break;
      }
      out_front_sent_ = 0;
      out_.pop_front();
    }
  }
  if (close_when_drained_) {
    Close("");
    return;
  }
  if (handler_) handler_->OnDrained();
}

}  // namespace tailrace::io
