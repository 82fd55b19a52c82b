#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace tailrace::http {

/// Server-sent events to any number of clients. Thread-safe. Held by shared_ptr: a stream that is still open keeps it.
class EventHub {
 public:
  using Listener = std::function<void(std::shared_ptr<const std::string> frame)>;

  /// `data` in one line (JSON). New listeners get the last event of each name at once.
  void Publish(const std::string& event, std::string_view data);
  /// So that nobody computes events nobody reads.
  size_t listeners() const;
  /// Calls `listener` with whole frames, from the publisher's thread, one at a time; it must not block.
  uint64_t Listen(Listener listener);
  void Leave(uint64_t id);

 private:
  mutable std::mutex mutex_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Listener> listeners_;
  std::map<std::string, std::shared_ptr<const std::string>> last_;
};

}  // namespace tailrace::http
