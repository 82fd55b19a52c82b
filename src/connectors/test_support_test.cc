#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/random.h"
#include "connectors/test_support.h"
#include "data/codec.h"

namespace tailrace::connectors {

TempDir::TempDir() {
  const char* base = getenv("TMPDIR");
  std::string pattern = std::string(base ? base : "/tmp") + "/tailrace-connectors-XXXXXX";
  path_ = mkdtemp(pattern.data());
}

TempDir::~TempDir() {
  if (system(("rm -rf '" + path_ + "'").c_str()) != 0) ADD_FAILURE() << "can't remove " << path_;
}

std::shared_ptr<const sql::Script> Parse(const std::string& text) {
  auto script = sql::ParseScript("test.sql", text);
  if (!script.ok()) {
    ADD_FAILURE() << script.error().ToString();
    abort();
  }
  return std::make_shared<const sql::Script>(std::move(script).value());
}

TestJob::TestJob(const std::string& sql, Services services, std::string base_dir, std::string job)
    : script(Parse(sql)) {
  context.job = std::move(job);
  context.waker = &waker;
  context.clock = &Clock::System();
  context.base_dir = std::move(base_dir);
  factory = MakeConnectors(std::move(services));
  connectors = factory->ForJob(*script);
}

std::unique_ptr<stream::Source> TestJob::Source(const std::string& name, std::vector<int> columns) {
  stream::ScanSpec scan{&table(name), std::move(columns)};
  if (scan.columns.empty())
    for (size_t i = 0; i < table(name).physical_schema().size(); i++) scan.columns.push_back(static_cast<int>(i));
  auto source = connectors->MakeSource(scan, context);
  EXPECT_TRUE(source.ok()) << source.error().ToString();
  return source.ok() ? std::move(*source) : nullptr;
}

std::unique_ptr<stream::Sink> TestJob::Sink(const std::string& name) {
  auto sink = connectors->MakeSink(table(name), context);
  EXPECT_TRUE(sink.ok()) << sink.error().ToString();
  return sink.ok() ? std::move(*sink) : nullptr;
}

std::vector<std::string> Rows(const data::Schema& schema, const std::vector<data::Batch>& batches) {
  data::FormatOptions format;
  format.schema = schema;
  auto encoder = data::MakeEncoder("json", format).value();
  std::vector<std::string> rows;
  for (const auto& batch : batches) {
    std::vector<BytesView> values;
    EXPECT_TRUE(encoder->Encode(batch, &values).ok());
    for (auto v : values) rows.emplace_back(v);
  }
  return rows;
}

data::Batch MakeBatch(const data::Schema& schema, const std::vector<std::string>& texts,
                      const std::vector<data::RowKind>& kinds) {
  data::FormatOptions format;
  format.schema = schema;
  for (size_t i = 0; i < schema.size(); i++) format.columns.push_back(static_cast<int>(i));
  auto decoder = data::MakeDecoder("json", format).value();
  auto held = std::make_shared<std::vector<std::string>>(texts);
  std::vector<RecordView> records;
  for (auto& t : *held) records.push_back({.value = t});
  data::Batch batch;
  std::vector<data::DecodeFailure> failures;
  decoder->Decode({"test", 0}, records, &batch, &failures);
  for (auto& f : failures) ADD_FAILURE() << f.reason;
  batch.owners.push_back(held);
  if (!kinds.empty()) {
    auto copy = std::make_shared<std::vector<data::RowKind>>(kinds);
    batch.kinds = copy->data();
    batch.owners.push_back(copy);
  }
  return batch;
}

std::vector<data::Batch> Drain(stream::Source& source, uint64_t rows, std::vector<stream::BadRecord>* bad,
                               int64_t timeout_ms) {
  std::vector<data::Batch> batches;
  int64_t deadline = Clock::System().MonotonicMs() + timeout_ms;
  uint64_t seen = 0;
  while (Clock::System().MonotonicMs() < deadline) {
    stream::Polled polled;
    auto state = source.Poll(&polled);
    EXPECT_TRUE(state.ok()) << state.error().ToString();
    if (!state.ok()) break;
    for (auto& b : polled.batches) {
      seen += b.rows;
      batches.push_back(std::move(b));
    }
    if (bad)
      for (auto& b : polled.bad) bad->push_back(std::move(b));
    if (*state == stream::PollState::kEnd || seen >= rows) return batches;
    if (*state == stream::PollState::kIdle) usleep(1000);
  }
  if (rows != UINT64_MAX) ADD_FAILURE() << "timed out after " << seen << " rows of " << rows;
  return batches;
}

namespace {

/// Runs in the child; its exit status says where it failed.
int RunSinkToTheEnd(const std::string& ddl, const std::string& dir, const KillPlan& plan,
                    const std::function<std::string(int64_t)>& make_row) {
  std::string checkpoint = dir + "/checkpoint.json";
  uint64_t epoch = 0;
  int64_t next = 0;
  std::string prepared;
  if (std::ifstream in(checkpoint); in) {
    auto json = nlohmann::json::parse(in);
    epoch = json["epoch"];
    next = json["next"];
    for (int byte : json["prepared"]) prepared += static_cast<char>(byte);
  }
  TestJob job(ddl, {}, dir);
  auto sink = job.Sink("t");
  if (!sink || !sink->Open().ok()) return 10;
  if (epoch && !sink->Commit(epoch, prepared).ok()) return 11;
  if (!sink->Discard(epoch).ok()) return 12;
  auto schema = job.table("t").physical_schema();
  while (next < plan.rows_total) {
    epoch++;
    std::vector<std::string> rows;
    for (int64_t i = 0; i < plan.rows_an_epoch && next < plan.rows_total; i++) rows.push_back(make_row(next++));
    if (!sink->Write(MakeBatch(schema, rows)).ok()) return 13;
    auto made = sink->Prepare(epoch);
    if (!made.ok()) return 14;
    std::vector<int> bytes;
    for (char c : *made) bytes.push_back(static_cast<unsigned char>(c));
    {
      std::ofstream out(checkpoint + ".tmp");
      out << nlohmann::json{{"epoch", epoch}, {"next", next}, {"prepared", bytes}};
    }
    if (rename((checkpoint + ".tmp").c_str(), checkpoint.c_str()) != 0) return 15;
    if (auto done = sink->Commit(epoch, *made); !done.ok()) {
      fprintf(stderr, "%s\n", done.error().ToString().c_str());
      return 16;
    }
  }
  return 0;
}

}  // namespace

void KillAndResume(const std::string& ddl, const std::string& dir, const KillPlan& plan,
                   const std::function<std::string(int64_t)>& make_row) {
  Random random(plan.seed);
  int killed = 0;
  for (int run = 0; run < plan.kills + 200; run++) {
    pid_t child = fork();
    if (child == 0) _exit(RunSinkToTheEnd(ddl, dir, plan, make_row));
    if (killed < plan.kills) {
      usleep(static_cast<useconds_t>(20'000 + random.Below(150'000)));
      kill(child, SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
      killed++;
      continue;
    }
    ASSERT_EQ(WEXITSTATUS(status), 0);
    break;
  }
  EXPECT_GT(killed, 0);
}

}  // namespace tailrace::connectors
