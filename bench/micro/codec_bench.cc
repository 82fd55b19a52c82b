// Decode and encode of Nexmark bids, one core: google-benchmark's items_per_second are events per second.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "data/codec.h"

namespace tailrace::data {
namespace {

Schema BidSchema() {
  return {{"event_type", TypeId::kInteger}, {"auction", TypeId::kBigInt},  {"bidder", TypeId::kBigInt},
          {"price", TypeId::kBigInt},       {"channel", TypeId::kVarchar}, {"url", TypeId::kVarchar},
          {"dateTime", TypeId::kTimestamp}, {"extra", TypeId::kVarchar}};
}

std::vector<std::string> Bids(size_t count) {
  Random random(1);
  std::vector<std::string> bids;
  for (size_t i = 0; i < count; i++) {
    bids.push_back("{\"event_type\":2,\"auction\":" + std::to_string(1000 + random.Below(100'000)) +
                   ",\"bidder\":" + std::to_string(1000 + random.Below(100'000)) +
                   ",\"price\":" + std::to_string(random.Below(100'000'000)) +
                   ",\"channel\":\"Baidu\",\"url\":\"https://www.nexmark.com/lvg/dqx/item.htm?query=1&channel_id=" +
                   std::to_string(random.Below(1'000'000'000)) + "\",\"dateTime\":\"2024-01-15 10:" +
                   std::to_string(10 + random.Below(50)) + ":" + std::to_string(10 + random.Below(50)) + "." +
                   std::to_string(100 + random.Below(900)) + "\",\"extra\":\"KRQSOYwetkaqrbxiRKRQSOYwetka\"}");
  }
  return bids;
}

struct Records {
  std::vector<std::string> texts = Bids(20'480);
  std::string buffer;
  std::vector<RecordView> records;
  Records() {
    for (auto& t : texts) buffer += t;
    size_t at = 0;
    for (auto& t : texts) {
      records.push_back({.offset = 1, .timestamp_ms = 1, .value = BytesView(buffer.data() + at, t.size())});
      at += t.size();
    }
  }
};

void Decode(benchmark::State& state, std::vector<int> columns) {
  static Records data;
  FormatOptions options;
  options.schema = BidSchema();
  options.columns = std::move(columns);
  auto decoder = MakeDecoder("json", options).value();
  Batch batch;
  std::vector<DecodeFailure> failures;
  TopicPartition from{"bids", 0};
  for (auto _ : state) {
    std::span<const RecordView> rest = data.records;
    while (!rest.empty()) rest = rest.subspan(decoder->Decode(from, rest, &batch, &failures));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(data.records.size()));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(data.buffer.size()));
}
BENCHMARK_CAPTURE(Decode, three_of_eight_with_timestamp, {1, 3, 6});
BENCHMARK_CAPTURE(Decode, all_eight, {0, 1, 2, 3, 4, 5, 6, 7});
BENCHMARK_CAPTURE(Decode, none, {});

void Encode(benchmark::State& state, const char* format) {
  static Records data;
  FormatOptions options;
  options.schema = BidSchema();
  options.columns = {1, 2, 3, 5, 6};
  auto decoder = MakeDecoder("json", options).value();
  Batch batch;
  std::vector<DecodeFailure> failures;
  decoder->Decode({"bids", 0}, data.records, &batch, &failures);
  FormatOptions out;
  for (int c : options.columns) out.schema.push_back(options.schema[static_cast<size_t>(c)]);
  auto encoder = MakeEncoder(format, out).value();
  std::vector<BytesView> values;
  for (auto _ : state) {
    values.clear();
    benchmark::DoNotOptimize(encoder->Encode(batch, &values).ok());
  }
  state.SetItemsProcessed(state.iterations() * batch.rows);
}
BENCHMARK_CAPTURE(Encode, json_five_fields, "json");
BENCHMARK_CAPTURE(Encode, csv_five_fields, "csv");

}  // namespace
}  // namespace tailrace::data

BENCHMARK_MAIN();
