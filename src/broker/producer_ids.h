#pragma once
// Producer ids, never given out twice: reserved on disk in blocks (key "p/next" of DATA_DIR/meta.journal).

#include <cstdint>
#include <memory>
#include <mutex>

#include "base/result.h"

namespace tailrace::log {
class Journal;
}

namespace tailrace::broker {

/// Thread-safe.
class ProducerIds {
 public:
  static constexpr int64_t kBlock = 1000;
  static Result<std::unique_ptr<ProducerIds>> Open(std::shared_ptr<log::Journal> journal);
  /// Waits for one fsync every kBlock calls. kIo.
  Result<int64_t> Next();

 private:
  explicit ProducerIds(std::shared_ptr<log::Journal> journal) : journal_(std::move(journal)) {}

  const std::shared_ptr<log::Journal> journal_;
  std::mutex mutex_;  // guards what follows
  int64_t next_ = 0;
  int64_t reserved_ = 0;  // ids below it are ours
};

}  // namespace tailrace::broker
