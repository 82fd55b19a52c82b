#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/follow_run.h"
#include "app/cli/output.h"
#include "app/cli/rest.h"

namespace tailrace::app {
namespace {

Result<int> PrintStatus(const Invocation& invocation) {
  const Rest rest(PlatformUrl(invocation));
  const std::string text = TRY(rest.Get("/api/v1/status"));
  if (invocation.output != "table") return PrintJson(invocation.output, text), 0;
  const auto s = nlohmann::json::parse(text);
  const auto& broker = s["broker"];
  const std::string name = s.value("name", "");
  fmt::print("{}{} · up {} · pid {} · {} memory · {:.0f}% of a core\n",
             name.empty() ? "tailrace" : name + " on tailrace", " " + s.value("version", ""),
             FormatMs(s.value("now_ms", 0.0) - s.value("started_ms", 0.0)), s.value("pid", 0),
             FormatBytes(s["process"].value("resident_bytes", 0.0)), broker.value("cpu", 0.0) * 100);
  fmt::print("Kafka {}   console {}   data {}\n", s.value("kafka", ""), s.value("http", ""), s.value("data_dir", ""));
  if (broker.value("embedded", false))
    fmt::print("in {} records/s, {}/s   out {}/s   {} connections\n",
               FormatCount(broker.value("messages_in_per_second", 0.0)),
               FormatBytes(broker.value("bytes_in_per_second", 0.0)),
               FormatBytes(broker.value("bytes_out_per_second", 0.0)), broker.value("connections", 0));
  fmt::print("\n");
  std::fflush(stdout);
  PrintRecords("table", s["topics"].dump(),
               {{"TOPIC", "name"},
                {"PARTITIONS", "partitions"},
                {"MESSAGES", "messages", Show::kCount},
                {"SIZE", "size_bytes", Show::kBytes},
                {"IN", "messages_in_per_second", Show::kRate}},
               "no topics yet: tailrace topic create NAME");
  std::puts("");
  PrintRecords("table", s["streams"].dump(),
               {{"STREAM", "name"},
                {"STATE", "state"},
                {"IN", "records_in_per_second", Show::kRate},
                {"OUT", "rows_out_per_second", Show::kRate},
                {"LAG", "lag", Show::kCount},
                {"P99", "latency.p99_us", Show::kUs},
                {"BAD", "bad_records", Show::kCount},
                {"ERROR", "error"}},
               "no streaming jobs: tailrace stream start NAME");
  std::puts("");
  auto runs = nlohmann::json::array();
  for (const auto& run : s["runs"]) {
    auto row = run["run"];
    std::string marks;
    for (const auto& task : run["tasks"]) marks += TaskMark(task.value("state", ""), ColoursWanted());
    row["tasks"] = marks;
    runs.push_back(row);
    if (runs.size() >= 5) break;
  }
  PrintRecords("table", runs.dump(), {{"RUN", "run_id"}, {"DAG", "dag_id"}, {"STATE", "state"}, {"TASKS", "tasks"}},
               "no DAG runs yet: tailrace dag trigger DAG");
  bool firing = false;
  for (const auto& alert : s["alerts"])
    if (alert.value("state", "") == "firing") {
      fmt::print("{}alert: {}\n", firing ? "" : "\n", alert.value("message", ""));
      firing = true;
    }
  return 0;
}

}  // namespace

void AddStatus(Command& root) {
  Command command = root.Add("status", "The running platform at a glance", "tailrace status\ntailrace status -o json");
  command.OutputOption();
  command.UrlOption();
  command.Action(PrintStatus);
}

}  // namespace tailrace::app
