#include <gtest/gtest.h>

#include "base/clock.h"
#include "observe/alerts.h"
#include "observe/metrics_text.h"
#include "observe/process_stats.h"
#include "observe/recent_log.h"

namespace tailrace::observe {
namespace {

using config::AlertMetric;
using config::AlertRule;

struct Heard {
  std::vector<std::string> lines;
  AlertEngine::Notify Listener() {
    return [this](const Alert& a, const AlertRule&) {
      lines.push_back(std::string(AlertStateName(a.state)) + " " + a.message);
    };
  }
};

TEST(Alerts, FiresAfterItsTimeAndResolvesOnce) {
  ManualClock clock;
  Heard heard;
  AlertEngine engine({{.name = "slow", .metric = AlertMetric::kLatency, .threshold = 30'000, .for_ms = 5'000}}, clock,
                     heard.Listener());
  const int64_t start = clock.NowMs();
  for (int second = 0; second < 10; ++second, clock.Advance(1000))
    engine.Evaluate({{"j", true, start, 500, 31'000'000, 0}});
  EXPECT_EQ(heard.lines, std::vector<std::string>{"firing j: p99 latency 31.0 s (at most 30.0 s expected)"});
  ASSERT_EQ(engine.Alerts().size(), 1u);
  EXPECT_EQ(engine.Alerts()[0].fired_ms, start + 5000);
  engine.Evaluate({{"j", true, start, 500, 1'000'000, 0}});
  engine.Evaluate({{"j", true, start, 500, 1'000'000, 0}});
  ASSERT_EQ(heard.lines.size(), 2u);
  EXPECT_EQ(heard.lines[1], "resolved j: p99 latency 1.0 s (at most 30.0 s expected)");
  EXPECT_EQ(engine.Alerts()[0].state, AlertState::kResolved);
}

TEST(Alerts, ThroughputWaitsForTheFirstAverageAndEndsWithTheJob) {
  ManualClock clock;
  Heard heard;
  AlertEngine engine(
      {{.name = "idle", .job = "j", .metric = AlertMetric::kThroughput, .below = true, .threshold = 100}}, clock,
      heard.Listener());
  const int64_t start = clock.NowMs();
  engine.Evaluate({{"j", true, start, 0, -1, -1}, {"other", true, start - 60'000, 0, -1, -1}});
  EXPECT_TRUE(heard.lines.empty());
  clock.Advance(10'000);
  engine.Evaluate({{"j", true, start, 99, -1, -1}});
  EXPECT_EQ(heard.lines, std::vector<std::string>{"firing j: 99 events/s (at least 100 expected)"});
  engine.Evaluate({{"j", false, start, 0, -1, -1}});
  EXPECT_EQ(heard.lines.size(), 2u);
}

TEST(Alerts, ShortBreachNeverFires) {
  ManualClock clock;
  Heard heard;
  AlertEngine engine({{.name = "lag", .metric = AlertMetric::kLag, .threshold = 10, .for_ms = 2000}}, clock,
                     heard.Listener());
  engine.Evaluate({{"j", true, 0, 0, -1, 11}});
  clock.Advance(1000);
  engine.Evaluate({{"j", true, 0, 0, -1, 10}});
  clock.Advance(1000);
  engine.Evaluate({{"j", true, 0, 0, -1, 11}});
  clock.Advance(1000);
  engine.Evaluate({{"j", true, 0, 0, -1, 11}});
  EXPECT_TRUE(heard.lines.empty());
}

TEST(MetricsText, Format) {
  MetricsText m;
  m.Single("a_total", "counter", "Things.", 3, {{"topic", "x\"y\\z\n"}});
  m.Family("t", "summary", "Time.");
  m.Sample(0.5, {{"quantile", "0.99"}});
  m.Sample("_count", 2);
  EXPECT_EQ(m.Take(),
            "# HELP a_total Things.\n# TYPE a_total counter\na_total{topic=\"x\\\"y\\\\z\\n\"} 3\n"
            "# HELP t Time.\n# TYPE t summary\nt{quantile=\"0.99\"} 0.5\nt_count 2\n");
}

TEST(MetricsText, QuantileOfPowers) {
  EXPECT_EQ(QuantileOfPowers({}, 0.5), 0);
  EXPECT_EQ(QuantileOfPowers({0, 0, 10}, 0.5), 3);  // between 2 and 4
  EXPECT_EQ(QuantileOfPowers({0, 90, 0, 10}, 0.99), 7.6);
}

TEST(ProcessStats, SeesItself) {
  const ProcessStats s = ReadProcessStats();
  EXPECT_GE(s.cpu_seconds, 0);
  EXPECT_GT(s.resident_bytes, 100'000);
  EXPECT_GT(s.open_fds, 2);
  EXPECT_NEAR(static_cast<double>(s.start_time_ms), static_cast<double>(Clock::System().NowMs()), 600'000);
  EXPECT_GT(ReadDiskSpace("/").total_bytes, 0);
}

TEST(RecentLog, KeepsWarningsOnceEach) {
  RecentLog log;
  LogInfo("x", "not kept");
  for (int i = 0; i < 3; ++i) LogWarning("x", "same");
  LogError("x", "other");
  const auto lines = log.Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].message, "other");
  EXPECT_EQ(lines[1].repeated, 3);
  EXPECT_EQ(log.errors(), 1u);
}

}  // namespace
}  // namespace tailrace::observe
