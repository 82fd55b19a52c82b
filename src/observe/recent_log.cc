#include "observe/recent_log.h"

#include "base/clock.h"

namespace tailrace::observe {
namespace {
constexpr size_t kLinesKept = 50;
constexpr size_t kMessageBytesMax = 2000;
}  // namespace

RecentLog::RecentLog() {
  SetLogListener([this](LogLevel level, std::string_view component, std::string_view message) {
    if (level >= LogLevel::kWarning) Add(level, component, message);
  });
}
RecentLog::~RecentLog() { SetLogListener(nullptr); }

void RecentLog::Add(LogLevel level, std::string_view component, std::string_view message) {
  const int64_t now_ms = Clock::System().NowMs();
  std::lock_guard lock(mutex_);
  if (level == LogLevel::kError) ++errors_;
  message = message.substr(0, kMessageBytesMax);
  if (!lines_.empty() && lines_.front().component == component && lines_.front().message == message) {
    lines_.front().time_ms = now_ms;
    ++lines_.front().repeated;
    return;
  }
  lines_.push_front({now_ms, level, std::string(component), std::string(message), 1});
  if (lines_.size() > kLinesKept) lines_.pop_back();
}

std::vector<LogLine> RecentLog::Lines() const {
  std::lock_guard lock(mutex_);
  return {lines_.begin(), lines_.end()};
}

uint64_t RecentLog::errors() const {
  std::lock_guard lock(mutex_);
  return errors_;
}

}  // namespace tailrace::observe
