#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "app/cli/command.h"
#include "app/cli/kafka.h"
#include "app/cli/output.h"
#include "app/stop_signal.h"
#include "base/clock.h"
#include "base/random.h"
#include "http/json_writer.h"

namespace tailrace::app {
namespace {

struct BenchOptions {
  std::string topic = "tailrace-bench", acks = "all", compression = "none";
  int64_t records = 1'000'000;
  int size = 100, partitions = 1, batch = 65536, rate = 2000;
  double linger_ms = 5, for_s = 10;
};

int64_t NowNs() { return Clock::System().MonotonicNs(); }

/// Percentiles of latencies in microseconds.
class Latencies {
 public:
  void Add(int64_t us) { us_.push_back(us); }
  void Write(http::JsonWriter& json) {
    std::sort(us_.begin(), us_.end());
    auto at = [&](double q) {
      return us_.empty() ? -1 : us_[std::min(us_.size() - 1, static_cast<size_t>(q * static_cast<double>(us_.size())))];
    };
    json.Key("latency")
        .BeginObject()
        .Field("p50_us", at(0.5))
        .Field("p95_us", at(0.95))
        .Field("p99_us", at(0.99))
        .Field("p999_us", at(0.999))
        .Field("max_us", at(1))
        .EndObject();
  }

 private:
  std::vector<int64_t> us_;
};

const std::vector<TableColumn> kColumns = {{"BENCH", "bench"},
                                           {"RECORDS", "records", Show::kCount},
                                           {"SECONDS", "seconds"},
                                           {"RECORDS/S", "records_per_second", Show::kCount},
                                           {"BYTES/S", "bytes_per_second", Show::kBytes},
                                           {"P50", "latency.p50_us", Show::kUs},
                                           {"P99", "latency.p99_us", Show::kUs},
                                           {"P99.9", "latency.p999_us", Show::kUs},
                                           {"MAX", "latency.max_us", Show::kUs}};

void Print(const Invocation& i, const char* name, int64_t records, double seconds, int64_t bytes,
           Latencies* latencies) {
  http::JsonWriter json;
  json.BeginObject().Field("bench", name).Field("records", records).Field("seconds", std::round(seconds * 1000) / 1000);
  json.Field("records_per_second", std::round(double(records) / seconds))
      .Field("bytes_per_second", std::round(double(bytes) / seconds));
  if (latencies) latencies->Write(json);
  json.EndObject();
  PrintRecords(i.output, json.Take(), kColumns, "");
}

std::map<std::string, std::string> ProducerProperties(const BenchOptions& o) {
  return {{"acks", o.acks},
          {"linger.ms", fmt::format("{}", o.linger_ms)},
          {"batch.size", std::to_string(o.batch)},
          {"batch.num.messages", "100000"},
          {"compression.type", o.compression},
          {"queue.buffering.max.messages", "500000"}};
}

Status EnsureTopic(const Invocation& i, const BenchOptions& o) {
  auto kafka = TRY(Kafka::Connect(KafkaBootstrap(i)));
  Status made = kafka->CreateTopic(o.topic, o.partitions, 1, {});
  if (!made.ok() && made.error().code() != ErrorCode::kAlreadyExists) return made;
  return Ok();
}

Result<int> Produce(const Invocation& i, const BenchOptions& o) {
  TRY(EnsureTopic(i, o));
  Latencies latencies;
  int64_t acknowledged = 0;
  std::string failure;
  auto producer =
      TRY(KafkaProducer::Open(KafkaBootstrap(i), ProducerProperties(o), [&](int64_t sent_ns, const std::string& error) {
        if (error.empty()) {
          ++acknowledged;
          latencies.Add((NowNs() - sent_ns) / 1000);
        } else if (failure.empty()) {
          failure = error;
        }
      }));
  std::string value(static_cast<size_t>(o.size), 'x');
  Random random(42);
  for (char& c : value) c = static_cast<char>('a' + random.Below(26));
  const int64_t begun = NowNs();
  for (int64_t n = 0; n < o.records && failure.empty() && !StopSignal::requested(); ++n) {
    TRY(producer->Produce(o.topic, -1, std::nullopt, value, {}, NowNs()));
    if (n % 64 == 0) producer->Poll();
  }
  TRY(producer->Flush(60'000));
  if (!failure.empty()) return Error(ErrorCode::kUnavailable, "a record was refused: " + failure);
  Print(i, "produce", acknowledged, double(NowNs() - begun) / 1e9, acknowledged * o.size, &latencies);
  return 0;
}

Result<int> Consume(const Invocation& i, const BenchOptions& o) {
  auto kafka = TRY(Kafka::Connect(KafkaBootstrap(i)));
  KafkaTopic topic = TRY(kafka->Topic(o.topic));
  TRY(kafka->Offsets(&topic));
  std::vector<KafkaGroupPartition> from;
  int64_t available = 0;
  for (const auto& p : topic.partitions) {
    from.push_back({o.topic, p.id, p.first, 0});
    available += p.end - p.first;
  }
  const int64_t wanted = std::min(available, o.records);
  if (wanted == 0)
    return NotFound("the topic " + o.topic + " is empty").Remedy("fill it with 'tailrace bench produce'");
  auto consumer = TRY(KafkaConsumer::Open(KafkaBootstrap(i),
                                          {{"fetch.message.max.bytes", "1048576"}, {"queued.min.messages", "500000"}}));
  const int64_t begun = NowNs();
  TRY(consumer->Assign(from));
  int64_t records = 0, bytes = 0;
  size_t ended = 0;
  KafkaMessage message;
  while (records < wanted && ended < from.size() && !StopSignal::requested()) {
    const auto event = TRY(consumer->Poll(1000, &message));
    if (event == KafkaConsumer::Event::kEndOfPartition) ++ended;  // control records count in the offsets
    if (event != KafkaConsumer::Event::kMessage) continue;
    ++records;
    bytes += static_cast<int64_t>(message.value ? message.value->size() : 0);
  }
  Print(i, "consume", records, double(NowNs() - begun) / 1e9, bytes, nullptr);
  return 0;
}

/// Records at a steady rate, each carrying its time of sending; the same process reads them.
Result<int> EndToEnd(const Invocation& i, const BenchOptions& o) {
  TRY(EnsureTopic(i, o));
  auto kafka = TRY(Kafka::Connect(KafkaBootstrap(i)));
  KafkaTopic topic = TRY(kafka->Topic(o.topic));
  TRY(kafka->Offsets(&topic));
  std::vector<KafkaGroupPartition> from;
  for (const auto& p : topic.partitions) from.push_back({o.topic, p.id, p.end, 0});
  BenchOptions sending = o;
  sending.linger_ms = 0;
  std::string failure;
  auto producer =
      TRY(KafkaProducer::Open(KafkaBootstrap(i), ProducerProperties(sending), [&](int64_t, const std::string& e) {
        if (!e.empty()) failure = e;
      }));
  auto consumer = TRY(KafkaConsumer::Open(KafkaBootstrap(i), {{"fetch.wait.max.ms", "500"}}));
  TRY(consumer->Assign(from));
  const int64_t total = static_cast<int64_t>(o.for_s * o.rate);
  Latencies latencies;
  std::string read_error;
  int64_t received = 0;
  const int64_t begun = NowNs() + 500'000'000;  // the consumer's first fetch is waiting by then
  std::thread reader([&] {
    KafkaMessage message;
    const int64_t deadline = begun + static_cast<int64_t>(o.for_s * 1e9) + 5'000'000'000;
    while (received < total && NowNs() < deadline && !StopSignal::requested()) {
      auto event = consumer->Poll(100, &message);
      if (!event.ok()) return void(read_error = event.error().ToString());
      if (*event != KafkaConsumer::Event::kMessage || !message.value || message.value->size() < 8) continue;
      int64_t sent;
      std::memcpy(&sent, message.value->data(), 8);
      latencies.Add((NowNs() - sent) / 1000);
      ++received;
    }
  });
  std::string value(static_cast<size_t>(std::max(8, o.size)), 'x');
  Status failed = Ok();
  for (int64_t n = 0; n < total && !StopSignal::requested() && failure.empty(); ++n) {
    const int64_t due = begun + n * 1'000'000'000 / o.rate;
    while (NowNs() < due) {
      producer->Poll();
      std::this_thread::sleep_for(
          std::chrono::microseconds(std::min<int64_t>(200, std::max<int64_t>(1, (due - NowNs()) / 1000))));
    }
    const int64_t now = NowNs();
    std::memcpy(value.data(), &now, 8);
    failed = producer->Produce(o.topic, -1, std::nullopt, value, {}, 0);
    if (!failed.ok()) break;
  }
  (void)producer->Flush(5000);
  reader.join();
  TRY(std::move(failed));
  if (!failure.empty()) return Error(ErrorCode::kUnavailable, "a record was refused: " + failure);
  if (!read_error.empty()) return Error(ErrorCode::kUnavailable, read_error);
  Print(i, "e2e", received, double(NowNs() - begun) / 1e9, received * static_cast<int64_t>(value.size()), &latencies);
  return received == total || StopSignal::requested() ? 0 : 1;
}

}  // namespace

void AddBench(Command& root) {
  Command bench = root.Add("bench", "Simple load generators against any Kafka");
  auto add = [&](const char* name, const char* help, const char* example, auto declare, auto act) {
    Command command = bench.Add(name, help, example);
    auto o = std::make_shared<BenchOptions>();
    command.OutputOption();
    command.BootstrapOption();
    command.Value("-t,--topic", o->topic, "made where it is missing");
    command.Value("-p,--partitions", o->partitions, "where the topic is made").Between(1, 10'000);
    declare(command, *o);
    command.Action([o, act](const Invocation& i) -> Result<int> { return act(i, *o); });
  };
  auto producing = [](Command& c, BenchOptions& o) {
    c.Value("-s,--size", o.size, "bytes of a value").Between(1, 10'000'000);
    c.Value("--acks", o.acks, "0, 1 or all").OneOf({"0", "1", "all"});
    c.Value("--compression", o.compression, "none, gzip, snappy, lz4, zstd")
        .OneOf({"none", "gzip", "snappy", "lz4", "zstd"});
    c.Value("--batch", o.batch, "bytes of a batch at most");
  };
  add(
      "produce", "Write as fast as it goes", "tailrace bench produce --records 2000000 --size 100",
      [producing](Command& c, BenchOptions& o) {
        c.Value("-n,--records", o.records, "how many").Between(1, 2'000'000'000);
        producing(c, o);
        c.Value("--linger", o.linger_ms, "how long a batch waits for more").Type("MS");
      },
      Produce);
  add(
      "consume", "Read a topic as fast as it goes", "tailrace bench consume --records 2000000",
      [](Command& c, BenchOptions& o) {
        c.Value("-n,--records", o.records, "how many at most").Between(1, 2'000'000'000);
      },
      Consume);
  add(
      "e2e", "Latency from send to receive at a steady rate", "tailrace bench e2e --rate 2000 --for 10",
      [producing](Command& c, BenchOptions& o) {
        c.Value("-r,--rate", o.rate, "records a second").Between(1, 1'000'000);
        c.Value("--for", o.for_s, "how long").Type("SECONDS");
        producing(c, o);
      },
      EndToEnd);
}

}  // namespace tailrace::app
