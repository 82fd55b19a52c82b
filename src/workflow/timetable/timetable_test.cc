#include "workflow/timetable/timetable.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "workflow/timetable/civil.h"
#include "workflow/timetable/cron.h"
#include "workflow/timetable/zone.h"

namespace tailrace::workflow {
namespace {

int64_t Ms(const std::string& text) {
  Result<DateTime> t = ParseDateTime(text, *Zone::Utc());
  EXPECT_TRUE(t.ok()) << text;
  return t.ok() ? t->epoch_us / 1000 : 0;
}
std::string Text(int64_t ms) { return FormatIso8601Ms(ms).substr(0, 19) + "Z"; }

std::shared_ptr<const Timetable> Make(const std::string& schedule, const std::string& zone = "UTC",
                                      bool intervals = false) {
  auto made = MakeTimetable(schedule, *Zone::Find(zone), intervals);
  EXPECT_TRUE(made.ok()) << made.error().ToString();
  return made.ok() ? *made : nullptr;
}

// What croniter with pendulum's time zones gives, put together as Airflow's timetables/_cron.py does.
struct Known {
  const char *cron, *after, *zone;
  std::vector<const char*> next;
};
const Known kKnown[] = {
    {"*/5 * * * *",
     "2024-01-15T10:32:10Z",
     "UTC",
     {"2024-01-15T10:35:00Z", "2024-01-15T10:40:00Z", "2024-01-15T10:45:00Z"}},
    {"0 0 * * *", "2024-01-15T10:32:10Z", "UTC", {"2024-01-16T00:00:00Z", "2024-01-17T00:00:00Z"}},
    {"30 2 * * *",
     "2024-03-30T00:00:00Z",
     "Europe/Berlin",
     {"2024-03-30T01:30:00Z", "2024-03-31T01:30:00Z", "2024-04-01T00:30:00Z", "2024-04-02T00:30:00Z"}},
    {"30 2 * * *",
     "2024-10-26T00:00:00Z",
     "Europe/Berlin",
     {"2024-10-26T00:30:00Z", "2024-10-27T01:30:00Z", "2024-10-28T01:30:00Z", "2024-10-29T01:30:00Z"}},
    {"0 * * * *",
     "2024-03-31T00:30:00Z",
     "Europe/Berlin",
     {"2024-03-31T01:00:00Z", "2024-03-31T02:00:00Z", "2024-03-31T03:00:00Z", "2024-03-31T04:00:00Z"}},
    {"0 * * * *",
     "2024-10-27T00:30:00Z",
     "Europe/Berlin",
     {"2024-10-27T01:00:00Z", "2024-10-27T02:00:00Z", "2024-10-27T03:00:00Z", "2024-10-27T04:00:00Z"}},
    {"30 1 * * *",
     "2024-11-02T00:00:00Z",
     "America/New_York",
     {"2024-11-02T05:30:00Z", "2024-11-03T06:30:00Z", "2024-11-04T06:30:00Z"}},
    {"30 2 * * *",
     "2024-03-09T12:00:00Z",
     "America/New_York",
     {"2024-03-10T07:30:00Z", "2024-03-11T06:30:00Z", "2024-03-12T06:30:00Z"}},
    {"0 9 * * MON-FRI",
     "2024-01-12T12:00:00Z",
     "UTC",
     {"2024-01-15T09:00:00Z", "2024-01-16T09:00:00Z", "2024-01-17T09:00:00Z"}},
    {"0 0 29 2 *", "2023-01-01T00:00:00Z", "UTC", {"2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"}},
    {"0 0 L * *",
     "2024-01-15T00:00:00Z",
     "UTC",
     {"2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z"}},
    {"15,45 8-10/2 * * *",
     "2024-01-01T08:20:00Z",
     "UTC",
     {"2024-01-01T08:45:00Z", "2024-01-01T10:15:00Z", "2024-01-01T10:45:00Z", "2024-01-02T08:15:00Z",
      "2024-01-02T08:45:00Z"}},
    {"0 0 1 */3 *",
     "2024-02-01T00:00:00Z",
     "UTC",
     {"2024-04-01T00:00:00Z", "2024-07-01T00:00:00Z", "2024-10-01T00:00:00Z"}},
    {"0 0 13 * 5",
     "2024-09-01T00:00:00Z",
     "UTC",
     {"2024-09-06T00:00:00Z", "2024-09-13T00:00:00Z", "2024-09-20T00:00:00Z", "2024-09-27T00:00:00Z"}},
    {"0 12 * JAN,JUL SUN",
     "2024-06-01T00:00:00Z",
     "UTC",
     {"2024-07-07T12:00:00Z", "2024-07-14T12:00:00Z", "2024-07-21T12:00:00Z"}},
    {"*/15 * * * *",
     "2024-03-31T00:40:00Z",
     "Europe/Berlin",
     {"2024-03-31T00:45:00Z", "2024-03-31T01:00:00Z", "2024-03-31T01:15:00Z", "2024-03-31T01:30:00Z"}},
    {"0 0 * * 7", "2024-01-01T00:00:00Z", "UTC", {"2024-01-07T00:00:00Z", "2024-01-14T00:00:00Z"}},
    {"0 2 * * *",
     "2024-04-06T00:00:00Z",
     "Australia/Lord_Howe",
     {"2024-04-06T15:30:00Z", "2024-04-07T15:30:00Z", "2024-04-08T15:30:00Z"}},
    {"59 23 31 12 *", "2024-01-01T00:00:00Z", "UTC", {"2024-12-31T23:59:00Z", "2025-12-31T23:59:00Z"}},
    {"0 0 * * *",
     "2011-12-28T00:00:00Z",
     "Pacific/Apia",
     {"2011-12-28T10:00:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"}},
};

TEST(Timetable, CronInZonesAsAirflow) {
  for (const Known& known : kKnown) {
    auto timetable = Make(known.cron, known.zone);
    ASSERT_NE(timetable, nullptr);
    DataInterval last{Ms(known.after), Ms(known.after)};
    for (const char* expected : known.next) {
      std::optional<PlannedRun> run = timetable->Next(last, {.catchup = true}, 0);
      ASSERT_TRUE(run) << known.cron;
      EXPECT_EQ(Text(run->run_after_ms), expected) << known.cron << " in " << known.zone;
      EXPECT_EQ(run->interval, (DataInterval{run->run_after_ms, run->run_after_ms}));
      last = run->interval;
    }
  }
}

TEST(Timetable, CronNextAndPreviousAgree) {
  for (const char* text : {"*/7 * * * *", "0 0 L * *", "5 4 * * SUN", "0 22-2 * * *", "1-59/13 */5 1,15 * MON"}) {
    Cron cron = *Cron::Parse(text);
    int64_t at = 1'704'067'200;
    for (int i = 0; i < 200; ++i) {
      int64_t next = *cron.Next(at);
      EXPECT_GT(next, at);
      EXPECT_EQ(*cron.Previous(next + 1), next) << text;
      EXPECT_LE(*cron.Previous(next), at) << text;
      at = next;
    }
  }
}

TEST(Timetable, BadSchedulesSayWhy) {
  auto error = [](const std::string& text) {
    auto made = MakeTimetable(text, Zone::Utc(), false);
    return made.ok() ? "none" : made.error().ToString();
  };
  EXPECT_NE(error("61 * * * *").find("'61' can't stand in the minute field"), std::string::npos) << error("61 * * * *");
  EXPECT_NE(error("* * * *").find("has 4 fields, not 5"), std::string::npos);
  EXPECT_NE(error("@fortnightly").find("@weekly"), std::string::npos);
  EXPECT_NE(error("0 0 30 2 *").find("never matches"), std::string::npos);
  EXPECT_NE(error("* * * FOO *").find("month field"), std::string::npos);
  EXPECT_NE(error("*/0 * * * *").find("minute field"), std::string::npos);
  for (const char* none : {"", "None", "null"}) EXPECT_EQ(*MakeTimetable(none, Zone::Utc(), false), nullptr);
  EXPECT_FALSE(Zone::Find("Mars/Olympus").ok());
}

TEST(Timetable, CatchupAndWithout) {
  auto daily = Make("@daily");
  int64_t now = Ms("2024-01-10T12:00:00Z");
  Restriction from{.earliest_ms = Ms("2024-01-05"), .latest_ms = std::nullopt, .catchup = true};
  auto first = daily->Next(std::nullopt, from, now);
  EXPECT_EQ(Text(first->logical_date_ms), "2024-01-05T00:00:00Z");
  EXPECT_EQ(Text(daily->Next(first->interval, from, now)->logical_date_ms), "2024-01-06T00:00:00Z");
  from.catchup = false;
  auto latest = daily->Next(std::nullopt, from, now);
  EXPECT_EQ(Text(latest->logical_date_ms), "2024-01-10T00:00:00Z");
  EXPECT_EQ(Text(daily->Next(latest->interval, from, now)->logical_date_ms), "2024-01-11T00:00:00Z");
  from.latest_ms = Ms("2024-01-10T06:00:00Z");
  EXPECT_FALSE(daily->Next(latest->interval, from, now));
  // Without a start date nothing long past fires.
  EXPECT_EQ(Text(daily->Next(std::nullopt, {}, now)->logical_date_ms), "2024-01-11T00:00:00Z");
}

TEST(Timetable, DataIntervals) {
  auto daily = Make("@daily", "UTC", true);
  int64_t now = Ms("2024-01-10T12:00:00Z");
  Restriction from{.earliest_ms = Ms("2024-01-05"), .latest_ms = std::nullopt, .catchup = true};
  auto run = daily->Next(std::nullopt, from, now);
  EXPECT_EQ(Text(run->interval.start_ms), "2024-01-05T00:00:00Z");
  EXPECT_EQ(Text(run->run_after_ms), "2024-01-06T00:00:00Z");
  from.catchup = false;
  run = daily->Next(std::nullopt, from, now);
  EXPECT_EQ(Text(run->interval.start_ms), "2024-01-09T00:00:00Z");
  EXPECT_EQ(Text(daily->ManualInterval(now).start_ms), "2024-01-09T00:00:00Z");
  EXPECT_EQ(Text(daily->ManualInterval(now).end_ms), "2024-01-10T00:00:00Z");
}

TEST(Timetable, DeltaOnceContinuous) {
  int64_t now = Ms("2024-01-10T12:00:00Z");
  auto delta = Make("10m");
  auto run = delta->Next(std::nullopt, {}, now);
  EXPECT_EQ(run->run_after_ms, now);
  EXPECT_EQ(delta->Next(run->interval, {}, now)->run_after_ms, now + 600'000);
  // Missed ones are not made up for; the next one is due at once.
  EXPECT_EQ(delta->Next(run->interval, {}, now + 6'000'000)->run_after_ms, now + 6'000'000);
  auto intervals = Make("10m", "UTC", true);
  Restriction grid{.earliest_ms = now, .latest_ms = std::nullopt, .catchup = false};
  EXPECT_EQ(intervals->Next(std::nullopt, grid, now + 3'700'000)->interval,
            (DataInterval{now + 3'000'000, now + 3'600'000}));
  auto once = Make("@once");
  run = once->Next(std::nullopt, grid, now);
  EXPECT_EQ(run->run_after_ms, now);
  EXPECT_FALSE(once->Next(run->interval, grid, now));
  auto continuous = Make("@continuous");
  EXPECT_TRUE(continuous->continuous());
  EXPECT_EQ(continuous->Next(DataInterval{now - 10, now - 5}, {}, now)->interval, (DataInterval{now - 5, now}));
}

TEST(Timetable, DatesParse) {
  const Zone* berlin = *Zone::Find("Europe/Berlin");
  EXPECT_EQ(Text(ParseDateTime("2024-07-01", *berlin)->epoch_us / 1000), "2024-06-30T22:00:00Z");
  EXPECT_EQ(Text(ParseDateTime("2024-07-01T10:00:00+05:30", *berlin)->epoch_us / 1000), "2024-07-01T04:30:00Z");
  for (const char* bad :
       {"2024-13-01", "2024-02-30", "24-01-01", "2024-01-01T25:00", "2024-01-01X", "", "2024-01-01T10:00:00+"})
    EXPECT_FALSE(ParseDateTime(bad, *berlin).ok()) << bad;
}

}  // namespace
}  // namespace tailrace::workflow
