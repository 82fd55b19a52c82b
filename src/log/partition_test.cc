#include "log/partition.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "base/logging.h"
#include "base/random.h"
#include "log/log_test_support.h"

namespace tailrace::log {
namespace {

class PartitionTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpLogging(LogLevel::kError, false); }
  std::shared_ptr<Partition> Open() {
    auto opened = Partition::Open(directory(), {"t", 0}, options, clock, flusher);
    EXPECT_TRUE(opened.ok()) << opened.error().ToString();
    return opened.ok() ? *opened : nullptr;
  }
  // Returns once the flusher has let go of it too.
  void Drop(std::shared_ptr<Partition>& partition) {
    std::weak_ptr<Partition> gone = partition;
    partition.reset();
    while (!gone.expired()) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  std::string directory() const { return temporary.path() + "/t-0"; }
  std::vector<std::string> Files(std::string_view suffix) {
    std::vector<std::string> found;
    auto names = io::ListDirectory(directory());
    for (const std::string& name : *names)
      if (name.ends_with(suffix)) found.push_back(directory() + "/" + name);
    return found;
  }

  TemporaryDirectory temporary;
  ManualClock clock;
  Flusher flusher{Clock::System()};
  PartitionOptions options{.retention_ms = -1};
};

TEST_F(PartitionTest, AppendsAndReadsBack) {
  auto partition = Open();
  auto first = AppendDurably(*partition, MakeBatch({{"a", "1", 10}, {"b", "2", 20}}));
  EXPECT_EQ(first.base_offset, 0);
  EXPECT_EQ(first.end_offset, 2);
  auto second = AppendDurably(*partition, MakeBatch("3"));
  EXPECT_EQ(second.base_offset, 2);
  auto ends = partition->Ends();
  EXPECT_EQ(ends.high_watermark, 3);
  EXPECT_EQ(ends.log_end_offset, 3);
  auto all = ReadAll(*partition, 0, Isolation::kReadUncommitted);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ((*all)[2].value, "3");
  EXPECT_EQ((*all)[2].offset, 2);
  // From the middle of a batch: the batch begins before.
  auto middle = partition->ReadRange(1, 1, true, Isolation::kReadUncommitted);
  ASSERT_TRUE(middle.ok());
  EXPECT_EQ(middle->range.position, 0u);
  EXPECT_GT(middle->range.length, 61u);
  auto none = partition->ReadRange(0, 1, false, Isolation::kReadUncommitted);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->range.length, 0u);
  EXPECT_EQ(partition->ReadRange(4, 100, true, Isolation::kReadUncommitted).error().code(),
            ErrorCode::kInvalidArgument);
}

TEST_F(PartitionTest, UnflushedIsInvisible) {
  auto partition = Open();
  AppendDurably(*partition, MakeBatch("1"));
  auto result = AppendBytes(*partition, MakeBatch("2"));
  EXPECT_EQ(partition->Ends().log_end_offset, 2);
  // No flush was asked for: the high watermark stays.
  EXPECT_EQ(partition->Ends().high_watermark, 1);
  auto read = partition->ReadBytes(1, 100, Isolation::kReadUncommitted);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->bytes.size(), 0u);
  ASSERT_TRUE(partition->WaitFlushed(result.end_offset).ok());
  EXPECT_EQ(partition->Ends().high_watermark, 2);
}

TEST_F(PartitionTest, RelaxedIsVisibleAtOnce) {
  options.flush_before_ack = false;
  auto partition = Open();
  AppendBytes(*partition, MakeBatch("1"));
  EXPECT_EQ(partition->Ends().high_watermark, 1);
  EXPECT_EQ(ReadAll(*partition, 0, Isolation::kReadCommitted)->size(), 1u);
}

TEST_F(PartitionTest, SurvivesReopenWithoutClose) {
  {
    auto partition = Open();
    for (int i = 0; i < 20; i++) AppendDurably(*partition, MakeBatch("v" + std::to_string(i)));
  }
  auto partition = Open();
  EXPECT_EQ(partition->Ends().high_watermark, 20);
  EXPECT_EQ(ReadAll(*partition, 0, Isolation::kReadUncommitted)->size(), 20u);
  EXPECT_EQ(AppendDurably(*partition, MakeBatch("next")).base_offset, 20);
}

TEST_F(PartitionTest, WaitersAreWoken) {
  auto partition = Open();
  std::atomic<int> woken{0};
  EXPECT_NE(partition->AddWaiter(0, Isolation::kReadUncommitted, [&] { woken++; }), 0u);
  uint64_t removed = partition->AddWaiter(0, Isolation::kReadUncommitted, [&] { woken += 100; });
  partition->RemoveWaiter(removed);
  partition->AddWaiter(5, Isolation::kReadUncommitted, [&] { woken += 10; });
  AppendDurably(*partition, MakeBatch("1"));
  for (int i = 0; i < 1000 && woken != 1; i++) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(partition->AddWaiter(0, Isolation::kReadUncommitted, [&] { woken = 50; }), 0u);
  EXPECT_EQ(woken, 50);
  ASSERT_TRUE(partition->Delete().ok());
  EXPECT_EQ(woken, 60);
  EXPECT_FALSE(io::Exists(directory()));
  EXPECT_EQ(AppendBytes(*partition, MakeBatch("x")).code, AppendCode::kNotFound);
}

TEST_F(PartitionTest, IdempotentProducers) {
  auto partition = Open();
  auto batch = [](int32_t sequence, int16_t epoch = 0, int count = 1) {
    std::vector<Item> items(static_cast<size_t>(count), Item{"k", "v" + std::to_string(sequence)});
    return MakeBatch(items, {.producer_id = 7, .producer_epoch = epoch, .base_sequence = sequence});
  };
  for (int32_t i = 0; i < 7; i++) EXPECT_EQ(AppendDurably(*partition, batch(i)).base_offset, i);
  auto again = AppendBytes(*partition, batch(4));
  EXPECT_EQ(again.code, AppendCode::kDuplicateSequence);
  EXPECT_EQ(again.base_offset, 4);
  EXPECT_EQ(again.end_offset, 5);
  EXPECT_EQ(AppendBytes(*partition, batch(1)).code, AppendCode::kOutOfOrderSequence);  // older than five batches
  EXPECT_EQ(AppendBytes(*partition, batch(9)).code, AppendCode::kOutOfOrderSequence);
  EXPECT_EQ(AppendBytes(*partition, batch(3, 1)).code, AppendCode::kOutOfOrderSequence);  // new epoch starts at 0
  EXPECT_EQ(AppendDurably(*partition, batch(0, 1, 3)).base_offset, 7);
  EXPECT_EQ(AppendBytes(*partition, batch(7, 0)).code, AppendCode::kInvalidProducerEpoch);
  Drop(partition);
  partition = Open();  // by the scan
  EXPECT_EQ(AppendBytes(*partition, batch(0, 1, 3)).code, AppendCode::kDuplicateSequence);
  ASSERT_TRUE(partition->Close().ok());
  partition = Open();  // by the recovery point
  EXPECT_EQ(AppendBytes(*partition, batch(0, 1, 3)).base_offset, 7);
  EXPECT_EQ(AppendDurably(*partition, batch(3, 1)).base_offset, 10);
  ASSERT_EQ(partition->Producers().size(), 1u);
  EXPECT_EQ(partition->Producers()[0].last_sequence, 3);
}

TEST_F(PartitionTest, Transactions) {
  auto partition = Open();
  auto batch = [](int64_t id, int32_t sequence, const std::string& value) {
    return MakeBatch(value, {.producer_id = id, .producer_epoch = 0, .base_sequence = sequence, .transactional = true});
  };
  AppendDurably(*partition, MakeBatch("plain"));   // 0
  AppendDurably(*partition, batch(1, 0, "one"));   // 1
  AppendDurably(*partition, batch(2, 0, "two"));   // 2
  AppendDurably(*partition, MakeBatch("plain2"));  // 3
  EXPECT_EQ(partition->Ends().last_stable_offset, 1);
  EXPECT_EQ(ReadAll(*partition, 0, Isolation::kReadCommitted)->size(), 1u);
  auto abort = partition->AppendMarker(1, 0, 3, false);  // 4
  EXPECT_EQ(abort.base_offset, 4);
  // The marker is not on disk yet: still unstable.
  EXPECT_EQ(partition->Ends().last_stable_offset, 1);
  ASSERT_TRUE(partition->WaitFlushed(abort.end_offset).ok());
  EXPECT_EQ(partition->Ends().last_stable_offset, 2);
  EXPECT_EQ(partition->AppendMarker(1, 0, 3, false).end_offset, -1);  // repeated: nothing
  auto commit = partition->AppendMarker(2, 0, 3, true);               // 5
  ASSERT_TRUE(partition->WaitFlushed(commit.end_offset).ok());
  EXPECT_EQ(partition->Ends().last_stable_offset, 6);
  auto check = [&] {
    auto all = ReadAll(*partition, 0, Isolation::kReadCommitted);
    ASSERT_TRUE(all.ok());
    ASSERT_EQ(all->size(), 3u);
    EXPECT_EQ((*all)[1].value, "two");
    EXPECT_EQ(ReadAll(*partition, 0, Isolation::kReadUncommitted)->size(), 4u);
  };
  check();
  Drop(partition);
  partition = Open();
  check();
  ASSERT_TRUE(partition->Close().ok());
  partition = Open();
  check();
  EXPECT_EQ(partition->AppendMarker(2, -1, 3, true).code, AppendCode::kInvalidProducerEpoch);
  AppendDurably(*partition, batch(3, 0, "open"));
  Drop(partition);
  partition = Open();
  EXPECT_EQ(partition->Ends().last_stable_offset, 6);
  EXPECT_EQ(partition->Producers()[2].txn_start_offset, 6);
}

// Random appends, rolls, reopens, deletions of records against a list of what should be there.
TEST_F(PartitionTest, MatchesAModel) {
  for (uint64_t seed = 1; seed <= 12; seed++) {
    SCOPED_TRACE(seed);
    Random random(seed);
    ASSERT_TRUE(io::RemoveTree(directory()).ok());
    options.segment_bytes = 4096 + static_cast<int64_t>(random.Below(20000));
    options.index_interval_bytes = 256;
    options.checkpoint_bytes = 8192;
    auto partition = Open();
    std::vector<ReadRecord> model;
    int64_t log_start = 0;
    int64_t time = 1000;
    for (int step = 0; step < 300; step++) {
      uint64_t dice = random.Below(100);
      if (dice < 80) {
        std::vector<Item> items(1 + random.Below(8));
        for (Item& item : items) {
          item.value = std::string(random.Below(300), static_cast<char>('a' + random.Below(26)));
          time += static_cast<int64_t>(random.Below(30)) - 5;
          item.timestamp_ms = time;
        }
        wire::BatchOptions how;
        how.compression = random.Below(4) == 0 ? wire::Compression::kLz4 : wire::Compression::kNone;
        auto result = AppendBytes(*partition, MakeBatch(items, how));
        ASSERT_TRUE(result.ok()) << result.message;
        ASSERT_EQ(result.base_offset, static_cast<int64_t>(model.size()));
        for (const Item& item : items)
          model.push_back({static_cast<int64_t>(model.size()), item.value, item.timestamp_ms});
        if (random.Below(3) == 0) { ASSERT_TRUE(partition->WaitFlushed(result.end_offset).ok()); }
      } else if (dice < 83) {
        ASSERT_TRUE(partition->WaitFlushed(static_cast<int64_t>(model.size())).ok());
        if (random.Below(2)) { ASSERT_TRUE(partition->Close().ok()); }
        Drop(partition);
        std::vector<std::string> lost;
        if (random.Below(3) == 0) lost = Files(random.Below(2) ? ".index" : ".timeindex");
        if (random.Below(4) == 0) lost = Files(".snapshot");
        for (const std::string& path : lost) ASSERT_TRUE(io::RemoveFile(path).ok());
        partition = Open();
        ASSERT_NE(partition, nullptr);
      } else if (dice < 86) {
        int64_t high = partition->Ends().high_watermark;
        int64_t to = log_start + static_cast<int64_t>(random.Below(static_cast<uint64_t>(high - log_start) + 1));
        auto moved = partition->DeleteRecords(to);
        ASSERT_TRUE(moved.ok());
        log_start = std::max(log_start, to);
        ASSERT_EQ(*moved, log_start);
      } else if (dice < 95) {
        // All of it, so that no checkpoint moves the end beneath the check.
        ASSERT_TRUE(partition->WaitFlushed(static_cast<int64_t>(model.size())).ok());
        int64_t high = partition->Ends().high_watermark;
        int64_t from = log_start + static_cast<int64_t>(random.Below(static_cast<uint64_t>(high - log_start) + 1));
        auto all = ReadAll(*partition, from, Isolation::kReadCommitted, 1 + static_cast<uint32_t>(random.Below(5000)));
        ASSERT_TRUE(all.ok()) << all.error().ToString();
        ASSERT_EQ(static_cast<int64_t>(all->size()), high - from);
        for (size_t i = 0; i < all->size(); i++) {
          const ReadRecord& expected = model[static_cast<size_t>(from) + i];
          ASSERT_EQ((*all)[i].offset, expected.offset);
          ASSERT_EQ((*all)[i].value, expected.value);
        }
      } else {
        ASSERT_TRUE(partition->WaitFlushed(static_cast<int64_t>(model.size())).ok());
        int64_t high = partition->Ends().high_watermark;
        int64_t when = 900 + static_cast<int64_t>(random.Below(static_cast<uint64_t>(time - 900) + 50));
        int64_t expected = -1;
        for (int64_t o = log_start; o < high && expected < 0; o++)
          if (model[static_cast<size_t>(o)].timestamp_ms >= when) expected = o;
        auto found = partition->OffsetForTime(when, Isolation::kReadUncommitted);
        ASSERT_TRUE(found.ok()) << found.error().ToString();
        ASSERT_EQ(found->offset, expected) << "time " << when;
      }
    }
    EXPECT_GT(Files(".log").size(), 0u);
    Drop(partition);
  }
}

TEST_F(PartitionTest, TornTailAtEveryByte) {
  std::vector<uint64_t> boundaries{0};
  {
    auto partition = Open();
    for (int i = 0; i < 3; i++) {
      AppendDurably(*partition, MakeBatch({{"k", "value" + std::to_string(i), 5}}));
      boundaries.push_back(static_cast<uint64_t>(partition->SizeBytes()));
    }
  }
  std::string path = directory() + "/00000000000000000000.log";
  std::string whole = *io::ReadFile(path, 1 << 20);
  for (size_t cut = 0; cut <= whole.size(); cut++) {
    for (bool noise : {false, true}) {
      ASSERT_TRUE(io::RemoveTree(directory()).ok());
      ASSERT_TRUE(io::MakeDirectories(directory()).ok());
      std::string bytes = whole.substr(0, cut);
      if (noise) bytes += std::string(37, '\x5a');
      ASSERT_TRUE(io::WriteFileAtomically(path, bytes).ok());
      auto partition = Open();
      ASSERT_NE(partition, nullptr);
      int64_t expected = 0;
      while (static_cast<size_t>(expected) + 1 < boundaries.size() &&
             boundaries[static_cast<size_t>(expected) + 1] <= cut)
        expected++;
      ASSERT_EQ(partition->Ends().high_watermark, expected) << "cut at " << cut;
      ASSERT_EQ(ReadAll(*partition, 0, Isolation::kReadUncommitted)->size(), static_cast<size_t>(expected));
      ASSERT_EQ(AppendDurably(*partition, MakeBatch("on")).base_offset, expected);
    }
  }
}

TEST_F(PartitionTest, DamageBeforeTheRecoveryPointIsAnError) {
  {
    auto partition = Open();
    for (int i = 0; i < 10; i++) AppendDurably(*partition, MakeBatch(std::string(1000, 'x')));
    ASSERT_TRUE(partition->Close().ok());
  }
  std::string path = directory() + "/00000000000000000000.log";
  auto file = io::File::Open(path, io::File::Mode::kReadWrite);
  uint64_t batch = *file->Size() / 10;
  ASSERT_TRUE(file->WriteAt(std::string(20, '\xff'), 3 * batch + 8).ok());
  auto partition = Open();
  EXPECT_EQ(partition->Ends().high_watermark, 10);
  auto all = ReadAll(*partition, 0, Isolation::kReadUncommitted, 100);
  ASSERT_FALSE(all.ok());
  EXPECT_EQ(all.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(all.error().ToString().find(path), std::string::npos) << all.error().ToString();
  EXPECT_NE(all.error().ToString().find(std::to_string(3 * batch)), std::string::npos) << all.error().ToString();
}

// Bits flipped anywhere on disk: never a crash, never a wrong record; damaged indexes and recovery points cost nothing.
TEST_F(PartitionTest, DamageAnywhere) {
  options.segment_bytes = 8000;
  options.index_interval_bytes = 300;
  std::vector<std::string> values;
  {
    auto partition = Open();
    for (int i = 0; i < 120; i++) {
      values.push_back("v" + std::to_string(i) + std::string(200, 'x'));
      AppendDurably(*partition, MakeBatch(values.back(), {.producer_id = 3, .producer_epoch = 0, .base_sequence = i}));
    }
    ASSERT_TRUE(partition->Close().ok());
  }
  std::map<std::string, std::string> clean;
  auto names = io::ListDirectory(directory());
  for (const std::string& name : *names) clean[name] = *io::ReadFile(directory() + "/" + name, 1 << 20);
  for (uint64_t seed = 1; seed <= 150; seed++) {
    SCOPED_TRACE(seed);
    Random random(seed);
    ASSERT_TRUE(io::RemoveTree(directory()).ok());
    ASSERT_TRUE(io::MakeDirectories(directory()).ok());
    bool only_derived = random.Below(2) == 0;  // no batch is touched
    auto damaged = clean;
    for (uint64_t k = 1 + random.Below(4); k > 0; k--) {
      auto victim = std::next(damaged.begin(), static_cast<ptrdiff_t>(random.Below(damaged.size())));
      if (victim->second.empty() || (only_derived && victim->first.ends_with(".log"))) continue;
      if (random.Below(6) == 0) {
        victim->second.resize(random.Below(victim->second.size()));
      } else {
        victim->second[random.Below(victim->second.size())] ^= static_cast<char>(1u << random.Below(8));
      }
    }
    for (const auto& [name, bytes] : damaged) {
      auto file = io::File::Open(directory() + "/" + name, io::File::Mode::kCreate);
      ASSERT_TRUE(file->WriteAt(bytes, 0).ok());
    }
    auto opened = Partition::Open(directory(), {"t", 0}, options, clock, flusher);
    if (!opened.ok()) {
      ASSERT_FALSE(only_derived) << opened.error().ToString();
      continue;
    }
    auto partition = *std::move(opened);
    if (only_derived) { ASSERT_EQ(partition->Ends().high_watermark, 120); }
    for (int64_t from = partition->Ends().log_start_offset; from < partition->Ends().high_watermark;
         from += 1 + static_cast<int64_t>(random.Below(9))) {
      auto all = ReadAll(*partition, from, Isolation::kReadCommitted, 500 + static_cast<uint32_t>(random.Below(3000)));
      if (!all.ok()) {
        ASSERT_FALSE(only_derived) << all.error().ToString();
        continue;
      }
      if (only_derived) { ASSERT_EQ(static_cast<int64_t>(all->size()), 120 - from); }
      for (const ReadRecord& record : *all) {
        // A flipped bit in a batch's own offset (outside its CRC) may move it, but its records are whole.
        ASSERT_LT(record.offset, 121);
        ASSERT_TRUE(only_derived ? record.value == values[static_cast<size_t>(record.offset)]
                                 : std::find(values.begin(), values.end(), record.value) != values.end());
      }
    }
    Drop(partition);
  }
}

TEST_F(PartitionTest, DamageInTheTailKeepsWholeBatchesAside) {
  {
    auto partition = Open();
    for (int i = 0; i < 10; i++) AppendDurably(*partition, MakeBatch(std::string(1000, 'x')));
  }
  for (const std::string& point : Files(".snapshot")) ASSERT_TRUE(io::RemoveFile(point).ok());
  auto file = io::File::Open(directory() + "/00000000000000000000.log", io::File::Mode::kReadWrite);
  uint64_t batch = *file->Size() / 10;
  ASSERT_TRUE(file->WriteAt("\xff\xff", 5 * batch + 100).ok());
  auto partition = Open();
  EXPECT_EQ(partition->Ends().high_watermark, 5);
  EXPECT_EQ(Files(".cut-" + std::to_string(5 * batch)).size(), 1u);
}

TEST_F(PartitionTest, RetentionBySizeAndTime) {
  options.segment_bytes = 5000;
  options.retention_bytes = 12000;
  auto partition = Open();
  for (int i = 0; i < 40; i++) AppendDurably(*partition, MakeBatch({{"k", std::string(1000, 'x'), clock.NowMs()}}));
  auto held = partition->ReadBytes(0, 1000, Isolation::kReadUncommitted);
  auto deleted = partition->ApplyRetention(clock.NowMs());
  ASSERT_TRUE(deleted.ok());
  EXPECT_GT(*deleted, 3);
  EXPECT_LT(partition->SizeBytes(), 12000 + 5000);
  EXPECT_GE(partition->SizeBytes(), 12000);
  auto ends = partition->Ends();
  EXPECT_GT(ends.log_start_offset, 0);
  EXPECT_EQ(partition->ReadBytes(0, 100, Isolation::kReadUncommitted).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(wire::BatchView::Parse(held->bytes.view)->CrcMatches());  // whoever holds bytes keeps them
  EXPECT_EQ(static_cast<int64_t>(ReadAll(*partition, ends.log_start_offset, Isolation::kReadUncommitted)->size()),
            40 - ends.log_start_offset);

  PartitionOptions by_time = options;
  by_time.retention_bytes = -1;
  by_time.retention_ms = 60'000;
  partition->SetOptions(by_time);
  EXPECT_EQ(*partition->ApplyRetention(clock.NowMs()), 0);
  clock.Advance(61'000);
  EXPECT_GT(*partition->ApplyRetention(clock.NowMs()), 0);
  EXPECT_EQ(partition->Ends().log_start_offset, 40);
  EXPECT_EQ(partition->Ends().high_watermark, 40);
  EXPECT_EQ(AppendDurably(*partition, MakeBatch("after")).base_offset, 40);
  Drop(partition);
  partition = Open();
  EXPECT_EQ(partition->Ends().log_start_offset, 40);
  EXPECT_EQ(partition->Ends().high_watermark, 41);
}

// fsync fails: the records it was for are cut off and their producers told; what was acknowledged stays; then it goes
// on.
TEST_F(PartitionTest, FailedFsync) {
  SetUpLogging(LogLevel::kError, false);
  options.segment_bytes = 2000;
  auto partition = Open();
  auto batch = [](int32_t sequence) {
    return MakeBatch("v" + std::to_string(sequence) + std::string(300, '.'),
                     {.producer_id = 9, .producer_epoch = 0, .base_sequence = sequence});
  };
  for (int i = 0; i < 3; i++) AppendDurably(*partition, batch(i));
  io::FailSyncs(directory(), 1);
  AppendResult result;
  for (int i = 3; i < 12; i++) {  // over a roll
    auto next = AppendBytes(*partition, batch(i));
    if (!next.ok()) break;  // the checkpoint at the roll met the fault already
    result = next;
  }
  ASSERT_TRUE(result.ok());
  Status flushed = partition->WaitFlushed(result.end_offset);
  io::FailSyncs("", 0);
  ASSERT_FALSE(flushed.ok());
  EXPECT_EQ(flushed.error().code(), ErrorCode::kIo);
  // Who asks late hears the same.
  EXPECT_FALSE(partition->WaitFlushed(result.end_offset - 1).ok());
  int64_t kept = partition->Ends().high_watermark;
  EXPECT_GE(kept, 3);
  EXPECT_EQ(static_cast<int64_t>(ReadAll(*partition, 0, Isolation::kReadUncommitted)->size()), kept);
  // The producer sends again from the first that was not acknowledged.
  std::vector<std::string> values;
  for (int i = static_cast<int>(kept); i < 14; i++) {
    auto again = AppendDurably(*partition, batch(i));
    EXPECT_EQ(again.code, AppendCode::kNone);
    EXPECT_GE(again.base_offset, result.end_offset);
  }
  auto check = [&] {
    auto all = ReadAll(*partition, 0, Isolation::kReadUncommitted);
    ASSERT_TRUE(all.ok()) << all.error().ToString();
    ASSERT_EQ(all->size(), 14u);
    for (size_t i = 0; i < 14; i++)
      EXPECT_EQ((*all)[i].value.substr(0, 1 + std::to_string(i).size()), "v" + std::to_string(i));
  };
  check();
  Drop(partition);
  partition = Open();
  check();
}

TEST_F(PartitionTest, RollsByTime) {
  options.segment_ms = 1000;
  auto partition = Open();
  AppendDurably(*partition, MakeBatch("1"));
  clock.Advance(1500);
  AppendDurably(*partition, MakeBatch("2"));
  EXPECT_EQ(Files(".log").size(), 2u);
  EXPECT_EQ(ReadAll(*partition, 0, Isolation::kReadUncommitted)->size(), 2u);
}

TEST_F(PartitionTest, LogAppendTime) {
  options.log_append_time = true;
  auto partition = Open();
  auto result = AppendDurably(*partition, MakeBatch({{"k", "v", 5}}));
  EXPECT_EQ(result.log_append_time_ms, clock.NowMs());
  auto all = ReadAll(*partition, 0, Isolation::kReadUncommitted);
  ASSERT_TRUE(all.ok()) << all.error().ToString();
  EXPECT_EQ((*all)[0].timestamp_ms, clock.NowMs());
  EXPECT_EQ(partition->MaxTimestamp(Isolation::kReadUncommitted)->offset, 0);
}

TEST_F(PartitionTest, RefusesWhatDoesNotFit) {
  options.segment_bytes = 500;
  auto partition = Open();
  EXPECT_EQ(AppendBytes(*partition, MakeBatch(std::string(600, 'x'))).code, AppendCode::kRecordListTooLarge);
  EXPECT_EQ(AppendBytes(*partition, "").code, AppendCode::kCorruptMessage);
  EXPECT_EQ(AppendBytes(*partition, std::string(100, 'x')).code, AppendCode::kCorruptMessage);
  std::string cut = MakeBatch("abc");
  cut.pop_back();
  EXPECT_EQ(AppendBytes(*partition, cut).code, AppendCode::kCorruptMessage);
  EXPECT_EQ(partition->Ends().log_end_offset, 0);
}

// Appends of all sizes, across segments, that were never synced one by one: what is on disk is what was appended.
TEST_F(PartitionTest, GatheredAppendsReachTheFileInOrder) {
  options.segment_bytes = 1 << 20;
  auto partition = Open();
  std::string all;
  int64_t end = 0;
  for (int i = 0; i < 400; i++) {
    size_t size = i % 3 == 0 ? 10 : i % 3 == 1 ? 3000 : 20'000;  // copied together, copied, kept by its owner
    auto batch = std::make_shared<std::string>(MakeBatch(std::string(size, static_cast<char>('a' + i % 26))));
    end = partition->Append({batch->data(), batch->size()}, batch).end_offset;
    all += *batch;
  }
  ASSERT_TRUE(partition->WaitFlushed(end).ok());
  EXPECT_EQ(partition->Ends().high_watermark, 400);
  std::string found;
  std::vector<std::string> files = Files(".log");
  EXPECT_GT(files.size(), 2u);
  for (const std::string& file : files) found += *io::ReadFile(file, 1 << 30);
  EXPECT_TRUE(found == all);
}

TEST_F(PartitionTest, ReadersSeeGatheredAppendsOnceFlushingIsSwitchedOff) {
  auto partition = Open();
  for (int i = 0; i < 10; i++) ASSERT_TRUE(AppendBytes(*partition, MakeBatch(std::string(10'000, 'x'))).ok());
  options.flush_before_ack = false;
  partition->SetOptions(options);
  auto records = ReadAll(*partition, 0, Isolation::kReadUncommitted);
  ASSERT_TRUE(records.ok()) << records.error().ToString();
  EXPECT_EQ(records->size(), 10u);
}

TEST_F(PartitionTest, ReservedSpaceIsGivenBack) {
  options.segment_bytes = 8 << 20;
  auto partition = Open();
  for (int i = 0; i < 100; i++) AppendDurably(*partition, MakeBatch(std::string(100'000, 'x')));
  ASSERT_TRUE(partition->Close().ok());
  uint64_t on_disk = 0, size = 0;
  for (const std::string& file : Files(".log")) {
    struct stat info;
    ASSERT_EQ(stat(file.c_str(), &info), 0);
    on_disk += static_cast<uint64_t>(info.st_blocks) * 512;
    size += static_cast<uint64_t>(info.st_size);
  }
  EXPECT_LT(on_disk, size + (64 << 10));
}

// Many producers and readers at once: every acknowledged record is read, in the order of its producer.
TEST_F(PartitionTest, ConcurrentAppendsAndReads) {
  options.segment_bytes = 64 << 10;
  options.checkpoint_bytes = 100'000;
  auto partition = Open();
  constexpr int kProducers = 4, kEach = 200;
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int p = 0; p < kProducers; p++) {
    threads.emplace_back([&, p] {
      for (int i = 0; i < kEach; i++)
        AppendDurably(*partition, MakeBatch(std::to_string(p) + ":" + std::to_string(i) + std::string(200, '.')));
    });
  }
  std::thread reader([&] {
    int64_t offset = 0;
    std::map<std::string, int> next;
    while (!done || offset < partition->Ends().high_watermark) {
      auto records = ReadAll(*partition, offset, Isolation::kReadUncommitted, 4096);
      ASSERT_TRUE(records.ok()) << records.error().ToString();
      for (const ReadRecord& r : *records) {
        ASSERT_EQ(r.offset, offset++);
        std::string producer = r.value.substr(0, 1);
        ASSERT_EQ(std::stoi(r.value.substr(2)), next[producer]++);
      }
    }
    ASSERT_EQ(offset, kProducers * kEach);
  });
  for (auto& thread : threads) thread.join();
  done = true;
  reader.join();
  // Group commit: fewer fsyncs than acknowledgements.
  EXPECT_LT(flusher.stats().fsyncs, static_cast<uint64_t>(kProducers * kEach));
}

}  // namespace
}  // namespace tailrace::log
