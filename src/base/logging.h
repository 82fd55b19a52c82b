#pragma once

#include <functional>
#include <string_view>

namespace tailrace {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Where log lines go. Call once at start, before other threads. `json` = one JSON object per line.
void SetUpLogging(LogLevel least, bool json);
bool LogEnabled(LogLevel level);
/// One structured line: time, level, component ("broker", "scheduler"), message. Thread-safe.
void Log(LogLevel level, std::string_view component, std::string_view message);

/// Also gets every line that is logged, from the thread that logs it; it must not log. One at a time; null ends it.
using LogListener = std::function<void(LogLevel, std::string_view component, std::string_view message)>;
void SetLogListener(LogListener listener);

inline void LogDebug(std::string_view c, std::string_view m) {
  if (LogEnabled(LogLevel::kDebug)) Log(LogLevel::kDebug, c, m);
}
inline void LogInfo(std::string_view c, std::string_view m) { Log(LogLevel::kInfo, c, m); }
inline void LogWarning(std::string_view c, std::string_view m) { Log(LogLevel::kWarning, c, m); }
inline void LogError(std::string_view c, std::string_view m) { Log(LogLevel::kError, c, m); }

}  // namespace tailrace
