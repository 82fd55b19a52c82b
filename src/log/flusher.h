#pragma once
// Group fsync: everything that waits for the disk waits here, and one fdatasync serves all who came before it.

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/result.h"

namespace tailrace {
class Clock;
}

namespace tailrace::log {

/// Something with bytes written but not yet synced: a partition, a journal.
class Flushable {
 public:
  virtual ~Flushable() = default;
  /// Where several are to be flushed: Prepare of each starts the writing, Settle of each waits for it, Flush does the
  /// rest. So the disk has all of it at once, and one commit of the file system's journal serves all.
  virtual void Prepare() {}
  virtual void Settle() {}
  /// Syncs everything written before the call, then tells those who wait for it. Called from a flusher thread, never
  /// from two at a time.
  virtual void Flush() = 0;
  /// Housekeeping some seconds after NoteDirty (recovery points). From a flusher thread, never beside Flush().
  virtual void Checkpoint() {}

 private:
  friend class Flusher;
  bool queued_ = false;  // guarded by the flusher's mutex, likewise below
  bool running_ = false;
  bool checkpoint_due_ = false;
  bool checkpoint_set_ = false;
};

struct FlusherStats {
  uint64_t fsyncs = 0;
  uint64_t fsync_us_sum = 0;
};

/// Threads of one data directory that sync its files. Thread-safe. Must outlive what it flushes being in use; the
/// destructor finishes what is queued.
class Flusher {
 public:
  struct Options {
    int threads = 1;                        // fsyncs in flight at once
    int64_t checkpoint_interval_ms = 5000;  // from NoteDirty to Checkpoint
    // Under load, that is after a round of syncs with busy_bytes or more, the next one waits until group_bytes have
    // come, nothing came for a while, or gather_us a file (within bounds) are over: fewer, larger syncs. A quiet log is
    // synced at once.
    uint64_t busy_bytes = 512 << 10;
    uint64_t group_bytes = 4 << 20;
    int64_t gather_us = 500;
  };
  explicit Flusher(Clock& clock);
  Flusher(Clock& clock, Options options);
  ~Flusher();

  /// Bytes were appended that a sync will be asked for.
  void CountBytes(uint64_t bytes) { bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  /// Flush() is called soon, once for all requests made before it starts.
  void Request(std::shared_ptr<Flushable> what);
  /// Checkpoint() is called once within checkpoint_interval_ms.
  void NoteDirty(std::shared_ptr<Flushable> what);
  /// Checkpoint() is called as soon as a thread is free.
  void RequestCheckpoint(std::shared_ptr<Flushable> what);
  /// Returns once neither Flush nor Checkpoint of `what` runs or is queued; later requests start anew.
  void Drain(const std::shared_ptr<Flushable>& what);

  FlusherStats stats() const;
  /// For flushables: one fsync and how long it took.
  void CountFsync(uint64_t us) {
    fsyncs_.fetch_add(1, std::memory_order_relaxed);
    fsync_us_.fetch_add(us, std::memory_order_relaxed);
  }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> fsyncs_{0};
  std::atomic<uint64_t> fsync_us_{0};
};

}  // namespace tailrace::log
