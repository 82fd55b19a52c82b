// What acknowledged means: kill -9 at random moments, a full disk.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/logging.h"
#include "base/random.h"
#include "log/journal.h"
#include "log/log_test_support.h"

namespace tailrace::log {
namespace {

// Shared with the child that gets killed.
struct Shared {
  std::atomic<int64_t> acknowledged;  // offsets below it were acknowledged
  std::atomic<int64_t> journal;       // likewise batches of the journal
};

Shared* MapShared() {
  void* p = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return new (p) Shared{};
}

std::string Value(int64_t offset) {
  return std::to_string(offset) + std::string(static_cast<size_t>(offset * 7919 % 900), '#');
}

PartitionOptions Options() {
  PartitionOptions options;
  options.segment_bytes = 300'000;
  options.checkpoint_bytes = 150'000;
  options.retention_ms = -1;
  return options;
}

[[noreturn]] void AppendUntilKilled(const std::string& directory, Shared* shared) {
  Flusher flusher(Clock::System());
  auto partition = *Partition::Open(directory + "/t-0", {"t", 0}, Options(), Clock::System(), flusher);
  auto journal = *Journal::Open(directory + "/meta.journal", flusher, {.compact_bytes_min = 10'000});
  int64_t next = partition->Ends().log_end_offset;
  // 4 batches in flight, as a producer has.
  for (;;) {
    AppendResult result;
    for (int i = 0; i < 4; i++) {
      std::string batch =
          MakeBatch(Value(next), {.producer_id = 1, .producer_epoch = 0, .base_sequence = static_cast<int32_t>(next)});
      result = partition->Append({batch.data(), batch.size()});
      if (!result.ok() || result.base_offset != next) _exit(3);
      int64_t end = ++next;
      partition->WhenFlushed(result.end_offset, [shared, end](Status status) {
        if (!status.ok()) _exit(4);
        if (shared->acknowledged < end) shared->acknowledged = end;
      });
    }
    JournalBatch entry;
    int64_t number = shared->journal + 1;
    entry.Put("count", std::to_string(number));
    entry.Put("other" + std::to_string(number % 10), std::string(200, 'o'));
    if (!journal->Append(entry).ok()) _exit(5);
    shared->journal = number;
    if (!partition->WaitFlushed(result.end_offset).ok()) _exit(6);
  }
}

TEST(CrashTest, KillMinusNineLosesNothingAcknowledged) {
  SetUpLogging(LogLevel::kError, false);
  TemporaryDirectory temporary;
  Shared* shared = MapShared();
  Random random(42);
  int64_t slowest_ms = 0;
  for (int round = 0; round < 25; round++) {
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) AppendUntilKilled(temporary.path(), shared);
    usleep(static_cast<useconds_t>(3000 + random.Below(60'000)));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);

    Flusher flusher(Clock::System());
    int64_t start = Clock::System().MonotonicMs();
    auto opened = Partition::Open(temporary.path() + "/t-0", {"t", 0}, Options(), Clock::System(), flusher);
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    slowest_ms = std::max(slowest_ms, Clock::System().MonotonicMs() - start);
    auto all = ReadAll(**opened, 0, Isolation::kReadUncommitted);
    ASSERT_TRUE(all.ok()) << all.error().ToString();
    ASSERT_GE(static_cast<int64_t>(all->size()), shared->acknowledged.load());
    for (size_t i = 0; i < all->size(); i++) {
      ASSERT_EQ((*all)[i].offset, static_cast<int64_t>(i));
      ASSERT_EQ((*all)[i].value, Value(static_cast<int64_t>(i)));
    }
    auto journal = Journal::Open(temporary.path() + "/meta.journal", flusher);
    ASSERT_TRUE(journal.ok()) << journal.error().ToString();
    int64_t count = std::stoll((*journal)->Get("count").value_or("0"));
    ASSERT_GE(count, shared->journal.load());
    shared->journal = count;
    // The idempotent producer's last batch is known: sending it again changes nothing.
    int64_t last = static_cast<int64_t>(all->size()) - 1;
    if (last >= 0) {
      auto again = AppendBytes(
          **opened,
          MakeBatch(Value(last), {.producer_id = 1, .producer_epoch = 0, .base_sequence = static_cast<int32_t>(last)}));
      ASSERT_EQ(again.code, AppendCode::kDuplicateSequence);
      ASSERT_EQ(again.base_offset, last);
    }
  }
  EXPECT_GT(shared->acknowledged, 50);
  EXPECT_LT(slowest_ms, 1000);
  munmap(shared, sizeof(Shared));
}

// RLIMIT_FSIZE plays the full disk: write() fails half way, with EFBIG.
TEST(CrashTest, FullDisk) {
  SetUpLogging(LogLevel::kError, false);
  TemporaryDirectory temporary;
  pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    auto check = [](bool condition, int code) {
      if (!condition) _exit(code);
    };
    Flusher flusher(Clock::System());
    PartitionOptions options;
    options.retention_ms = -1;
    auto partition = *Partition::Open(temporary.path() + "/t-0", {"t", 0}, options, Clock::System(), flusher);
    auto journal = *Journal::Open(temporary.path() + "/meta.journal", flusher);
    std::string batch = MakeBatch(std::string(1000, 'x'));
    for (int i = 0; i < 3; i++) check(partition->WaitFlushed(AppendBytes(*partition, batch).end_offset).ok(), 10);
    JournalBatch entry;
    entry.Put("k", std::string(3000, 'v'));
    check(journal->Append(entry).ok(), 11);
    rlimit limit{4000, RLIM_INFINITY};
    check(setrlimit(RLIMIT_FSIZE, &limit) == 0, 12);
    // The first ones are noted and found out by the write before their sync: whoever waits is told. From then on
    // appends are told at once.
    auto lost = AppendBytes(*partition, batch), more_lost = AppendBytes(*partition, batch);
    check(lost.ok() && more_lost.ok(), 13);
    check(!partition->WaitFlushed(more_lost.end_offset).ok() && !partition->WaitFlushed(lost.end_offset).ok(), 22);
    for (int i = 0; i < 3; i++) check(AppendBytes(*partition, batch).code == AppendCode::kStorageError, 23);
    JournalBatch more;
    more.Put("k", std::string(3000, 'w'));
    auto refused = journal->Append(more);
    check(!refused.ok() && refused.error().code() == ErrorCode::kIo, 14);
    check(journal->Get("k") == std::string(3000, 'v'), 15);
    auto all = ReadAll(*partition, 0, Isolation::kReadUncommitted);
    check(all.ok() && all->size() == 3, 16);
    limit.rlim_cur = RLIM_INFINITY;
    check(setrlimit(RLIMIT_FSIZE, &limit) == 0, 17);
    auto result = AppendBytes(*partition, batch);
    check(result.ok() && result.base_offset == 5, 18);  // offsets that were handed out are not used again
    check(partition->WaitFlushed(result.end_offset).ok(), 19);
    check(journal->Append(more).ok(), 20);
    partition = *Partition::Open(temporary.path() + "/t-0", {"t", 0}, options, Clock::System(), flusher);
    check(partition->Ends().high_watermark == 6, 21);
    all = ReadAll(*partition, 0, Isolation::kReadUncommitted);
    check(all.ok() && all->size() == 4 && all->back().offset == 5, 24);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(CrashTest, RecoveryReadsOnlyTheTail) {
  SetUpLogging(LogLevel::kError, false);
  TemporaryDirectory temporary;
  PartitionOptions options;
  options.retention_ms = -1;
  options.segment_bytes = 64 << 20;
  {
    Flusher flusher(Clock::System());
    auto partition = *Partition::Open(temporary.path() + "/t-0", {"t", 0}, options, Clock::System(), flusher);
    std::string value(1 << 20, 'x');
    AppendResult result;
    for (int i = 0; i < 200; i++) result = AppendBytes(*partition, MakeBatch(value));
    ASSERT_TRUE(partition->WaitFlushed(result.end_offset).ok());
    ASSERT_TRUE(partition->Close().ok());
  }
  Flusher flusher(Clock::System());
  int64_t start = Clock::System().MonotonicMs();
  auto partition = Partition::Open(temporary.path() + "/t-0", {"t", 0}, options, Clock::System(), flusher);
  ASSERT_TRUE(partition.ok());
  EXPECT_LT(Clock::System().MonotonicMs() - start, 50);
  EXPECT_EQ((*partition)->Ends().high_watermark, 200);
}

}  // namespace
}  // namespace tailrace::log
