#include "workflow/dag_yaml/loader.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>

#include "base/bytes.h"
#include "base/clock.h"
#include "workflow/dag_yaml/keys.h"
#include "workflow/dag_yaml/nearest.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/operator.h"
#include "workflow/timetable/timetable.h"
#include "workflow/timetable/zone.h"

namespace tailrace::workflow {
namespace {

constexpr int kNodesMax = 200'000;  // aliases counted each time: a "billion laughs" ends here
constexpr int kDepthMax = 32;

bool GoodId(const std::string& id) {
  if (id.empty() || id.size() > 250) return false;
  for (char c : id)
    if (!isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != '.') return false;
  return id != "." && id != "..";
}

Value ScalarValue(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return Value(text);  // quoted
  if (text.empty() || text == "null" || text == "~" || text == "Null" || text == "NULL") return Value();
  if (text == "true" || text == "True") return Value(true);
  if (text == "false" || text == "False") return Value(false);
  char first = text.front();
  if (isdigit(static_cast<unsigned char>(first)) || first == '-' || first == '+' || first == '.') {
    char* end = nullptr;
    errno = 0;
    long long i = strtoll(text.c_str(), &end, 10);
    bool octal_like = text.size() > 1 && text[0] == '0' && isdigit(static_cast<unsigned char>(text[1]));
    if (*end == '\0' && errno == 0 && !octal_like) return Value(static_cast<int64_t>(i));
    double d = strtod(text.c_str(), &end);
    if (*end == '\0' && !octal_like && std::isfinite(d) && text.find_first_of("xXpP") == std::string::npos)
      return Value(d);
  }
  return Value(text);
}

/// The key tables turned into a Dag. Methods return the first error with its place.
class Loader {
 public:
  Loader(std::string file, const LoadOptions& options) : file_(std::move(file)), options_(options) {}

  Result<std::shared_ptr<const Dag>> Load(const YAML::Node& root, const std::string& text) {
    auto dag = std::make_shared<Dag>();
    dag->file = file_;
    dag->source = text;
    dag->version = Sha1Hex(text);
    if (!root.IsMap()) return At(root, "a DAG file is a map with the keys dag_id, schedule, tasks, ...");
    TRY(CheckKeys(root, NamesOf(DagKeys()), "a DAG"));
    size_t slash = file_.rfind('/');
    std::string stem = file_.substr(slash == std::string::npos ? 0 : slash + 1);
    dag->dag_id = stem.substr(0, stem.rfind('.'));
    TRY(Text(root, "dag_id", &dag->dag_id));
    if (!GoodId(dag->dag_id))
      return At(root["dag_id"] ? root["dag_id"] : root,
                fmt::format("dag_id '{}': only letters, digits, '_', '-' and '.', at most 250", dag->dag_id));
    TRY(Text(root, "description", &dag->description));
    TRY(Text(root, "owner", &dag->owner));
    std::string ignored;
    TRY(Text(root, "doc_md", &ignored));
    TRY(TextList(root, "tags", &dag->tags));
    TRY(Text(root, "timezone", &dag->timezone));
    Result<const Zone*> zone = Zone::Find(dag->timezone);
    if (!zone.ok()) return At(root["timezone"], std::move(zone).error());
    TRY(Date(root, "start_date", **zone, &dag->start_date_ms));
    TRY(Date(root, "end_date", **zone, &dag->end_date_ms));
    bool data_intervals = false;
    TRY(Boolean(root, "data_intervals", &data_intervals));
    TRY(Boolean(root, "catchup", &dag->catchup));
    TRY(Boolean(root, "is_paused_upon_creation", &dag->is_paused_upon_creation));
    dag->max_active_runs = options_.max_active_runs;
    dag->max_active_tasks = options_.max_active_tasks;
    TRY(Integer(root, "max_active_runs", 1, 10'000, &dag->max_active_runs));
    TRY(Integer(root, "max_active_tasks", 1, 10'000, &dag->max_active_tasks));
    TRY(DurationMs(root, "dagrun_timeout", &dag->dagrun_timeout_ms));
    if (YAML::Node schedule = root["schedule"]) {
      if (!schedule.IsScalar() && !schedule.IsNull())
        return At(schedule, "schedule: expected null, a preset, a cron expression or a duration");
      dag->schedule_text = schedule.IsNull() ? "" : schedule.Scalar();
      Result<std::shared_ptr<const Timetable>> made = MakeTimetable(dag->schedule_text, *zone, data_intervals);
      if (!made.ok()) return At(schedule, std::move(made).error());
      dag->timetable = *made;
      if (dag->timetable && dag->timetable->continuous()) dag->max_active_runs = 1;
    }
    if (dag->timetable == nullptr) dag->schedule_text = "None";
    if (YAML::Node params = root["params"]) {
      dag->params = TRY(ToValue(params, 0));
      if (!dag->params.is_map()) return At(params, "params: expected a map of names and defaults");
    }
    if (YAML::Node pools = root["pools"]) {
      if (!pools.IsMap()) return At(pools, "pools: expected a map of pool names and slots");
      for (const auto& entry : pools) {
        int slots = 0;
        TRY(IntegerOf(entry.second, "slots", 0, 100'000, &slots));
        dag->pools[entry.first.Scalar()] = slots;
      }
    }
    TRY(CallbackList(root, "on_success_callback", &dag->on_success));
    TRY(CallbackList(root, "on_failure_callback", &dag->on_failure));
    TRY(CallbackList(root, "sla_miss_callback", &dag->sla_miss));
    Task defaults;
    if (!dag->owner.empty()) defaults.owner = dag->owner;
    if (YAML::Node args = root["default_args"]) {
      if (!args.IsMap()) return At(args, "default_args: expected a map");
      TRY(CheckKeys(args, NamesOf(DefaultArgKeys()), "default_args"));
      TRY(ReadArgs(args, *dag, &defaults));
    }
    TRY(ReadTasks(root, defaults, dag.get()));
    return std::shared_ptr<const Dag>(std::move(dag));
  }

 private:
  Error At(const YAML::Node& node, Error error) const {
    YAML::Mark mark = node.IsDefined() ? node.Mark() : YAML::Mark::null_mark();
    return std::move(error).At(file_, mark.line + 1, mark.column + 1);
  }
  Error At(const YAML::Node& node, std::string message) const { return At(node, InvalidArgument(std::move(message))); }

  Status CheckKeys(const YAML::Node& map, const std::vector<std::string_view>& known, std::string_view what) {
    std::set<std::string> seen;
    for (const auto& entry : map) {
      if (!entry.first.IsScalar()) return At(entry.first, "a key must be a word");
      const std::string& key = entry.first.Scalar();
      if (!seen.insert(key).second) return At(entry.first, fmt::format("key '{}' stands twice", key));
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      Error error(ErrorCode::kInvalidArgument, fmt::format("unknown key '{}' of {}", key, what));
      std::string nearest = key == "schedule_interval" ? "schedule" : Nearest(key, known);
      if (nearest.empty())
        return At(entry.first, std::move(error).Remedy(fmt::format("known are: {}", fmt::join(known, ", "))));
      return At(entry.first, std::move(error).Remedy(fmt::format("did you mean '{}'?", nearest)));
    }
    return {};
  }

  Result<Value> ToValue(const YAML::Node& node, int depth) {
    if (depth > kDepthMax) return At(node, Error(ErrorCode::kLimitExceeded, "nested deeper than 32 levels"));
    if (++nodes_ > kNodesMax)
      return At(node, Error(ErrorCode::kLimitExceeded, "more than 200,000 values (aliases count each time)"));
    switch (node.Type()) {
      case YAML::NodeType::Scalar: return ScalarValue(node);
      case YAML::NodeType::Sequence: {
        List list;
        for (const YAML::Node& item : node) list.push_back(TRY(ToValue(item, depth + 1)));
        return Value(std::move(list));
      }
      case YAML::NodeType::Map: {
        Map map;
        for (const auto& entry : node) {
          if (!entry.first.IsScalar()) return At(entry.first, "a key must be a word");
          if (map.Find(entry.first.Scalar()))
            return At(entry.first, fmt::format("key '{}' stands twice", entry.first.Scalar()));
          map.Set(entry.first.Scalar(), TRY(ToValue(entry.second, depth + 1)));
        }
        return Value(std::move(map));
      }
      default: return Value();
    }
  }

  Status Text(const YAML::Node& map, const char* key, std::string* out) {
    YAML::Node node = map[key];
    if (!node) return {};
    if (!node.IsScalar()) return At(node, fmt::format("{}: expected a text", key));
    *out = node.Scalar();
    return {};
  }
  Status TextList(const YAML::Node& map, const char* key, std::vector<std::string>* out) {
    YAML::Node node = map[key];
    if (!node || node.IsNull()) return {};
    if (node.IsScalar()) {
      out->push_back(node.Scalar());
      return {};
    }
    if (!node.IsSequence()) return At(node, fmt::format("{}: expected a list", key));
    for (const YAML::Node& item : node) {
      if (!item.IsScalar()) return At(item, fmt::format("{}: expected a text", key));
      out->push_back(item.Scalar());
    }
    return {};
  }
  Status IntegerOf(const YAML::Node& node, const char* key, int64_t least, int64_t most, int* out) {
    Value value = node.IsScalar() ? ScalarValue(node) : Value();
    if (!value.is_int() || value.integer() < least || value.integer() > most)
      return At(node, fmt::format("{}: expected an integer from {} to {}", key, least, most));
    *out = static_cast<int>(value.integer());
    return {};
  }
  Status Integer(const YAML::Node& map, const char* key, int64_t least, int64_t most, int* out) {
    YAML::Node node = map[key];
    return node ? IntegerOf(node, key, least, most, out) : Status();
  }
  Status Boolean(const YAML::Node& map, const char* key, bool* out) {
    YAML::Node node = map[key];
    if (!node) return {};
    Value value = node.IsScalar() ? ScalarValue(node) : Value();
    if (!value.is_bool()) return At(node, fmt::format("{}: expected true or false", key));
    *out = value.boolean();
    return {};
  }
  Status DurationMs(const YAML::Node& map, const char* key, int64_t* out) {
    YAML::Node node = map[key];
    if (!node || node.IsNull()) return {};
    if (!node.IsScalar() || !ParseDurationMs(node.Scalar(), out) || *out < 0)
      return At(node, fmt::format("{}: expected a duration such as 30s, 5m, 2h or 1d", key));
    return {};
  }
  Status Date(const YAML::Node& map, const char* key, const Zone& zone, std::optional<int64_t>* out) {
    YAML::Node node = map[key];
    if (!node || node.IsNull()) return {};
    if (!node.IsScalar()) return At(node, fmt::format("{}: expected a date", key));
    Result<DateTime> date = ParseDateTime(node.Scalar(), zone);
    if (!date.ok()) return At(node, std::move(date).error().Context(key));
    *out = date->epoch_us / 1000;
    return {};
  }

  /// Every string inside must parse as a template; finds mistakes at load instead of at run.
  Status CheckTemplates(const YAML::Node& node, const Value& value) {
    if (value.is_string()) {
      Status parsed = CheckTemplate(value.string());
      if (!parsed.ok()) return At(node, std::move(parsed).error());
    } else if (value.is_list()) {
      for (size_t i = 0; i < value.list().size(); ++i)
        TRY(CheckTemplates(node.IsSequence() ? node[i] : node, value.list()[i]));
    } else if (value.is_map() && node.IsMap()) {
      for (const auto& [key, item] : value.map()) TRY(CheckTemplates(node[key], item));
    }
    return {};
  }

  Status CallbackList(const YAML::Node& map, const char* key, std::vector<Callback>* out) {
    YAML::Node node = map[key];
    if (!node || node.IsNull()) return {};
    std::vector<YAML::Node> items;
    if (node.IsSequence())
      for (const YAML::Node& item : node) items.push_back(item);
    else items.push_back(node);
    out->clear();
    for (const YAML::Node& item : items) {
      std::string kind;
      YAML::Node config;
      if (item.IsScalar()) {
        kind = item.Scalar();
      } else if (item.IsMap() && item.size() == 1) {
        kind = item.begin()->first.Scalar();
        config = item.begin()->second;
      } else {
        return At(item, fmt::format("{}: expected one step such as {{alert: {{message: \"...\"}}}}", key));
      }
      const CallbackKind* spec = nullptr;
      std::vector<std::string_view> kinds;
      for (const CallbackKind& k : CallbackKinds()) {
        kinds.push_back(k.name);
        if (kind == k.name) spec = &k;
      }
      if (spec == nullptr)
        return At(item, Error(ErrorCode::kInvalidArgument, fmt::format("unknown callback '{}'", kind))
                            .Remedy(fmt::format("use one of: {}", fmt::join(kinds, ", "))));
      Value value = Map();
      if (config.IsDefined() && config.IsMap()) {
        TRY(CheckKeys(config, spec->keys, fmt::format("callback {}", kind)));
        value = TRY(ToValue(config, 0));
        TRY(CheckTemplates(config, value));
      } else if (config.IsDefined() && config.IsScalar()) {
        value.MutableMap().Set(spec->short_key, config.Scalar());
        TRY(CheckTemplates(config, Value(config.Scalar())));
      } else if (config.IsDefined() && !config.IsNull()) {
        return At(config, fmt::format("callback {}: expected a map or a text", kind));
      }
      bool needs = kind == "kafka" || kind == "bash" || kind == "http" || kind == "trigger_dag";
      if (needs && value.Find(spec->short_key) == nullptr)
        return At(item, fmt::format("callback {} needs '{}'", kind, spec->short_key));
      out->push_back({kind, std::move(value)});
    }
    return {};
  }

  /// The keys that default_args and tasks share.
  Status ReadArgs(const YAML::Node& map, const Dag& dag, Task* task) {
    TRY(Text(map, "owner", &task->owner));
    TRY(Integer(map, "retries", 0, kRetriesMax, &task->retry.retries));
    TRY(DurationMs(map, "retry_delay", &task->retry.delay_ms));
    if (YAML::Node node = map["retry_exponential_backoff"]) {
      Value value = node.IsScalar() ? ScalarValue(node) : Value();
      if (!value.is_number() || value.number() < 0 || value.number() > 100)
        return At(node, "retry_exponential_backoff: expected true, false or a multiplier up to 100");
      task->retry.backoff = value.is_bool() ? (value.boolean() ? 2.0 : 0.0) : value.number();
    }
    TRY(DurationMs(map, "max_retry_delay", &task->retry.max_delay_ms));
    TRY(Text(map, "pool", &task->pool));
    TRY(Integer(map, "pool_slots", 1, 100'000, &task->pool_slots));
    TRY(Text(map, "queue", &task->queue));
    int weight = static_cast<int>(task->priority_weight);
    TRY(Integer(map, "priority_weight", -1'000'000, 1'000'000, &weight));
    task->priority_weight = weight;
    std::string rule;
    TRY(Text(map, "weight_rule", &rule));
    if (rule == "upstream") task->weight_rule = WeightRule::kUpstream;
    else if (rule == "absolute") task->weight_rule = WeightRule::kAbsolute;
    else if (rule == "downstream") task->weight_rule = WeightRule::kDownstream;
    else if (!rule.empty()) return At(map["weight_rule"], "weight_rule: expected downstream, upstream or absolute");
    TRY(DurationMs(map, "execution_timeout", &task->execution_timeout_ms));
    TRY(DurationMs(map, "sla", &task->sla_ms));
    TRY(Boolean(map, "depends_on_past", &task->depends_on_past));
    TRY(Boolean(map, "wait_for_downstream", &task->wait_for_downstream));
    TRY(Integer(map, "max_active_tis_per_dag", 1, 100'000, &task->max_active_tis_per_dag));
    TRY(Boolean(map, "do_xcom_push", &task->do_xcom_push));
    TRY(CallbackList(map, "on_execute_callback", &task->callbacks.on_execute));
    TRY(CallbackList(map, "on_success_callback", &task->callbacks.on_success));
    TRY(CallbackList(map, "on_failure_callback", &task->callbacks.on_failure));
    TRY(CallbackList(map, "on_retry_callback", &task->callbacks.on_retry));
    TRY(CallbackList(map, "on_skipped_callback", &task->callbacks.on_skipped));
    auto own = dag.pools.find(task->pool);
    auto given = options_.pools.find(task->pool);
    int slots = given != options_.pools.end() ? given->second : own != dag.pools.end() ? own->second : -1;
    if (task->pool == kDefaultPool && slots < 0) slots = kDefaultPoolSlots;
    const YAML::Node where = map["pool"] ? map["pool"] : map;
    if (slots < 0)
      return At(where, Error(ErrorCode::kInvalidArgument, fmt::format("unknown pool '{}'", task->pool))
                           .Remedy("declare it under pools, here or in tailrace.yaml"));
    if (task->pool_slots > slots)
      return At(map["pool_slots"] ? map["pool_slots"] : where,
                fmt::format("pool_slots {}: pool '{}' has {}", task->pool_slots, task->pool, slots));
    return {};
  }

  Status ReadTasks(const YAML::Node& root, const Task& defaults, Dag* dag) {
    YAML::Node nodes = root["tasks"];
    if (!nodes) return At(root, "a DAG needs 'tasks'");
    if (!nodes.IsSequence()) return At(nodes, "tasks: expected a list");
    if (nodes.size() > kTasksMax)
      return At(nodes, Error(ErrorCode::kLimitExceeded, fmt::format("{} tasks; at most {}", nodes.size(), kTasksMax)));
    std::vector<std::string_view> known = NamesOf(TaskKeys());
    for (std::string_view key : NamesOf(DefaultArgKeys())) known.push_back(key);
    std::vector<std::vector<std::string>> upstream;
    std::map<std::string, YAML::Node> places;
    for (const YAML::Node& node : nodes) {
      if (!node.IsMap()) return At(node, "a task is a map with task_id and operator");
      TRY(CheckKeys(node, known, "a task"));
      Task task = defaults;
      task.line = node.Mark().line + 1;
      TRY(Text(node, "task_id", &task.task_id));
      if (task.task_id.empty()) return At(node, "a task needs 'task_id'");
      if (!GoodId(task.task_id))
        return At(node["task_id"],
                  fmt::format("task_id '{}': only letters, digits, '_', '-' and '.', at most 250", task.task_id));
      if (!places.emplace(task.task_id, node).second)
        return At(node["task_id"], fmt::format("task '{}' stands twice", task.task_id));
      TRY(ReadArgs(node, *dag, &task));
      TRY(ReadOperator(node, &task));
      TRY(Boolean(node, "setup", &task.setup));
      TRY(Boolean(node, "teardown", &task.teardown));
      TRY(Boolean(node, "on_failure_fail_dagrun", &task.on_failure_fail_dagrun));
      TRY(Text(node, "doc", &task.doc));
      std::string rule;
      TRY(Text(node, "trigger_rule", &rule));
      if (task.teardown) task.trigger_rule = TriggerRule::kAllDoneSetupSuccess;
      if (!rule.empty()) {
        std::optional<TriggerRule> parsed = ParseTriggerRule(rule);
        if (!parsed) {
          std::string nearest = Nearest(rule, TriggerRuleNames());
          return At(node["trigger_rule"],
                    Error(ErrorCode::kInvalidArgument, fmt::format("unknown trigger rule '{}'", rule))
                        .Remedy(nearest.empty() ? fmt::format("use one of: {}", fmt::join(TriggerRuleNames(), ", "))
                                                : fmt::format("did you mean '{}'?", nearest)));
        }
        task.trigger_rule = *parsed;
      }
      std::vector<std::string> ids;
      TRY(TextList(node, "upstream", &ids));
      TRY(TextList(node, "depends_on", &ids));
      upstream.push_back(std::move(ids));
      dag->tasks.push_back(std::move(task));
    }
    // Named here with its place; Link would only name it.
    for (size_t i = 0; i < upstream.size(); ++i)
      for (const std::string& id : upstream[i])
        if (!places.contains(id)) {
          const YAML::Node& task = places[dag->tasks[i].task_id];
          std::vector<std::string_view> ids;
          for (const Task& t : dag->tasks) ids.push_back(t.task_id);
          std::string nearest = Nearest(id, ids);
          Error error(ErrorCode::kInvalidArgument,
                      fmt::format("task '{}': upstream '{}' is no task of this DAG", dag->tasks[i].task_id, id));
          if (!nearest.empty()) error = std::move(error).Remedy(fmt::format("did you mean '{}'?", nearest));
          return At(task["upstream"] ? task["upstream"] : task["depends_on"], std::move(error));
        }
    Status linked = dag->Link(std::move(upstream));
    if (!linked.ok()) return At(nodes, std::move(linked).error());
    return {};
  }

  Status ReadOperator(const YAML::Node& node, Task* task) {
    TRY(Text(node, "operator", &task->operator_name));
    if (task->operator_name.empty()) return At(node, fmt::format("task '{}' needs 'operator'", task->task_id));
    const OperatorSpec* spec = FindOperator(task->operator_name);
    if (spec == nullptr) {
      std::vector<std::string_view> names;
      for (const OperatorSpec& op : Operators()) names.push_back(op.name);
      std::string nearest = Nearest(task->operator_name, names);
      return At(node["operator"],
                Error(ErrorCode::kInvalidArgument, fmt::format("unknown operator '{}'", task->operator_name))
                    .Remedy(nearest.empty() ? fmt::format("use one of: {}", fmt::join(names, ", "))
                                            : fmt::format("did you mean '{}'?", nearest)));
    }
    YAML::Node with = node["with"];
    std::vector<ParamSpec> params = spec->params;
    if (spec->sensor) params.insert(params.end(), SensorParams().begin(), SensorParams().end());
    if (with && !with.IsNull()) {
      if (!with.IsMap()) return At(with, "with: expected a map of parameters");
      std::vector<std::string_view> names;
      for (const ParamSpec& p : params) names.push_back(p.name);
      TRY(CheckKeys(with, names, fmt::format("operator {}", task->operator_name)));
      task->with = TRY(ToValue(with, 0));
      TRY(CheckTemplates(with, task->with));
    }
    for (const ParamSpec& p : params) {
      const Value* value = task->with.Find(p.name);
      if (value == nullptr || value->is_null()) {
        if (p.required)
          return At(with ? with : node,
                    fmt::format("operator {} needs the parameter '{}': {}", task->operator_name, p.name, p.help));
        continue;
      }
      if (value->is_string() && value->string().find('{') != std::string::npos) continue;  // known once rendered
      bool good = true;
      int64_t ms;
      switch (p.type) {
        case ParamType::kText: good = !value->is_list() && !value->is_map(); break;
        case ParamType::kInteger: good = value->is_int(); break;
        case ParamType::kNumber: good = value->is_number(); break;
        case ParamType::kBoolean: good = value->is_bool(); break;
        case ParamType::kDuration:
          good = value->is_number() || (value->is_string() && ParseDurationMs(value->string(), &ms));
          break;
        case ParamType::kMap: good = value->is_map(); break;
        case ParamType::kList:
        case ParamType::kAny: break;
      }
      static constexpr const char* kNames[] = {
          "a text", "an integer", "a number", "true or false", "a duration such as 30s", "a list", "a map", "a value"};
      if (!good)
        return At(with[p.name], fmt::format("{}: expected {}, found {}", p.name, kNames[static_cast<int>(p.type)],
                                            value->KindName()));
    }
    return {};
  }

  std::string file_;
  const LoadOptions& options_;
  int nodes_ = 0;
};

}  // namespace

Result<std::shared_ptr<const Dag>> LoadDagText(const std::string& path, const std::string& text,
                                               const LoadOptions& options) {
  if (text.size() > kDagFileBytesMax)
    return Error(ErrorCode::kLimitExceeded, "a DAG file of more than 4 MB").At(path, 0, 0);
  if (!IsUtf8(text)) return InvalidArgument("the file is not UTF-8").At(path, 0, 0);
  try {
    YAML::Node root = YAML::Load(text);
    return Loader(path, options).Load(root, text);
  } catch (const YAML::Exception& e) {
    return InvalidArgument(fmt::format("YAML: {}", e.msg)).At(path, e.mark.line + 1, e.mark.column + 1);
  }
}

Result<std::shared_ptr<const Dag>> LoadDagFile(const std::string& path, const LoadOptions& options) {
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) return IoError("open " + path, errno);
  std::string text;
  char buffer[65536];
  size_t n;
  while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0 && text.size() <= kDagFileBytesMax) text.append(buffer, n);
  fclose(file);
  return LoadDagText(path, text, options);
}

}  // namespace tailrace::workflow
