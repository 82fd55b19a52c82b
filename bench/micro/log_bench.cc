// One partition's log: appends with and without fsync, reads, transactions of the in-process client. What it says is in
// docs/profiles/log.md.

#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/logging.h"
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
#include "wire/record_batch.h"

namespace {

using namespace tailrace;

std::string MakeDirectory() {
  const char* base = getenv("TMPDIR");
  std::string path = std::string(base ? base : "/tmp") + "/tailrace-bench-XXXXXX";
  if (!mkdtemp(path.data())) abort();
  return path;
}

std::string MakeBatch(size_t batch_bytes, size_t record_bytes) {
  wire::RecordBatchBuilder builder;
  builder.Reset({});
  std::string value(record_bytes, 'v');
  while (builder.size_bytes() + record_bytes + 20 < batch_bytes) builder.Append({}, value, 1'700'000'000'000);
  return std::string(builder.Finish());
}

struct OnePartition {
  std::string directory = MakeDirectory();
  std::unique_ptr<log::Flusher> flusher = std::make_unique<log::Flusher>(Clock::System());
  std::shared_ptr<log::Partition> partition;

  explicit OnePartition(bool flush) {
    SetUpLogging(LogLevel::kError, false);
    log::PartitionOptions options;
    options.flush_before_ack = flush;
    options.segment_bytes = 256 << 20;
    options.retention_ms = -1;
    options.retention_bytes = 1 << 30;
    partition = *log::Partition::Open(directory + "/t-0", {"t", 0}, options, Clock::System(), *flusher);
  }
  ~OnePartition() {
    (void)partition->Delete();
    partition.reset();
    flusher.reset();
    (void)io::RemoveTree(directory);
  }
};

// The way of a Produce request behind the socket: CRC check, then append. Acknowledged means in the page cache.
void AppendRelaxed(benchmark::State& state) {
  OnePartition one(false);
  std::string batch = MakeBatch(static_cast<size_t>(state.range(0)), 100);
  int64_t bytes = 0, since_retention = 0;
  for (auto _ : state) {
    auto view = wire::BatchView::Parse(batch);
    if (!view->CrcMatches() || !one.partition->Append({batch.data(), batch.size()}).ok()) abort();
    bytes += static_cast<int64_t>(batch.size());
    since_retention += static_cast<int64_t>(batch.size());
    if (since_retention > (256 << 20)) {
      since_retention = 0;
      (void)one.partition->ApplyRetention();
    }
  }
  state.SetBytesProcessed(bytes);
}
BENCHMARK(AppendRelaxed)
    ->Arg(1 << 10)
    ->Arg(16 << 10)
    ->Arg(64 << 10)
    ->Arg(1 << 20)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// The same with group fsync before every acknowledgement and `window` batches in flight.
void AppendDurable(benchmark::State& state) {
  OnePartition one(true);
  std::string batch = MakeBatch(static_cast<size_t>(state.range(0)), 100);
  int64_t window = state.range(1);
  std::atomic<int64_t> acknowledged{0};
  int64_t appended = 0, bytes = 0, since_retention = 0;
  for (auto _ : state) {
    auto view = wire::BatchView::Parse(batch);
    if (!view->CrcMatches()) abort();
    while (appended - acknowledged.load(std::memory_order_acquire) >= window) acknowledged.wait(acknowledged.load());
    auto result = one.partition->Append({batch.data(), batch.size()});
    if (!result.ok()) abort();
    appended++;
    one.partition->WhenFlushed(result.end_offset, [&](Status status) {
      if (!status.ok()) abort();
      acknowledged.fetch_add(1);
      acknowledged.notify_one();
    });
    bytes += static_cast<int64_t>(batch.size());
    since_retention += static_cast<int64_t>(batch.size());
    if (since_retention > (256 << 20)) {
      since_retention = 0;
      (void)one.partition->ApplyRetention();
    }
  }
  while (acknowledged.load() < appended) std::this_thread::yield();
  auto stats = one.flusher->stats();
  state.SetBytesProcessed(bytes);
  state.counters["batches/fsync"] =
      static_cast<double>(appended) / static_cast<double>(std::max<uint64_t>(stats.fsyncs, 1));
  state.counters["fsync_us"] =
      static_cast<double>(stats.fsync_us_sum) / static_cast<double>(std::max<uint64_t>(stats.fsyncs, 1));
}
BENCHMARK(AppendDurable)
    ->Args({1 << 10, 1})
    ->Args({64 << 10, 1})
    ->Args({64 << 10, 5})
    ->Args({64 << 10, 64})
    ->Args({1 << 20, 8})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// Twelve partitions, one batch each in turn, 60 in flight, `range(0)` fsyncs at a time.
void AppendDurable12(benchmark::State& state) {
  SetUpLogging(LogLevel::kError, false);
  std::string directory = MakeDirectory();
  {
    log::Flusher flusher(Clock::System(), {.threads = static_cast<int>(state.range(0))});
    std::vector<std::shared_ptr<log::Partition>> partitions;
    log::PartitionOptions options;
    options.segment_bytes = 64 << 20;
    options.retention_ms = -1;
    options.retention_bytes = 100 << 20;
    options.flush_before_ack = state.range(1) != 0;
    for (int32_t i = 0; i < 12; i++)
      partitions.push_back(
          *log::Partition::Open(directory + "/t-" + std::to_string(i), {"t", i}, options, Clock::System(), flusher));
    std::string batch = MakeBatch(64 << 10, 100);
    std::atomic<int64_t> acknowledged{0};
    int64_t appended = 0;
    for (auto _ : state) {
      auto view = wire::BatchView::Parse(batch);
      if (!view->CrcMatches()) abort();
      for (int64_t seen; appended - (seen = acknowledged.load()) >= 60;) acknowledged.wait(seen);
      auto& partition = *partitions[static_cast<size_t>(appended % 12)];
      auto result = partition.Append({batch.data(), batch.size()});
      if (!result.ok()) abort();
      appended++;
      partition.WhenFlushed(result.end_offset, [&](Status) {
        acknowledged.fetch_add(1);
        acknowledged.notify_one();
      });
      if (appended % 16384 == 0)
        for (auto& each : partitions) (void)each->ApplyRetention();
    }
    while (acknowledged.load() < appended) std::this_thread::yield();
    auto stats = flusher.stats();
    state.SetBytesProcessed(appended * static_cast<int64_t>(batch.size()));
    state.counters["batches/fsync"] =
        static_cast<double>(appended) / static_cast<double>(std::max<uint64_t>(stats.fsyncs, 1));
    for (auto& partition : partitions) (void)partition->Delete();
    partitions.clear();
  }
  (void)io::RemoveTree(directory);
}
BENCHMARK(AppendDurable12)
    ->Args({1, 0})
    ->Args({1, 1})
    ->Args({2, 1})
    ->Args({4, 1})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

void FillForReading(OnePartition& one, size_t record_bytes) {
  std::string batch = MakeBatch(64 << 10, record_bytes);
  for (int i = 0; i < 4000; i++)
    if (!one.partition->Append({batch.data(), batch.size()}).ok()) abort();
}

// What a Fetch request asks: where are the next 1 MB.
void LocateRange(benchmark::State& state) {
  OnePartition one(false);
  FillForReading(one, 100);
  int64_t end = one.partition->Ends().high_watermark;
  int64_t offset = 0, bytes = 0;
  for (auto _ : state) {
    auto read =
        one.partition->ReadRange(offset, static_cast<uint32_t>(state.range(0)), true, log::Isolation::kReadCommitted);
    if (!read.ok()) abort();
    bytes += read->range.length;
    offset = (offset + 7919) % end;
  }
  state.SetBytesProcessed(bytes);
}
BENCHMARK(LocateRange)->Arg(64 << 10)->Arg(1 << 20);

struct Core {
  std::string directory = MakeDirectory();
  broker::BrokerOptions options;
  std::unique_ptr<log::Flusher> flusher = std::make_unique<log::Flusher>(Clock::System());
  std::shared_ptr<log::Journal> journal;
  std::unique_ptr<broker::TopicManager> topics;
  std::unique_ptr<broker::OffsetStore> offsets;
  std::unique_ptr<broker::ProducerIds> producer_ids;
  std::unique_ptr<broker::TransactionCoordinator> transactions;
  std::unique_ptr<log::Client> client;

  Core() {
    SetUpLogging(LogLevel::kError, false);
    options.data_dir = directory;
    journal = *log::Journal::Open(directory + "/meta.journal", *flusher);
    topics = *broker::TopicManager::Open(options, Clock::System(), *flusher, journal);
    offsets = *broker::OffsetStore::Open(journal, Clock::System());
    producer_ids = *broker::ProducerIds::Open(journal);
    transactions = *broker::TransactionCoordinator::Open(journal, *topics, *offsets, *producer_ids, Clock::System());
    client = broker::MakeEmbeddedClient(*topics, *offsets, *transactions, Clock::System());
    if (!client->CreateTopic({"t", 1, {{"retention.ms", "-1"}}}).ok()) abort();
  }
  ~Core() {
    client.reset();
    transactions.reset();
    (void)journal->Close();
    topics.reset();
    flusher.reset();
    (void)io::RemoveTree(directory);
  }
};

// In process, records of `range(0)` bytes: mapped bytes, CRC check, decode into views.
void PollRecords(benchmark::State& state) {
  Core core;
  auto writer = *core.client->OpenWriter();
  std::string value(static_cast<size_t>(state.range(0)), 'v');
  std::vector<log::RecordToWrite> records(1000, log::RecordToWrite{{}, value, 1'700'000'000'000, {}});
  int64_t total = 256 << 20;
  for (int64_t bytes = 0; bytes < total; bytes += 1000 * state.range(0))
    if (!writer->Append("t", 0, records).ok()) abort();
  if (!writer->Flush().ok()) abort();
  auto reader = *core.client->OpenReader({"t", 0}, 0, log::Isolation::kReadCommitted, nullptr);
  int64_t bytes = 0, count = 0;
  RecordSet set;
  for (auto _ : state) {
    set.Clear();
    if (!reader->Poll(1 << 20, &set).ok()) abort();
    if (set.records.empty()) reader->Seek(0);
    count += static_cast<int64_t>(set.records.size());
    bytes += static_cast<int64_t>(set.records.size()) * state.range(0);
  }
  state.SetBytesProcessed(bytes);
  state.SetItemsProcessed(count);
}
BENCHMARK(PollRecords)->Arg(100)->Arg(1000);

// In process, 1,000 records a call: one copy into the batch, CRC, one write to the page cache.
void WriteRecords(benchmark::State& state) {
  Core core;
  auto writer = *core.client->OpenWriter();
  std::string value(static_cast<size_t>(state.range(0)), 'v');
  std::vector<log::RecordToWrite> records(1000, log::RecordToWrite{{}, value, 1'700'000'000'000, {}});
  int64_t bytes = 0;
  for (auto _ : state) {
    if (!writer->Append("t", 0, records).ok()) abort();
    bytes += 1000 * state.range(0);
    if (bytes % (512 << 20) < 1000 * state.range(0)) {
      state.PauseTiming();
      auto partition = core.topics->FindPartition("t", 0);
      if (!writer->Flush().ok()) abort();
      (void)partition->DeleteRecords(-1);
      state.ResumeTiming();
    }
  }
  state.SetBytesProcessed(bytes);
  state.SetItemsProcessed(bytes / state.range(0));
}
BENCHMARK(WriteRecords)->Arg(100)->Arg(1000)->MeasureProcessCPUTime()->UseRealTime();

// A transaction of the streaming engine: some records, offsets with their epoch, commit.
void CommitTransaction(benchmark::State& state) {
  Core core;
  auto writer = *core.client->OpenTransactionalWriter("job");
  std::string value(100, 'v');
  std::vector<log::RecordToWrite> records(static_cast<size_t>(state.range(0)), log::RecordToWrite{{}, value, -1, {}});
  int64_t offset = 0;
  uint64_t before = core.flusher->stats().fsyncs;
  for (auto _ : state) {
    if (!writer->Begin().ok() || !writer->Append("t", 0, records).ok()) abort();
    log::OffsetToCommit position{{"in", 0}, ++offset, "7"};
    if (!writer->Commit("job", {&position, 1}).ok()) abort();
  }
  auto stats = core.flusher->stats();
  state.counters["fsyncs"] = static_cast<double>(stats.fsyncs - before) / static_cast<double>(state.iterations());
  state.counters["fsync_us"] =
      static_cast<double>(stats.fsync_us_sum) / static_cast<double>(std::max<uint64_t>(stats.fsyncs, 1));
}
BENCHMARK(CommitTransaction)->Arg(1)->Arg(1000)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
