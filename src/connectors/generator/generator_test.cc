#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <mutex>
#include <set>

#include "base/bytes.h"
#include "base/clock.h"
#include "connectors/generator/events.h"
#include "connectors/generator/generator_manager.h"
#include "connectors/test_support.h"
#include "log/client.h"

#include <nlohmann/json.hpp>

namespace tailrace::connectors {
namespace {

/// A log that keeps what is written.
struct KeptLog final : log::Client {
  struct Sent {
    std::string key, value;
    int64_t at_ms;
  };
  std::mutex mutex;
  std::vector<Sent> sent;
  bool topic_made = false;

  struct KeptWriter final : log::Writer {
    explicit KeptWriter(KeptLog& l) : log(l) {}
    Status Append(const std::string&, int32_t, std::span<const log::RecordToWrite> records) override {
      std::lock_guard lock(log.mutex);
      for (auto& r : records) log.sent.push_back({std::string(r.key), std::string(r.value), r.timestamp_ms});
      return Ok();
    }
    Status Flush() override { return Ok(); }
    KeptLog& log;
  };
  std::vector<Sent> Take() {
    std::lock_guard lock(mutex);
    return sent;
  }
  Result<log::TopicDescription> DescribeTopic(const std::string& t) override {
    if (topic_made) return log::TopicDescription{t, 1};
    return NotFound("none");
  }
  Result<std::vector<log::TopicDescription>> ListTopics() override { return std::vector<log::TopicDescription>{}; }
  Status CreateTopic(const log::TopicSpec&) override {
    topic_made = true;
    return Ok();
  }
  Status DeleteTopic(const std::string&) override { return Ok(); }
  Result<std::pair<int64_t, int64_t>> Offsets(const TopicPartition&) override {
    return std::pair<int64_t, int64_t>(0, 0);
  }
  Result<int64_t> OffsetForTime(const TopicPartition&, int64_t) override { return int64_t{0}; }
  Result<std::unique_ptr<log::Reader>> OpenReader(const TopicPartition&, int64_t, log::Isolation, Waker*) override {
    return Unsupported("x");
  }
  Result<std::unique_ptr<log::Writer>> OpenWriter() override {
    return std::unique_ptr<log::Writer>(new KeptWriter(*this));
  }
  Result<std::unique_ptr<log::TransactionalWriter>> OpenTransactionalWriter(const std::string&) override {
    return Unsupported("x");
  }
  Result<log::CommittedOffset> Committed(const std::string&, const TopicPartition&) override {
    return log::CommittedOffset{};
  }
  Status CommitOffsets(const std::string&, std::span<const log::OffsetToCommit>) override { return Ok(); }
};

bool WaitFor(const std::function<bool()>& done, int64_t ms = 5000) {
  for (int64_t end = Clock::System().MonotonicMs() + ms; Clock::System().MonotonicMs() < end; usleep(2000))
    if (done()) return true;
  return false;
}

TEST(Generator, RepliesToMistakesWithPlaces) {
  auto complaint = [](const std::string& yaml) {
    auto spec = ParseGenerator("g.yaml", yaml, {});
    return spec.ok() ? "" : spec.error().ToString();
  };
  EXPECT_EQ(complaint("name: a\ntopic: t\nsource: {path: x.csv}\n"), "");
  EXPECT_EQ(complaint("name: a\ntopik: t\nsource: {path: x.csv}\n").substr(0, 12), "g.yaml:2:1: ");
  EXPECT_NE(complaint("name: a\ntopik: t\n").find("did you mean 'topic'?"), std::string::npos);
  EXPECT_NE(complaint("name: a\ntopic: t\nsource: {path: x.csv}\nrate: fast\n").find("g.yaml:4:7"), std::string::npos);
  EXPECT_NE(complaint("name: a\ntopic: t\nsource: {path: x.csv}\nbreak: {fraction: 0.1, kinds: [trunkate]}\n")
                .find("truncate"),
            std::string::npos);
  EXPECT_NE(complaint("name: [").find("g.yaml:"), std::string::npos);
  EXPECT_FALSE(ParseGenerator("g", "name: a\ntopic: t\nsource: {path: x}\n", {{"rat", "5"}}).ok());
}

TEST(Generator, ReplaysWithShiftedTimesKeysAndLoops) {
  TempDir dir;
  std::ofstream(dir / "e.csv") << "time,user,amount\n2020-01-01 00:00:00,ann,1\n2020-01-01 "
                                  "00:00:10,bob,2.5\n2020-01-01 00:00:20,\"c \"\"q\"\"\",3\n";
  KeptLog log;
  auto manager = GeneratorManager::Create(log, Clock::System());
  int64_t started = Clock::System().NowMs();
  auto name = manager->Start("g.yaml", R"(
name: replay
topic: raw
source:
  path: e.csv
  sql: |
    SELECT time AS "timestamp", user AS user_id, amount, {'n': amount * 2} AS nested FROM source
key: user_id
timestamps: {mode: shifted, field: timestamp}
rate: 1000
loop: true
limit: 7
)",
                             dir.path(), {});
  ASSERT_TRUE(name.ok()) << name.error().ToString();
  ASSERT_TRUE(WaitFor([&] { return manager->Describe("replay").value().state != GeneratorState::kRunning; }));
  auto info = manager->Describe("replay").value();
  EXPECT_EQ(info.state, GeneratorState::kFinished) << info.error;
  EXPECT_EQ(info.sent, 7u);
  EXPECT_EQ(info.loops, 2u);
  auto sent = log.Take();
  ASSERT_EQ(sent.size(), 7u);
  EXPECT_EQ(sent[1].key, "bob");
  auto second = nlohmann::json::parse(sent[1].value);
  EXPECT_EQ(second["nested"]["n"], 5.0);
  // Gaps are kept, also over the end of a loop.
  auto time = [&](size_t i) { return nlohmann::json::parse(sent[i].value)["timestamp"].get<std::string>(); };
  std::set<std::string> times;
  for (size_t i = 0; i < 7; i++) times.insert(time(i));
  EXPECT_EQ(times.size(), 7u);
  EXPECT_LE(time(0).substr(0, 16), FormatIso8601Ms(started + 60'000).substr(0, 16));
  EXPECT_EQ(nlohmann::json::parse(sent[2].value)["user_id"], "c \"q\"");
}

TEST(Generator, BreaksTheShareAskedForInEveryWay) {
  TempDir dir;
  std::ofstream lines(dir / "e.log");
  for (int i = 0; i < 1000; i++) lines << "line " << i << "\n";
  lines.close();
  KeptLog log;
  auto manager = GeneratorManager::Create(log, Clock::System());
  auto name = manager->Start("g.yaml", R"(
name: broken
topic: raw
source: {path: e.log, format: log, sql: "SELECT json_object('n', row_number() OVER (), 'text', line, 'ts', 0)::VARCHAR AS event FROM source"}
timestamps: {mode: now, field: ts, format: epoch_ms}
rate: 200000
loop: true
limit: 20000
break: {fraction: 0.1}
)",
                             dir.path(), {});
  ASSERT_TRUE(name.ok()) << name.error().ToString();
  ASSERT_TRUE(WaitFor([&] { return manager->Describe("broken").value().state == GeneratorState::kFinished; }));
  auto info = manager->Describe("broken").value();
  EXPECT_NEAR(static_cast<double>(info.broken), 2000, 200);
  int not_json = 0, bad_utf8 = 0, wrong_type = 0, missing = 0, good = 0;
  for (auto& s : log.Take()) {
    auto json = nlohmann::json::parse(s.value, nullptr, false);
    if (!IsUtf8(s.value)) bad_utf8++;
    else if (!json.is_object()) not_json++;
    else if (json.size() < 3) missing++;
    else if (!json["n"].is_number() || !json["ts"].is_number()) wrong_type++;
    else good++;
  }
  EXPECT_GT(bad_utf8, 200);
  EXPECT_GT(not_json, 500);  // truncated ones too
  EXPECT_GT(missing, 200);
  EXPECT_GT(wrong_type, 200);
  EXPECT_EQ(static_cast<uint64_t>(good), 20000 - info.broken);
}

TEST(Generator, PacesSteadilyAndStops) {
  TempDir dir;
  std::ofstream(dir / "e.json") << "{\"a\":1}\n{\"a\":2}\n";
  KeptLog log;
  auto manager = GeneratorManager::Create(log, Clock::System());
  std::string yaml = "name: steady\ntopic: t\nsource: {path: e.json}\nloop: true\nrate: 2000\n";
  ASSERT_TRUE(manager->Start("g", yaml, dir.path(), {}).ok());
  EXPECT_EQ(manager->Start("g", yaml, dir.path(), {}).error().code(), ErrorCode::kAlreadyExists);
  usleep(500'000);
  ASSERT_TRUE(manager->Stop("steady").ok());
  size_t count = log.Take().size();
  EXPECT_GT(count, 700u);
  EXPECT_LT(count, 1300u);
  usleep(50'000);
  EXPECT_EQ(log.Take().size(), count);
  EXPECT_EQ(manager->List().at(0).state, GeneratorState::kStopped);
  EXPECT_FALSE(manager->Stop("other").ok());
  ASSERT_TRUE(manager->Start("g", yaml, dir.path(), {{"limit", "3"}}).ok());
  ASSERT_TRUE(WaitFor([&] { return manager->Describe("steady").value().state == GeneratorState::kFinished; }));
  EXPECT_EQ(manager->Start("g", "name: x\ntopic: t\nsource: {path: none.csv}\n", dir.path(), {}).error().code(),
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tailrace::connectors
