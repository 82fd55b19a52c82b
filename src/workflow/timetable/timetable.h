#pragma once
// When a DAG runs by itself (Airflow: Timetables). Times are epoch milliseconds; everything here is pure.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace tailrace::workflow {

class Zone;

struct DataInterval {
  int64_t start_ms = 0, end_ms = 0;
  bool operator==(const DataInterval&) const = default;
};

struct PlannedRun {
  int64_t logical_date_ms = 0;
  DataInterval interval;
  int64_t run_after_ms = 0;  // not before
};

struct Restriction {
  std::optional<int64_t> earliest_ms, latest_ms;  // start_date, end_date of the DAG
  bool catchup = false;
};

/// Immutable, thread-safe.
class Timetable {
 public:
  virtual ~Timetable() = default;
  /// The run after the one with interval `last` (nullopt: none ran by schedule yet). nullopt: none.
  virtual std::optional<PlannedRun> Next(std::optional<DataInterval> last, const Restriction& restriction,
                                         int64_t now_ms) const = 0;
  /// The interval of a run that a user triggers.
  virtual DataInterval ManualInterval(int64_t logical_date_ms) const { return {logical_date_ms, logical_date_ms}; }
  /// True where the next run starts when the last one ends (@continuous).
  virtual bool continuous() const { return false; }
};

/// null / "None" / "": no timetable (null pointer). "@once", "@continuous", "@hourly" and the like, a cron expression,
/// or a duration ("10m"). `data_intervals`: a run covers the time since the run before and starts at its end (Airflow 2
/// and create_cron_data_intervals); otherwise start = end = the moment it fires, as Airflow 3 does by default.
Result<std::shared_ptr<const Timetable>> MakeTimetable(const std::string& schedule, const Zone* zone,
                                                       bool data_intervals);

}  // namespace tailrace::workflow
