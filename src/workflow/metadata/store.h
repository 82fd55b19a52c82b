#pragma once
// What the scheduler knows, as transactions. SQLite now; the shape (changes that name the state they start from, a
// lease with a heartbeat) is the one that PostgreSQL with several schedulers needs. docs/decisions/0012,
// docs/formats/metadata.md.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "workflow/model/states.h"

namespace tailrace::workflow {

struct RunRow {
  std::string dag_id, run_id, run_type, conf_json = "{}", note;
  RunState state = RunState::kQueued;
  int64_t logical_date_ms = 0, interval_start_ms = 0, interval_end_ms = 0;
  std::optional<int64_t> queued_ms, start_ms, end_ms;
  std::string dag_version;  // of the file it started with
};

struct RunKey {
  std::string dag_id, run_id;
};

struct TaskRow {
  std::string dag_id, run_id, task_id, operator_name, pool, queue, note;
  TaskState state = TaskState::kNone;
  int try_number = 0, max_tries = 0;
  std::optional<int64_t> scheduled_ms, queued_ms, start_ms, end_ms;
  std::optional<int64_t> due_ms;         // up_for_retry: next try; up_for_reschedule: next poke
  std::optional<int64_t> first_poke_ms;  // of this try of a sensor: its timeout counts from here
  int pokes = 0;                         // of this try
  int64_t pid = 0, pid_start = 0;        // of the process it runs as; 0: in the scheduler's process. pid_start: clock
                                         // ticks since boot (/proc/PID/stat), so that a reused pid is not taken for it
  std::string scheduler_id;              // who holds it
};

struct TransitionRow {
  int64_t at_ms = 0;
  std::string dag_id, run_id, task_id;  // task_id empty: the run's own
  int try_number = 0;
  std::string from, to, reason;
};

struct XComRow {
  std::string dag_id, run_id, task_id, key, value_json;
};

struct SlaMissRow {
  std::string dag_id, run_id, task_id;
  int64_t at_ms = 0, sla_ms = 0;
};

/// A callback that is owed. Written in the transaction of the transition that caused it, deleted when done: a crash
/// between the two runs it again (at least once).
struct CallbackRow {
  int64_t id = 0;                              // given by the store
  std::string dag_id, run_id, task_id, event;  // event: on_failure, sla_miss, ...
  int try_number = 0;
  std::string reason;
};

struct AlertRow {
  int64_t at_ms = 0;
  std::string severity, source, message, detail_json;
};

struct DagRow {
  std::string dag_id, file, schedule, description, source, error, version;
  bool paused = false;
  std::optional<int64_t> next_run_ms;
};

struct ConnectionRow {
  std::string conn_id, conn_type, host, login, password, schema, extra_json = "{}", description;
  int port = 0;
};

struct LeaseRow {
  std::string scheduler_id, hostname;
  int64_t pid = 0, pid_start = 0, started_ms = 0, heartbeat_ms = 0;
};

/// One transaction. Within it: runs, then tasks, then the rest.
struct Batch {
  struct RunChange {
    RunRow row;
    std::optional<RunState> from;  // nullopt: a new row
  };
  struct TaskChange {
    TaskRow row;
    std::optional<TaskState> from;  // nullopt: a new row
    int from_try = 0;
    bool ended_try = false;  // writes the history row of its try
  };
  std::vector<RunChange> runs;
  std::vector<TaskChange> tasks;
  std::vector<TaskChange> removed;  // of tasks that the DAG file lost
  std::vector<XComRow> xcoms;
  std::vector<TaskRow> clear_xcoms;  // all of these task instances' values
  std::vector<TransitionRow> transitions;
  std::vector<SlaMissRow> sla_misses;
  std::vector<CallbackRow> callbacks;  // `id` is filled by Apply
  std::vector<int64_t> callbacks_done;
  std::vector<TaskRow> reschedules;  // one poke that ended in "not yet": start_ms, end_ms, due_ms
  std::optional<LeaseRow> heartbeat;
  /// False: it survives the end of the process, but the last such ones may be lost with the machine's power. Enough for
  /// "queued" and "running": a machine that lost its power runs those tries again anyway.
  bool durable = true;
  bool empty() const {
    return runs.empty() && tasks.empty() && removed.empty() && xcoms.empty() && clear_xcoms.empty() &&
           transitions.empty() && sla_misses.empty() && callbacks.empty() && callbacks_done.empty() &&
           reschedules.empty() && !heartbeat;
  }
};

/// Thread-safe. Reads see committed transactions only.
class MetadataStore {
 public:
  virtual ~MetadataStore() = default;

  /// All or nothing, on disk on return (see Batch::durable). kConflict: a row is not in the state the change starts
  /// from (another scheduler was faster): nothing changed. kIo: nothing changed; try again.
  virtual Status Apply(Batch& batch) = 0;
  /// kConflict while another live lease stands (`alive` decides about a lease of this host).
  virtual Status AcquireLease(const LeaseRow& lease) = 0;
  virtual Status ReleaseLease(const std::string& scheduler_id) = 0;

  virtual Result<std::vector<RunRow>> ActiveRuns() = 0;  // queued and running, oldest first
  virtual Result<std::vector<RunRow>> Runs(const std::string& dag_id, int limit) = 0;    // newest first; "" = of all
  virtual Result<RunRow> Run(const std::string& dag_id, const std::string& run_id) = 0;  // kNotFound
  /// The run of that DAG before `logical_date_ms`, whatever its type.
  virtual Result<std::optional<RunRow>> PreviousRun(const std::string& dag_id, int64_t logical_date_ms) = 0;
  virtual Result<std::optional<RunRow>> PreviousSuccess(const std::string& dag_id, int64_t logical_date_ms) = 0;
  /// By logical date, of those that the schedule made.
  virtual Result<std::optional<RunRow>> LastScheduledRun(const std::string& dag_id) = 0;
  virtual Result<std::vector<TaskRow>> Tasks(const std::string& dag_id, const std::string& run_id) = 0;
  virtual Result<std::vector<TaskRow>> Tries(const std::string& dag_id, const std::string& run_id,
                                             const std::string& task_id) = 0;
  virtual Result<std::vector<TransitionRow>> Transitions(const std::string& dag_id, const std::string& run_id) = 0;

  virtual Result<std::string> XCom(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                                   const std::string& key) = 0;  // kNotFound
  /// task_id -> value, of every task of the run that pushed `key`.
  virtual Result<std::map<std::string, std::string>> XComs(const std::string& dag_id, const std::string& run_id,
                                                           const std::string& key) = 0;

  virtual Result<std::string> Variable(const std::string& key) = 0;  // kNotFound
  virtual Status SetVariable(const std::string& key, const std::string& value) = 0;
  virtual Result<std::map<std::string, std::string>> Variables() = 0;
  virtual Result<ConnectionRow> Connection(const std::string& conn_id) = 0;  // kNotFound
  virtual Status SetConnection(const ConnectionRow& connection) = 0;
  virtual Result<std::map<std::string, int>> Pools() = 0;
  virtual Status SetPool(const std::string& name, int slots) = 0;

  virtual Result<std::vector<DagRow>> Dags() = 0;
  virtual Status PutDags(const std::vector<DagRow>& dags) = 0;  // replaces what is there but `paused`
  virtual Status SetPaused(const std::string& dag_id, bool paused) = 0;

  /// Finished runs that may go, oldest first: ended before `ended_before_ms`, or beyond the newest `runs_kept` of their
  /// DAG (0: no such limit). Never a DAG's newest run or its last by schedule: what comes next is reckoned from them.
  virtual Result<std::vector<RunKey>> ExpiredRuns(int64_t ended_before_ms, int runs_kept, int limit) = 0;
  /// With all that belongs to them; what is not finished any more stays. One transaction.
  virtual Status DeleteRuns(const std::vector<RunKey>& runs) = 0;
  /// How many; at most `limit`.
  virtual Result<int> DeleteAlerts(int64_t before_ms, int limit) = 0;

  virtual Result<std::vector<CallbackRow>> OwedCallbacks() = 0;
  virtual Result<std::vector<SlaMissRow>> SlaMisses(const std::string& dag_id, int limit) = 0;
  virtual Status AddAlert(const AlertRow& alert) = 0;
  virtual Result<std::vector<AlertRow>> Alerts(int limit) = 0;  // newest first
};

/// Opens or creates the file ("" = in memory, for tests). kCorrupt: not ours, or of a newer version.
Result<std::unique_ptr<MetadataStore>> OpenSqliteStore(const std::string& path);

}  // namespace tailrace::workflow
