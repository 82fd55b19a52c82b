#include "base/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>
#include <string>

namespace tailrace {
namespace {

spdlog::level::level_enum ToSpd(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

struct State {
  std::shared_ptr<spdlog::logger> logger = spdlog::stderr_logger_mt("tailrace");
  bool json = false;
  std::mutex listener_mutex;
  LogListener listener;
};
State& GetState() {
  static State state;
  return state;
}

std::string Escape(std::string_view s) {
  std::string out;
  for (char c : s) {
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if (c == '\n') out += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20) out += fmt::format("\\u{:04x}", c);
    else out += c;
  }
  return out;
}

}  // namespace

void SetUpLogging(LogLevel least, bool json) {
  State& s = GetState();
  s.json = json;
  s.logger->set_level(ToSpd(least));
  s.logger->set_pattern(
      json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})" : "%Y-%m-%dT%H:%M:%S.%eZ %^%-7l%$ %v",
      spdlog::pattern_time_type::utc);
  s.logger->flush_on(spdlog::level::info);
}

void SetLogListener(LogListener listener) {
  State& s = GetState();
  std::lock_guard lock(s.listener_mutex);
  s.listener = std::move(listener);
}

bool LogEnabled(LogLevel level) { return GetState().logger->should_log(ToSpd(level)); }

void Log(LogLevel level, std::string_view component, std::string_view message) {
  State& s = GetState();
  if (s.json) s.logger->log(ToSpd(level), R"("component":"{}","message":"{}")", Escape(component), Escape(message));
  else s.logger->log(ToSpd(level), "{}: {}", component, message);
  std::lock_guard lock(s.listener_mutex);
  if (s.listener) s.listener(level, component, message);
}

}  // namespace tailrace
