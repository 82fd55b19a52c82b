#pragma once
// Memory of large frames, used again. Frames are held until they are written to disk, by another thread than the one
// that received them: through malloc each would be fresh pages from the kernel, faulted in and cleared.

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace tailrace::io {

/// Thread-safe. Buffers may outlive everybody else who holds the pool: they hold it too.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  static constexpr size_t kStep = 16 << 10;         // sizes are rounded up to this
  static constexpr size_t kSizeMax = 64 * kStep;    // larger ones come from malloc, smaller than a step too
  static constexpr size_t kKeptBytesMax = 8 << 20;  // of buffers that nobody uses

  struct Buffer {
    std::unique_ptr<char[]> bytes;
    size_t capacity = 0;
  };
  Buffer Take(size_t size) {
    if (size < kStep || size > kSizeMax) return {std::make_unique_for_overwrite<char[]>(size), size};
    size_t rounded = (size + kStep - 1) / kStep * kStep;
    {
      std::lock_guard lock(mutex_);
      auto& kept = kept_[rounded / kStep - 1];
      if (!kept.empty()) {
        Buffer buffer{std::move(kept.back()), rounded};
        kept.pop_back();
        kept_bytes_ -= rounded;
        least_bytes_ = std::min(least_bytes_, kept_bytes_);
        return buffer;
      }
      least_bytes_ = 0;
    }
    return {std::make_unique_for_overwrite<char[]>(rounded), rounded};
  }
  void GiveBack(Buffer buffer) {
    if (buffer.capacity < kStep || buffer.capacity > kSizeMax || buffer.capacity % kStep != 0) return;
    std::lock_guard lock(mutex_);
    if (kept_bytes_ + buffer.capacity > kKeptBytesMax) return;
    kept_bytes_ += buffer.capacity;
    kept_[buffer.capacity / kStep - 1].push_back(std::move(buffer.bytes));
  }
  /// Frees what lay unused since the last call.
  void Trim() {
    std::vector<std::unique_ptr<char[]>> gone;  // destroyed after the lock is released
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < kept_.size() && least_bytes_ > 0; i++) {
      while (!kept_[i].empty() && least_bytes_ > 0) {
        gone.push_back(std::move(kept_[i].back()));
        kept_[i].pop_back();
        size_t bytes = (i + 1) * kStep;
        kept_bytes_ -= bytes;
        least_bytes_ -= std::min(least_bytes_, bytes);
      }
    }
    least_bytes_ = kept_bytes_;
  }
  size_t kept_bytes() const {
    std::lock_guard lock(mutex_);
    return kept_bytes_;
  }

 private:
  mutable std::mutex mutex_;  // guards what follows
  std::array<std::vector<std::unique_ptr<char[]>>, kSizeMax / kStep> kept_;
  size_t kept_bytes_ = 0;
  size_t least_bytes_ = 0;  // kept since the last Trim at any time
};

}  // namespace tailrace::io
