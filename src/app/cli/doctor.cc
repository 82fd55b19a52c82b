#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/kafka.h"
#include "app/cli/output.h"
#include "app/cli/rest.h"
#include "base/clock.h"
#include "base/random.h"
#include "http/json_writer.h"
#include "observe/process_stats.h"

namespace tailrace::app {
namespace {

struct Finding {
  std::string component, status, detail;  // ok, off, failed
};

/// A record written, read back and its topic deleted: the whole way through the log.
Result<std::string> LogRoundTrip(const std::string& bootstrap) {
  auto kafka = TRY(Kafka::Connect(bootstrap));
  Random random = Random::FromSystem();
  const std::string topic = "tailrace-doctor-" + MakeUuid(random).substr(0, 8), text = MakeUuid(random);
  TRY(kafka->CreateTopic(topic, 1, 1, {}));
  const int64_t begun = Clock::System().MonotonicNs();
  auto result = [&]() -> Result<std::string> {
    std::string error = "no acknowledgement";
    auto producer =
        TRY(KafkaProducer::Open(bootstrap, {{"linger.ms", "0"}, {"acks", "all"}, {"message.timeout.ms", "8000"}},
                                [&](int64_t, const std::string& e) { error = e; }));
    TRY(producer->Produce(topic, 0, std::nullopt, text, {}, 0));
    TRY(producer->Flush(10'000));
    if (!error.empty()) return Error(ErrorCode::kUnavailable, "produce: " + error);
    const double acknowledged_ms = static_cast<double>(Clock::System().MonotonicNs() - begun) / 1e6;
    auto consumer = TRY(KafkaConsumer::Open(bootstrap, {}));
    TRY(consumer->Assign({{topic, 0, 0, 0}}));
    const int64_t deadline = Clock::System().MonotonicMs() + 8000;
    while (Clock::System().MonotonicMs() < deadline) {
      KafkaMessage message;
      if (TRY(consumer->Poll(200, &message)) != KafkaConsumer::Event::kMessage) continue;
      if (message.value != text) return Error(ErrorCode::kCorrupt, "fetch gave another record than was written");
      return fmt::format("{}: written in {:.1f} ms, read back", bootstrap, acknowledged_ms);
    }
    return Error(ErrorCode::kTimeout, "fetch: the record did not come back within 8 s");
  }();
  const Status deleted = kafka->DeleteTopic(topic);
  if (result.ok() && !deleted.ok()) return deleted.error();
  return result;
}

Result<int> Doctor(const Invocation& i) {
  std::vector<Finding> findings;
  auto add = [&](const char* component, const Result<std::string>& result) {
    findings.push_back({component, result.ok() ? "ok" : "failed", result.ok() ? *result : result.error().ToString()});
  };
  const Rest rest(PlatformUrl(i));
  std::string kafka = KafkaBootstrap(i), data_dir = ".";
  auto status = rest.Get("/api/v1/status");
  nlohmann::json health;
  if (status.ok()) {
    const auto json = nlohmann::json::parse(*status);
    add("http", Result<std::string>(rest.url() + ", version " + json.value("version", "") + ", pid " +
                                    std::to_string(json.value("pid", 0))));
    if (i.bootstrap.empty()) kafka = json.value("kafka", kafka);
    data_dir = json.value("data_dir", data_dir);
    health = json["health"];
  } else {
    add("http", Result<std::string>(status.error()));
  }
  add("log", LogRoundTrip(kafka));
  if (health.is_object())
    for (const auto& component : health["components"]) {
      const std::string name = component.value("name", "");
      if (name == "log" || name == "disk") continue;  // looked at from here
      findings.push_back({name, component.value("status", ""), component.value("detail", "")});
    }
  if (status.ok()) {
    add("store", [&]() -> Result<std::string> {
      const auto stores = nlohmann::json::parse(TRY(rest.Get("/api/v1/stores")));
      std::string detail;
      for (const auto& store : stores) {
        http::JsonWriter body;
        body.BeginObject()
            .Field("sql", "SELECT count(*) FROM duckdb_tables()")
            .Field("store", store.value("name", ""))
            .EndObject();
        const auto answer = nlohmann::json::parse(TRY(rest.Post("/api/v1/sql", body.Take())));
        detail +=
            (detail.empty() ? "" : ", ") + store.value("name", "") + " with " + answer["rows"][0][0].dump() + " tables";
      }
      return detail.empty() ? "the project has none" : detail;
    }());
    const auto dags = rest.Get("/api/v1/dags");
    if (dags.ok())
      for (const auto& dag : nlohmann::json::parse(*dags))
        if (!dag.value("error", "").empty()) findings.push_back({"dag", "failed", dag.value("error", "")});
    const auto streams = rest.Get("/api/v1/streams");
    if (streams.ok())
      for (const auto& job : nlohmann::json::parse(*streams))
        if (job.value("state", "") == "FAILED")
          findings.push_back({"stream", "failed", job.value("name", "") + ": " + job.value("error", "")});
  }
  const observe::DiskSpace disk = observe::ReadDiskSpace(data_dir);
  findings.push_back(
      {"disk", disk.free_bytes > (256 << 20) ? "ok" : "failed",
       FormatBytes(double(disk.free_bytes)) + " free of " + FormatBytes(double(disk.total_bytes)) + " at " + data_dir});

  bool healthy = true;
  http::JsonWriter json;
  json.BeginArray();
  for (const Finding& f : findings) {
    healthy &= f.status != "failed";
    json.BeginObject().Field("component", f.component).Field("status", f.status).Field("detail", f.detail).EndObject();
  }
  json.EndArray();
  if (i.output != "table") {
    PrintJson(i.output, json.Take());
  } else {
    const bool colours = ColoursWanted();
    for (const Finding& f : findings) {
      const char* mark = f.status == "ok" ? "✔" : f.status == "off" ? "–" : "✖";
      const char* colour = !colours ? "" : f.status == "ok" ? "\033[32m" : f.status == "off" ? "\033[90m" : "\033[31m";
      std::printf("%s%s%s %-10s %s\n", colour, mark, colours ? "\033[0m" : "", f.component.c_str(), f.detail.c_str());
    }
  }
  return healthy ? 0 : 1;
}

}  // namespace

void AddDoctor(Command& root) {
  Command command = root.Add("doctor", "Try every component; exit status 1 where one fails",
                             "tailrace doctor\ntailrace doctor -o json");
  command.OutputOption();
  command.UrlOption();
  command.BootstrapOption();
  command.Action(Doctor);
}

}  // namespace tailrace::app
