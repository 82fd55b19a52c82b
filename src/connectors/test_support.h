#pragma once
// What the tests of this module share.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/waker.h"
#include "connectors/registry.h"
#include "data/codec.h"
#include "sql/planner.h"

namespace tailrace::connectors {

class TempDir {
 public:
  TempDir() {
    const char* base = getenv("TMPDIR");
    std::string pattern = std::string(base ? base : "/tmp") + "/tailrace-connectors-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TempDir() {
    if (system(("rm -rf '" + path_ + "'").c_str()) != 0) ADD_FAILURE() << "can't remove " << path_;
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::shared_ptr<const sql::Script> Parse(const std::string& text) {
  auto script = sql::ParseScript("test.sql", text);
  if (!script.ok()) {
    ADD_FAILURE() << script.error().ToString();
    abort();
  }
  return std::make_shared<const sql::Script>(std::move(script).value());
}

/// One job's connectors over a parsed script.
struct TestJob {
  std::shared_ptr<const sql::Script> script;
  stream::ConnectorContext context;
  Waker waker;
  std::unique_ptr<stream::ConnectorFactory> factory;
  std::unique_ptr<stream::JobConnectors> connectors;

  TestJob(const std::string& sql, Services services, std::string base_dir, std::string job = "job")
      : script(Parse(sql)) {
    context.job = std::move(job);
    context.waker = &waker;
    context.clock = &Clock::System();
    context.base_dir = std::move(base_dir);
    factory = MakeConnectors(std::move(services));
    connectors = factory->ForJob(*script);
  }
  const sql::Table& table(const std::string& name) const { return *script->FindTable(name); }

  std::unique_ptr<stream::Source> Source(const std::string& name, std::vector<int> columns = {}) {
    stream::ScanSpec scan{&table(name), std::move(columns)};
    if (scan.columns.empty())
      for (size_t i = 0; i < table(name).physical_schema().size(); i++) scan.columns.push_back(static_cast<int>(i));
    auto source = connectors->MakeSource(scan, context);
    EXPECT_TRUE(source.ok()) << source.error().ToString();
    return source.ok() ? std::move(*source) : nullptr;
  }
  std::unique_ptr<stream::Sink> Sink(const std::string& name) {
    auto sink = connectors->MakeSink(table(name), context);
    EXPECT_TRUE(sink.ok()) << sink.error().ToString();
    return sink.ok() ? std::move(*sink) : nullptr;
  }
};

/// Rows as JSON, one string each.
inline std::vector<std::string> Rows(const data::Schema& schema, const std::vector<data::Batch>& batches) {
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

/// A batch from JSON rows. `texts` are copied into it.
inline data::Batch MakeBatch(const data::Schema& schema, const std::vector<std::string>& texts,
                             const std::vector<data::RowKind>& kinds = {}) {
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

/// Polls until the end, or until `rows` came.
inline std::vector<data::Batch> Drain(stream::Source& source, uint64_t rows = UINT64_MAX,
                                      std::vector<stream::BadRecord>* bad = nullptr, int64_t timeout_ms = 10'000) {
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

}  // namespace tailrace::connectors
