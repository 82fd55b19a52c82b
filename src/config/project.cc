#include "config/project.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "config/settings.h"
#include "config/suggest.h"
#include "config/yaml_reader.h"

namespace tailrace::config {
namespace {

constexpr size_t kFileBytesMax = 4 << 20;

/// Kafka's rule for topic names.
bool IsTopicName(const std::string& name) {
  if (name.empty() || name.size() > 249 || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return isalnum(c) || c == '.' || c == '_' || c == '-'; });
}

bool IsVariableName(const std::string& name) {
  if (name.empty() || name.size() > 128 || isdigit(static_cast<unsigned char>(name[0]))) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) { return isalnum(c) || c == '_'; });
}

class Parser {
 public:
  Parser(const std::string& file, std::vector<Error>* problems) : yaml_(file, problems) { project_.file = file; }

  Project Parse(const YAML::Node& root) {
    using Node = const YAML::Node&;
    if (!root.IsDefined() || root.IsNull()) {
      yaml_.Complain(root, "the file is empty", "start with 'name: my-project', or run 'tailrace init'");
      return std::move(project_);
    }
    bool named = false;
    yaml_.Map(root, "the project",
              {
                  {"name", [&](Node, Node v) { named = yaml_.Text(v, "name", &project_.name); }},
                  {"description", [&](Node, Node v) { yaml_.Text(v, "description", &project_.description); }},
                  {"profiles", [&](Node, Node v) { Profiles(v); }},
                  {"topics", [&](Node, Node v) { Topics(v); }},
                  {"stores", [&](Node, Node v) { Stores(v); }},
                  {"pools", [&](Node, Node v) { Pools(v); }},
                  {"alerts", [&](Node, Node v) { Alerts(v); }},
                  {"alert_topic", [&](Node, Node v) { TopicName(v, "alert_topic", &project_.alert_topic); }},
                  {"autostart", [&](Node, Node v) { yaml_.TextList(v, "autostart", &project_.autostart); }},
                  {"variables", [&](Node, Node v) { Variables(v, "variables", &project_.variables); }},
                  {"generators", [&](Node, Node v) { yaml_.Text(v, "generators", &project_.generators_dir); }},
                  {"run", [&](Node, Node v) { Run(v); }},
                  {"settings", [&](Node, Node v) { SettingValues(v); }},
              });
    for (AlertRule& rule : project_.alerts)
      if (rule.topic.empty()) rule.topic = project_.alert_topic;
    std::vector<std::string> stores;
    for (const StoreConfig& store : project_.stores) stores.push_back(store.name);
    for (const auto& [node, store] : shown_stores_)
      if (std::find(stores.begin(), stores.end(), store) == stores.end())
        yaml_.Complain(node, "there is no store '" + store + "'", SuggestRemedy(store, stores));
    if (root.IsMap() && !named && !root["name"])
      yaml_.Complain(root, "the project has no name", "add 'name: my-project'");
    return std::move(project_);
  }

 private:
  using Node = const YAML::Node&;

  void Profiles(Node node) {
    yaml_.Entries(node, "profiles", [&](const std::string& name, Node key, Node value) {
      Profile profile{name, "", {}, yaml_.At(key)};
      yaml_.Map(value, "profile '" + name + "'",
                {
                    {"kafka",
                     [&](Node, Node v) {
                       if (yaml_.Text(v, "kafka", &profile.kafka) && profile.kafka == "embedded") profile.kafka.clear();
                       else if (!profile.kafka.empty() && profile.kafka.find(':') == std::string::npos)
                         yaml_.Complain(v, "'" + profile.kafka + "' is not an address of a Kafka cluster",
                                        "write HOST:PORT,HOST:PORT or 'embedded'");
                     }},
                    {"variables", [&](Node, Node v) { Variables(v, "variables", &profile.variables); }},
                });
      project_.profiles.push_back(std::move(profile));
    });
  }

  void Variables(Node node, const std::string& what, std::map<std::string, std::string>* out) {
    yaml_.Entries(node, what, [&](const std::string& name, Node key, Node value) {
      if (!IsVariableName(name))
        return yaml_.Complain(key, "'" + name + "' is not a name for a variable", "use letters, digits and _");
      yaml_.Text(value, "variable " + name, &(*out)[name]);
    });
  }

  void TopicName(Node node, const char* what, std::string* out) {
    if (yaml_.Text(node, what, out) && !IsTopicName(*out))
      yaml_.Complain(node, "'" + *out + "' is not a name for a topic",
                     "use up to 249 letters, digits, '.', '_' and '-'");
  }

  void Topics(Node node) {
    yaml_.Named(node, "topics", [&](const std::string& name, Node key, Node value) {
      TopicConfig topic;
      topic.name = name;
      topic.where = yaml_.At(key);
      if (!IsTopicName(name))
        yaml_.Complain(key, "'" + name + "' is not a name for a topic",
                       "use up to 249 letters, digits, '.', '_' and '-'");
      yaml_.Map(value, "topic '" + name + "'",
                {
                    {"name", [](Node, Node) {}},
                    {"partitions",
                     [&](Node, Node v) {
                       int64_t n;
                       if (yaml_.Int(v, "partitions", 1, 10'000, &n)) topic.partitions = static_cast<int32_t>(n);
                     }},
                    {"configs",
                     [&](Node, Node v) {
                       yaml_.Entries(v, "configs", [&](const std::string& config, Node, Node text) {
                         yaml_.Text(text, config, &topic.configs[config]);
                       });
                     }},
                });
      project_.topics.push_back(std::move(topic));
    });
  }

  void Stores(Node node) {
    yaml_.Named(node, "stores", [&](const std::string& name, Node key, Node value) {
      StoreConfig store{name, "", yaml_.At(key)};
      if (!IsVariableName(name))
        yaml_.Complain(key, "'" + name + "' is not a name for a store", "use letters, digits and _");
      yaml_.Map(value, "store '" + name + "'",
                {
                    {"name", [](Node, Node) {}},
                    {"path", [&](Node, Node v) { yaml_.Text(v, "path", &store.path); }},
                });
      if (store.path.empty()) yaml_.Complain(key, "store '" + name + "' has no path", "add 'path: FILE.duckdb'");
      project_.stores.push_back(std::move(store));
    });
  }

  void Pools(Node node) {
    yaml_.Named(node, "pools", [&](const std::string& name, Node key, Node value) {
      PoolConfig pool{name, 0, "", yaml_.At(key)};
      int64_t slots = 0;
      if (value.IsDefined() && value.IsScalar()) {
        yaml_.Int(value, "slots of pool '" + name + "'", 1, 100'000, &slots);
      } else {
        bool given = false;
        yaml_.Map(value, "pool '" + name + "'",
                  {
                      {"name", [](Node, Node) {}},
                      {"slots",
                       [&](Node, Node v) {
                         given = true;
                         yaml_.Int(v, "slots", 1, 100'000, &slots);
                       }},
                      {"description", [&](Node, Node v) { yaml_.Text(v, "description", &pool.description); }},
                  });
        if (!given) yaml_.Complain(key, "pool '" + name + "' has no slots", "add 'slots: 4'");
      }
      pool.slots = static_cast<int>(slots);
      project_.pools.push_back(std::move(pool));
    });
  }

  void Alerts(Node node) {
    if (!node.IsDefined() || node.IsNull()) return;
    if (!node.IsSequence())
      return yaml_.Complain(node, "alerts is not a list", "write each rule as '- metric: latency'");
    for (Node item : node) {
      AlertRule rule;
      rule.where = yaml_.At(item);
      YAML::Node above, below;
      bool metric_given = false;
      yaml_.Map(item, "an alert",
                {
                    {"name", [&](Node, Node v) { yaml_.Text(v, "name", &rule.name); }},
                    {"job", [&](Node, Node v) { yaml_.Text(v, "job", &rule.job); }},
                    {"metric",
                     [&](Node, Node v) {
                       std::string metric;
                       metric_given = true;
                       if (!yaml_.Text(v, "metric", &metric)) return;
                       if (metric == "latency") rule.metric = AlertMetric::kLatency;
                       else if (metric == "throughput") rule.metric = AlertMetric::kThroughput;
                       else if (metric == "lag") rule.metric = AlertMetric::kLag;
                       else
                         yaml_.Complain(v, "there is no metric '" + metric + "' for alerts",
                                        SuggestRemedy(metric, {"latency", "throughput", "lag"}));
                     }},
                    {"above", [&](Node, Node v) { above.reset(v); }},
                    {"below", [&](Node, Node v) { below.reset(v); }},
                    {"for", [&](Node, Node v) { yaml_.Duration(v, "for", &rule.for_ms); }},
                    {"topic", [&](Node, Node v) { TopicName(v, "topic", &rule.topic); }},
                });
      if (!item.IsMap()) continue;
      const bool has_above = above.IsDefined() && !above.IsNull(), has_below = below.IsDefined() && !below.IsNull();
      if (!metric_given) yaml_.Complain(item, "an alert has no metric", "add 'metric: latency', 'throughput' or 'lag'");
      if (has_above == has_below)
        yaml_.Complain(item, "an alert needs one of above and below", "add 'above: 30s' or 'below: 100'");
      else Threshold(has_above ? above : below, has_below, &rule);
      if (rule.name.empty()) rule.name = (rule.job == "*" ? "any job" : rule.job) + " " + AlertMetricName(rule.metric);
      project_.alerts.push_back(std::move(rule));
    }
  }

  void Threshold(Node node, bool below, AlertRule* rule) {
    rule->below = below;
    if (rule->metric == AlertMetric::kLatency) {
      int64_t ms;
      if (yaml_.Duration(node, below ? "below" : "above", &ms)) rule->threshold = static_cast<double>(ms);
      return;
    }
    const std::string text = node.IsScalar() ? node.Scalar() : "";
    auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), rule->threshold);
    if (text.empty() || failed != std::errc() || end != text.data() + text.size() || !(rule->threshold >= 0))
      yaml_.Complain(node, "'" + text + "' is not a threshold for " + AlertMetricName(rule->metric),
                     "use a number such as 100");
  }

  void Run(Node node) {
    yaml_.Map(node, "run",
              {
                  {"trigger", [&](Node, Node v) { yaml_.Text(v, "trigger", &project_.run.trigger); }},
                  {"conf",
                   [&](Node, Node v) {
                     if (v.IsMap()) project_.run.conf_json = YamlToJson(v);
                     else yaml_.Complain(v, "conf is not a map", "write it as 'key: value' lines");
                   }},
                  {"show", [&](Node, Node v) { Show(v); }},
                  {"report", [&](Node, Node v) { yaml_.Text(v, "report", &project_.run.report); }},
              });
  }

  void Show(Node node) {
    if (!node.IsSequence()) return yaml_.Complain(node, "show is not a list", "write each query as '- sql: SELECT …'");
    for (Node item : node) {
      ShowConfig show;
      yaml_.Map(item, "an item of show",
                {
                    {"title", [&](Node, Node v) { yaml_.Text(v, "title", &show.title); }},
                    {"store",
                     [&](Node, Node v) {
                       if (!yaml_.Text(v, "store", &show.store)) return;
                       shown_stores_.emplace_back(v, show.store);
                     }},
                    {"sql", [&](Node, Node v) { yaml_.Text(v, "sql", &show.sql); }},
                });
      if (show.sql.empty()) yaml_.Complain(item, "an item of show has no query", "add 'sql: SELECT …'");
      project_.run.show.push_back(std::move(show));
    }
  }

  void SettingValues(Node node) {
    Settings check;
    yaml_.Entries(node, "settings", [&](const std::string& name, Node key, Node value) {
      SettingValue setting{name, "", yaml_.At(key)};
      if (!yaml_.Text(value, "setting " + name, &setting.value)) return;
      if (auto status = check.Set(name, setting.value, SettingOrigin::kFile); !status.ok())
        return yaml_.Complain(FindSetting(name) ? value : key, status.error().message(), status.error().remedy());
      project_.settings.push_back(std::move(setting));
    });
  }

  YamlReader yaml_;
  Project project_;
  std::vector<std::pair<YAML::Node, std::string>> shown_stores_;  // checked once all stores are read
};

}  // namespace

const char* AlertMetricName(AlertMetric metric) {
  switch (metric) {
    case AlertMetric::kLatency: return "latency";
    case AlertMetric::kThroughput: return "throughput";
    case AlertMetric::kLag: return "lag";
  }
  return "";
}

const Profile* Project::FindProfile(const std::string& profile) const {
  for (const Profile& p : profiles)
    if (p.name == profile) return &p;
  return nullptr;
}

Project ParseProject(const std::string& file, const std::string& text, std::vector<Error>* problems) {
  try {
    return Parser(file, problems).Parse(YAML::Load(text));
  } catch (const YAML::Exception& e) {
    problems->push_back(
        InvalidArgument("not YAML: " + e.msg)
            .Remedy("check the indentation, quotes and brackets around here")
            .At(file, e.mark.is_null() ? 0 : e.mark.line + 1, e.mark.is_null() ? 0 : e.mark.column + 1));
    Project broken;
    broken.file = file;
    return broken;
  }
}

Result<Project> LoadProject(const std::string& dir, std::vector<Error>* problems) {
  char absolute[4096];
  if (!::realpath(dir.c_str(), absolute))
    return NotFound("there is no directory '" + dir + "'").Remedy("create one with 'tailrace init " + dir + "'");
  // Errors name the file as the user named the directory.
  std::string file = dir + (dir.ends_with('/') ? "" : "/") + "tailrace.yaml";
  if (file.starts_with("./")) file.erase(0, 2);
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return NotFound("'" + dir + "' is not a project: it has no tailrace.yaml")
        .Remedy("create one with 'tailrace init " + dir + "', or name another directory");
  std::ostringstream text;
  text << in.rdbuf();
  if (text.str().size() > kFileBytesMax) return Error(ErrorCode::kLimitExceeded, file + " is larger than 4 MB");
  Project project = ParseProject(file, text.str(), problems);
  project.dir = absolute;
  return project;
}

Result<Project> LoadProject(const std::string& dir) {
  std::vector<Error> problems;
  Project project = TRY(LoadProject(dir, &problems));
  if (!problems.empty()) return std::move(problems.front());
  return project;
}

}  // namespace tailrace::config
