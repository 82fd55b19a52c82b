// The kafka source alone: Nexmark bids from the embedded log (mapped segments) or through librdkafka, decoded to
// batches. usage: kafka_source_bench [MILLIONS] [embedded|rdkafka]

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/waker.h"
#include "broker/broker.h"
#include "connectors/registry.h"
#include "log/client.h"
#include "sql/planner.h"

using namespace tailrace;

namespace {

double CpuSeconds() { return static_cast<double>(clock()) / CLOCKS_PER_SEC; }

int Fail(const Error& error) {
  fprintf(stderr, "%s\n", error.ToString().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  int64_t events = static_cast<int64_t>((argc > 1 ? atof(argv[1]) : 2) * 1e6);
  bool rdkafka = argc > 2 && std::string(argv[2]) == "rdkafka";
  char dir[] = "/tmp/kafka-source-XXXXXX";
  if (!mkdtemp(dir)) return 1;
  broker::BrokerOptions options;
  options.data_dir = dir;
  options.flush_before_ack = false;
  auto broker = broker::Broker::Open(options, Clock::System());
  if (!broker.ok()) return Fail(broker.error());
  connectors::Services services;
  services.embedded = &(*broker)->client();
  if (rdkafka) {
    auto port = (*broker)->Listen("127.0.0.1", 0);
    if (!port.ok()) return Fail(port.error());
    services.default_bootstrap = "127.0.0.1:" + std::to_string(*port);
  }
  if (auto made = (*broker)->client().CreateTopic({.name = "bids"}); !made.ok()) return Fail(made.error());
  {
    auto writer = (*broker)->client().OpenWriter();
    Random random(1);
    std::vector<std::string> texts;
    for (int64_t sent = 0; sent < events;) {
      texts.clear();
      for (int i = 0; i < 1000; i++, sent++)
        texts.push_back(
            "{\"event_type\":2,\"auction\":" + std::to_string(1000 + random.Below(100'000)) + ",\"bidder\":" +
            std::to_string(1000 + random.Below(100'000)) + ",\"price\":" + std::to_string(random.Below(100'000'000)) +
            ",\"channel\":\"Baidu\",\"url\":\"https://www.nexmark.com/lvg/dqx/item.htm?query=1&channel_id=" +
            std::to_string(random.Below(1'000'000'000)) + "\",\"dateTime\":\"2024-01-15 10:" +
            std::to_string(10 + random.Below(50)) + ":" + std::to_string(10 + random.Below(50)) + "." +
            std::to_string(100 + random.Below(900)) + "\",\"extra\":\"KRQSOYwetkaqrbxiRKRQSOYwetka\"}");
      std::vector<log::RecordToWrite> records;
      for (auto& t : texts) records.push_back({.value = t});
      if (auto s = (*writer)->Append("bids", 0, records); !s.ok()) return Fail(s.error());
    }
    if (auto s = (*writer)->Flush(); !s.ok()) return Fail(s.error());
  }
  auto script = sql::ParseScript(
      "bench.sql",
      "CREATE TABLE bids (event_type INT, auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, "
      "dateTime TIMESTAMP(3), extra VARCHAR) WITH ('connector' = 'kafka', 'topic' = 'bids', 'format' = 'json', "
      "'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset');");
  if (!script.ok()) return Fail(script.error());
  for (int round = 0; round < 3; round++) {
    auto factory = connectors::MakeConnectors(services);
    auto job = factory->ForJob(*script);
    Waker waker;
    stream::ConnectorContext context{.job = "bench", .waker = &waker, .clock = &Clock::System()};
    auto source = job->MakeSource({&script->tables[0], {1, 3, 6}}, context);
    if (!source.ok()) return Fail(source.error());
    if (auto s = (*source)->Open(""); !s.ok()) return Fail(s.error());
    double cpu = CpuSeconds();
    int64_t start = Clock::System().MonotonicNs();
    uint64_t rows = 0;
    while (true) {
      stream::Polled polled;
      auto state = (*source)->Poll(&polled);
      if (!state.ok()) return Fail(state.error());
      for (auto& b : polled.batches) rows += b.rows;
      if (*state == stream::PollState::kEnd) break;
      if (*state == stream::PollState::kIdle) waker.Sleep(100);
    }
    printf("%s: %.2f million rows, %.2f million/s, %.2f million per CPU-second\n", rdkafka ? "rdkafka" : "embedded",
           static_cast<double>(rows) * 1e-6,
           static_cast<double>(rows) * 1e3 / static_cast<double>(Clock::System().MonotonicNs() - start),
           static_cast<double>(rows) * 1e-6 / (CpuSeconds() - cpu));
  }
  (void)(*broker)->Close();
  broker->reset();
  return system(("rm -rf " + std::string(dir)).c_str()) == 0 ? 0 : 1;
}
