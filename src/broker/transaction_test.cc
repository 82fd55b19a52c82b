// Transactions through the in-process client: all or nothing, across aborts, fencing, failed disks and kill -9.

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/logging.h"
#include "base/random.h"
#include "base/waker.h"
#include "broker/broker.h"
#include "broker/embedded_client.h"
#include "broker/offsets.h"
#include "broker/producer_ids.h"
#include "broker/topics.h"
#include "broker/transaction_coordinator.h"
#include "io/file.h"
#include "log/flusher.h"
#include "log/journal.h"
#include "log/partition.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;

// A broker without its network half.
struct Core {
  BrokerOptions options;
  log::Flusher flusher{Clock::System()};
  std::shared_ptr<log::Journal> journal;
  std::unique_ptr<TopicManager> topics;
  std::unique_ptr<OffsetStore> offsets;
  std::unique_ptr<ProducerIds> producer_ids;
  std::unique_ptr<TransactionCoordinator> transactions;
  std::unique_ptr<log::Client> client;

  ~Core() {
    transactions.reset();
    (void)journal->Close();  // its callbacks use the offset store
  }
  explicit Core(const std::string& directory, Clock& clock = Clock::System()) {
    options.data_dir = directory;
    options.retention_ms = -1;
    journal = *log::Journal::Open(directory + "/meta.journal", flusher);
    topics = *TopicManager::Open(options, clock, flusher, journal);
    offsets = *OffsetStore::Open(journal, clock);
    producer_ids = *ProducerIds::Open(journal);
    transactions = *TransactionCoordinator::Open(journal, *topics, *offsets, *producer_ids, clock);
    client = MakeEmbeddedClient(*topics, *offsets, *transactions, clock);
  }
};

class TransactionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SetUpLogging(LogLevel::kError, false);
    const char* base = getenv("TMPDIR");
    directory = std::string(base ? base : "/tmp") + "/tailrace-txn-XXXXXX";
    ASSERT_NE(mkdtemp(directory.data()), nullptr);
  }
  void TearDown() override { (void)io::RemoveTree(directory); }

  static Status Write(log::Writer& writer, const std::string& topic, int32_t partition,
                      const std::vector<std::string>& values) {
    std::vector<log::RecordToWrite> records;
    for (const std::string& value : values) records.push_back({{}, value, 1, {}});
    return writer.Append(topic, partition, records);
  }
  static std::vector<std::string> Read(log::Client& client, const TopicPartition& from,
                                       log::Isolation isolation = log::Isolation::kReadCommitted) {
    auto reader = client.OpenReader(from, -1, isolation, nullptr);
    EXPECT_TRUE(reader.ok()) << reader.error().ToString();
    std::vector<std::string> values;
    for (;;) {
      RecordSet set;
      Status polled = (*reader)->Poll(1000, &set);
      EXPECT_TRUE(polled.ok()) << polled.error().ToString();
      if (!polled.ok() || set.records.empty()) return values;
      for (const RecordView& record : set.records) values.emplace_back(record.value);
    }
  }
  // Markers follow the answer by some hundred microseconds.
  static void WaitStable(Core& core, const TopicPartition& name) {
    auto partition = core.topics->FindPartition(name.topic, name.partition);
    for (int i = 0; i < 2000; i++) {
      auto ends = partition->Ends();
      if (ends.last_stable_offset == ends.log_end_offset) return;
      usleep(1000);
    }
    FAIL() << "the last stable offset of " << name.topic << " stays behind";
  }

  template <typename Call>
  static KafkaError Ask(Call call) {
    std::mutex mutex;
    std::condition_variable cv;
    std::optional<KafkaError> answer;
    call([&](KafkaError error) {
      std::lock_guard lock(mutex);
      answer = error;
      cv.notify_one();
    });
    std::unique_lock lock(mutex);
    EXPECT_TRUE(cv.wait_for(lock, std::chrono::seconds(10), [&] { return answer.has_value(); }));
    return answer.value_or(KafkaError::kUnknownServerError);
  }
  static ProducerIdAndEpoch Init(Core& core, const std::string& id, int32_t timeout_ms = 60'000,
                                 ProducerIdAndEpoch current = {}) {
    ProducerIdAndEpoch given;
    KafkaError error = Ask([&](auto done) {
      core.transactions->InitProducerId(id, timeout_ms, current, false,
                                        [&given, done](KafkaError e, ProducerIdAndEpoch p) {
                                          given = p;
                                          done(e);
                                        });
    });
    EXPECT_EQ(error, KafkaError::kNone);
    return given;
  }
  static KafkaError Add(Core& core, const std::string& id, ProducerIdAndEpoch producer,
                        const TopicPartition& partition) {
    return Ask([&](auto done) { core.transactions->AddPartitions(id, producer, {&partition, 1}, done); });
  }
  static KafkaError End(Core& core, const std::string& id, ProducerIdAndEpoch producer, bool commit) {
    return Ask([&](auto done) { core.transactions->End(id, producer, commit, done); });
  }

  std::string directory;
};

TEST_F(TransactionTest, TableOfMoves) {
  using S = TransactionState;
  EXPECT_TRUE(TransactionMayMove(S::kEmpty, S::kOngoing));
  EXPECT_TRUE(TransactionMayMove(S::kPrepareCommit, S::kCompleteCommit));
  EXPECT_FALSE(TransactionMayMove(S::kPrepareCommit, S::kPrepareAbort));
  EXPECT_FALSE(TransactionMayMove(S::kPrepareAbort, S::kOngoing));
  EXPECT_FALSE(TransactionMayMove(S::kEmpty, S::kCompleteCommit));
}

TEST_F(TransactionTest, CommitShowsRecordsAndOffsetsTogether) {
  Core core(directory);
  ASSERT_TRUE(core.client->CreateTopic({"out", 2, {}}).ok());
  Waker waker;
  auto waiting = core.client->OpenReader({"out", 0}, 0, log::Isolation::kReadCommitted, &waker);
  RecordSet set;
  ASSERT_TRUE((*waiting)->Poll(1000, &set).ok());
  auto writer = core.client->OpenTransactionalWriter("job");
  ASSERT_TRUE(writer.ok()) << writer.error().ToString();
  ASSERT_TRUE((*writer)->Begin().ok());
  ASSERT_TRUE(Write(**writer, "out", 0, {"a", "b"}).ok());
  ASSERT_TRUE(Write(**writer, "out", 1, {"c"}).ok());
  ASSERT_TRUE((*writer)->Flush().ok());
  EXPECT_TRUE(Read(*core.client, {"out", 0}).empty());
  EXPECT_EQ(Read(*core.client, {"out", 0}, log::Isolation::kReadUncommitted).size(), 2u);
  std::vector<log::OffsetToCommit> offsets{{{"in", 0}, 42, "epoch 7"}};
  ASSERT_TRUE((*writer)->Commit("job-group", offsets).ok());
  EXPECT_EQ(core.client->Committed("job-group", {"in", 0})->offset, 42);
  EXPECT_EQ(core.client->Committed("job-group", {"in", 0})->metadata, "epoch 7");
  WaitStable(core, {"out", 0});
  WaitStable(core, {"out", 1});
  waker.Sleep(1000);
  ASSERT_TRUE((*waiting)->Poll(1000, &set).ok());
  EXPECT_EQ(set.records.size(), 2u);
  EXPECT_EQ(Read(*core.client, {"out", 1}), std::vector<std::string>{"c"});

  ASSERT_TRUE((*writer)->Begin().ok());
  ASSERT_TRUE(Write(**writer, "out", 0, {"gone"}).ok());
  ASSERT_TRUE((*writer)->Flush().ok());
  ASSERT_TRUE((*writer)->Abort().ok());
  ASSERT_TRUE((*writer)->Begin().ok());
  ASSERT_TRUE(Write(**writer, "out", 0, {"d"}).ok());
  ASSERT_TRUE((*writer)->Commit("job-group", {}).ok());
  WaitStable(core, {"out", 0});
  EXPECT_EQ(Read(*core.client, {"out", 0}), (std::vector<std::string>{"a", "b", "d"}));
  // Empty transactions cost nothing and are allowed.
  ASSERT_TRUE((*writer)->Begin().ok());
  ASSERT_TRUE((*writer)->Commit("job-group", {}).ok());
}

TEST_F(TransactionTest, ANewWriterFencesTheOld) {
  Core core(directory);
  ASSERT_TRUE(core.client->CreateTopic({"out", 1, {}}).ok());
  auto old = *core.client->OpenTransactionalWriter("job");
  ASSERT_TRUE(old->Begin().ok());
  ASSERT_TRUE(Write(*old, "out", 0, {"zombie"}).ok());
  ASSERT_TRUE(old->Flush().ok());
  auto fresh = *core.client->OpenTransactionalWriter("job");
  Status late = Write(*old, "out", 0, {"zombie too"});
  if (late.ok()) late = old->Flush();
  EXPECT_FALSE(late.ok());
  Status commit = old->Commit("g", std::vector<log::OffsetToCommit>{{{"in", 0}, 1, ""}});
  ASSERT_FALSE(commit.ok());
  EXPECT_EQ(commit.error().code(), ErrorCode::kConflict) << commit.error().ToString();
  ASSERT_TRUE(fresh->Begin().ok());
  ASSERT_TRUE(Write(*fresh, "out", 0, {"fresh"}).ok());
  ASSERT_TRUE(fresh->Commit("g", {}).ok());
  WaitStable(core, {"out", 0});
  EXPECT_EQ(Read(*core.client, {"out", 0}), std::vector<std::string>{"fresh"});
  EXPECT_EQ(core.client->Committed("g", {"in", 0})->offset, -1);
}

TEST_F(TransactionTest, ErrorsOfTheProtocol) {
  Core core(directory);
  ASSERT_TRUE(core.client->CreateTopic({"out", 1, {}}).ok());
  ProducerIdAndEpoch p = Init(core, "id");
  EXPECT_EQ(End(core, "id", p, true), KafkaError::kInvalidTxnState);  // nothing begun
  EXPECT_EQ(Add(core, "id", {p.id + 1, p.epoch}, {"out", 0}), KafkaError::kInvalidProducerIdMapping);
  EXPECT_EQ(Add(core, "other", p, {"out", 0}), KafkaError::kInvalidProducerIdMapping);
  EXPECT_EQ(core.transactions->CheckAppend(p, {"out", 0}), KafkaError::kInvalidTxnState);
  EXPECT_EQ(Add(core, "id", p, {"out", 0}), KafkaError::kNone);
  EXPECT_EQ(core.transactions->CheckAppend(p, {"out", 0}), KafkaError::kNone);
  EXPECT_EQ(core.transactions->CheckGroup("id", p, "g"), KafkaError::kInvalidTxnState);
  EXPECT_EQ(core.transactions->Describe("id")->state, TransactionState::kOngoing);
  EXPECT_EQ(End(core, "id", p, true), KafkaError::kNone);
  EXPECT_EQ(End(core, "id", p, true), KafkaError::kNone);  // its answer was lost
  EXPECT_EQ(End(core, "id", p, false), KafkaError::kInvalidTxnState);
  // KIP-360: the producer that knows itself gets the next epoch; a stranger is refused.
  ProducerIdAndEpoch next = Init(core, "id", 60'000, p);
  EXPECT_EQ(next.id, p.id);
  EXPECT_EQ(next.epoch, p.epoch + 1);
  EXPECT_EQ(Init(core, "id", 60'000, p), next);  // the answer was lost: the same again
  EXPECT_EQ(Add(core, "id", p, {"out", 0}), KafkaError::kProducerFenced);
  EXPECT_EQ(Ask([&](auto done) {
              core.transactions->InitProducerId("id", 0, {}, false,
                                                [done](KafkaError e, ProducerIdAndEpoch) { done(e); });
            }),
            KafkaError::kInvalidTransactionTimeout);
}

TEST_F(TransactionTest, TimeoutAborts) {
  ManualClock clock;
  Core core(directory, clock);
  ASSERT_TRUE(core.client->CreateTopic({"out", 1, {}}).ok());
  ProducerIdAndEpoch p = Init(core, "id", 5000);
  ASSERT_EQ(Add(core, "id", p, {"out", 0}), KafkaError::kNone);
  clock.Advance(4000);
  clock.JumpWall(1'000'000);  // NTP is no reason to abort
  core.transactions->Tick(clock.NowMs());
  EXPECT_EQ(core.transactions->Describe("id")->state, TransactionState::kOngoing);
  clock.Advance(2000);
  core.transactions->Tick(clock.NowMs());
  EXPECT_EQ(End(core, "id", p, true), KafkaError::kProducerFenced);
  for (int i = 0; i < 1000 && core.transactions->Describe("id")->state != TransactionState::kCompleteAbort; i++)
    usleep(1000);
  EXPECT_EQ(core.transactions->Describe("id")->state, TransactionState::kCompleteAbort);
}

TEST_F(TransactionTest, AKafkaProducersTransactionSurvivesARestart) {
  ProducerIdAndEpoch p;
  {
    Core core(directory);
    ASSERT_TRUE(core.client->CreateTopic({"out", 1, {}}).ok());
    p = Init(core, "id");
    ASSERT_EQ(Add(core, "id", p, {"out", 0}), KafkaError::kNone);
    ASSERT_EQ(Ask([&](auto done) { core.transactions->AddGroup("id", p, "g", done); }), KafkaError::kNone);
    OffsetCommitItem item{{"in", 0}, {}};
    item.value.offset = 5;
    core.offsets->CommitPending(p.id, "g", {&item, 1}, nullptr);
  }
  Core core(directory);
  EXPECT_EQ(core.transactions->Describe("id")->state, TransactionState::kOngoing);
  EXPECT_FALSE(core.offsets->Fetch("g", {"in", 0}).has_value());
  EXPECT_EQ(core.transactions->CheckAppend(p, {"out", 0}), KafkaError::kNone);
  EXPECT_EQ(End(core, "id", p, true), KafkaError::kNone);
  EXPECT_EQ(core.offsets->Fetch("g", {"in", 0})->offset, 5);
}

TEST_F(TransactionTest, AFailedFsyncOfTheDataAborts) {
  Core core(directory);
  ASSERT_TRUE(core.client->CreateTopic({"out", 1, {}}).ok());
  auto writer = *core.client->OpenTransactionalWriter("job");
  ASSERT_TRUE(writer->Begin().ok());
  ASSERT_TRUE(Write(*writer, "out", 0, {"lost"}).ok());
  SetUpLogging(LogLevel::kError, false);
  io::FailSyncs("out-0", 1);
  Status commit = writer->Commit("g", std::vector<log::OffsetToCommit>{{{"in", 0}, 1, ""}});
  io::FailSyncs("", 0);
  ASSERT_FALSE(commit.ok());
  ASSERT_TRUE(writer->Abort().ok());
  EXPECT_EQ(core.client->Committed("g", {"in", 0})->offset, -1);
  ASSERT_TRUE(writer->Begin().ok());
  ASSERT_TRUE(Write(*writer, "out", 0, {"again"}).ok());
  Status second = writer->Commit("g", std::vector<log::OffsetToCommit>{{{"in", 0}, 1, ""}});
  ASSERT_TRUE(second.ok()) << second.error().ToString();
  WaitStable(core, {"out", 0});
  EXPECT_EQ(Read(*core.client, {"out", 0}), std::vector<std::string>{"again"});
}

TEST_F(TransactionTest, PlainWriterPartitionsByKeyAsKafkaDoes) {
  Core core(directory);
  ASSERT_TRUE(core.client->CreateTopic({"t", 7, {}}).ok());
  auto writer = *core.client->OpenWriter();
  // Partitions that the Java client's partitioner gives these keys for seven partitions (murmur2 values of its own
  // tests: "21" -> -973932308, "foobar" -> -790332482, "abc" -> 479470107).
  std::pair<std::string, int32_t> expected[] = {{"21", static_cast<int32_t>((-973932308 & 0x7fffffff) % 7)},
                                                {"foobar", static_cast<int32_t>((-790332482 & 0x7fffffff) % 7)},
                                                {"abc", static_cast<int32_t>((479470107 & 0x7fffffff) % 7)}};
  for (auto& [key, partition] : expected) {
    log::RecordToWrite record{key, key, -1, {}};
    ASSERT_TRUE(writer->Append("t", -1, {&record, 1}).ok());
  }
  ASSERT_TRUE(writer->Flush().ok());
  for (auto& [key, partition] : expected) {
    auto values = Read(*core.client, {"t", partition});
    EXPECT_NE(std::find(values.begin(), values.end(), key), values.end()) << key;
  }
  std::string large(2 << 20, 'x');
  log::RecordToWrite too_large{{}, large, -1, {}};
  EXPECT_EQ(writer->Append("t", 0, {&too_large, 1}).error().code(), ErrorCode::kLimitExceeded);
  EXPECT_EQ(writer->Append("t", 9, {&too_large, 1}).error().code(), ErrorCode::kInvalidArgument);
}

// A job that copies numbers: input offset and output records in one transaction. Killed at random, each input is in the
// output exactly once.
[[noreturn]] void CopyUntilKilled(const std::string& directory, uint64_t seed) {
  Core core(directory);
  Random random(seed);
  auto writer = *core.client->OpenTransactionalWriter("copy");
  int64_t next = std::max<int64_t>(0, core.client->Committed("copy", {"numbers", 0})->offset);
  for (;;) {
    if (!writer->Begin().ok()) _exit(3);
    int64_t count = 1 + static_cast<int64_t>(random.Below(20));
    for (int64_t i = 0; i < count; i++) {
      std::string value = std::to_string(next + i) + std::string(random.Below(500), '.');
      log::RecordToWrite record{{}, value, -1, {}};
      if (!writer->Append("out", static_cast<int32_t>((next + i) % 3), {&record, 1}).ok()) _exit(4);
      if (random.Below(10) == 0 && !writer->Flush().ok()) _exit(5);
    }
    if (random.Below(6) == 0) {
      if (!writer->Abort().ok()) _exit(6);
      continue;
    }
    next += count;
    log::OffsetToCommit offset{{"numbers", 0}, next, "e" + std::to_string(next)};
    if (!writer->Commit("copy", {&offset, 1}).ok()) _exit(7);
  }
}

TEST_F(TransactionTest, ExactlyOnceAcrossKills) {
  {
    Core core(directory);
    ASSERT_TRUE(core.client->CreateTopic({"out", 3, {}}).ok());
  }
  Random random(11);
  int64_t committed = 0;
  for (int round = 0; round < 20; round++) {
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) CopyUntilKilled(directory, static_cast<uint64_t>(round) + 100);
    usleep(static_cast<useconds_t>(5000 + random.Below(50'000)));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    Core core(directory);
    auto offset = *core.client->Committed("copy", {"numbers", 0});
    committed = std::max<int64_t>(offset.offset, 0);
    if (committed > 0) { EXPECT_EQ(offset.metadata, "e" + std::to_string(committed)); }
    std::vector<int> seen(static_cast<size_t>(committed), 0);
    for (int32_t p = 0; p < 3; p++) {
      WaitStable(core, {"out", p});
      int64_t last = -1;
      for (const std::string& value : Read(*core.client, {"out", p})) {
        int64_t number = std::stoll(value);
        ASSERT_GT(number, last);
        last = number;
        ASSERT_LT(number, committed);
        seen[static_cast<size_t>(number)]++;
      }
    }
    for (int64_t i = 0; i < committed; i++)
      ASSERT_EQ(seen[static_cast<size_t>(i)], 1) << "number " << i << " in round " << round;
  }
  EXPECT_GT(committed, 0);  // how far it got says how fast the machine is
}

}  // namespace
}  // namespace tailrace::broker
