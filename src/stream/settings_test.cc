#include "stream/settings.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "base/random.h"
#include "stream/latency.h"

namespace tailrace::stream {
namespace {

sql::Script With(const std::string& name, const std::string& value) {
  sql::Script script;
  script.settings[name] = {value, {"job.sql", 3, 5}};
  return script;
}

TEST(Settings, AreRead) {
  EXPECT_EQ(ReadSettings(With("execution.checkpointing.interval", "5 s"))->checkpoint_interval_ms, 5000);
  EXPECT_FALSE(ReadSettings(With("execution.checkpointing.mode", "AT_LEAST_ONCE"))->exactly_once);
  EXPECT_EQ(ReadSettings(With("pipeline.max-parallelism", "64"))->key_groups, 64u);
  EXPECT_EQ(ReadSettings(With("late.topic", "late"))->late_topic, "late");
  EXPECT_EQ(ReadSettings(With("state.max-size", "512 MB"))->state_bytes_max, int64_t{512} << 20);
  EXPECT_EQ(ReadSettings(With("state.max-size", "2g"))->state_bytes_max, int64_t{2} << 30);
  EXPECT_EQ(ReadSettings(With("state.max-size", "1048576"))->state_bytes_max, 1 << 20);
  EXPECT_TRUE(ReadSettings(With("parallelism.default", "4")).ok());
}

TEST(Settings, AnUnknownOneNamesItsPlaceAndTheNearest) {
  auto read = ReadSettings(With("execution.checkpoint.interval", "5 s"));
  ASSERT_FALSE(read.ok());
  std::string text = read.error().ToString();
  EXPECT_NE(text.find("job.sql:3:5"), std::string::npos) << text;
  EXPECT_NE(text.find("did you mean 'execution.checkpointing.interval'"), std::string::npos) << text;
}

TEST(Settings, WrongValuesAreErrors) {
  for (auto [name, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"execution.checkpointing.interval", "soon"},
                                                                  {"execution.checkpointing.interval", "0"},
                                                                  {"execution.checkpointing.mode", "TWICE"},
                                                                  {"pipeline.max-parallelism", "0"},
                                                                  {"pipeline.max-parallelism", "40000"},
                                                                  {"state.max-size", "lots"},
                                                                  {"state.max-size", "1 kb"},
                                                                  {"state.max-size", "99999999 gb"},
                                                                  {"execution.runtime-mode", "batch"}}) {
    auto read = ReadSettings(With(name, value));
    ASSERT_FALSE(read.ok()) << name;
    EXPECT_NE(read.error().message().find(name), std::string::npos);
    EXPECT_TRUE(read.error().where().has_value());
  }
}

TEST(Settings, EachIsInTheManual) {
  char program[4096];
  ssize_t length = readlink("/proc/self/exe", program, sizeof program);  // in the build directory, beside docs/
  ASSERT_GT(length, 0);
  std::string path(program, static_cast<size_t>(length));
  path = path.substr(0, path.rfind('/')) + "/../docs/stream-settings.md";
  FILE* file = fopen(path.c_str(), "r");
  ASSERT_NE(file, nullptr) << path;
  std::string page(64 << 10, '\0');
  page.resize(fread(page.data(), 1, page.size(), file));
  fclose(file);
  for (const SettingHelp& setting : AllSettings()) {
    EXPECT_NE(page.find(std::string("| `") + setting.name + "` | " + setting.otherwise + " | " + setting.help),
              std::string::npos)
        << setting.name << " is not in docs/stream-settings.md as in settings.cc";
  }
}

TEST(Latency, PercentilesAreWithinSevenPercentAndForgetAfterAMinute) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.Stats(0).p99_us, -1);
  for (int64_t us = 1; us <= 100'000; us++) histogram.Record(us, 1, 1000);
  LatencyStats stats = histogram.Stats(2000);
  EXPECT_NEAR(static_cast<double>(stats.p50_us), 50'000, 3500);
  EXPECT_NEAR(static_cast<double>(stats.p99_us), 99'000, 7000);
  EXPECT_EQ(stats.max_us, 100'000);
  EXPECT_EQ(histogram.Stats(70'000).p99_us, -1);
}

}  // namespace
}  // namespace tailrace::stream
