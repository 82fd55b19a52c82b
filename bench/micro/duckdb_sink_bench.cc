// The duckdb sink as a job drives it: rows at a rate, a commit every 200 ms. Prints the distribution of commit times,
// which is what the pipeline stands still for.
// usage: duckdb_sink_bench [ROWS_PER_SECOND] [SECONDS] [append|upsert]

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/clock.h"
#include "connectors/registry.h"
#include "data/codec.h"
#include "sql/planner.h"

using namespace tailrace;

int main(int argc, char** argv) {
  int64_t rate = argc > 1 ? atoll(argv[1]) : 5000;
  int64_t seconds = argc > 2 ? atoll(argv[2]) : 20;
  bool upsert = argc > 3 && std::string(argv[3]) == "upsert";
  char dir[] = "/tmp/duckdb-sink-XXXXXX";
  if (!mkdtemp(dir)) return 1;
  std::string ddl =
      "CREATE TABLE t (id VARCHAR, ts TIMESTAMP(3), user_id VARCHAR, event_type VARCHAR, processed_data VARCHAR" +
      std::string(upsert ? ", PRIMARY KEY (id) NOT ENFORCED" : "") +
      ") WITH ('connector' = 'duckdb', 'path' = 's.duckdb', 'table' = 'app.events');";
  auto script = sql::ParseScript("bench.sql", ddl);
  if (!script.ok()) return fprintf(stderr, "%s\n", script.error().ToString().c_str()), 1;
  auto factory = connectors::MakeConnectors({});
  auto job = factory->ForJob(*script);
  stream::ConnectorContext context;
  context.job = "bench";
  context.base_dir = dir;
  auto sink = job->MakeSink(script->tables[0], context);
  if (!sink.ok() || !(*sink)->Open().ok()) return fprintf(stderr, "no sink\n"), 1;
  data::FormatOptions format;
  format.schema = script->tables[0].physical_schema();
  format.columns = {0, 1, 2, 3, 4};
  auto decoder = data::MakeDecoder("json", format).value();

  std::vector<double> commits_ms;
  double write_ms = 0;
  int64_t id = 0;
  int64_t rows_an_epoch = rate / 5;
  int64_t next = Clock::System().MonotonicMs();
  for (int64_t epoch = 1; epoch <= seconds * 5; epoch++) {
    std::vector<std::string> texts;
    for (int64_t i = 0; i < rows_an_epoch; i++, id++)
      texts.push_back("{\"id\":\"event-number-" + std::to_string(id) +
                      "\",\"ts\":\"2024-01-15T10:30:00.123Z\",\"user_id\":\"user_" + std::to_string(id % 1000) +
                      "\",\"event_type\":\"click\",\"processed_data\":\"{\\\"page\\\":\\\"/home\\\",\\\"n\\\":" +
                      std::to_string(id) + "}\"}");
    std::vector<RecordView> records;
    for (auto& t : texts) records.push_back({.value = t});
    int64_t t0 = Clock::System().MonotonicNs();
    for (std::span<const RecordView> rest = records; !rest.empty();) {
      data::Batch batch;
      std::vector<data::DecodeFailure> failures;
      rest = rest.subspan(decoder->Decode({"t", 0}, rest, &batch, &failures));
      if (!(*sink)->Write(batch).ok()) return 1;
    }
    auto prepared = (*sink)->Prepare(static_cast<uint64_t>(epoch));
    int64_t t1 = Clock::System().MonotonicNs();
    if (auto s = (*sink)->Commit(static_cast<uint64_t>(epoch), *prepared); !s.ok())
      return fprintf(stderr, "%s\n", s.error().ToString().c_str()), 1;
    int64_t t2 = Clock::System().MonotonicNs();
    write_ms += static_cast<double>(t1 - t0) * 1e-6;
    commits_ms.push_back(static_cast<double>(t2 - t1) * 1e-6);
    next += 200;
    int64_t wait = next - Clock::System().MonotonicMs();
    if (wait > 0) usleep(static_cast<useconds_t>(wait * 1000));
  }
  std::sort(commits_ms.begin(), commits_ms.end());
  auto at = [&](double q) {
    return commits_ms[std::min(commits_ms.size() - 1, static_cast<size_t>(q * static_cast<double>(commits_ms.size())))];
  };
  printf(
      "%s, %lld rows/s, commit every 200 ms: p50 %.1f ms, p90 %.1f, p99 %.1f, max %.1f; decode and write %.2f ms an "
      "epoch\n",
      upsert ? "upsert" : "append", static_cast<long long>(rate), at(0.5), at(0.9), at(0.99), commits_ms.back(),
      write_ms / static_cast<double>(commits_ms.size()));
  sink->reset();
  if (system(("rm -rf " + std::string(dir)).c_str()) != 0) return 1;
  return 0;
}
