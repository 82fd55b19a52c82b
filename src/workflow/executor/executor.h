#pragma once
// Runs tries of tasks. Now: processes and threads of this machine; later: workers over Kafka, the Python zygote.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "workflow/metadata/store.h"
#include "workflow/model/dag.h"
#include "workflow/operators/operator.h"

namespace tailrace::workflow {

struct TaskRequest {
  int64_t ticket = 0;  // names this start; events carry it
  std::shared_ptr<const Dag> dag;
  int task = 0;  // index into dag->tasks
  RunRow run;
  TaskRow instance;
};

struct TaskEvent {
  enum class Kind : uint8_t {
    kReady,  // everything is made and waits for Go; pid of its process, 0 = none of its own
    kEnded,
  };
  Kind kind = Kind::kEnded;
  int64_t ticket = 0;
  int64_t pid = 0, pid_start = 0;
  Outcome outcome;
};

/// Thread-safe. Events come from any thread. Order for one ticket: Start, kReady, Go, kEnded; or Start, kEnded where it
/// could not be made; or Adopt, kEnded. Exactly one kEnded for each Start or Adopt, also after Kill.
class Executor {
 public:
  using Listener = std::function<void(TaskEvent)>;
  virtual ~Executor() = default;
  /// Makes the task ready without running any of it, so that the scheduler can record it as running first.
  virtual void Start(TaskRequest request) = 0;
  virtual void Go(int64_t ticket) = 0;
  /// SIGTERM to the process group, SIGKILL after the grace; a thread's token is cancelled.
  virtual void Kill(int64_t ticket, const std::string& reason) = 0;
  /// A task that an earlier scheduler process started (instance.pid): waits for its end, or finds out how it ended.
  virtual void Adopt(TaskRequest request) = 0;
  /// Kills what runs, waits at most `grace_ms`, then SIGKILL. No event comes after it returned.
  virtual void Shutdown(int64_t grace_ms) = 0;
};

/// Tasks as processes and threads of this machine. Logs under data_dir/logs as Airflow lays them out.
std::unique_ptr<Executor> MakeLocalExecutor(TaskEnvironment& environment, Executor::Listener listener);

/// data_dir/logs/dag_id=…/run_id=…. A name too long for a file system is cut and ends with its hash.
std::string RunLogFolder(const std::string& data_dir, const std::string& dag_id, const std::string& run_id);
/// Its …/task_id=…/attempt=N.log
std::string TaskLogPath(const std::string& data_dir, const std::string& dag_id, const std::string& run_id,
                        const std::string& task_id, int try_number);

}  // namespace tailrace::workflow
