#pragma once
// What an operator implements. registry.cc lists them all; each file beside it holds one. An operator object lives for
// one try (a sensor's: one poke), is made and used by one thread at a time, and never sees templates: `with` comes
// rendered.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "workflow/metadata/store.h"
#include "workflow/model/dag.h"
#include "workflow/scheduler.h"

namespace tailrace::workflow {

class AlertSink;

/// How a try (or a poke) ended.
struct Outcome {
  enum class Kind : uint8_t {
    kSuccess,
    kSkip,
    kFail,          // retried while there are tries left
    kFailForGood,   // not retried (Airflow: AirflowFailException)
    kReschedule,    // a sensor that waits: comes back at due_ms, same try
    kLost,          // its process is gone and nobody knows how it ended; counts as kFail
    kNeverStarted,  // its process never began; the same try may be started again
  };
  Kind kind = Kind::kSuccess;
  std::string message;                                     // why; shown as the task's note
  int64_t due_ms = 0;                                      // kReschedule, wall clock
  std::vector<std::pair<std::string, std::string>> xcoms;  // key, JSON
  /// A branch: of the direct downstream tasks, those not named (and not below a named one) are skipped.
  std::optional<std::vector<std::string>> follow;
  /// A short circuit: skips everything downstream, or (false) only what is directly so.
  std::optional<bool> skip_all_downstream;

  static Outcome Success() { return {}; }
  static Outcome Skip(std::string why) { return {Kind::kSkip, std::move(why)}; }
  static Outcome Fail(std::string why) { return {Kind::kFail, std::move(why)}; }
  static Outcome FailForGood(std::string why) { return {Kind::kFailForGood, std::move(why)}; }
  static Outcome Reschedule(int64_t due_ms) {
    Outcome outcome;
    outcome.kind = Kind::kReschedule;
    outcome.due_ms = due_ms;
    return outcome;
  }
  Outcome&& Return(const Value& value) && {
    xcoms.emplace_back("return_value", ToJson(value));
    return std::move(*this);
  }
};

/// Set once, by Kill; operators that wait look at it. Thread-safe.
class CancelToken {
 public:
  void Cancel();
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  /// True: slept the whole time. False: cancelled.
  bool Sleep(int64_t ms);

 private:
  std::mutex mutex_;
  std::condition_variable cv_;
  std::atomic<bool> cancelled_{false};
};

/// The log file of a try. Lines as Airflow writes them: "[2024-01-15T10:30:00.123+0000] INFO - text". Thread-safe.
class TaskLog {
 public:
  static Result<std::unique_ptr<TaskLog>> Open(const std::string& path, Clock& clock, bool to_stdout);
  ~TaskLog();
  void Info(std::string_view text) { Line("INFO", text); }
  void Warning(std::string_view text) { Line("WARNING", text); }
  void Error(std::string_view text) { Line("ERROR", text); }
  int fd() const { return fd_; }

 private:
  TaskLog(int fd, Clock& clock, bool to_stdout) : fd_(fd), clock_(clock), to_stdout_(to_stdout) {}
  void Line(const char* level, std::string_view text);
  int fd_;
  Clock& clock_;
  bool to_stdout_;
};

/// What every task of a scheduler shares. Outlives all tasks.
struct TaskEnvironment {
  const SchedulerOptions& options;
  OperatorServices services;
  Clock& clock;
  MetadataStore& store;
  AlertSink& alerts;
  /// Runs a DAG (trigger_dag). Blocks until the run is recorded.
  std::function<Result<DagRunInfo>(const std::string& dag_id, const std::string& conf_json, const std::string& run_id,
                                   std::optional<int64_t> logical_date_ms)>
      trigger;
  /// The run once it has ended; kTimeout: not within `timeout_ms`.
  std::function<Result<DagRunInfo>(const std::string& dag_id, const std::string& run_id, int64_t timeout_ms)> wait_run;
};

/// One try of one task.
struct TaskContext {
  TaskEnvironment& environment;
  const Dag& dag;
  const Task& task;
  const RunRow& run;
  const TaskRow& instance;
  Map with;  // rendered
  TaskLog& log;
  CancelToken& cancel;
  std::string log_path;

  // Parameters, converted: "10" is an integer where one is asked for. Errors name the parameter.
  Result<std::string> Text(const char* name, std::optional<std::string> otherwise = std::nullopt) const;
  Result<int64_t> Integer(const char* name, std::optional<int64_t> otherwise = std::nullopt) const;
  Result<double> Number(const char* name, std::optional<double> otherwise = std::nullopt) const;
  Result<bool> Boolean(const char* name, std::optional<bool> otherwise = std::nullopt) const;
  Result<int64_t> DurationMs(const char* name, std::optional<int64_t> otherwise = std::nullopt) const;
  /// A list, or one value as a list of one.
  Result<List> Values(const char* name) const;
  /// `path` under the project's directory unless absolute.
  std::string Path(const std::string& path) const;
};

/// How to start a task's process. stdout and stderr go to the try's log.
struct ProcessSpec {
  std::vector<std::string> arguments;                            // [0]: the program, looked up in PATH
  std::vector<std::pair<std::string, std::string>> environment;  // besides ours
  bool append_environment = true;                                // false: these alone
  std::string cwd;
};

class Operator {
 public:
  virtual ~Operator() = default;
  /// A task that is a process of its own: what to start. nullopt: Execute or Poke runs in the scheduler's process.
  virtual Result<std::optional<ProcessSpec>> Process(TaskContext&) { return std::optional<ProcessSpec>(); }
  /// The process ended by itself. `code`: exit status, 128 + signal where a signal ended it.
  virtual Outcome ProcessEnded(TaskContext& context, int code);
  /// In the scheduler's process, on a thread that may block; looks at context.cancel where it waits.
  virtual Result<Outcome> Execute(TaskContext& context);
  /// A sensor: true = what it waits for is there. `outcome` may take XComs.
  virtual Result<bool> Poke(TaskContext& context, Outcome* outcome);
};

enum class ParamType : uint8_t { kText, kInteger, kNumber, kBoolean, kDuration, kList, kMap, kAny };

struct ParamSpec {
  const char* name;
  ParamType type;
  bool required;
  const char* help;  // with the default
};

struct OperatorSpec {
  const char* name;
  const char* help;
  std::vector<ParamSpec> params;
  std::unique_ptr<Operator> (*make)();
  bool sensor = false;
  /// Ends without a worker (Airflow: EmptyOperator).
  bool empty = false;
};

/// The one list. Sensors have the parameters mode, poke_interval, timeout, soft_fail, exponential_backoff, max_wait
/// besides.
const std::vector<OperatorSpec>& Operators();
const OperatorSpec* FindOperator(std::string_view name);
const std::vector<ParamSpec>& SensorParams();

}  // namespace tailrace::workflow
