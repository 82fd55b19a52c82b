#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/logging.h"

namespace tailrace::observe {

struct LogLine {
  int64_t time_ms = 0;
  LogLevel level = LogLevel::kInfo;
  std::string component, message;
  int64_t repeated = 1;  // the same line again and again is kept once
};

/// The last warnings and errors of this process, for the status page. Thread-safe. One at a time.
class RecentLog {
 public:
  RecentLog();  // listens from now on
  ~RecentLog();
  RecentLog(const RecentLog&) = delete;
  RecentLog& operator=(const RecentLog&) = delete;
  /// Newest first.
  std::vector<LogLine> Lines() const;
  uint64_t errors() const;
  void Add(LogLevel level, std::string_view component, std::string_view message);

 private:
  mutable std::mutex mutex_;
  std::deque<LogLine> lines_;
  uint64_t errors_ = 0;
};

}  // namespace tailrace::observe
