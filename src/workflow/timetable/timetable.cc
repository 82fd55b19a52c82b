#include "workflow/timetable/timetable.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/clock.h"
#include "workflow/timetable/civil.h"
#include "workflow/timetable/cron.h"
#include "workflow/timetable/zone.h"

namespace tailrace::workflow {
namespace {

std::optional<int64_t> MaxOf(std::optional<int64_t> a, std::optional<int64_t> b) {
  if (!a) return b;
  if (!b) return a;
  return std::max(*a, *b);
}

/// Cron in a zone. Schedules that name hours follow the wall clock; those for every hour follow elapsed time, so that
/// none is doubled or lost when the clock changes (Airflow: timetables/_cron.py).
class ZonedCron {
 public:
  ZonedCron(Cron cron, const Zone* zone) : cron_(cron), zone_(zone) {}

  std::optional<int64_t> Next(int64_t ms) const {
    const int64_t s = FloorDiv(ms, 1000);
    int64_t local = zone_->ToLocal(s), from = local;
    // A wall time moved out of a gap can fall on or before the start: look further.
    for (int i = 0; i < 8; ++i) {
      std::optional<int64_t> next = cron_.Next(from);
      if (!next) return std::nullopt;
      int64_t instant = cron_.every_hour() ? s + (*next - local) : zone_->FromLocal(*next);
      if (instant > s) return instant * 1000;
      from = *next;
    }
    return std::nullopt;
  }
  std::optional<int64_t> Previous(int64_t ms) const {
    const int64_t s = FloorDiv(ms + 999, 1000);
    int64_t local = zone_->ToLocal(s), from = local;
    for (int i = 0; i < 8; ++i) {
      std::optional<int64_t> previous = cron_.Previous(from);
      if (!previous) return std::nullopt;
      int64_t instant = cron_.every_hour() ? s + (*previous - local) : zone_->FromLocal(*previous);
      if (instant < s) return instant * 1000;
      from = *previous;
    }
    return std::nullopt;
  }
  /// The first at or after, the last at or before.
  std::optional<int64_t> AtOrAfter(int64_t ms) const { return Next(ms - 1000 + (FloorMod(ms, 1000) != 0 ? 1000 : 0)); }
  std::optional<int64_t> AtOrBefore(int64_t ms) const {
    std::optional<int64_t> previous = Previous(ms);
    if (previous) {
      std::optional<int64_t> next = Next(*previous);
      if (next && *next <= ms) return next;
    }
    return previous;
  }

 private:
  Cron cron_;
  const Zone* zone_;
};

/// Fires at each match: logical date = interval start = end (Airflow: CronTriggerTimetable).
class CronTrigger final : public Timetable {
 public:
  explicit CronTrigger(ZonedCron cron) : cron_(cron) {}
  std::optional<PlannedRun> Next(std::optional<DataInterval> last, const Restriction& r, int64_t now) const override {
    std::optional<int64_t> at;
    if (r.catchup) {
      if (last) at = cron_.Next(last->end_ms);
      else at = r.earliest_ms ? cron_.AtOrAfter(*r.earliest_ms) : FirstRun(now);
    } else {
      at = cron_.AtOrBefore(now);
      if (last) {
        std::optional<int64_t> after = cron_.Next(last->end_ms);
        if (!after) return std::nullopt;
        at = MaxOf(at, after);
      } else if (!r.earliest_ms) {
        at = MaxOf(at, FirstRun(now));
      }
      if (r.earliest_ms) {
        std::optional<int64_t> first = cron_.AtOrAfter(*r.earliest_ms);
        if (!first) return std::nullopt;
        at = MaxOf(at, first);
      }
    }
    if (!at || (r.latest_ms && *at > *r.latest_ms)) return std::nullopt;
    return PlannedRun{*at, {*at, *at}, *at};
  }

 private:
  /// Without a start date: the match just past where it was very recent, else the coming one.
  std::optional<int64_t> FirstRun(int64_t now) const {
    std::optional<int64_t> past = cron_.AtOrBefore(now), next = cron_.Next(now);
    if (!past || !next) return next;
    int64_t buffer = std::max<int64_t>((*next - *past) / 10, 300'000);
    return now - *past <= buffer ? past : next;
  }
  ZonedCron cron_;
};

/// Covers the time between two matches and runs at its end (Airflow: CronDataIntervalTimetable).
class CronInterval final : public Timetable {
 public:
  explicit CronInterval(ZonedCron cron) : cron_(cron) {}
  std::optional<PlannedRun> Next(std::optional<DataInterval> last, const Restriction& r, int64_t now) const override {
    std::optional<int64_t> earliest = r.earliest_ms ? cron_.AtOrAfter(*r.earliest_ms) : std::nullopt;
    if (!r.catchup) {  // only the latest whole interval
      std::optional<int64_t> end = cron_.AtOrBefore(now);
      earliest = MaxOf(earliest, end ? cron_.Previous(*end) : std::nullopt);
    }
    std::optional<int64_t> start = earliest;
    if (last) start = MaxOf(cron_.AtOrBefore(last->end_ms), earliest);
    if (!start || (r.latest_ms && *start > *r.latest_ms)) return std::nullopt;
    std::optional<int64_t> end = cron_.Next(*start);
    if (!end) return std::nullopt;
    return PlannedRun{*start, {*start, *end}, *end};
  }
  DataInterval ManualInterval(int64_t at) const override {
    std::optional<int64_t> end = cron_.AtOrBefore(at);
    std::optional<int64_t> start = end ? cron_.Previous(*end) : std::nullopt;
    return start ? DataInterval{*start, *end} : DataInterval{at, at};
  }

 private:
  ZonedCron cron_;
};

/// Every so often after the run before (Airflow: DeltaTriggerTimetable, DeltaDataIntervalTimetable).
class Delta final : public Timetable {
 public:
  Delta(int64_t delta_ms, bool intervals) : delta_ms_(delta_ms), intervals_(intervals) {}
  std::optional<PlannedRun> Next(std::optional<DataInterval> last, const Restriction& r, int64_t now) const override {
    int64_t at;
    if (!intervals_) {
      at = last ? last->end_ms + delta_ms_ : r.earliest_ms.value_or(now);
      if (!r.catchup) at = std::max(at, now);
      if (r.earliest_ms) at = std::max(at, *r.earliest_ms);
      if (r.latest_ms && at > *r.latest_ms) return std::nullopt;
      return PlannedRun{at, {at, at}, at};
    }
    if (last) at = last->end_ms;
    else if (r.earliest_ms) at = *r.earliest_ms;
    else at = now - delta_ms_;
    // Without catchup: the latest whole interval of the same grid.
    if (!r.catchup && at + 2 * delta_ms_ <= now) at += (now - at) / delta_ms_ * delta_ms_ - delta_ms_;
    if (r.earliest_ms) at = std::max(at, *r.earliest_ms);
    if (r.latest_ms && at > *r.latest_ms) return std::nullopt;
    return PlannedRun{at, {at, at + delta_ms_}, at + delta_ms_};
  }
  DataInterval ManualInterval(int64_t at) const override {
    return intervals_ ? DataInterval{at - delta_ms_, at} : DataInterval{at, at};
  }

 private:
  int64_t delta_ms_;
  bool intervals_;
};

class Once final : public Timetable {
 public:
  std::optional<PlannedRun> Next(std::optional<DataInterval> last, const Restriction& r, int64_t now) const override {
    if (last) return std::nullopt;
    int64_t at = r.earliest_ms.value_or(now);
    if (r.latest_ms && at > *r.latest_ms) return std::nullopt;
    return PlannedRun{at, {at, at}, at};
  }
};

class Continuous final : public Timetable {
 public:
  std::optional<PlannedRun> Next(std::optional<DataInterval> last, const Restriction& r, int64_t now) const override {
    int64_t start = last ? last->end_ms : r.earliest_ms.value_or(now);
    int64_t end = std::max(start + 1, now);  // never empty, so that logical dates differ
    if (r.latest_ms && end > *r.latest_ms) return std::nullopt;
    return PlannedRun{start, {start, end}, end};
  }
  bool continuous() const override { return true; }
};

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kPresets = {{{"@hourly", "0 * * * *"},
                                                                                    {"@daily", "0 0 * * *"},
                                                                                    {"@weekly", "0 0 * * 0"},
                                                                                    {"@monthly", "0 0 1 * *"},
                                                                                    {"@quarterly", "0 0 1 */3 *"},
                                                                                    {"@yearly", "0 0 1 1 *"},
                                                                                    {"@annually", "0 0 1 1 *"}}};

}  // namespace

Result<std::shared_ptr<const Timetable>> MakeTimetable(const std::string& schedule, const Zone* zone,
                                                       bool data_intervals) {
  using Made = std::shared_ptr<const Timetable>;
  if (schedule.empty() || schedule == "None" || schedule == "null") return Made();
  if (schedule == "@once") return Made(std::make_shared<Once>());
  if (schedule == "@continuous") return Made(std::make_shared<Continuous>());
  std::string_view expression = schedule;
  if (schedule.front() == '@') {
    expression = {};
    for (const auto& [name, cron] : kPresets)
      if (name == schedule) expression = cron;
    if (expression.empty())
      return Error(ErrorCode::kInvalidArgument, fmt::format("schedule '{}' is not known", schedule))
          .Remedy(
              "use @hourly @daily @weekly @monthly @quarterly @yearly @once @continuous, a cron expression or a "
              "duration");
  }
  int64_t delta_ms = 0;
  if (ParseDurationMs(expression, &delta_ms)) {
    if (delta_ms < 1000) return InvalidArgument("schedule: a duration of less than a second");
    return Made(std::make_shared<Delta>(delta_ms, data_intervals));
  }
  Cron cron = TRY(Cron::Parse(expression));
  if (!cron.Next(0)) return InvalidArgument(fmt::format("cron '{}' never matches", expression));
  if (data_intervals) return Made(std::make_shared<CronInterval>(ZonedCron(cron, zone)));
  return Made(std::make_shared<CronTrigger>(ZonedCron(cron, zone)));
}

}  // namespace tailrace::workflow
