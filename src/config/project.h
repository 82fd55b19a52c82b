#pragma once
// tailrace.yaml: what a project is made of besides its SQL, DAG and generator files. docs/project.md shows every key.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace::config {

struct TopicConfig {
  std::string name;
  int32_t partitions = 1;
  std::map<std::string, std::string> configs;  // Kafka's topic configs
  SourceLocation where;
};

struct StoreConfig {
  std::string name;
  std::string path;  // of the DuckDB file, relative to the project
  SourceLocation where;
};

struct PoolConfig {
  std::string name;
  int slots = 0;
  std::string description;
  SourceLocation where;
};

enum class AlertMetric { kLatency, kThroughput, kLag };
const char* AlertMetricName(AlertMetric metric);

struct AlertRule {
  std::string name;       // default: "JOB METRIC"
  std::string job = "*";  // "*": every running job
  AlertMetric metric = AlertMetric::kLatency;
  bool below = false;    // fires where the value is below the threshold instead of above
  double threshold = 0;  // latency: ms; throughput: events per second; lag: records
  int64_t for_ms = 0;    // holds this long before it fires
  std::string topic;     // gets each firing and resolving; the log and the status page do anyway. Default: alert_topic
  SourceLocation where;
};

/// Which engines play which role. An empty address: the embedded one.
struct Profile {
  std::string name;
  std::string kafka;                             // bootstrap servers of a Kafka cluster
  std::map<std::string, std::string> variables;  // over the project's
  SourceLocation where;
};

struct ShowConfig {
  std::string title, store, sql;  // store empty: the only one
};

/// What `tailrace run` does once the platform is up.
struct RunConfig {
  std::string trigger;  // a DAG
  std::string conf_json = "{}";
  std::vector<ShowConfig> show;  // queries whose rows are printed at the end
  std::string report;            // path of a file the run makes, named at the end
};

struct SettingValue {
  std::string name, value;
  SourceLocation where;
};

struct Project {
  std::string dir;   // absolute
  std::string file;  // dir/tailrace.yaml, as errors show it
  std::string name;
  std::string description;
  std::vector<Profile> profiles;
  std::vector<TopicConfig> topics;
  std::vector<StoreConfig> stores;
  std::vector<PoolConfig> pools;
  std::vector<AlertRule> alerts;
  std::string alert_topic;                       // gets what DAGs alert, too; empty: none does
  std::vector<std::string> autostart;            // files in streams/, without .sql
  std::map<std::string, std::string> variables;  // ${NAME} in SQL files
  std::string generators_dir = "generators";
  RunConfig run;
  std::vector<SettingValue> settings;

  const Profile* FindProfile(const std::string& name) const;
};

/// Reads DIR/tailrace.yaml. All problems of the file, each with its place, land in `problems`; the project holds what
/// could be read. Errors: kNotFound where there is no such file.
Result<Project> LoadProject(const std::string& dir, std::vector<Error>* problems);
/// The same; the first problem is the error.
Result<Project> LoadProject(const std::string& dir);
/// For tests: `text` as if read from `file`.
Project ParseProject(const std::string& file, const std::string& text, std::vector<Error>* problems);

}  // namespace tailrace::config
