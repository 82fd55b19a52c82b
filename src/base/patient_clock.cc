#include "base/patient_clock.h"

#include <fmt/format.h>

#include "base/logging.h"

namespace tailrace {

PatientClock::PatientClock(Clock& clock, int64_t patience_ms)
    : clock_(clock), patience_ms_(patience_ms), offset_us_(clock.NowUs() - clock.MonotonicNs() / 1000) {}

int64_t PatientClock::NowUs() const {
  const int64_t monotonic_us = clock_.MonotonicNs() / 1000;
  const int64_t offset_us = clock_.NowUs() - monotonic_us;
  std::lock_guard lock(mutex_);
  const int64_t leap_us = offset_us - offset_us_;
  if (leap_us > kLeapMs * 1000) {
    if (doubted_since_us_ < 0) {
      doubted_since_us_ = monotonic_us;
      LogWarning("clock",
                 fmt::format("the wall clock leapt forward by {} s: nothing is deleted by age for {} min; set the "
                             "clock right within that time if it is wrong",
                             leap_us / 1'000'000, patience_ms_ / 60'000));
    }
    if (monotonic_us - doubted_since_us_ < patience_ms_ * 1000) return monotonic_us + offset_us_;
  }
  doubted_since_us_ = -1;
  offset_us_ = offset_us;
  return monotonic_us + offset_us;
}

}  // namespace tailrace
