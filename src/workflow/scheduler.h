#pragma once
// Orchestration under Airflow's names: DAGs, runs, task instances. The scheduler is one thread that sleeps until an
// event; every transition is a metadata transaction before anyone sees it.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace {
class Clock;
}
namespace tailrace::log {
class Client;
}
namespace tailrace::stream {
class JobManager;
}
namespace tailrace::connectors {
class GeneratorManager;
}

namespace tailrace::workflow {

struct DagSummary {
  std::string dag_id, file, schedule, description, error;  // error: why the file does not load, with its place
  bool paused = false;
  std::vector<std::string> task_ids;  // in topological order
  std::optional<int64_t> next_run_ms;
  std::string last_run_state;
};

struct DagRunInfo {
  std::string dag_id, run_id, run_type, state, conf_json;
  int64_t logical_date_ms = 0, data_interval_start_ms = 0, data_interval_end_ms = 0;
  std::optional<int64_t> queued_at_ms, start_date_ms, end_date_ms;
};

struct TaskInstanceInfo {
  std::string dag_id, run_id, task_id, state, operator_name, pool, queue, note;
  int try_number = 0, max_tries = 0;
  std::optional<int64_t> queued_at_ms, start_date_ms, end_date_ms, next_retry_ms;
};

struct TaskTryInfo {
  int try_number = 0;
  std::string state, note;
  std::optional<int64_t> start_date_ms, end_date_ms;
};

struct AlertInfo {
  int64_t at_ms = 0;
  std::string severity, source, message, detail_json;
};

struct SlaMissInfo {
  std::string dag_id, run_id, task_id;
  int64_t at_ms = 0;
};

struct SchedulerOptions {
  std::string dags_dir;         // *.yaml, rescanned on change (inotify)
  std::string data_dir;         // metadata.sqlite, logs/dag_id/run_id/task_id/try.log
  std::string base_dir;         // the project: cwd of bash tasks, relative paths
  std::string kafka_bootstrap;  // given to tasks as TAILRACE_KAFKA
  std::string http_url;         // given to tasks as TAILRACE_URL
  int parallelism = 32;
  int max_active_tasks = 16, max_active_runs = 16;
  std::map<std::string, int> pools;           // of tailrace.yaml; DAG files may declare more
  std::map<std::string, std::string> stores;  // name -> DuckDB file, for `store:` of SQL operators
  bool log_to_stdout = false;                 // `dag test`: task logs also go there, retries wait for nothing
  std::string alert_topic;                    // alerts also go there as JSON records; empty: they don't
  int runs_kept = 5'000;                      // finished ones of a DAG, with their logs; 0: no limit
  int64_t retention_ms = -1;                  // finished runs, their logs and alerts go at this age; -1: never
  int64_t tidy_every_ms = 3'600'000;
};

/// What operators work on besides processes. Everything outlives the scheduler; any of them may be null, and an
/// operator that needs it then fails with a clear error.
struct OperatorServices {
  log::Client* log = nullptr;
  stream::JobManager* jobs = nullptr;
  connectors::GeneratorManager* generators = nullptr;
};

/// Thread-safe.
class Scheduler {
 public:
  /// Opens the metadata, loads the DAGs, adopts or fails orphans of an earlier process, starts.
  static Result<std::unique_ptr<Scheduler>> Start(SchedulerOptions options, OperatorServices services, Clock& clock);
  virtual ~Scheduler() = default;

  virtual std::vector<DagSummary> Dags() = 0;
  virtual Result<std::string> DagSource(const std::string& dag_id) = 0;
  /// `run_id` empty: manual__<logical date>. conf must be a JSON object.
  virtual Result<DagRunInfo> Trigger(const std::string& dag_id, const std::string& conf_json, const std::string& run_id,
                                     std::optional<int64_t> logical_date_ms) = 0;
  virtual Result<DagRunInfo> Run(const std::string& dag_id, const std::string& run_id) = 0;
  virtual Result<DagRunInfo> WaitRun(const std::string& dag_id, const std::string& run_id, int64_t timeout_ms) = 0;
  /// Newest first. dag_id empty: of all.
  virtual Result<std::vector<DagRunInfo>> Runs(const std::string& dag_id, int limit) = 0;
  virtual Result<std::vector<TaskInstanceInfo>> Tasks(const std::string& dag_id, const std::string& run_id) = 0;
  /// try_number 0: the last.
  virtual Result<std::string> TaskLog(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                                      int try_number) = 0;
  virtual Result<std::string> XCom(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                                   const std::string& key) = 0;
  /// Every try that ended, oldest first.
  virtual Result<std::vector<TaskTryInfo>> Tries(const std::string& dag_id, const std::string& run_id,
                                                 const std::string& task_id) = 0;
  /// Newest first.
  virtual Result<std::vector<AlertInfo>> Alerts(int limit) = 0;
  virtual Result<std::vector<SlaMissInfo>> SlaMisses(const std::string& dag_id, int limit) = 0;
  virtual Result<std::string> Variable(const std::string& key) = 0;
  virtual Status SetVariable(const std::string& key, const std::string& value) = 0;
  virtual Result<std::map<std::string, std::string>> Variables() = 0;
  /// Of tailrace.yaml, instead of those given at the start; DAG files that name them are loaded again.
  virtual Status SetPools(std::map<std::string, int> pools) = 0;
  virtual Status SetPaused(const std::string& dag_id, bool paused) = 0;
  /// Task instances (and what is downstream) back to none, so that they run again; the run becomes running.
  virtual Status Clear(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                       bool downstream) = 0;
  virtual Status SetTaskState(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                              const std::string& state) = 0;
  /// Up to `count` coming data intervals of a scheduled DAG: (start, end) in ms.
  virtual Result<std::vector<std::pair<int64_t, int64_t>>> NextRuns(const std::string& dag_id, int count) = 0;
  /// Stops starting tasks; running ones get SIGTERM, then after `grace_ms` SIGKILL; their state lets the next start
  /// resume them.
  virtual void Shutdown(int64_t grace_ms) = 0;
};

/// Runs a DAG once in this process, in order, without a metadata database kept: `dag test`. Logs to stdout.
Result<DagRunInfo> TestDag(const std::string& file, const std::string& dag_id, const std::string& conf_json,
                           const SchedulerOptions& options, OperatorServices services, Clock& clock);

}  // namespace tailrace::workflow
