#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/follow_run.h"
#include "app/cli/output.h"
#include "app/cli/rest.h"
#include "app/cli/start.h"
#include "app/platform.h"
#include "app/stop_signal.h"
#include "base/clock.h"
#include "base/logging.h"
#include "http/json_writer.h"
#include "io/file.h"
#include "workflow/scheduler.h"

namespace tailrace::app {
namespace {

using Json = nlohmann::json;

const std::vector<TableColumn> kDagColumns = {{"DAG", "dag_id"},
                                              {"SCHEDULE", "schedule"},
                                              {"PAUSED", "paused", Show::kYesNo},
                                              {"LAST RUN", "last_run_state"},
                                              {"NEXT", "next_run_ms", Show::kTime},
                                              {"TASKS", "task_ids", Show::kLength},
                                              {"FILE", "file", Show::kPath},
                                              {"ERROR", "error"}};
const std::vector<TableColumn> kRunColumns = {{"RUN", "run_id"},
                                              {"DAG", "dag_id"},
                                              {"STATE", "state"},
                                              {"TYPE", "run_type"},
                                              {"STARTED", "start_date_ms", Show::kTime},
                                              {"ENDED", "end_date_ms", Show::kTime}};

struct DagOptions {
  std::string dag, run, conf = "{}", run_id, logical_date, file, dir;
  bool wait = false;
  double timeout_s = 0;
  int limit = 20, count = 5;
};
using Options = std::shared_ptr<DagOptions>;

Result<std::string> CheckConf(const std::string& text) {
  const Json conf = Json::parse(text, nullptr, false);
  if (!conf.is_object())
    return InvalidArgument("--conf is not a JSON object: " + text).Remedy("write it as --conf '{\"key\": 1}'");
  return conf.dump();
}

Result<int> Trigger(const Invocation& invocation, const DagOptions& options) {
  const Rest rest(PlatformUrl(invocation));
  http::JsonWriter body;
  body.BeginObject().Key("conf").Raw(TRY(CheckConf(options.conf)));
  if (!options.run_id.empty()) body.Field("run_id", options.run_id);
  body.EndObject();
  const std::string dag = "/api/v1/dags/" + PathPart(options.dag);
  std::string run = TRY(rest.Post(dag + "/runs", body.Take()));
  if (const auto paused = rest.Get(dag); paused.ok() && Json::parse(*paused).value("paused", false))
    std::fprintf(stderr, "the DAG is paused: the run waits until 'tailrace dag unpause %s'\n", options.dag.c_str());
  if (!options.wait) {
    PrintRecords(invocation.output, run, kRunColumns, "");
    return 0;
  }
  const std::string run_id = Json::parse(run).value("run_id", "");
  const bool quiet = invocation.output != "table" || !isatty(STDERR_FILENO);
  run = TRY(FollowRun(rest, options.dag, run_id, static_cast<int64_t>(options.timeout_s * 1000), quiet));
  PrintRecords(invocation.output, run, kRunColumns, "");
  return Json::parse(run).value("state", "") == "success" ? 0 : 1;
}

Result<int> Test(const Invocation& invocation, const DagOptions& options) {
  SettingFlags flags;
  auto [settings, project] = TRY(Prepare(options.dir, flags));
  workflow::SchedulerOptions o;
  o.base_dir = project ? project->dir : ".";
  o.dags_dir = o.base_dir + "/dags";
  o.data_dir = settings.String("data.dir") + "/workflow-test";
  o.kafka_bootstrap = KafkaBootstrap(invocation);
  o.http_url = PlatformUrl(invocation);
  if (project) {
    for (const auto& pool : project->pools) o.pools[pool.name] = pool.slots;
    for (const auto& store : project->stores)
      o.stores[store.name] = store.path.starts_with('/') ? store.path : project->dir + "/" + store.path;
  }
  const std::string conf = TRY(CheckConf(options.conf));
  // The embedded platform, so that operators find a log and an engine; a running one keeps its data directory to
  // itself.
  std::unique_ptr<Platform> platform;
  workflow::OperatorServices services;
  if (!FindRunning(settings.String("data.dir"))) {
    for (const char* port : {"port.kafka", "port.http"}) TRY(settings.Set(port, "0", config::SettingOrigin::kFlag));
    PlatformOptions p;
    p.settings = settings;
    p.project = project;
    platform = TRY(Platform::Start(p));
    if (project) platform->Apply(*project);
    o.kafka_bootstrap = platform->endpoint().kafka;
    o.http_url = platform->endpoint().http;
    services = platform->operator_services();
  }
  TRY(io::MakeDirectories(o.data_dir));
  const workflow::DagRunInfo run =
      TRY(workflow::TestDag(options.file, options.dag, conf, o, services, Clock::System()));
  std::printf("%s of %s: %s\n", run.run_id.c_str(), run.dag_id.c_str(), run.state.c_str());
  return run.state == "success" ? 0 : 1;
}

}  // namespace

void AddDag(Command& root) {
  Command dag = root.Add("dag", "Workflows: list, trigger, watch");
  // One command: its name, help, example, options, and what it does.
  auto add = [&](const char* name, const char* help, const char* example, auto declare, auto act) {
    Command command = dag.Add(name, help, example);
    auto options = std::make_shared<DagOptions>();
    command.OutputOption();
    command.UrlOption();
    declare(command, *options);
    command.Action([options, act](const Invocation& i) -> Result<int> { return act(i, *options); });
  };
  auto none = [](Command&, DagOptions&) {};
  auto needs_dag = [](Command& c, DagOptions& o) { c.Value("DAG", o.dag, "its id").Required(); };
  auto path = [](const DagOptions& o) { return "/api/v1/dags/" + PathPart(o.dag); };

  add("list", "All DAGs", "tailrace dag list", none, [](const Invocation& i, const DagOptions&) -> Result<int> {
    PrintRecords(i.output, TRY(Rest(PlatformUrl(i)).Get("/api/v1/dags")), kDagColumns,
                 "no DAGs: put YAML files into the project's dags/");
    return 0;
  });
  add("show", "One DAG: its tasks, schedule, last runs", "tailrace dag show streaming_pipeline", needs_dag,
      [path](const Invocation& i, const DagOptions& o) -> Result<int> {
        const Rest rest(PlatformUrl(i));
        const std::string one = TRY(rest.Get(path(o)));
        if (i.output != "table") return PrintJson(i.output, one), 0;
        const Json d = Json::parse(one);
        std::printf("%s\n  %s\n  file      %s\n  schedule  %s%s\n  tasks\n", d.value("dag_id", "").c_str(),
                    d.value("description", "").c_str(), d.value("file", "").c_str(),
                    d.value("schedule", "").empty() || d.value("schedule", "") == "None"
                        ? "none: on demand"
                        : d.value("schedule", "").c_str(),
                    d.value("paused", false) ? " (paused)" : "");
        for (const auto& task : d["task_ids"]) std::printf("    %s\n", task.get<std::string>().c_str());
        if (!d.value("error", "").empty()) std::printf("  error     %s\n", d.value("error", "").c_str());
        std::puts("");
        PrintRecords("table", TRY(rest.Get(path(o) + "/runs?limit=5")), kRunColumns,
                     "no runs yet: tailrace dag trigger " + o.dag);
        return 0;
      });
  add(
      "trigger", "Start a run",
      "tailrace dag trigger streaming_pipeline --conf '{\"rate\": 500}' --wait\ntailrace dag trigger etl --wait -o "
      "json",
      [](Command& c, DagOptions& o) {
        c.Value("DAG", o.dag, "its id").Required();
        c.Value("--conf", o.conf, "parameters, a JSON object").Type("JSON");
        c.Value("--run-id", o.run_id, "instead of manual__TIME").Type("ID");
        c.Flag("--wait", o.wait, "until the run has ended; exit status 1 unless it succeeded");
        c.Value("--timeout", o.timeout_s, "with --wait: give up after this many seconds; 0: never").Type("SECONDS");
      },
      Trigger);
  add(
      "runs", "Runs, newest first", "tailrace dag runs streaming_pipeline --limit 5",
      [](Command& c, DagOptions& o) {
        c.Value("DAG", o.dag, "its id; default: all");
        c.Value("--limit", o.limit, "at most so many").Between(1, 1000);
      },
      [path](const Invocation& i, const DagOptions& o) -> Result<int> {
        const std::string where = o.dag.empty() ? "/api/v1/runs" : path(o) + "/runs";
        PrintRecords(i.output, TRY(Rest(PlatformUrl(i)).Get(where + "?limit=" + std::to_string(o.limit))), kRunColumns,
                     "no runs yet: tailrace dag trigger DAG");
        return 0;
      });
  add(
      "state", "State of a run", "tailrace dag state streaming_pipeline manual__2024-01-15T10:30:00Z",
      [](Command& c, DagOptions& o) {
        c.Value("DAG", o.dag, "its id").Required();
        c.Value("RUN", o.run, "the run's id; default: the last run");
      },
      [path](const Invocation& i, const DagOptions& o) -> Result<int> {
        const Rest rest(PlatformUrl(i));
        std::string run;
        if (o.run.empty()) {
          const Json runs = Json::parse(TRY(rest.Get(path(o) + "/runs?limit=1")));
          if (runs.empty())
            return NotFound("the DAG " + o.dag + " has no runs").Remedy("start one: tailrace dag trigger " + o.dag);
          run = runs[0].dump();
        } else {
          run = TRY(rest.Get(path(o) + "/runs/" + PathPart(o.run)));
        }
        if (i.output == "table") std::puts(Json::parse(run).value("state", "").c_str());
        else PrintJson(i.output, run);
        return 0;
      });
  add(
      "next", "Coming runs of a scheduled DAG", "tailrace dag next etl --count 3",
      [](Command& c, DagOptions& o) {
        c.Value("DAG", o.dag, "its id").Required();
        c.Value("--count", o.count, "how many").Between(1, 100);
      },
      [path](const Invocation& i, const DagOptions& o) -> Result<int> {
        PrintRecords(i.output, TRY(Rest(PlatformUrl(i)).Get(path(o) + "/next?count=" + std::to_string(o.count))),
                     {{"INTERVAL START", "data_interval_start_ms", Show::kTime},
                      {"INTERVAL END", "data_interval_end_ms", Show::kTime}},
                     "no coming runs: the DAG has no schedule");
        return 0;
      });
  for (const char* verb : {"pause", "unpause"})
    add(verb, std::string_view(verb) == "pause" ? "No new scheduled runs" : "Scheduled runs again",
        std::string_view(verb) == "pause" ? "tailrace dag pause etl" : "tailrace dag unpause etl", needs_dag,
        [path, verb](const Invocation& i, const DagOptions& o) -> Result<int> {
          PrintRecords(i.output, TRY(Rest(PlatformUrl(i)).Post(path(o) + "/" + verb, "")), kDagColumns, "");
          return 0;
        });
  add(
      "test", "Run a DAG once in this process, its log on the terminal",
      "tailrace dag test dags/etl.yaml\ntailrace dag test dags/etl.yaml --conf '{\"day\": \"2024-01-15\"}'",
      [](Command& c, DagOptions& o) {
        c.Value("FILE", o.file, "the DAG's file").Required();
        c.Value("--dag", o.dag, "which of the file's; default: the only one").Type("ID");
        c.Value("--conf", o.conf, "parameters, a JSON object").Type("JSON");
        c.Value("--project", o.dir, "directory with the tailrace.yaml; default: this one").Type("DIR");
      },
      Test);
}

}  // namespace tailrace::app
