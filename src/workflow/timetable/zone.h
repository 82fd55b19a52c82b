#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "workflow/model/value.h"

namespace tailrace::workflow {

/// A time zone of the system's IANA database. Immutable, thread-safe, lives for ever.
class Zone {
 public:
  /// "UTC", "Europe/Berlin". kNotFound where the database has no such zone.
  static Result<const Zone*> Find(const std::string& name);
  static const Zone* Utc();
  virtual ~Zone() = default;

  virtual const std::string& name() const = 0;
  /// Seconds east of UTC at that instant (seconds since the epoch).
  virtual int32_t OffsetAt(int64_t epoch_s) const = 0;
  /// The instant a wall clock there shows `local_s` (its civil time as if in UTC). Ambiguous: the later one. In a gap:
  /// moved forward by the gap. Both as Airflow's make_aware with pendulum does.
  virtual int64_t FromLocal(int64_t local_s) const = 0;

  int64_t ToLocal(int64_t epoch_s) const { return epoch_s + OffsetAt(epoch_s); }
  DateTime At(int64_t epoch_us) const;
};

/// "2024-01-15", "2024-01-15 10:30", "2024-01-15T10:30:00.5Z", "...+02:00". Without an offset: in `zone`.
Result<DateTime> ParseDateTime(const std::string& text, const Zone& zone);

}  // namespace tailrace::workflow
