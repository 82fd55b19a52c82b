#include "workflow/scheduler/callbacks.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/logging.h"
#include "http/client.h"
#include "log/client.h"
#include "workflow/executor/run_command.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/alert_sink.h"
#include "workflow/operators/template_scope.h"

namespace tailrace::workflow {
namespace {

const std::vector<Callback>* ListOf(const Dag& dag, const Task* task, const std::string& event) {
  if (event == "sla_miss") return &dag.sla_miss;
  if (task == nullptr)
    return event == "on_success" ? &dag.on_success : event == "on_failure" ? &dag.on_failure : nullptr;
  const Callbacks& c = task->callbacks;
  if (event == "on_execute") return &c.on_execute;
  if (event == "on_success") return &c.on_success;
  if (event == "on_failure") return &c.on_failure;
  if (event == "on_retry") return &c.on_retry;
  if (event == "on_skipped") return &c.on_skipped;
  return nullptr;
}

std::string TextOf(const Map& config, const char* key, std::string otherwise) {
  const Value* v = config.Find(key);
  return v == nullptr || v->is_null() ? otherwise : PythonStr(*v);
}

/// What `kafka` and `metrics` send unless told otherwise: the facts of the event.
Map Facts(TaskEnvironment& environment, const CallbackRequest& r) {
  Map m;
  m.Set("type", "dag_event");
  m.Set("event", r.row.event);
  m.Set("timestamp", FormatIso8601Ms(environment.clock.NowMs()));
  m.Set("dag_id", r.row.dag_id);
  m.Set("run_id", r.row.run_id);
  if (r.task >= 0) {
    m.Set("task_id", r.row.task_id);
    m.Set("try_number", r.row.try_number);
    m.Set("state", Value(Name(r.instance.state)));
    if (r.instance.start_ms && r.instance.end_ms)
      m.Set("duration_s", static_cast<double>(*r.instance.end_ms - *r.instance.start_ms) / 1000);
  } else {
    m.Set("state", Value(Name(r.run.state)));
    if (r.run.start_ms && r.run.end_ms)
      m.Set("duration_s", static_cast<double>(*r.run.end_ms - *r.run.start_ms) / 1000);
  }
  if (!r.row.reason.empty()) m.Set("reason", r.row.reason);
  return m;
}

Status Produce(TaskEnvironment& environment, const std::string& topic, const std::string& key,
               const std::string& value) {
  if (environment.services.log == nullptr) return Unsupported("no log is configured for this scheduler");
  auto writer = TRY(environment.services.log->OpenWriter());
  log::RecordToWrite record{key.empty() ? BytesView() : BytesView(key), value, -1, {}};
  TRY(writer->Append(topic, -1, std::span(&record, 1)));
  return writer->Flush();
}

Status RunOne(TaskEnvironment& environment, const CallbackRequest& r, const Callback& callback, CancelToken& stop) {
  const Task* task = r.task >= 0 ? &r.dag->tasks[static_cast<size_t>(r.task)] : nullptr;
  TaskScope scope(environment, *r.dag, task, r.run, r.instance);
  scope.Set("exception", r.row.reason.empty() ? Value() : Value(r.row.reason));
  scope.Set("reason", r.row.reason);
  scope.Set("event", r.row.event);
  Value rendered = TRY(RenderDeep(callback.config, scope));
  const Map& config = rendered.map();
  std::string source = r.row.task_id.empty() ? r.row.dag_id : r.row.dag_id + "." + r.row.task_id;
  if (callback.kind == "alert") {
    bool bad = r.row.event == "on_failure" || r.row.event == "sla_miss";
    std::string message =
        TextOf(config, "message",
               fmt::format("{} of {}{}{}", r.row.event, r.row.run_id, r.row.reason.empty() ? "" : ": ", r.row.reason));
    environment.alerts.Send(
        {TextOf(config, "severity", bad ? "critical" : "info"), source, message, Value(Facts(environment, r))});
    return {};
  }
  if (callback.kind == "kafka") {
    const Value* value = config.Find("value");
    std::string text = value == nullptr     ? ToJson(Value(Facts(environment, r)))
                       : value->is_string() ? value->string()
                                            : ToJson(*value);
    return Produce(environment, TextOf(config, "topic", ""), TextOf(config, "key", ""), text);
  }
  if (callback.kind == "metrics") {
    Map facts = Facts(environment, r);
    if (const Value* labels = config.Find("labels")) facts.Set("labels", *labels);
    if (task == nullptr) {  // of a run: its tasks with their times
      List tasks;
      for (const TaskRow& t : TRY(environment.store.Tasks(r.row.dag_id, r.row.run_id))) {
        Map m;
        m.Set("task_id", t.task_id);
        m.Set("state", Value(Name(t.state)));
        m.Set("tries", t.try_number);
        if (t.start_ms && t.end_ms) m.Set("duration_s", static_cast<double>(*t.end_ms - *t.start_ms) / 1000);
        tasks.push_back(Value(std::move(m)));
      }
      facts.Set("tasks", Value(std::move(tasks)));
    }
    std::string text = ToJson(Value(std::move(facts)));
    LogInfo("metrics", text);
    std::string topic = TextOf(config, "topic", "");
    return topic.empty() ? Status() : Produce(environment, topic, r.row.dag_id, text);
  }
  if (callback.kind == "bash") {
    CommandRequest command;
    command.arguments = {"bash", "-c", TextOf(config, "command", "")};
    command.cwd = environment.options.base_dir;
    command.timeout_ms = 60'000;
    command.cancel = &stop;
    if (const Value* timeout = config.Find("timeout")) (void)ParseDurationMs(PythonStr(*timeout), &command.timeout_ms);
    int code = TRY(RunCommand(command));
    if (code != 0) return Error(ErrorCode::kUnavailable, fmt::format("exit status {}", code));
    return {};
  }
  if (callback.kind == "http") {
    http::ClientRequest request;
    request.url = TextOf(config, "url", "");
    request.method = TextOf(config, "method", "POST");
    const Value* body = config.Find("body");
    request.body = body == nullptr     ? ToJson(Value(Facts(environment, r)))
                   : body->is_string() ? body->string()
                                       : ToJson(*body);
    request.headers.emplace_back("Content-Type", "application/json");
    if (const Value* headers = config.Find("headers"); headers && headers->is_map())
      for (const auto& [name, value] : headers->map()) request.headers.emplace_back(name, PythonStr(value));
    http::ClientOptions options;
    options.timeout_ms = 30'000;
    if (const Value* timeout = config.Find("timeout")) (void)ParseDurationMs(PythonStr(*timeout), &options.timeout_ms);
    http::ClientResponse response = TRY(http::Call(request, options));
    if (response.status >= 300) return Error(ErrorCode::kUnavailable, fmt::format("status {}", response.status));
    return {};
  }
  if (callback.kind == "trigger_dag") {
    // Named after what caused it: run again after a crash, it finds the run that is there.
    std::string dag_id = TextOf(config, "dag_id", "");
    const Value* conf = config.Find("conf");
    std::string run_id = fmt::format(
        "operator_triggered__{}_{}", IsoFormat(DateTime{r.run.logical_date_ms * 1000}),
        Sha1Hex(fmt::format("{}#{}#{}#{}#{}", source, r.run.run_id, r.row.event, r.row.id, dag_id)).substr(0, 10));
    Result<DagRunInfo> run =
        environment.trigger(dag_id, conf && conf->is_map() ? ToJson(*conf) : "{}", run_id, std::nullopt);
    if (!run.ok() && run.error().code() != ErrorCode::kAlreadyExists) return std::move(run).error();
    return {};
  }
  return InvalidArgument("unknown callback " + callback.kind);
}

}  // namespace

bool RunCallbacks(TaskEnvironment& environment, const CallbackRequest& request, CancelToken& stop) {
  const Task* task = request.task >= 0 ? &request.dag->tasks[static_cast<size_t>(request.task)] : nullptr;
  const std::vector<Callback>* callbacks = ListOf(*request.dag, task, request.row.event);
  if (callbacks == nullptr) return true;
  for (const Callback& callback : *callbacks) {
    if (stop.cancelled()) return false;
    Status done;
    try {
      done = RunOne(environment, request, callback, stop);
    } catch (const std::exception& e) {  // of a library: not worth the platform
      done = Internal(e.what());
    }
    if (stop.cancelled() && !done.ok()) return false;
    if (!done.ok())
      LogError("scheduler", fmt::format("{}.{} {} of {}: callback {}: {}", request.row.dag_id, request.row.task_id,
                                        request.row.event, request.row.run_id, callback.kind, done.error().ToString()));
  }
  return true;
}

}  // namespace tailrace::workflow
