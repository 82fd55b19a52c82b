#include <gtest/gtest.h>

#include "config/project.h"
#include "config/settings.h"
#include "config/suggest.h"

namespace tailrace::config {
namespace {

std::vector<std::string> ProblemsOf(const std::string& text) {
  std::vector<Error> problems;
  ParseProject("p/tailrace.yaml", text, &problems);
  std::vector<std::string> out;
  for (const Error& e : problems) out.push_back(e.ToString());
  return out;
}
using Problems = std::vector<std::string>;

TEST(Project, ReadsEverything) {
  std::vector<Error> problems;
  Project p = ParseProject("tailrace.yaml", R"(
name: clicks
profiles:
  embedded: {}
  kafka: {kafka: "k1:9092,k2:9092", variables: {RATE: 5}}
topics:
  - {name: raw_events, partitions: 3, configs: {retention.ms: 1000}}
  - plain
stores: {serving: {path: data/serving.duckdb}}
pools: {streaming_pool: 4, other: {slots: 1, description: one at a time}}
alerts:
  - {job: stream_processor, metric: latency, above: 30s, for: 10s, topic: alerts}
  - {metric: throughput, below: 100}
alert_topic: all_alerts
autostart: [a]
variables: {RATE: 100}
run: {trigger: d, conf: {n: 5, s: "5", l: [true, x]}, show: [{store: serving, sql: SELECT 1}], report: out/r.html}
settings: {broker.retention: 2h, port.kafka: 0}
)",
                           &problems);
  for (const Error& e : problems) ADD_FAILURE() << e.ToString();
  EXPECT_EQ(p.name, "clicks");
  EXPECT_EQ(p.FindProfile("kafka")->kafka, "k1:9092,k2:9092");
  ASSERT_EQ(p.topics.size(), 2u);
  EXPECT_EQ(p.topics[0].partitions, 3);
  EXPECT_EQ(p.topics[0].configs.at("retention.ms"), "1000");
  EXPECT_EQ(p.topics[1].name, "plain");
  EXPECT_EQ(p.stores[0].path, "data/serving.duckdb");
  EXPECT_EQ(p.pools[0].slots, 4);
  ASSERT_EQ(p.alerts.size(), 2u);
  EXPECT_EQ(p.alerts[0].threshold, 30'000);
  EXPECT_EQ(p.alerts[0].for_ms, 10'000);
  EXPECT_EQ(p.alerts[0].topic, "alerts");
  EXPECT_TRUE(p.alerts[1].below);
  EXPECT_EQ(p.alerts[1].topic, "all_alerts");
  EXPECT_EQ(p.alert_topic, "all_alerts");
  EXPECT_EQ(p.alerts[1].name, "any job throughput");
  EXPECT_EQ(p.run.conf_json, R"({"n":5,"s":"5","l":[true,"x"]})");
  EXPECT_EQ(p.settings[0].value, "2h");
}

TEST(Project, ErrorsHavePlaceAndSuggestion) {
  EXPECT_EQ(ProblemsOf("name: x\ntopisc: []\n"),
            Problems{"p/tailrace.yaml:2:1: unknown key 'topisc' in the project; did you mean 'topics'?"});
  EXPECT_EQ(
      ProblemsOf("name: x\ntopics:\n  - name: a\n    partitions: many\n"),
      Problems{"p/tailrace.yaml:4:17: 'many' is not possible for partitions; use a whole number from 1 to 10000"});
  EXPECT_EQ(ProblemsOf("name: [unclosed\n").size(), 1u);
  EXPECT_NE(ProblemsOf("a: b: c\n")[0].find("p/tailrace.yaml:1:5: not YAML: illegal map value"), std::string::npos)
      << ProblemsOf("a: b: c\n")[0];
  EXPECT_EQ(ProblemsOf(""),
            Problems{"p/tailrace.yaml: the file is empty; start with 'name: my-project', or run 'tailrace init'"});
  EXPECT_EQ(ProblemsOf("- a\n"), Problems{"p/tailrace.yaml:1:1: the project is a list, expected a map of names to "
                                          "values; write it as 'name: value' lines"});
  EXPECT_EQ(ProblemsOf("topics: []\n"),
            Problems{"p/tailrace.yaml:1:1: the project has no name; add 'name: my-project'"});
  EXPECT_EQ(ProblemsOf("name: a\nname: b\n"),
            Problems{"p/tailrace.yaml:2:1: 'name' is in the project twice; remove one"});
  EXPECT_EQ(ProblemsOf("name: a\ntopics: [t, t]\n"),
            Problems{"p/tailrace.yaml:2:13: 't' is in topics twice; remove one"});
  EXPECT_EQ(
      ProblemsOf("name: a\ntopics: ['a b']\n"),
      Problems{
          "p/tailrace.yaml:2:10: 'a b' is not a name for a topic; use up to 249 letters, digits, '.', '_' and '-'"});
  EXPECT_EQ(ProblemsOf("name: a\nsettings:\n  broker.retenton: 1d\n  port.http: 70000\n"),
            (Problems{"p/tailrace.yaml:3:3: there is no setting 'broker.retenton'; did you mean 'broker.retention'?",
                      "p/tailrace.yaml:4:14: '70000' is not possible for the setting port.http; use a port from 1 to "
                      "65535, or 0 for any free one"}));
  EXPECT_EQ(
      ProblemsOf(
          "name: a\nalerts:\n  - {metric: latncy, above: 1s}\n  - {metric: lag, above: high}\n  - {metric: lag}\n"),
      (Problems{"p/tailrace.yaml:3:14: there is no metric 'latncy' for alerts; did you mean 'latency'?",
                "p/tailrace.yaml:4:26: 'high' is not a threshold for lag; use a number such as 100",
                "p/tailrace.yaml:5:5: an alert needs one of above and below; add 'above: 30s' or 'below: 100'"}));
  EXPECT_EQ(ProblemsOf("name: a\nstores:\n  s: {}\n"),
            Problems{"p/tailrace.yaml:3:3: store 's' has no path; add 'path: FILE.duckdb'"});
  EXPECT_EQ(ProblemsOf("name: a\nrun: {show: [{store: servng, sql: S}]}\nstores: {serving: {path: x}}\n"),
            Problems{"p/tailrace.yaml:2:22: there is no store 'servng'; did you mean 'serving'?"});
  EXPECT_EQ(
      ProblemsOf("name: a\npools: {p: 0}\n"),
      Problems{"p/tailrace.yaml:2:12: '0' is not possible for slots of pool 'p'; use a whole number from 1 to 100000"});
}

TEST(Project, NoDirectoryAndNoFile) {
  auto none = LoadProject("/nonexistent/dir");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code(), ErrorCode::kNotFound);
  auto empty = LoadProject("/");
  ASSERT_FALSE(empty.ok());
  EXPECT_NE(empty.error().ToString().find("tailrace init"), std::string::npos);
}

TEST(Settings, FlagOverEnvironmentOverFile) {
  Settings s;
  EXPECT_EQ(s.Port("port.http"), 8080);
  ASSERT_TRUE(s.Set("port.http", "1", SettingOrigin::kFlag).ok());
  ASSERT_TRUE(
      s.SetFromEnvironment({{"TAILRACE_PORT_HTTP", "2"}, {"TAILRACE_PORT_KAFKA", "3"}, {"TAILRACE_URL", "x"}}).ok());
  ASSERT_TRUE(s.Set("port.http", "4", SettingOrigin::kFile).ok());
  ASSERT_TRUE(s.Set("port.kafka", "5", SettingOrigin::kFile).ok());
  EXPECT_EQ(s.Port("port.http"), 1);
  EXPECT_EQ(s.Port("port.kafka"), 3);
  EXPECT_EQ(s.Origin("port.kafka"), SettingOrigin::kEnvironment);
  auto bad = s.SetFromEnvironment({{"TAILRACE_BROKER_RETENTION", "soon"}});
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().ToString(),
            "environment variable TAILRACE_BROKER_RETENTION: 'soon' is not possible for the setting broker.retention; "
            "use a duration such as 500ms, 30s, 5m, 7d, or -1 for no limit");
}

TEST(Settings, UnitsAndRanges) {
  Settings s;
  ASSERT_TRUE(s.Set("broker.segment.bytes", "64MB", SettingOrigin::kFlag).ok());
  EXPECT_EQ(s.Bytes("broker.segment.bytes"), 64 << 20);
  EXPECT_EQ(s.DurationMs("broker.retention"), 7 * 86'400'000ll);
  EXPECT_TRUE(s.Bool("broker.flush.before.ack"));
  EXPECT_NE(s.Set("broker.segment.bytes", "9TB", SettingOrigin::kFlag).error().message().find("too large"),
            std::string::npos);
  EXPECT_FALSE(s.Set("log.level", "loud", SettingOrigin::kFlag).ok());
  int64_t n;
  EXPECT_FALSE(ParseBytes("9999999999999TB", &n));
  EXPECT_FALSE(ParseBytes("MB", &n));
}

TEST(Suggest, NearestName) {
  EXPECT_EQ(Nearest("prot.http", {"port.http", "port.kafka"}), "port.http");
  EXPECT_EQ(Nearest("zzz", {"topics", "stores"}), "");
}

}  // namespace
}  // namespace tailrace::config
