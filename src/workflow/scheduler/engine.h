#pragma once
// The scheduler's decisions, without threads or sleeping: events go in, a transaction and what follows from it come
// out. One thread uses it. Tests and the crash simulation drive it with a manual clock and a fake executor.
//
// A tick: timers that are due, runs to create and start, tasks whose upstreams changed, slots to fill; then one
// metadata transaction with every transition of the tick; then, and only once it stands, what others see of it (tasks
// started, killed, callbacks). Where the transaction fails (disk full) everything is kept and tried again a second
// later.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "workflow/executor/executor.h"
#include "workflow/metadata/store.h"
#include "workflow/model/dag.h"
#include "workflow/timetable/timetable.h"

namespace tailrace::workflow {

struct EngineOptions {
  std::string scheduler_id, hostname;
  int parallelism = 32;
  int64_t heartbeat_ms = 10'000;
  bool retry_at_once = false;  // `dag test`: nobody wants to wait five minutes
};

/// A callback to run, after its transaction. `task` is -1 for those of the DAG.
struct CallbackRequest {
  CallbackRow row;
  std::shared_ptr<const Dag> dag;
  int task = -1;
  RunRow run;
  TaskRow instance;
};

class Engine {
 public:
  /// `callback` is told what to run and answers some time later through CallbackDone. All outlive the engine.
  Engine(EngineOptions options, MetadataStore& store, Executor& executor, Clock& clock,
         std::function<void(CallbackRequest)> callback);
  ~Engine();

  /// Loads every unfinished run; adopts or re-queues what an earlier process had running. Once, after SetDags.
  Status Recover();

  struct Loaded {
    std::shared_ptr<const Dag> dag;
    bool paused = false;
  };
  /// All DAGs there are now. Runs keep the version they started with; runs of a DAG that is gone wait for it.
  Status SetDags(std::map<std::string, Loaded> dags);
  Status SetPaused(const std::string& dag_id, bool paused);
  /// Of the project and the metadata; those of DAG files besides. Tasks that hold slots of a smaller pool keep them.
  void SetPools(std::map<std::string, int> pools);

  Result<RunRow> Trigger(const std::string& dag_id, const std::string& conf_json, std::string run_id,
                         std::optional<int64_t> logical_date_ms, const std::string& run_type);
  Status Clear(const std::string& dag_id, const std::string& run_id, const std::string& task_id, bool downstream);
  Status Mark(const std::string& dag_id, const std::string& run_id, const std::string& task_id, TaskState state);
  void OnTaskEvent(TaskEvent event);
  void CallbackDone(int64_t id) { batch_.callbacks_done.push_back(id); }
  /// Finished runs, from the metadata. Those that something is happening to (a clear) stay. How many went.
  Result<int> DeleteRuns(std::vector<RunKey> runs);

  /// Does everything there is to do now. An error: the transaction did not go through; the next Tick tries again.
  Status Tick();
  /// When to call Tick next if nothing happens before, in Clock::MonotonicMs.
  int64_t NextWakeMs() const;
  /// Nothing new starts from here on.
  void StopStarting() { stopping_ = true; }

  std::optional<int64_t> NextRunMs(const std::string& dag_id) const;
  bool Paused(const std::string& dag_id) const;
  /// For waiters: which runs ended in the last Tick that went through.
  std::vector<std::pair<std::string, std::string>> TakeEndedRuns() { return std::exchange(ended_visible_, {}); }
  size_t running_tasks() const { return tickets_.size(); }

 private:
  struct TaskEntry {
    TaskRow row;
    std::optional<TaskState> committed;  // as the store has it; nullopt: not there yet
    int committed_try = 0;
    bool dirty = false, ended_try = false, timed_out = false, sla_missed = false;
    int64_t ticket = 0;
  };
  struct RunEntry {
    RunRow row;
    std::optional<RunState> committed;
    bool dirty = false, to_visit = false;
    std::shared_ptr<const Dag> dag;
    std::vector<TaskEntry> tasks;             // parallel to dag->tasks
    std::vector<int> to_check;                // tasks whose dependencies may be met now
    std::map<int, std::set<int>> skipped_by;  // branch or short circuit -> what it skips
    int unfinished = 0, active = 0;
    int64_t number = 0;  // order of arrival
  };
  struct DagEntry {
    std::shared_ptr<const Dag> dag;
    bool paused = false;
    bool gone = false;                 // its file is; what runs goes on, nothing new begins
    std::optional<DataInterval> last;  // of the last run by schedule
    std::optional<PlannedRun> next;
    std::set<std::pair<int64_t, RunEntry*>> runs;  // unfinished, by number
    int running = 0;
    std::map<std::string, int> task_active;  // for max_active_tis_per_dag
  };
  struct ReadyKey {
    int64_t weight, logical_ms, number;
    int task;
    RunEntry* run;
    bool operator<(const ReadyKey& o) const {
      if (weight != o.weight) return weight > o.weight;
      if (logical_ms != o.logical_ms) return logical_ms < o.logical_ms;
      if (number != o.number) return number < o.number;
      return task < o.task;
    }
  };
  enum class TimerKind : uint8_t { kTaskDue, kExecutionTimeout, kRunTimeout, kSla };
  struct Timer {
    TimerKind kind;
    std::string dag_id, run_id;
    int task = -1;
    int64_t ticket = 0;       // kExecutionTimeout: of this start only
    int64_t due_wall_ms = 0;  // kTaskDue: due_ms of the row; kRunTimeout: its start_ms. Changed since: void
  };

  // engine.cc: transitions and the transaction
  void Move(RunEntry& run, int task, TaskState to, std::string reason, Mover mover = Mover::kScheduler);
  void Move(RunEntry& run, RunState to, std::string reason, Mover mover = Mover::kScheduler);
  Status Commit();
  void Owe(RunEntry& run, int task, const char* event, const std::string& reason);
  void AddTimer(int64_t in_ms, Timer timer);
  void Check(RunEntry& run, int task);
  void Visit(RunEntry& run);

  // decide.cc: what may run
  void FireTimers();
  void Fire(const Timer& timer);
  bool CreateScheduledRuns();
  bool StartQueuedRuns();
  bool VisitRuns();
  void CheckTask(RunEntry& run, int task);
  Result<bool> PastAllows(RunEntry& run, int task);
  void FillSlots();
  void FailRunByTimeout(RunEntry& run);
  void PlanNext(DagEntry& entry);
  void WakeFuture(RunEntry& run, int task);

  // events.cc: what ended, what users ask for, what was found at start
  void Ended(RunEntry& run, int task, Outcome outcome);
  void FailTry(RunEntry& run, int task, const Outcome& outcome);
  void SkipBehind(RunEntry& run, int task, const Outcome& outcome);
  void Detach(RunEntry& run, int task, const std::string& reason);
  Result<RunEntry*> FindOrLoad(const std::string& dag_id, const std::string& run_id);
  Result<RunEntry*> LoadRun(const RunRow& row, DagEntry& entry);
  void Resume(RunEntry& run, int task);
  RunEntry& NewRun(DagEntry& entry, RunRow row);
  void WatchRun(RunEntry& run);
  void Evict(RunEntry& run);
  void ClearOne(RunEntry& run, int task);

  RunEntry* Find(const std::string& dag_id, const std::string& run_id);
  int PoolSlots(const Dag& dag, const std::string& pool) const;

  EngineOptions options_;
  MetadataStore& store_;
  Executor& executor_;
  Clock& clock_;
  std::function<void(CallbackRequest)> callback_;

  std::map<std::string, DagEntry> dags_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<RunEntry>> runs_;
  std::vector<RunRow> orphan_runs_;  // unfinished, their DAG is not there (yet)
  std::set<ReadyKey> ready_;
  std::vector<RunEntry*> visit_;
  std::multimap<int64_t, Timer> timers_;
  std::unordered_map<int64_t, std::pair<RunEntry*, int>> tickets_;
  std::map<std::string, int> pool_used_, pool_slots_;
  int active_ = 0;
  int64_t last_ticket_ = 0, last_number_ = 0;
  int64_t next_heartbeat_mono_ms_ = 0, retry_commit_mono_ms_ = 0, started_ms_ = 0;
  bool stopping_ = false, recovered_ = false;

  // What the next transaction holds, and what follows once it stands.
  Batch batch_;
  std::vector<std::pair<RunEntry*, int>> dirty_tasks_;
  std::vector<RunEntry*> dirty_runs_;
  std::vector<TaskRequest> to_start_, to_adopt_;
  std::vector<int64_t> to_go_;
  std::vector<std::pair<int64_t, std::string>> to_kill_;
  std::vector<CallbackRequest> owed_;  // parallel to batch_.callbacks
  std::vector<std::pair<std::string, std::string>> ended_, ended_visible_;
};

}  // namespace tailrace::workflow
