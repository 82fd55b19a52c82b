#include "stream/job_manager.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/logging.h"
#include "stream/connector.h"
#include "stream/testing.h"

namespace tailrace::stream {
namespace {

using data::TypeId;

/// What the connectors of this test work on: numbers 0..end from one source, into one list.
struct Outside {
  std::mutex mutex;
  std::vector<std::string> rows;  // committed
  std::map<uint64_t, std::vector<std::string>> prepared;
  std::atomic<int64_t> end{1000};  // rows there are
  std::atomic<bool> bounded{true};
  std::atomic<int> polls_to_fail{0};  // each fails retriably
  std::atomic<bool> broken{false};    // fails for good
  std::vector<BadRecord> bad;
};

class NumberSource final : public Source {
 public:
  explicit NumberSource(Outside* outside) : outside_(outside) {}
  Status Open(const std::string& position) override {
    next_ = position.empty() ? 0 : std::stoll(position);
    return {};
  }
  Result<PollState> Poll(Polled* out) override {
    if (outside_->broken) return InvalidArgument("the source is broken");
    int64_t take = std::min<int64_t>(100, outside_->end - next_);
    if (take <= 0) return outside_->bounded ? PollState::kEnd : PollState::kIdle;
    std::vector<std::vector<int64_t>> rows;
    for (int64_t i = 0; i < take; i++, next_++) rows.push_back({next_, next_ * 1000});
    out->batches.push_back(testing::Integers(rows, {{"n", TypeId::kBigInt}, {"ts", TypeId::kTimestamp}}));
    out->records = static_cast<uint64_t>(take);
    if (next_ >= 500 && outside_->polls_to_fail > 0) {
      outside_->polls_to_fail--;
      return Error(ErrorCode::kUnavailable, "the source is away");
    }
    return PollState::kMore;
  }
  std::string Position() const override { return std::to_string(next_); }
  bool bounded() const override { return outside_->bounded; }

 private:
  Outside* outside_;
  int64_t next_ = 0;
};

class ListSink final : public Sink {
 public:
  explicit ListSink(Outside* outside) : outside_(outside) {}
  Status Open() override { return {}; }
  Status Write(const data::Batch& batch) override {
    for (uint32_t r = 0; r < batch.rows; r++) rows_.push_back(testing::RowText(batch, r));
    return {};
  }
  Result<std::string> Prepare(uint64_t epoch) override {
    std::lock_guard lock(outside_->mutex);
    outside_->prepared[epoch] = std::move(rows_);
    rows_.clear();
    return std::string("p");
  }
  Status Commit(uint64_t epoch, const std::string&) override {
    std::lock_guard lock(outside_->mutex);
    for (std::string& row : outside_->prepared[epoch]) outside_->rows.push_back(std::move(row));
    outside_->prepared.erase(epoch);
    return {};
  }

 private:
  Outside* outside_;
  std::vector<std::string> rows_;
};

class TestConnectors final : public JobConnectors {
 public:
  explicit TestConnectors(Outside* outside) : outside_(outside) {}
  Result<std::unique_ptr<Source>> MakeSource(const ScanSpec& scan, const ConnectorContext&) override {
    EXPECT_EQ(scan.columns, (std::vector<int>{0, 1}));
    return std::unique_ptr<Source>(new NumberSource(outside_));
  }
  Result<std::unique_ptr<Sink>> MakeSink(const sql::Table&, const ConnectorContext&) override {
    return std::unique_ptr<Sink>(new ListSink(outside_));
  }
  Result<std::unique_ptr<CommitPoint>> MakeCommitPoint(const ConnectorContext&) override {
    return std::unique_ptr<CommitPoint>();
  }
  Status WriteBadRecords(const std::vector<BadRecord>& bad, const ConnectorContext&) override {
    outside_->bad.insert(outside_->bad.end(), bad.begin(), bad.end());
    return {};
  }

 private:
  Outside* outside_;
};

class TestFactory final : public ConnectorFactory {
 public:
  Status Validate(const sql::Table& table) const override {
    if (table.Get("connector") == "test") return {};
    return InvalidArgument("there is no connector '" + table.Get("connector") + "'").At(table.where);
  }
  std::unique_ptr<JobConnectors> ForJob(const sql::Script&) override {
    return std::make_unique<TestConnectors>(&outside);
  }
  Outside outside;
};

const char* kTables =
    "CREATE TABLE numbers (n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'test');\n"
    "CREATE TABLE out (n BIGINT, c BIGINT) WITH ('connector' = 'test');\n";
/// Every row once, and one row of each 100 ms.
const std::string kWindows = std::string(kTables) +
                             "INSERT INTO out SELECT MIN(n), COUNT(*) FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(ts), "
                             "INTERVAL '0.1' SECOND)) GROUP BY window_start, window_end;";

class JobManagerTest : public ::testing::Test {
 protected:
  JobManagerTest() {
    SetUpLogging(LogLevel::kError, false);
    const char* base = getenv("TMPDIR");
    std::string path = std::string(base ? base : "/tmp") + "/tailrace_jobs_XXXXXX";
    directory_ = mkdtemp(path.data());
    Remake();
  }
  void Remake() {
    manager_.reset();
    JobManagerOptions options;
    options.checkpoint_dir = directory_;
    options.max_restarts = 3;
    options.max_jobs = 2;
    options.restart_delay_ms = 5;
    manager_ = JobManager::Create(options, factory_, Clock::System());
  }
  std::vector<std::string> Rows() {
    std::lock_guard lock(factory_.outside.mutex);
    return factory_.outside.rows;
  }
  static std::vector<std::string> Windows(int64_t count) {
    std::vector<std::string> out;
    for (int64_t w = 0; w < count; w++) out.push_back("+I " + std::to_string(w * 100) + "|100");
    return out;
  }
  template <typename Condition>
  static bool Eventually(Condition condition) {
    for (int i = 0; i < 500; i++) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  TestFactory factory_;
  std::string directory_;
  std::unique_ptr<JobManager> manager_;
};

TEST_F(JobManagerTest, ABoundedJobFinishesAndANewRunStartsAnew) {
  for (int run = 1; run <= 2; run++) {
    auto name = manager_->Start("/x/windows.sql", kWindows, {});
    ASSERT_TRUE(name.ok()) << name.error().ToString();
    EXPECT_EQ(*name, "windows");
    auto info = manager_->Wait(*name, 10'000);
    ASSERT_TRUE(info.ok()) << info.error().ToString();
    EXPECT_EQ(info->state, JobState::kFinished) << info->error;
    EXPECT_EQ(info->records_in, 1000u);
    EXPECT_EQ(info->rows_out, 10u);
    EXPECT_EQ(info->lag, 0);
    EXPECT_GT(info->epoch, 0u);
    EXPECT_GE(info->ended_ms, info->started_ms);
    EXPECT_EQ(Rows().size(), 10u * run);
  }
}

TEST_F(JobManagerTest, AStoppedJobGoesOnWhereItWas) {
  factory_.outside.bounded = false;
  factory_.outside.end = 450;
  ASSERT_TRUE(manager_->Start("j.sql", kWindows, {}).ok());
  ASSERT_TRUE(Eventually([&] { return Rows().size() == 4; }));
  ASSERT_TRUE(manager_->Stop("j").ok());
  EXPECT_EQ(manager_->Describe("j")->state, JobState::kCancelled);
  Remake();
  factory_.outside.bounded = true;
  factory_.outside.end = 1000;
  ASSERT_TRUE(manager_->Start("j.sql", kWindows, {}).ok());
  EXPECT_EQ(manager_->Wait("j", 10'000)->state, JobState::kFinished);
  EXPECT_EQ(Rows(), Windows(10));
  EXPECT_EQ(manager_->Describe("j")->records_in, 550u);
}

TEST_F(JobManagerTest, FreshForgetsTheCheckpoint) {
  factory_.outside.bounded = false;
  factory_.outside.end = 450;
  ASSERT_TRUE(manager_->Start("j.sql", kWindows, {}).ok());
  ASSERT_TRUE(Eventually([&] { return Rows().size() == 4; }));
  ASSERT_TRUE(manager_->Stop("j").ok());
  factory_.outside.bounded = true;
  JobOptions fresh;
  fresh.resume = false;
  ASSERT_TRUE(manager_->Start("j.sql", kWindows, fresh).ok());
  EXPECT_EQ(manager_->Wait("j", 10'000)->state, JobState::kFinished);
  EXPECT_EQ(Rows().size(), 4u + 5u);
}

TEST_F(JobManagerTest, ARetriableFailureRestartsFromTheCheckpoint) {
  factory_.outside.polls_to_fail = 2;
  ASSERT_TRUE(manager_->Start("j.sql", kWindows, {}).ok());
  auto info = manager_->Wait("j", 10'000);
  EXPECT_EQ(info->state, JobState::kFinished) << info->error;
  EXPECT_EQ(info->restarts, 2);
  EXPECT_EQ(Rows(), Windows(10));
}

TEST_F(JobManagerTest, RestartsHaveALimit) {
  factory_.outside.polls_to_fail = 100;
  ASSERT_TRUE(manager_->Start("j.sql", kWindows, {}).ok());
  auto info = manager_->Wait("j", 10'000);
  EXPECT_EQ(info->state, JobState::kFailed);
  EXPECT_EQ(info->restarts, 3);
  EXPECT_NE(info->error.find("the source is away"), std::string::npos);
}

TEST_F(JobManagerTest, AFailureForGoodEndsTheJob) {
  factory_.outside.broken = true;
  ASSERT_TRUE(manager_->Start("j.sql", kWindows, {}).ok());
  auto info = manager_->Wait("j", 10'000);
  EXPECT_EQ(info->state, JobState::kFailed);
  EXPECT_EQ(info->restarts, 0);
  EXPECT_NE(info->error.find("the source is broken"), std::string::npos);
}

TEST_F(JobManagerTest, NamesAndLimits) {
  factory_.outside.bounded = false;
  ASSERT_TRUE(manager_->Start("a.sql", kWindows, {}).ok());
  EXPECT_EQ(manager_->Start("a.sql", kWindows, {}).error().code(), ErrorCode::kAlreadyExists);
  auto named = manager_->Start("a.sql", "SET 'pipeline.name' = 'b c/d';\n" + kWindows, {});
  ASSERT_TRUE(named.ok()) << named.error().ToString();
  EXPECT_EQ(*named, "b c/d");
  JobOptions options;
  options.name = "third";
  EXPECT_EQ(manager_->Start("a.sql", kWindows, options).error().code(), ErrorCode::kLimitExceeded);
  EXPECT_EQ(manager_->List().size(), 2u);
  EXPECT_EQ(manager_->Describe("nobody").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(manager_->Wait("a", 1).error().code(), ErrorCode::kTimeout);
  manager_->Shutdown(5000);
  for (const JobInfo& info : manager_->List()) EXPECT_EQ(info.state, JobState::kCancelled) << info.error;
}

TEST_F(JobManagerTest, ErrorsOfTheFileNameTheirPlace) {
  auto unknown = manager_->Start(
      "j.sql", "CREATE TABLE t (a INT) WITH ('connector' = 'nope');\nINSERT INTO t SELECT a FROM t;", {});
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().ToString().find("j.sql:1:"), std::string::npos) << unknown.error().ToString();
  auto nothing = manager_->Start("j.sql", kTables, {});
  ASSERT_FALSE(nothing.ok());
  EXPECT_NE(nothing.error().ToString().find("INSERT"), std::string::npos);
  EXPECT_TRUE(manager_->List().empty());
}

TEST_F(JobManagerTest, StateHasALimit) {
  factory_.outside.bounded = false;
  factory_.outside.end = 200'000;
  std::string many =
      std::string("SET 'state.max-size' = '1 MB';\n") + kTables +
      "INSERT INTO out SELECT n, COUNT(*) FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(ts), INTERVAL '1' DAY)) "
      "GROUP BY n, window_start, window_end;";
  auto started = manager_->Start("j.sql", many, {});
  ASSERT_TRUE(started.ok()) << started.error().ToString();
  auto info = manager_->Wait("j", 20'000);
  ASSERT_TRUE(info.ok()) << info.error().ToString();
  EXPECT_EQ(info->state, JobState::kFailed);
  EXPECT_NE(info->error.find("state.max-size"), std::string::npos) << info->error;
}

TEST_F(JobManagerTest, StateOfAnotherQueryIsRefused) {
  factory_.outside.bounded = false;
  factory_.outside.end = 450;
  ASSERT_TRUE(manager_->Start("j.sql", kWindows, {}).ok());
  ASSERT_TRUE(Eventually([&] { return Rows().size() == 4; }));
  ASSERT_TRUE(manager_->Stop("j").ok());
  std::string changed = kWindows;
  changed.replace(changed.find("MIN(n)"), 6, "MAX(n)");
  ASSERT_TRUE(manager_->Start("j.sql", changed, {}).ok());
  auto info = manager_->Wait("j", 10'000);
  EXPECT_EQ(info->state, JobState::kFailed);
  EXPECT_NE(info->error.find("--fresh"), std::string::npos) << info->error;
}

TEST_F(JobManagerTest, AnUnreadableCheckpointIsAnErrorThatSaysSo) {
  factory_.outside.bounded = false;
  factory_.outside.end = 450;
  ASSERT_TRUE(manager_->Start("j.sql", kWindows, {}).ok());
  ASSERT_TRUE(Eventually([&] { return Rows().size() == 4; }));
  ASSERT_TRUE(manager_->Stop("j").ok());
  std::string newest = directory_ + "/j/chk-" + std::to_string(manager_->Describe("j")->epoch);
  ASSERT_EQ(truncate(newest.c_str(), 100), 0);
  ASSERT_TRUE(manager_->Start("j.sql", kWindows, {}).ok());
  auto info = manager_->Wait("j", 10'000);
  EXPECT_EQ(info->state, JobState::kFailed);
  EXPECT_NE(info->error.find("cut short"), std::string::npos) << info->error;
  EXPECT_NE(info->error.find("--fresh"), std::string::npos) << info->error;
  EXPECT_EQ(Rows().size(), 4u);
}

}  // namespace
}  // namespace tailrace::stream
