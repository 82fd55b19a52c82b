#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace tailrace {

/// Time comes in through here, so that tests and the simulation own it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall clock, milliseconds since the epoch, UTC. May jump; never use it for time-outs.
  virtual int64_t NowMs() const = 0;
  /// Wall clock in microseconds.
  virtual int64_t NowUs() const = 0;
  /// Never goes back; the zero is arbitrary. Nanoseconds.
  virtual int64_t MonotonicNs() const = 0;
  int64_t MonotonicMs() const { return MonotonicNs() / 1'000'000; }

  static Clock& System();
};

class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t now_ms = 1'700'000'000'000) : now_us_(now_ms * 1000) {}
  int64_t NowMs() const override { return now_us_.load() / 1000; }
  int64_t NowUs() const override { return now_us_.load(); }
  int64_t MonotonicNs() const override { return monotonic_ns_.load(); }
  void Advance(int64_t ms) {
    now_us_ += ms * 1000;
    monotonic_ns_ += ms * 1'000'000;
  }
  /// A jump of the wall clock alone, as NTP or an operator makes it.
  void JumpWall(int64_t ms) { now_us_ += ms * 1000; }

 private:
  std::atomic<int64_t> now_us_;
  std::atomic<int64_t> monotonic_ns_{1'000'000'000};
};

/// "2024-01-15T10:30:00.123Z".
std::string FormatIso8601Ms(int64_t epoch_ms);
/// "30s", "10 s", "5m", "2h", "1d", "200ms", and bare numbers as seconds. False where the text is none of these.
bool ParseDurationMs(std::string_view text, int64_t* ms);

}  // namespace tailrace
