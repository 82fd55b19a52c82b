#pragma once

#include <mutex>

#include "base/clock.h"

namespace tailrace {

/// A wall clock for what can't be undone: deleting by age. A wall clock that leaps forward (a dead battery, a wrong NTP
/// server, an operator's typo) would make everything look old; so a leap is believed only after it has stood for
/// `patience_ms` by the monotonic clock. Until then time goes on from before the leap. A leap back is believed at once:
/// it makes things younger. A machine that slept looks the same as a leap, and waits likewise. Thread-safe.
class PatientClock final : public Clock {
 public:
  static constexpr int64_t kLeapMs = 600'000;
  static constexpr int64_t kPatienceMs = 3'600'000;

  /// `clock` outlives this.
  explicit PatientClock(Clock& clock, int64_t patience_ms = kPatienceMs);
  int64_t NowMs() const override { return NowUs() / 1000; }
  int64_t NowUs() const override;
  int64_t MonotonicNs() const override { return clock_.MonotonicNs(); }

 private:
  Clock& clock_;
  const int64_t patience_ms_;
  mutable std::mutex mutex_;
  mutable int64_t offset_us_;              // wall minus monotonic, as believed
  mutable int64_t doubted_since_us_ = -1;  // monotonic; -1: the wall clock is believed
};

}  // namespace tailrace
