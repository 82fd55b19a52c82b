#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/output.h"
#include "app/cli/rest.h"
#include "http/json_writer.h"

namespace tailrace::app {
namespace {

const std::vector<TableColumn> kTaskColumns = {{"TASK", "task_id"},
                                               {"STATE", "state"},
                                               {"TRY", "try_number"},
                                               {"OPERATOR", "operator"},
                                               {"POOL", "pool"},
                                               {"STARTED", "start_date_ms", Show::kTime},
                                               {"ENDED", "end_date_ms", Show::kTime},
                                               {"NEXT TRY", "next_retry_ms", Show::kTime},
                                               {"NOTE", "note"}};

struct TaskOptions {
  std::string dag, run, task, state;
  int number = 0;
  bool only = false;
};

std::string RunPath(const TaskOptions& o) {
  return "/api/v1/dags/" + PathPart(o.dag) + "/runs/" + PathPart(o.run) + "/tasks";
}
std::string TaskPath(const TaskOptions& o) { return RunPath(o) + "/" + PathPart(o.task); }

/// "last" stands for the newest run.
Status ResolveRun(const Rest& rest, TaskOptions* o) {
  if (o->run != "last") return Ok();
  const auto runs = nlohmann::json::parse(TRY(rest.Get("/api/v1/dags/" + PathPart(o->dag) + "/runs?limit=1")));
  if (runs.empty())
    return NotFound("the DAG " + o->dag + " has no runs").Remedy("start one: tailrace dag trigger " + o->dag);
  o->run = runs[0].value("run_id", "");
  return Ok();
}

}  // namespace

void AddTask(Command& root) {
  Command task = root.Add("task", "Task instances of DAG runs: states, logs, run again");
  auto add = [&](const char* name, const char* help, const char* example, bool with_task, auto declare, auto act) {
    Command command = task.Add(name, help, example);
    auto options = std::make_shared<TaskOptions>();
    command.OutputOption();
    command.UrlOption();
    command.Value("DAG", options->dag, "its id").Required();
    command.Value("RUN", options->run, "the run's id, or 'last'").Required();
    if (with_task) command.Value("TASK", options->task, "the task's id").Required();
    declare(command, *options);
    command.Action([options, act](const Invocation& i) -> Result<int> {
      const Rest rest(PlatformUrl(i));
      TRY(ResolveRun(rest, options.get()));
      return act(rest, i, *options);
    });
  };
  auto none = [](Command&, TaskOptions&) {};

  add("list", "Task instances of a run", "tailrace task list streaming_pipeline last", false, none,
      [](const Rest& rest, const Invocation& i, const TaskOptions& o) -> Result<int> {
        PrintRecords(i.output, TRY(rest.Get(RunPath(o))), kTaskColumns, "the run has no tasks");
        return 0;
      });
  add("state", "State of one task", "tailrace task state streaming_pipeline last check_kafka", true, none,
      [](const Rest& rest, const Invocation& i, const TaskOptions& o) -> Result<int> {
        const auto tasks = nlohmann::json::parse(TRY(rest.Get(RunPath(o))));
        for (const auto& t : tasks) {
          if (t.value("task_id", "") != o.task) continue;
          const std::string state = t.value("state", "");
          if (i.output == "table") std::puts(state.empty() ? "none" : state.c_str());
          else PrintJson(i.output, t.dump());
          return 0;
        }
        return NotFound("the run has no task '" + o.task + "'")
            .Remedy("see 'tailrace task list " + o.dag + " " + o.run + "'");
      });
  add(
      "logs", "Log of a task's try",
      "tailrace task logs streaming_pipeline last check_kafka\ntailrace task logs streaming_pipeline last "
      "verify_outputs --try 1",
      true,
      [](Command& c, TaskOptions& o) {
        c.Value("--try", o.number, "which try, from 1; default: the last").Between(0, 1'000'000);
      },
      [](const Rest& rest, const Invocation&, const TaskOptions& o) -> Result<int> {
        const std::string text = TRY(rest.Get(TaskPath(o) + "/logs?try=" + std::to_string(o.number)));
        std::fputs(text.c_str(), stdout);
        return 0;
      });
  add(
      "clear", "Run a task again, and what follows it", "tailrace task clear streaming_pipeline last verify_outputs",
      true, [](Command& c, TaskOptions& o) { c.Flag("--only", o.only, "not what follows it"); },
      [](const Rest& rest, const Invocation& i, const TaskOptions& o) -> Result<int> {
        PrintRecords(
            i.output,
            TRY(rest.Post(TaskPath(o) + "/clear", o.only ? R"({"downstream":false})" : R"({"downstream":true})")),
            kTaskColumns, "");
        return 0;
      });
  add(
      "mark", "Set a task's state", "tailrace task mark streaming_pipeline last verify_outputs success", true,
      [](Command& c, TaskOptions& o) {
        c.Value("STATE", o.state, "success, failed or skipped").Required().OneOf({"success", "failed", "skipped"});
      },
      [](const Rest& rest, const Invocation& i, const TaskOptions& o) -> Result<int> {
        PrintRecords(i.output, TRY(rest.Post(TaskPath(o) + "/state", R"({"state":)" + http::JsonString(o.state) + "}")),
                     kTaskColumns, "");
        return 0;
      });
}

}  // namespace tailrace::app
