#include "log/journal.h"

#include <gtest/gtest.h>
#include <atomic>
#include <map>
#include <thread>

#include "base/logging.h"
#include "base/random.h"
#include "log/log_test_support.h"

namespace tailrace::log {
namespace {

class JournalTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpLogging(LogLevel::kError, false); }
  std::shared_ptr<Journal> Open() {
    auto opened = Journal::Open(path(), flusher, options);
    EXPECT_TRUE(opened.ok()) << opened.error().ToString();
    return opened.ok() ? *opened : nullptr;
  }
  std::string path() const { return temporary.path() + "/meta.journal"; }
  static std::map<std::string, std::string> Contents(const Journal& journal) {
    std::map<std::string, std::string> all;
    journal.ForEach("", [&](std::string_view k, std::string_view v) { all.emplace(k, v); });
    return all;
  }
  static Status Put(Journal& journal, std::string_view key, std::string_view value) {
    JournalBatch batch;
    batch.Put(key, value);
    return journal.Append(batch);
  }

  TemporaryDirectory temporary;
  Flusher flusher{Clock::System()};
  Journal::Options options;
};

TEST_F(JournalTest, KeepsTheLastValue) {
  {
    auto journal = Open();
    ASSERT_TRUE(Put(*journal, "t/a", "1").ok());
    ASSERT_TRUE(Put(*journal, "t/b", "2").ok());
    JournalBatch batch;
    batch.Put("t/a", "3");
    batch.Delete("t/b");
    batch.Put("u/c", std::string("\0\xff", 2));
    ASSERT_TRUE(journal->Append(batch).ok());
  }
  auto journal = Open();
  EXPECT_EQ(journal->Get("t/a"), "3");
  EXPECT_EQ(journal->Get("t/b"), std::nullopt);
  int seen = 0;
  journal->ForEach("t/", [&](std::string_view, std::string_view) { seen++; });
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(Contents(*journal).size(), 2u);
}

TEST_F(JournalTest, TornTailAtEveryByte) {
  std::vector<uint64_t> ends;
  {
    auto journal = Open();
    ends.push_back(journal->file_bytes());
    for (int i = 0; i < 3; i++) {
      JournalBatch batch;
      batch.Put("a", std::to_string(i));
      batch.Put("b" + std::to_string(i), "x");
      ASSERT_TRUE(journal->Append(batch).ok());
      ends.push_back(journal->file_bytes());
    }
  }
  std::string whole = *io::ReadFile(path(), 1 << 20);
  for (size_t cut = 0; cut <= whole.size(); cut++) {
    ASSERT_TRUE(io::WriteFileAtomically(path(), whole.substr(0, cut)).ok());
    auto journal = Open();
    ASSERT_NE(journal, nullptr);
    size_t batches = 0;
    while (batches < 3 && ends[batches + 1] <= cut) batches++;
    ASSERT_EQ(Contents(*journal).size(), batches ? batches + 1 : 0) << cut;
    ASSERT_TRUE(Put(*journal, "z", "z").ok());
    journal = Open();
    ASSERT_EQ(journal->Get("z"), "z");
  }
}

TEST_F(JournalTest, DamageInSyncedBatchesIsAnError) {
  uint64_t first_end;
  {
    auto journal = Open();
    ASSERT_TRUE(Put(*journal, "a", std::string(100, 'x')).ok());
    first_end = journal->file_bytes();
    ASSERT_TRUE(Put(*journal, "b", "2").ok());
    ASSERT_TRUE(Put(*journal, "c", "3").ok());
  }
  std::string whole = *io::ReadFile(path(), 1 << 20);
  whole[first_end - 50] ^= 1;
  ASSERT_TRUE(io::WriteFileAtomically(path(), whole).ok());
  auto opened = Journal::Open(path(), flusher);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(opened.error().ToString().find(path() + ": damaged batch at byte 16"), std::string::npos)
      << opened.error().ToString();
  ASSERT_TRUE(io::WriteFileAtomically(path(), "this is no journal at all").ok());
  EXPECT_EQ(Journal::Open(path(), flusher).error().code(), ErrorCode::kCorrupt);
}

TEST_F(JournalTest, CompactsAndStaysComplete) {
  options.compact_bytes_min = 20'000;
  Random random(7);
  std::map<std::string, std::string> model;
  auto journal = Open();
  uint64_t written = 0;
  for (int i = 0; i < 3000; i++) {
    JournalBatch batch;
    for (uint64_t k = random.Below(3) + 1; k > 0; k--) {
      std::string key = "k" + std::to_string(random.Below(40));
      if (random.Below(5) == 0) {
        batch.Delete(key);
        model.erase(key);
      } else {
        std::string value(random.Below(60), static_cast<char>('a' + random.Below(26)));
        batch.Put(key, value);
        model[key] = value;
        written += value.size();
      }
    }
    if (random.Below(10) == 0) ASSERT_TRUE(journal->Append(batch).ok());
    else journal->Append(batch, nullptr);
    if (random.Below(500) == 0) {
      ASSERT_TRUE(journal->Close().ok());
      journal = Open();
      ASSERT_EQ(Contents(*journal), model);
    }
  }
  EXPECT_EQ(Contents(*journal), model);
  EXPECT_LT(journal->file_bytes(), written);
  ASSERT_TRUE(journal->Close().ok());
  EXPECT_EQ(Put(*journal, "x", "y").error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(Contents(*Open()), model);
}

TEST_F(JournalTest, FailedFsync) {
  auto journal = Open();
  ASSERT_TRUE(Put(*journal, "a", "1").ok());
  io::FailSyncs(path(), 1);
  auto failed = Put(*journal, "a", "2");
  io::FailSyncs("", 0);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(journal->Get("a"), "1");
  ASSERT_TRUE(Put(*journal, "b", "3").ok());
  journal = Open();
  EXPECT_EQ(journal->Get("a"), "1");
  EXPECT_EQ(journal->Get("b"), "3");
}

TEST_F(JournalTest, ConcurrentBatchesShareSyncs) {
  auto journal = Open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; i++) ASSERT_TRUE(Put(*journal, std::to_string(t) + "/" + std::to_string(i), "v").ok());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Contents(*journal).size(), 400u);
  EXPECT_LT(flusher.stats().fsyncs, 400u);
}

}  // namespace
}  // namespace tailrace::log
