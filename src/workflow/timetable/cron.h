#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tailrace::workflow {

/// Five fields: minute hour day-of-month month day-of-week. Names (JAN, MON), ranges, steps, lists, `?`, `L` as the
/// last day of the month; 7 is Sunday. Where both days are restricted, either suffices (POSIX crontab).
class Cron {
 public:
  /// kInvalidArgument says which field is wrong and what may stand there.
  static Result<Cron> Parse(std::string_view text);

  /// The first match strictly after (before) a civil time given in seconds as if in UTC. nullopt: none within 50 years
  /// ("0 0 30 2 *").
  std::optional<int64_t> Next(int64_t local_s) const;
  std::optional<int64_t> Previous(int64_t local_s) const;
  bool every_hour() const { return hour_any_; }

 private:
  bool DayMatches(int64_t days) const;

  uint64_t minutes_ = 0;
  uint32_t hours_ = 0, days_ = 0;  // bit n = value n
  uint16_t months_ = 0;
  uint8_t weekdays_ = 0;
  bool last_day_ = false, hour_any_ = false, day_any_ = false, weekday_any_ = false;
};

}  // namespace tailrace::workflow
