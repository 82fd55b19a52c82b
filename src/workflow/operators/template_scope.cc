#include "workflow/operators/template_scope.h"

#include <fmt/format.h>
#include <time.h>

#include <functional>

#include "base/clock.h"
#include "workflow/jinja/evaluator.h"
#include "workflow/timetable/civil.h"
#include "workflow/timetable/zone.h"

namespace tailrace::workflow {
namespace {

using Function = std::function<Result<Value>(const List&, const Map&)>;

class FunctionObject final : public Object {
 public:
  FunctionObject(std::string name, Function function) : name_(std::move(name)), function_(std::move(function)) {}
  Result<Value> Call(const List& a, const Map& named) const override { return function_(a, named); }
  std::string Text() const override { return "<function " + name_ + ">"; }

 private:
  std::string name_;
  Function function_;
};

Value MakeFunction(std::string name, Function function) {
  return Value(std::shared_ptr<const Object>(std::make_shared<FunctionObject>(std::move(name), std::move(function))));
}

/// An object whose attributes are computed when asked for.
class LazyObject final : public Object {
 public:
  using Lookup = std::function<Result<Value>(const std::string&)>;
  LazyObject(std::string text, Lookup lookup) : text_(std::move(text)), lookup_(std::move(lookup)) {}
  Result<Value> Attribute(const std::string& name) const override { return lookup_(name); }
  std::string Text() const override { return text_; }

 private:
  std::string text_;
  Lookup lookup_;
};

Value MakeLazy(std::string text, LazyObject::Lookup lookup) {
  return Value(std::shared_ptr<const Object>(std::make_shared<LazyObject>(std::move(text), std::move(lookup))));
}

const Value* Arg(const List& a, const Map& named, size_t index, const char* name) {
  if (index < a.size()) return &a[index];
  return named.Find(name);
}

int64_t IntArg(const List& a, const Map& named, size_t index, const char* name) {
  const Value* v = Arg(a, named, index, name);
  return v && v->is_number() ? static_cast<int64_t>(v->number()) : 0;
}

Result<Value> DsAdd(const List& a, const Map& named) {
  const Value* ds = Arg(a, named, 0, "ds");
  if (ds == nullptr || !ds->is_string()) return InvalidArgument("ds_add takes a date such as ds and a number of days");
  DateTime t = TRY(ParseDateTime(ds->string(), *Zone::Utc()));
  t.epoch_us += IntArg(a, named, 1, "days") * 86'400'000'000;
  return Value(jinja::Strftime(t, "%Y-%m-%d"));
}

Result<Value> DsFormat(const List& a, const Map& named) {
  const Value *ds = Arg(a, named, 0, "ds"), *in = Arg(a, named, 1, "input_format"),
              *out = Arg(a, named, 2, "output_format");
  if (!ds || !in || !out) return InvalidArgument("ds_format takes a date, its format and the wanted format");
  struct tm parts = {};
  parts.tm_mday = 1;
  std::string text = PythonStr(*ds);
  const char* end = strptime(text.c_str(), PythonStr(*in).c_str(), &parts);
  if (end == nullptr || *end != '\0')
    return InvalidArgument(fmt::format("'{}' does not match '{}'", text, PythonStr(*in)));
  CivilTime c{parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec};
  return Value(jinja::Strftime(DateTime{SecondsFromCivil(c) * 1'000'000}, PythonStr(*out)));
}

Result<Value> TimeDelta(const List& a, const Map& named) {
  static constexpr std::pair<const char*, int64_t> kUnits[] = {
      {"days", 86'400'000'000}, {"seconds", 1'000'000},   {"microseconds", 1},       {"milliseconds", 1000},
      {"minutes", 60'000'000},  {"hours", 3'600'000'000}, {"weeks", 604'800'000'000}};
  double us = 0;
  for (size_t i = 0; i < std::size(kUnits); ++i)
    if (const Value* v = Arg(a, named, i, kUnits[i].first); v && v->is_number())
      us += v->number() * static_cast<double>(kUnits[i].second);
  if (us > 9e18 || us < -9e18) return InvalidArgument("timedelta: too long");
  return Value(Duration{static_cast<int64_t>(us)});
}

Result<Value> MakeDateTime(const List& a, const Map& named) {
  CivilTime c;
  auto get = [&](size_t i, const char* name, int64_t otherwise) {
    return Arg(a, named, i, name) ? IntArg(a, named, i, name) : otherwise;
  };
  c.year = static_cast<int>(get(0, "year", 1970));
  c.month = static_cast<int>(get(1, "month", 1));
  c.day = static_cast<int>(get(2, "day", 1));
  c.hour = static_cast<int>(get(3, "hour", 0));
  c.minute = static_cast<int>(get(4, "minute", 0));
  c.second = static_cast<int>(get(5, "second", 0));
  if (c.year < 1 || c.year > 9999 || c.month < 1 || c.month > 12 || c.day < 1 || c.day > DaysInMonth(c.year, c.month))
    return InvalidArgument("datetime: no such date");
  return Value(DateTime{SecondsFromCivil(c) * 1'000'000 + get(6, "microsecond", 0)});
}

Result<Value> Macros(const std::string& name, Clock& clock) {
  if (name == "ds_add") return MakeFunction(name, DsAdd);
  if (name == "ds_format") return MakeFunction(name, DsFormat);
  if (name == "timedelta") return MakeFunction(name, TimeDelta);
  if (name == "datetime")
    return MakeLazy("<module datetime>", [&clock](const std::string& n) -> Result<Value> {
      if (n == "datetime") return MakeFunction(n, MakeDateTime);
      if (n == "timedelta") return MakeFunction(n, TimeDelta);
      if (n == "now" || n == "utcnow")
        return MakeFunction(
            n, [&clock](const List&, const Map&) -> Result<Value> { return Value(DateTime{clock.NowUs()}); });
      return NotFound(n);
    });
  if (name == "json")
    return MakeLazy("<module json>", [](const std::string& n) -> Result<Value> {
      if (n == "dumps")
        return MakeFunction(
            n, [](const List& a, const Map&) -> Result<Value> { return Value(ToJson(a.empty() ? Value() : a[0])); });
      if (n == "loads")
        return MakeFunction(
            n, [](const List& a, const Map&) -> Result<Value> { return ParseJson(a.empty() ? "" : PythonStr(a[0])); });
      return NotFound(n);
    });
  return NotFound(name);
}

Value Instant(int64_t ms) { return Value(DateTime{ms * 1000}); }
Value MaybeInstant(std::optional<int64_t> ms) { return ms ? Instant(*ms) : Value(); }

Result<Value> PulledXCom(MetadataStore& store, const std::string& dag_id, const std::string& run_id,
                         const std::string& task_id, const std::string& key, const Value& otherwise) {
  Result<std::string> json = store.XCom(dag_id, run_id, task_id, key);
  if (json.ok()) return ParseJson(*json);
  if (json.error().code() == ErrorCode::kNotFound) return otherwise;
  return std::move(json).error();
}

}  // namespace

Map EffectiveParams(const Dag& dag, const RunRow& run) {
  Map params = dag.params.is_map() ? dag.params.map() : Map();
  Result<Value> conf = ParseJson(run.conf_json);
  if (conf.ok() && conf->is_map())
    for (const auto& [key, value] : conf->map()) params.Set(key, value);
  return params;
}

TaskScope::TaskScope(TaskEnvironment& environment, const Dag& dag, const Task* task, const RunRow& run,
                     const TaskRow& instance)
    : environment_(environment), dag_(dag), task_(task), run_(run), instance_(instance) {}
TaskScope::~TaskScope() = default;

Result<Value> TaskScope::Lookup(const std::string& name) const {
  if (const Value* v = extra_.Find(name)) return *v;
  const DateTime logical{run_.logical_date_ms * 1000};
  if (name == "ds") return Value(jinja::Strftime(logical, "%Y-%m-%d"));
  if (name == "ds_nodash") return Value(jinja::Strftime(logical, "%Y%m%d"));
  if (name == "ts") return Value(IsoFormat(logical));
  if (name == "ts_nodash") return Value(jinja::Strftime(logical, "%Y%m%dT%H%M%S"));
  if (name == "ts_nodash_with_tz") return Value(jinja::Strftime(logical, "%Y%m%dT%H%M%S%z"));
  if (name == "logical_date") return Value(logical);
  if (name == "data_interval_start") return Instant(run_.interval_start_ms);
  if (name == "data_interval_end") return Instant(run_.interval_end_ms);
  if (name == "run_id") return Value(run_.run_id);
  if (name == "try_number") return Value(instance_.try_number);
  if (name == "test_mode") return Value(false);
  if (name == "exception" || name == "reason") return Value();
  if (name == "inlets" || name == "outlets") return Value(List());
  if (name == "params") return Value(EffectiveParams(dag_, run_));
  if (name == "task_instance_key_str")
    return Value(
        fmt::format("{}__{}__{}", dag_.dag_id, task_ ? task_->task_id : "", jinja::Strftime(logical, "%Y%m%d")));
  if (name.starts_with("prev_")) {
    Result<std::optional<RunRow>> previous = environment_.store.PreviousSuccess(dag_.dag_id, run_.logical_date_ms);
    if (!previous.ok()) return std::move(previous).error();
    const std::optional<RunRow>& p = *previous;
    if (name == "prev_data_interval_start_success") return p ? Instant(p->interval_start_ms) : Value();
    if (name == "prev_data_interval_end_success") return p ? Instant(p->interval_end_ms) : Value();
    if (name == "prev_start_date_success") return p ? MaybeInstant(p->start_ms) : Value();
    if (name == "prev_end_date_success") return p ? MaybeInstant(p->end_ms) : Value();
    return NotFound(name);
  }
  if (name == "dag") {
    Map m;
    m.Set("dag_id", dag_.dag_id);
    m.Set("description", dag_.description);
    m.Set("owner", dag_.owner);
    m.Set("timezone", dag_.timezone);
    m.Set("schedule", dag_.schedule_text);
    m.Set("catchup", dag_.catchup);
    List tags, ids;
    for (const std::string& t : dag_.tags) tags.push_back(t);
    for (const Task& t : dag_.tasks) ids.push_back(t.task_id);
    m.Set("tags", std::move(tags));
    m.Set("task_ids", std::move(ids));
    return Value(std::move(m));
  }
  if (name == "dag_run") {
    Map m;
    m.Set("dag_id", run_.dag_id);
    m.Set("run_id", run_.run_id);
    m.Set("run_type", run_.run_type);
    m.Set("state", Value(Name(run_.state)));
    m.Set("logical_date", Value(logical));
    m.Set("data_interval_start", Instant(run_.interval_start_ms));
    m.Set("data_interval_end", Instant(run_.interval_end_ms));
    m.Set("queued_at", MaybeInstant(run_.queued_ms));
    m.Set("start_date", MaybeInstant(run_.start_ms));
    m.Set("end_date", MaybeInstant(run_.end_ms));
    m.Set("conf", TRY(ParseJson(run_.conf_json)));
    return Value(std::move(m));
  }
  if (name == "task" && task_) {
    Map m;
    m.Set("task_id", task_->task_id);
    m.Set("operator", task_->operator_name);
    m.Set("owner", task_->owner);
    m.Set("pool", task_->pool);
    m.Set("queue", task_->queue);
    m.Set("retries", task_->retry.retries);
    m.Set("trigger_rule", Value(Name(task_->trigger_rule)));
    return Value(std::move(m));
  }
  if (name == "ti" || name == "task_instance") {
    return MakeLazy(
        "<TaskInstance: " + dag_.dag_id + "." + (task_ ? task_->task_id : "") + " " + run_.run_id + ">",
        [this](const std::string& n) -> Result<Value> {
          if (n == "task_id") return Value(task_ ? task_->task_id : "");
          if (n == "dag_id") return Value(dag_.dag_id);
          if (n == "run_id") return Value(run_.run_id);
          if (n == "try_number") return Value(instance_.try_number);
          if (n == "max_tries") return Value(instance_.max_tries);
          if (n == "state") return Value(workflow::Name(instance_.state));
          if (n == "pool") return Value(instance_.pool);
          if (n == "queue") return Value(instance_.queue);
          if (n == "operator") return Value(instance_.operator_name);
          if (n == "map_index") return Value(-1);
          if (n == "start_date") return MaybeInstant(instance_.start_ms);
          if (n == "end_date") return MaybeInstant(instance_.end_ms);
          if (n == "duration")
            return instance_.start_ms && instance_.end_ms
                       ? Value(static_cast<double>(*instance_.end_ms - *instance_.start_ms) / 1000.0)
                       : Value();
          if (n == "log_url" || n == "note") return Value(instance_.note);
          if (n != "xcom_pull") return NotFound(n);
          return MakeFunction(n, [this](const List& a, const Map& named) -> Result<Value> {
            const Value *tasks = Arg(a, named, 0, "task_ids"), *dag_id = Arg(a, named, 1, "dag_id"),
                        *key = Arg(a, named, 2, "key"), *run_id = named.Find("run_id"),
                        *otherwise = named.Find("default");
            std::string key_text = key ? PythonStr(*key) : "return_value",
                        dag_text = dag_id && dag_id->is_string() ? dag_id->string() : run_.dag_id,
                        run_text = run_id && run_id->is_string() ? run_id->string() : run_.run_id;
            Value missing = otherwise ? *otherwise : Value();
            if (tasks == nullptr || tasks->is_null())
              return PulledXCom(environment_.store, dag_text, run_text, task_ ? task_->task_id : "", key_text, missing);
            if (!tasks->is_list())
              return PulledXCom(environment_.store, dag_text, run_text, PythonStr(*tasks), key_text, missing);
            List values;
            for (const Value& id : tasks->list())
              values.push_back(
                  TRY(PulledXCom(environment_.store, dag_text, run_text, PythonStr(id), key_text, missing)));
            return Value(std::move(values));
          });
        });
  }
  if (name == "var") {
    return MakeLazy("<var>", [this](const std::string& kind) -> Result<Value> {
      if (kind != "value" && kind != "json") return NotFound(kind);
      auto get = [this, json = kind == "json"](const std::string& key) -> Result<Value> {
        std::string text = TRY(environment_.store.Variable(key));
        if (!json) return Value(std::move(text));
        return ParseJson(text);
      };
      return MakeLazy("<var." + kind + ">", [get](const std::string& key) -> Result<Value> {
        if (key != "get") return get(key);
        return MakeFunction("get", [get](const List& a, const Map& named) -> Result<Value> {
          if (a.empty()) return InvalidArgument("get takes the variable's name");
          Result<Value> found = get(PythonStr(a[0]));
          const Value* otherwise = Arg(a, named, 1, "default_var");
          if (!found.ok() && found.error().code() == ErrorCode::kNotFound && otherwise) return *otherwise;
          return found;
        });
      });
    });
  }
  if (name == "conn") {
    return MakeLazy("<conn>", [this](const std::string& id) -> Result<Value> {
      ConnectionRow row = TRY(environment_.store.Connection(id));
      Map m;
      m.Set("conn_id", row.conn_id);
      m.Set("conn_type", row.conn_type);
      m.Set("host", row.host);
      m.Set("port", row.port == 0 ? Value() : Value(row.port));
      m.Set("login", row.login);
      m.Set("password", row.password);
      m.Set("schema", row.schema);
      m.Set("extra", row.extra_json);
      Result<Value> extra = ParseJson(row.extra_json);
      m.Set("extra_dejson", extra.ok() ? std::move(*extra) : Value(Map()));
      return Value(std::move(m));
    });
  }
  if (name == "macros") {
    Clock& clock = environment_.clock;
    return MakeLazy("<macros>", [&clock](const std::string& n) { return Macros(n, clock); });
  }
  return NotFound(name);
}

}  // namespace tailrace::workflow
