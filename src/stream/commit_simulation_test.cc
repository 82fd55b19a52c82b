// A seeded simulation of the commit protocol: the process dies between any two steps, over and over, and the results of
// a bounded input must be there exactly once in a log, a table and files.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "base/logging.h"
#include "base/random.h"
#include "base/waker.h"
#include "stream/pipeline.h"
#include "stream/state/codec.h"
#include "stream/testing.h"

namespace tailrace::stream {
namespace {

using data::TypeId;

const data::Schema kInput = {{"key", TypeId::kBigInt}, {"ts", TypeId::kTimestamp}};

struct InputRow {
  int64_t key, ts_us;
};

/// What survives a crash, and what does not. Every effect on the outside passes through Effect().
struct World {
  // Durable.
  std::vector<std::vector<InputRow>> input;  // by partition
  std::map<uint64_t, std::string> checkpoints;
  std::set<uint64_t> in_slots;  // those that a later one is written over
  uint64_t log_epoch = 0;
  std::vector<std::string> log_rows, log_errors;
  uint64_t table_epoch = 0;
  std::vector<std::string> table_rows;
  std::map<uint64_t, std::vector<std::string>> pending_files;
  std::vector<std::string> file_rows;
  // Volatile.
  bool transaction_open = false;
  std::vector<std::string> transaction_rows, transaction_errors;

  int64_t effects_until_crash = -1;  // < 0: none planned
  bool crashed = false;
  std::string violation;

  /// False: the process is dead and the effect did not happen.
  bool Effect() {
    if (crashed) return false;
    if (effects_until_crash == 0) crashed = true;
    if (effects_until_crash >= 0) effects_until_crash--;
    return !crashed;
  }
  void Restart() {
    crashed = false;
    transaction_open = false;
    transaction_rows.clear();
    transaction_errors.clear();
  }
};

Error Dead() { return Error(ErrorCode::kInternal, "the process is dead"); }

class SimSource final : public Source {
 public:
  SimSource(World* world, Random* random) : world_(world), random_(random), offsets_(world->input.size()) {
    for (size_t p = 0; p < offsets_.size(); p++) partitions_.push_back({"in", static_cast<int32_t>(p)});
  }
  Status Open(const std::string& position) override {
    StateReader reader(position);
    if (!position.empty())
      for (int64_t& offset : offsets_) offset = reader.I64();
    return {};
  }
  Result<PollState> Poll(Polled* out) override {
    size_t first = random_->Below(offsets_.size());
    for (size_t i = 0; i < offsets_.size(); i++) {
      size_t p = (first + i) % offsets_.size();
      const auto& rows = world_->input[p];
      int64_t left = static_cast<int64_t>(rows.size()) - offsets_[p];
      if (left == 0) continue;
      int64_t take = 1 + static_cast<int64_t>(random_->Below(static_cast<uint64_t>(std::min<int64_t>(left, 20))));
      std::vector<std::vector<int64_t>> values;
      auto arena = std::make_shared<data::Arena>();
      auto* origins = static_cast<data::RowOrigin*>(arena->Allocate(sizeof(data::RowOrigin) * take));
      for (int64_t r = 0; r < take; r++) {
        const InputRow& row = rows[offsets_[p] + r];
        if (row.key < 0) {
          BadRecord bad;
          bad.reason = "negative";
          bad.offset = offsets_[p] + r;
          bad.from = partitions_[p];
          out->bad.push_back(bad);
          continue;
        }
        origins[values.size()] = {&partitions_[p], offsets_[p] + r, row.ts_us / 1000, {}, {}};
        values.push_back({row.key, row.ts_us});
      }
      data::Batch batch = testing::Integers(values, kInput);
      batch.origins = origins;
      batch.owners.push_back(arena);
      out->batches.push_back(std::move(batch));
      out->records += take;
      offsets_[p] += take;
      return PollState::kMore;
    }
    return PollState::kEnd;
  }
  std::string Position() const override {
    std::string out;
    StateWriter writer(&out);
    for (int64_t offset : offsets_) writer.I64(offset);
    return out;
  }
  bool bounded() const override { return true; }
  std::vector<std::pair<TopicPartition, int64_t>> LogOffsets() const override {
    std::vector<std::pair<TopicPartition, int64_t>> out;
    for (size_t p = 0; p < offsets_.size(); p++) out.push_back({partitions_[p], offsets_[p]});
    return out;
  }

 private:
  World* world_;
  Random* random_;
  std::vector<int64_t> offsets_;
  std::vector<TopicPartition> partitions_;
};

/// Results go into the transaction.
class LogSink final : public Sink {
 public:
  explicit LogSink(World* world) : world_(world) {}
  Status Open() override { return {}; }
  Status Write(const data::Batch& batch) override {
    if (!world_->Effect()) return Dead();
    if (!world_->transaction_open) world_->violation = "a write outside a transaction";
    for (uint32_t r = 0; r < batch.rows; r++) world_->transaction_rows.push_back(testing::RowText(batch, r));
    return {};
  }
  Result<std::string> Prepare(uint64_t) override { return std::string(); }
  Status Commit(uint64_t, const std::string&) override { return {}; }

 private:
  World* world_;
};

/// Results travel in the checkpoint and are applied with the epoch in one step, as a database's are.
class TableSink final : public Sink {
 public:
  explicit TableSink(World* world) : world_(world) {}
  Status Open() override { return {}; }
  Status Write(const data::Batch& batch) override {
    for (uint32_t r = 0; r < batch.rows; r++) rows_.push_back(testing::RowText(batch, r));
    return {};
  }
  Result<std::string> Prepare(uint64_t) override {
    std::string out;
    for (std::string& row : rows_) out += row + "\n";
    rows_.clear();
    return out;
  }
  Status Commit(uint64_t epoch, const std::string& prepared) override {
    if (!world_->Effect()) return Dead();
    if (epoch <= world_->table_epoch) return {};
    world_->table_epoch = epoch;
    for (size_t at = 0; at < prepared.size();) {
      size_t end = prepared.find('\n', at);
      world_->table_rows.push_back(prepared.substr(at, end - at));
      at = end + 1;
    }
    if (!world_->Effect()) return Dead();
    return {};
  }

 private:
  World* world_;
  std::vector<std::string> rows_;
};

/// Results lie in a pending file that a rename makes visible.
class FileSink final : public Sink {
 public:
  explicit FileSink(World* world) : world_(world) {}
  Status Open() override { return {}; }
  Status Write(const data::Batch& batch) override {
    for (uint32_t r = 0; r < batch.rows; r++) rows_.push_back(testing::RowText(batch, r));
    return {};
  }
  Result<std::string> Prepare(uint64_t epoch) override {
    if (rows_.empty()) return std::string();
    if (!world_->Effect()) return Dead();
    if (world_->pending_files.count(epoch)) world_->violation = "a pending file of an epoch that was discarded";
    world_->pending_files[epoch] = std::move(rows_);
    rows_.clear();
    return std::to_string(epoch);
  }
  Status Commit(uint64_t epoch, const std::string& prepared) override {
    if (prepared.empty()) return {};
    if (!world_->Effect()) return Dead();
    auto file = world_->pending_files.find(epoch);
    if (file == world_->pending_files.end()) return {};  // renamed already
    for (std::string& row : file->second) world_->file_rows.push_back(std::move(row));
    world_->pending_files.erase(file);
    return {};
  }
  Status Discard(uint64_t last_committed) override {
    for (auto it = world_->pending_files.upper_bound(last_committed); it != world_->pending_files.end();) {
      if (!world_->Effect()) return Dead();
      it = world_->pending_files.erase(it);
    }
    return {};
  }

 private:
  World* world_;
  std::vector<std::string> rows_;
};

class LogCommitPoint final : public CommitPoint {
 public:
  explicit LogCommitPoint(World* world) : world_(world) {}
  Result<uint64_t> Recover() override { return world_->log_epoch; }
  Status Begin(uint64_t) override {
    if (!world_->Effect()) return Dead();
    if (world_->transaction_open) world_->violation = "a transaction begun twice";
    world_->transaction_open = true;
    return {};
  }
  Status Commit(uint64_t epoch, const std::vector<std::pair<TopicPartition, int64_t>>&) override {
    if (!world_->Effect()) return Dead();
    if (!world_->checkpoints.count(epoch)) world_->violation = "an epoch decided before its checkpoint was durable";
    world_->log_epoch = epoch;
    for (std::string& row : world_->transaction_rows) world_->log_rows.push_back(std::move(row));
    for (std::string& row : world_->transaction_errors) world_->log_errors.push_back(std::move(row));
    world_->transaction_rows.clear();
    world_->transaction_errors.clear();
    world_->transaction_open = false;
    if (!world_->Effect()) return Dead();  // decided, but the answer is lost
    return {};
  }
  Status Abort() override {
    world_->transaction_open = false;
    world_->transaction_rows.clear();
    world_->transaction_errors.clear();
    return {};
  }

 private:
  World* world_;
};

class SimStore final : public CheckpointStore {
 public:
  explicit SimStore(World* world) : world_(world) {}
  Status Write(uint64_t epoch, const std::string& bytes, bool decides) override {
    if (!decides) {  // in place over the last of the same parity: a crash in the middle leaves it torn
      std::erase_if(world_->in_slots, [&](uint64_t old) {
        if (old % 2 != epoch % 2) return false;
        world_->checkpoints.erase(old);
        return true;
      });
      world_->in_slots.insert(epoch);
      world_->checkpoints[epoch] = bytes.substr(0, bytes.size() / 2);
    }
    if (!world_->Effect()) return Dead();
    world_->checkpoints[epoch] = bytes;
    if (decides) world_->in_slots.erase(epoch);
    if (!world_->Effect()) return Dead();
    return {};
  }
  Status RemoveBefore(uint64_t epoch) override {
    for (auto it = world_->checkpoints.begin(); it != world_->checkpoints.end() && it->first < epoch;) {
      if (!world_->Effect()) return Dead();
      it = world_->checkpoints.erase(it);
    }
    return {};
  }
  Result<std::string> Read(uint64_t epoch) override {
    auto it = world_->checkpoints.find(epoch);
    if (it == world_->checkpoints.end()) return NotFound("no checkpoint");
    return it->second;
  }
  Result<std::vector<uint64_t>> List() override {
    std::vector<uint64_t> out;
    for (auto& [epoch, bytes] : world_->checkpoints) out.push_back(epoch);
    return out;
  }
  Status Remove(uint64_t epoch) override {
    if (!world_->Effect()) return Dead();
    world_->checkpoints.erase(epoch);
    world_->in_slots.erase(epoch);
    return {};
  }

 private:
  World* world_;
};

class SimConnectors final : public JobConnectors {
 public:
  SimConnectors(World* world, Random* random, bool with_log) : world_(world), random_(random), with_log_(with_log) {}
  Result<std::unique_ptr<Source>> MakeSource(const ScanSpec&, const ConnectorContext&) override {
    return std::unique_ptr<Source>(new SimSource(world_, random_));
  }
  Result<std::unique_ptr<Sink>> MakeSink(const sql::Table& table, const ConnectorContext&) override {
    if (table.name == "log") return std::unique_ptr<Sink>(new LogSink(world_));
    if (table.name == "table") return std::unique_ptr<Sink>(new TableSink(world_));
    return std::unique_ptr<Sink>(new FileSink(world_));
  }
  Result<std::unique_ptr<CommitPoint>> MakeCommitPoint(const ConnectorContext&) override {
    if (!with_log_) return std::unique_ptr<CommitPoint>();
    return std::unique_ptr<CommitPoint>(new LogCommitPoint(world_));
  }
  Status WriteBadRecords(const std::vector<BadRecord>& bad, const ConnectorContext&) override {
    if (!with_log_) return {};
    if (!world_->Effect()) return Dead();
    for (const BadRecord& b : bad)
      world_->transaction_errors.push_back(std::to_string(b.from.partition) + "@" + std::to_string(b.offset));
    return {};
  }

 private:
  World* world_;
  Random* random_;
  bool with_log_;
};

/// in -> watermark -> [log]; watermark -> TUMBLE count by key -> table and files.
sql::Plan MakeSimPlan(bool with_log) {
  auto script = std::make_shared<sql::Script>();
  for (const char* name : {"in", "log", "table", "files"}) {
    sql::Table table;
    table.name = name;
    script->tables.push_back(table);
  }
  auto node = [](sql::Node::Kind kind, std::vector<sql::NodePtr> inputs) {
    auto made = std::make_shared<sql::Node>();
    made->kind = kind;
    made->inputs = std::move(inputs);
    if (!made->inputs.empty()) made->output = made->inputs[0]->output;
    return made;
  };
  auto scan = node(sql::Node::Kind::kScan, {});
  scan->table = &script->tables[0];
  scan->columns = {0, 1};
  scan->output = kInput;
  auto watermark = node(sql::Node::Kind::kWatermark, {scan});
  watermark->expressions = std::make_shared<testing::FunctionExpressions>(
      data::Schema{{"w", TypeId::kTimestamp}},
      [](const data::Batch& in, data::Arena&) { return std::vector<data::Column>{in.columns[1]}; });
  auto window = node(sql::Node::Kind::kWindow, {watermark});
  window->window.time_column = 1;
  window->window.size_us = window->window.slide_us = 1000;
  for (const char* name : {"window_start", "window_end", "window_time"})
    window->output.push_back({name, TypeId::kTimestamp});
  auto aggregate = node(sql::Node::Kind::kWindowAggregate, {window});
  aggregate->keys = {0, 2};
  aggregate->window_start = 2;
  aggregate->window_end = 3;
  sql::Aggregate count;
  count.kind = sql::AggregateKind::kCountStar;
  count.result = TypeId::kBigInt;
  aggregate->aggregates.push_back(count);
  aggregate->output = {{"key", TypeId::kBigInt}, {"window_start", TypeId::kTimestamp}, {"n", TypeId::kBigInt}};
  sql::Plan plan;
  for (size_t i = with_log ? 1 : 2; i < 4; i++) {
    auto sink = node(sql::Node::Kind::kSink, {i == 1 ? sql::NodePtr(watermark) : sql::NodePtr(aggregate)});
    sink->table = &script->tables[i];
    plan.sinks.push_back(sink);
  }
  plan.script = script;
  return plan;
}

void Simulate(uint64_t seed, bool with_log, int* crashes_seen) {
  SCOPED_TRACE("seed " + std::to_string(seed) + (with_log ? " with a log" : " without a log"));
  Random random(seed);
  World world;
  world.input.resize(1 + random.Below(3));
  std::vector<std::string> expected_log, expected_errors;
  std::map<std::pair<int64_t, int64_t>, int64_t> counts;
  for (size_t p = 0; p < world.input.size(); p++) {
    int64_t ts = 0;
    int64_t rows = static_cast<int64_t>(random.Below(120));
    for (int64_t r = 0; r < rows; r++) {
      ts += static_cast<int64_t>(random.Below(200));
      int64_t key = static_cast<int64_t>(random.Below(6)) - (random.Below(10) == 0 ? 10 : 0);
      world.input[p].push_back({key, ts});
      if (key < 0) {
        expected_errors.push_back(std::to_string(p) + "@" + std::to_string(r));
      } else {
        expected_log.push_back("+I " + std::to_string(key) + "|" + std::to_string(ts));
        counts[{key, ts / 1000 * 1000}]++;
      }
    }
  }
  std::vector<std::string> expected_windows;
  for (auto& [key, n] : counts) {
    expected_windows.push_back("+I " + std::to_string(key.first) + "|" + std::to_string(key.second) + "|" +
                               std::to_string(n));
  }

  sql::Plan plan = MakeSimPlan(with_log);
  ManualClock clock;
  int crashes = static_cast<int>(random.Below(12));
  bool finished = false;
  for (int life = 0; !finished; life++) {
    ASSERT_LT(life, 100);
    world.Restart();
    world.effects_until_crash = life < crashes ? static_cast<int64_t>(random.Below(40)) : -1;
    Waker waker;
    JobCounters counters;
    SimStore store(&world);
    SimConnectors connectors(&world, &random, with_log);
    PipelineOptions options;
    options.job = "sim";
    options.settings.checkpoint_interval_ms = 5;
    auto made = Pipeline::Make(plan, options, connectors, store, waker, clock, counters);
    ASSERT_TRUE(made.ok()) << made.error().ToString();
    Pipeline& pipeline = **made;
    Status alive = pipeline.Recover();
    while (alive.ok()) {
      clock.Advance(static_cast<int64_t>(random.Below(4)));
      int64_t idle_ms = 0;
      auto step = pipeline.Run(&idle_ms);
      if (!step.ok()) {
        alive = std::move(step).error();
      } else if (*step == Pipeline::Step::kFinished) {
        alive = pipeline.MarkFinished();
        finished = alive.ok();
        break;
      }
    }
    if (!alive.ok()) {
      ASSERT_TRUE(world.crashed) << alive.error().ToString();
      (*crashes_seen)++;
      // The mark may have become durable in the last moment: then the job is through.
      if (!world.checkpoints.empty()) {
        auto last = DecodeCheckpoint(world.checkpoints.rbegin()->second);
        finished = last.ok() && last->finished;
      }
    }
    ASSERT_EQ(world.violation, "");
  }
  auto sorted = [](std::vector<std::string> v) {
    std::sort(v.begin(), v.end());
    return v;
  };
  if (with_log) {
    EXPECT_EQ(sorted(world.log_rows), sorted(expected_log));
    EXPECT_EQ(sorted(world.log_errors), sorted(expected_errors));
  }
  EXPECT_EQ(sorted(world.table_rows), sorted(expected_windows));
  EXPECT_EQ(sorted(world.file_rows), sorted(expected_windows));
  EXPECT_TRUE(world.pending_files.empty());
}

TEST(CommitSimulation, ExactlyOnceAcrossCrashesWithALog) {
  SetUpLogging(LogLevel::kError, false);
  int crashes = 0;
  for (uint64_t seed = 1; seed <= 1000 && !HasFailure(); seed++) Simulate(seed, true, &crashes);
  EXPECT_GT(crashes, 1000);
}

TEST(CommitSimulation, ExactlyOnceAcrossCrashesWithoutALog) {
  int crashes = 0;
  for (uint64_t seed = 1; seed <= 1000 && !HasFailure(); seed++) Simulate(seed, false, &crashes);
  EXPECT_GT(crashes, 1000);
}

/// Runs the job until it is through or the process dies after `effects`.
Status Live(World* world, Random* random, ManualClock& clock, bool resume, int64_t effects) {
  world->Restart();
  world->effects_until_crash = effects;
  Waker waker;
  JobCounters counters;
  SimStore store(world);
  SimConnectors connectors(world, random, true);
  PipelineOptions options;
  options.job = "sim";
  options.settings.checkpoint_interval_ms = 1;
  options.resume = resume;
  auto pipeline = TRY(Pipeline::Make(MakeSimPlan(true), options, connectors, store, waker, clock, counters));
  TRY(pipeline->Recover());
  while (true) {
    int64_t idle_ms = 0;
    if (TRY(pipeline->Run(&idle_ms)) == Pipeline::Step::kFinished) return {};
    clock.Advance(1);
  }
}

TEST(CommitSimulation, AFreshRunLeavesWhatStandsUntilItsFirstEpochStands) {
  for (int64_t effects = 0; effects < 40; effects++) {
    SCOPED_TRACE(effects);
    Random random(static_cast<uint64_t>(effects));
    World world;
    world.input.resize(1);
    for (int64_t r = 0; r < 200; r++) world.input[0].push_back({r % 5, r});
    ManualClock clock;
    ASSERT_FALSE(Live(&world, &random, clock, true, 30).ok());
    ASSERT_GT(world.log_epoch, 0u);
    clock.Advance(effects % 2);
    ASSERT_FALSE(Live(&world, &random, clock, false, effects).ok());
    Status resumed = Live(&world, &random, clock, true, -1);
    EXPECT_TRUE(resumed.ok()) << resumed.error().ToString();
  }
}

TEST(CommitSimulation, AnEpochThatTheLogForgotIsAnErrorAndNoNewBeginning) {
  Random random(1);
  World world;
  world.input.resize(1);
  for (int64_t r = 0; r < 200; r++) world.input[0].push_back({r % 5, r});
  ManualClock clock;
  ASSERT_FALSE(Live(&world, &random, clock, true, 30).ok());
  ASSERT_GT(world.log_epoch, 0u);
  world.log_epoch = 0;  // the group's offsets expired
  Status resumed = Live(&world, &random, clock, true, -1);
  ASSERT_FALSE(resumed.ok());
  EXPECT_NE(resumed.error().message().find("expired"), std::string::npos) << resumed.error().ToString();
  EXPECT_TRUE(Live(&world, &random, clock, false, -1).ok());
}

}  // namespace
}  // namespace tailrace::stream
