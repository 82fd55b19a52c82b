#include "base/clock.h"

#include <charconv>
#include <cstdio>
#include <ctime>

namespace tailrace {
namespace {

class SystemClock final : public Clock {
 public:
  int64_t NowMs() const override { return NowUs() / 1000; }
  int64_t NowUs() const override {
    timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1'000'000 + t.tv_nsec / 1000;
  }
  int64_t MonotonicNs() const override {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1'000'000'000 + t.tv_nsec;
  }
};

}  // namespace

Clock& Clock::System() {
  static SystemClock clock;
  return clock;
}

std::string FormatIso8601Ms(int64_t epoch_ms) {
  int64_t ms = epoch_ms % 1000;
  time_t seconds = epoch_ms / 1000;
  if (ms < 0) ms += 1000, seconds--;
  tm t;
  gmtime_r(&seconds, &t);
  char out[64];
  std::snprintf(out, sizeof out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                t.tm_hour, t.tm_min, t.tm_sec, static_cast<int>(ms));
  return out;
}

bool ParseDurationMs(std::string_view text, int64_t* ms) {
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !(number >= 0)) return false;
  std::string_view unit(end, text.data() + text.size() - end);
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  double scale;
  if (unit.empty() || unit == "s" || unit == "sec" || unit == "second" || unit == "seconds") scale = 1e3;
  else if (unit == "ms" || unit == "millisecond" || unit == "milliseconds") scale = 1;
  else if (unit == "m" || unit == "min" || unit == "minute" || unit == "minutes") scale = 60e3;
  else if (unit == "h" || unit == "hour" || unit == "hours") scale = 3600e3;
  else if (unit == "d" || unit == "day" || unit == "days") scale = 86400e3;
  else return false;
  if (number * scale > 9e15) return false;
  *ms = static_cast<int64_t>(number * scale + 0.5);
  return true;
}

}  // namespace tailrace
