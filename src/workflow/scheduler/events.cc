// What ended, what users ask for, what was found at start.

#include <fmt/format.h>

#include <algorithm>

#include "base/logging.h"
#include "workflow/scheduler/engine.h"

namespace tailrace::workflow {
namespace {

constexpr const char* kSkipKey = "skipmixin_key";  // Airflow's: which downstream tasks a branch skipped
constexpr size_t kXComBytesMax = 4 << 20;
constexpr size_t kConfBytesMax = 1 << 20;
constexpr size_t kActiveRunsOfDagMax = 10'000;

bool GoodRunId(const std::string& id) {
  if (id.empty() || id.size() > 250) return false;
  for (char c : id)
    if (!isalnum(static_cast<unsigned char>(c)) && std::string_view("_.~:+-").find(c) == std::string_view::npos)
      return false;
  return true;
}

}  // namespace

void Engine::OnTaskEvent(TaskEvent event) {
  auto it = tickets_.find(event.ticket);
  if (it == tickets_.end()) return;  // detached: marked, cleared or timed out; its end changes nothing
  auto [run, task] = it->second;
  TaskEntry& entry = run->tasks[task];
  if (event.kind == TaskEvent::Kind::kReady) {
    if (entry.row.state != TaskState::kQueued) return;
    entry.row.pid = event.pid;
    entry.row.pid_start = event.pid_start;
    const int64_t now = clock_.NowMs();
    if (!entry.row.start_ms) entry.row.start_ms = now;
    if (!entry.row.first_poke_ms) entry.row.first_poke_ms = now;
    if (entry.row.pokes == 0) batch_.clear_xcoms.push_back(entry.row);
    Move(*run, task, TaskState::kRunning, "");
    const Task& spec = run->dag->tasks[task];
    if (spec.execution_timeout_ms > 0)
      AddTimer(spec.execution_timeout_ms,
               {TimerKind::kExecutionTimeout, run->row.dag_id, run->row.run_id, task, event.ticket});
    if (!spec.callbacks.on_execute.empty() && entry.row.pokes == 0) Owe(*run, task, "on_execute", "");
    to_go_.push_back(event.ticket);
    return;
  }
  tickets_.erase(it);
  entry.ticket = 0;
  Ended(*run, task, std::move(event.outcome));
}

void Engine::Ended(RunEntry& run, int task, Outcome outcome) {
  TaskEntry& entry = run.tasks[task];
  const Task& spec = run.dag->tasks[task];
  if (entry.row.state == TaskState::kRestarting) {
    Move(run, task, TaskState::kNone, "cleared");
    Check(run, task);
    return;
  }
  const bool unknown_end = outcome.kind == Outcome::Kind::kLost || outcome.kind == Outcome::Kind::kNeverStarted;
  // Ended by our own shutdown: the next start runs the same try again.
  if (stopping_ && unknown_end && (entry.row.state == TaskState::kQueued || entry.row.state == TaskState::kRunning))
    return Move(run, task, TaskState::kScheduled, "the scheduler was shut down");
  if (entry.row.state == TaskState::kQueued) {  // could not even be made ready: a try all the same
    entry.row.start_ms = entry.row.start_ms ? entry.row.start_ms : clock_.NowMs();
    Move(run, task, TaskState::kRunning, "");
  }
  if (entry.row.state != TaskState::kRunning) return;
  if (entry.timed_out) {
    outcome = Outcome::Fail(
        fmt::format("execution_timeout of {} s exceeded", static_cast<double>(spec.execution_timeout_ms) / 1000));
    entry.timed_out = false;
  }
  switch (outcome.kind) {
    case Outcome::Kind::kSuccess:
      for (auto& [key, json] : outcome.xcoms) {
        if (json.size() > kXComBytesMax) {
          outcome.message =
              fmt::format("XCom '{}' of {} bytes was dropped: more than {}", key, json.size(), kXComBytesMax);
          continue;
        }
        batch_.xcoms.push_back({run.row.dag_id, run.row.run_id, entry.row.task_id, key, std::move(json)});
      }
      Move(run, task, TaskState::kSuccess, outcome.message);
      if (!spec.callbacks.on_success.empty()) Owe(run, task, "on_success", outcome.message);
      SkipBehind(run, task, outcome);
      return;
    case Outcome::Kind::kSkip:
      Move(run, task, TaskState::kSkipped, outcome.message);
      if (!spec.callbacks.on_skipped.empty()) Owe(run, task, "on_skipped", outcome.message);
      return;
    case Outcome::Kind::kReschedule: {
      ++entry.row.pokes;
      entry.row.due_ms = outcome.due_ms;
      TaskRow poke = entry.row;
      poke.end_ms = clock_.NowMs();
      batch_.reschedules.push_back(std::move(poke));
      Move(run, task, TaskState::kUpForReschedule, outcome.message);
      AddTimer(outcome.due_ms - clock_.NowMs(),
               {TimerKind::kTaskDue, run.row.dag_id, run.row.run_id, task, 0, outcome.due_ms});
      return;
    }
    case Outcome::Kind::kNeverStarted: return Move(run, task, TaskState::kScheduled, outcome.message);
    case Outcome::Kind::kFail:
    case Outcome::Kind::kFailForGood:
    case Outcome::Kind::kLost: return FailTry(run, task, outcome);
  }
}

void Engine::FailTry(RunEntry& run, int task, const Outcome& outcome) {
  TaskEntry& entry = run.tasks[task];
  const Task& spec = run.dag->tasks[task];
  if (outcome.kind == Outcome::Kind::kFailForGood || entry.row.try_number > entry.row.max_tries) {
    Move(run, task, TaskState::kFailed, outcome.message);
    LogWarning("scheduler", fmt::format("{}.{} of {} failed: {}", run.row.dag_id, entry.row.task_id, run.row.run_id,
                                        outcome.message));
    if (!spec.callbacks.on_failure.empty()) Owe(run, task, "on_failure", outcome.message);
    return;
  }
  int64_t wait_ms =
      RetryDelayMs(spec.retry, run.row.dag_id, entry.row.task_id, run.row.logical_date_ms, entry.row.try_number);
  if (options_.retry_at_once) wait_ms = 0;
  entry.row.due_ms = clock_.NowMs() + wait_ms;
  Move(run, task, TaskState::kUpForRetry, outcome.message);
  AddTimer(wait_ms, {TimerKind::kTaskDue, run.row.dag_id, run.row.run_id, task, 0, *entry.row.due_ms});
  LogWarning("scheduler",
             fmt::format("{}.{} of {}: try {} failed, next in {:.1f} s: {}", run.row.dag_id, entry.row.task_id,
                         run.row.run_id, entry.row.try_number, static_cast<double>(wait_ms) / 1000, outcome.message));
  if (!spec.callbacks.on_retry.empty()) Owe(run, task, "on_retry", outcome.message);
}

// Airflow: SkipMixin. A task below a followed branch is not skipped even where it is also directly below the brancher.
void Engine::SkipBehind(RunEntry& run, int task, const Outcome& outcome) {
  const Dag& dag = *run.dag;
  std::set<int> skip;
  if (outcome.follow) {
    std::set<int> keep;
    for (const std::string& id : *outcome.follow) {
      int i = dag.Index(id);
      if (i < 0) continue;
      keep.insert(i);
      for (int d : dag.Descendants(i)) keep.insert(d);
    }
    for (int d : dag.tasks[task].downstream)
      if (!keep.contains(d)) skip.insert(d);
  } else if (outcome.skip_all_downstream) {
    if (*outcome.skip_all_downstream)
      for (int d : dag.Descendants(task)) skip.insert(d);
    else skip.insert(dag.tasks[task].downstream.begin(), dag.tasks[task].downstream.end());
  }
  if (skip.empty()) return;
  List ids;
  for (int s : skip) ids.emplace_back(dag.tasks[s].task_id);
  Map kept;
  kept.Set("skipped", std::move(ids));
  batch_.xcoms.push_back({run.row.dag_id, run.row.run_id, dag.tasks[task].task_id, kSkipKey, ToJson(kept)});
  run.skipped_by[task] = skip;
  for (int s : skip) {
    if (run.tasks[s].row.state != TaskState::kNone) continue;
    Move(run, s, TaskState::kSkipped, fmt::format("skipped by '{}'", dag.tasks[task].task_id));
    if (!dag.tasks[s].callbacks.on_skipped.empty()) Owe(run, s, "on_skipped", "");
  }
}

void Engine::Detach(RunEntry& run, int task, const std::string& reason) {
  TaskEntry& entry = run.tasks[task];
  if (entry.ticket == 0) return;
  std::erase_if(to_start_, [&](const TaskRequest& r) { return r.ticket == entry.ticket; });  // not given out yet
  to_kill_.emplace_back(entry.ticket, reason);
  tickets_.erase(entry.ticket);
  entry.ticket = 0;
}

Result<RunRow> Engine::Trigger(const std::string& dag_id, const std::string& conf_json, std::string run_id,
                               std::optional<int64_t> logical_date_ms, const std::string& run_type) {
  auto it = dags_.find(dag_id);
  if (it == dags_.end() || it->second.gone)
    return Error(ErrorCode::kNotFound, fmt::format("no DAG '{}'", dag_id)).Remedy("see 'tailrace dag list'");
  DagEntry& entry = it->second;
  RunRow row;
  row.conf_json = conf_json.empty() ? "{}" : conf_json;
  if (row.conf_json.size() > kConfBytesMax) return Error(ErrorCode::kLimitExceeded, "conf of more than 1 MB");
  Result<Value> conf = ParseJson(row.conf_json);
  if (!conf.ok()) return std::move(conf).error().Context("conf");
  if (!conf->is_map()) return InvalidArgument(fmt::format("conf must be a JSON object, not {}", conf->KindName()));
  if (entry.runs.size() >= kActiveRunsOfDagMax)
    return Error(ErrorCode::kLimitExceeded, fmt::format("DAG '{}' has {} unfinished runs", dag_id, entry.runs.size()));
  row.dag_id = dag_id;
  row.run_type = run_type;
  row.logical_date_ms = logical_date_ms.value_or(clock_.NowMs());
  const bool named = !run_id.empty();
  if (named && !GoodRunId(run_id))
    return InvalidArgument(
        fmt::format("run id '{}': only letters, digits and _.~:+- are allowed, at most 250", run_id));
  const std::string prefix = run_type == "operator_triggered" ? "operator_triggered__" : "manual__";
  for (;; ++row.logical_date_ms) {
    row.run_id = named ? run_id : prefix + IsoFormat(DateTime{row.logical_date_ms * 1000});
    bool taken = Find(dag_id, row.run_id) != nullptr || store_.Run(dag_id, row.run_id).ok();
    if (!taken) break;
    if (named || logical_date_ms)
      return Error(ErrorCode::kAlreadyExists, fmt::format("DAG '{}' already has a run '{}'", dag_id, row.run_id))
          .Remedy("name another run id, or clear that run");
  }
  DataInterval interval{row.logical_date_ms, row.logical_date_ms};
  if (entry.dag->timetable) interval = entry.dag->timetable->ManualInterval(row.logical_date_ms);
  row.interval_start_ms = interval.start_ms;
  row.interval_end_ms = interval.end_ms;
  return NewRun(entry, std::move(row)).row;
}

Engine::RunEntry& Engine::NewRun(DagEntry& entry, RunRow row) {
  auto made = std::make_unique<RunEntry>();
  RunEntry& run = *made;
  row.state = RunState::kQueued;
  row.queued_ms = clock_.NowMs();
  row.dag_version = entry.dag->version;
  run.row = std::move(row);
  run.dag = entry.dag;
  run.number = ++last_number_;
  run.unfinished = static_cast<int>(entry.dag->tasks.size());
  for (int i = 0; i < static_cast<int>(entry.dag->tasks.size()); ++i) {
    const Task& task = entry.dag->tasks[i];
    TaskEntry& t = run.tasks.emplace_back();
    t.row.dag_id = run.row.dag_id;
    t.row.run_id = run.row.run_id;
    t.row.task_id = task.task_id;
    t.row.operator_name = task.operator_name;
    t.row.pool = task.pool;
    t.row.queue = task.queue;
    t.row.max_tries = task.retry.retries;
    t.dirty = true;
    dirty_tasks_.emplace_back(&run, i);
  }
  run.dirty = true;
  dirty_runs_.push_back(&run);
  batch_.transitions.push_back({clock_.NowMs(), run.row.dag_id, run.row.run_id, "", 0, "", "queued", run.row.run_type});
  entry.runs.emplace(run.number, &run);
  runs_[{run.row.dag_id, run.row.run_id}] = std::move(made);
  WatchRun(run);
  return run;
}

/// Timers that count from the run's beginning.
void Engine::WatchRun(RunEntry& run) {
  const int64_t now = clock_.NowMs();
  const int64_t expected_ms =
      run.row.run_type == "scheduled" ? run.row.interval_end_ms : run.row.queued_ms.value_or(now);
  for (int i = 0; i < static_cast<int>(run.tasks.size()); ++i)
    if (run.dag->tasks[i].sla_ms > 0 && !run.tasks[i].sla_missed)
      AddTimer(expected_ms + run.dag->tasks[i].sla_ms - now, {TimerKind::kSla, run.row.dag_id, run.row.run_id, i});
}

Result<Engine::RunEntry*> Engine::FindOrLoad(const std::string& dag_id, const std::string& run_id) {
  if (RunEntry* run = Find(dag_id, run_id)) return run;
  auto it = dags_.find(dag_id);
  if (it == dags_.end()) return NotFound(fmt::format("no DAG '{}'", dag_id));
  return LoadRun(TRY(store_.Run(dag_id, run_id)), it->second);
}

Result<Engine::RunEntry*> Engine::LoadRun(const RunRow& row, DagEntry& entry) {
  std::vector<TaskRow> rows = TRY(store_.Tasks(row.dag_id, row.run_id));
  std::map<std::string, std::string> skips = TRY(store_.XComs(row.dag_id, row.run_id, kSkipKey));
  std::vector<SlaMissRow> misses = TRY(store_.SlaMisses(row.dag_id, 10'000));
  auto made = std::make_unique<RunEntry>();
  RunEntry& run = *made;
  run.row = row;
  run.committed = row.state;
  run.dag = entry.dag;
  run.number = ++last_number_;
  std::map<std::string, TaskRow> by_id;
  for (TaskRow& t : rows) by_id[t.task_id] = std::move(t);
  for (int i = 0; i < static_cast<int>(entry.dag->tasks.size()); ++i) {
    const Task& task = entry.dag->tasks[i];
    TaskEntry& t = run.tasks.emplace_back();
    auto it = by_id.find(task.task_id);
    if (it != by_id.end()) {
      t.row = std::move(it->second);
      t.committed = t.row.state;
      t.committed_try = t.row.try_number;
      by_id.erase(it);
    } else {  // the file gained a task since
      t.row.dag_id = row.dag_id;
      t.row.run_id = row.run_id;
      t.row.task_id = task.task_id;
      t.row.max_tries = task.retry.retries;
      t.dirty = true;
      dirty_tasks_.emplace_back(&run, i);
    }
    t.row.operator_name = task.operator_name;
    t.row.queue = task.queue;
    t.row.pool = task.pool;
    if (!Finished(t.row.state)) ++run.unfinished;
    if (Occupying(t.row.state)) {
      ++active_;
      ++run.active;
      pool_used_[t.row.pool] += task.pool_slots;
      if (task.max_active_tis_per_dag > 0) ++entry.task_active[task.task_id];
    }
    for (const SlaMissRow& m : misses) t.sla_missed |= m.run_id == row.run_id && m.task_id == task.task_id;
  }
  for (auto& [id, gone] : by_id) {  // and lost one
    if (gone.state == TaskState::kRemoved) continue;
    batch_.transitions.push_back({clock_.NowMs(), row.dag_id, row.run_id, id, gone.try_number,
                                  std::string(Name(gone.state)), "removed", "the DAG file has no such task any more"});
    TaskState from = gone.state;
    gone.state = TaskState::kRemoved;
    batch_.removed.push_back({gone, from, gone.try_number, false});
  }
  for (const auto& [task_id, json] : skips) {
    int source = run.dag->Index(task_id);
    Result<Value> kept = ParseJson(json);
    const Value* ids = kept.ok() ? kept->Find("skipped") : nullptr;
    if (source < 0 || ids == nullptr || !ids->is_list()) continue;
    for (const Value& id : ids->list())
      if (id.is_string() && run.dag->Index(id.string()) >= 0)
        run.skipped_by[source].insert(run.dag->Index(id.string()));
  }
  if (run.row.state == RunState::kRunning) ++entry.running;
  entry.runs.emplace(run.number, &run);
  runs_[{row.dag_id, row.run_id}] = std::move(made);
  return &run;
}

Status Engine::Recover() {
  for (RunRow& row : TRY(store_.ActiveRuns())) {
    auto it = dags_.find(row.dag_id);
    if (it == dags_.end()) {
      LogWarning("scheduler",
                 fmt::format("run {} of {} waits: its DAG file is missing or broken", row.run_id, row.dag_id));
      orphan_runs_.push_back(std::move(row));
      continue;
    }
    RunEntry* run = TRY(LoadRun(row, it->second));
    WatchRun(*run);
    if (run->row.state != RunState::kRunning) continue;
    for (int i = 0; i < static_cast<int>(run->tasks.size()); ++i) Resume(*run, i);
    if (run->dag->dagrun_timeout_ms > 0)
      AddTimer(run->row.start_ms.value_or(clock_.NowMs()) + run->dag->dagrun_timeout_ms - clock_.NowMs(),
               {TimerKind::kRunTimeout, run->row.dag_id, run->row.run_id, -1, 0, run->row.start_ms.value_or(0)});
    Visit(*run);
  }
  // Callbacks whose transaction stood but of which nobody knows that they ran.
  for (CallbackRow& row : TRY(store_.OwedCallbacks())) {
    auto it = dags_.find(row.dag_id);
    Result<RunRow> run = store_.Run(row.dag_id, row.run_id);
    if (it == dags_.end() || !run.ok()) {
      batch_.callbacks_done.push_back(row.id);
      continue;
    }
    CallbackRequest request{row, it->second.dag, it->second.dag->Index(row.task_id), *run, {}};
    for (TaskRow& t : TRY(store_.Tasks(row.dag_id, row.run_id)))
      if (t.task_id == row.task_id) request.instance = std::move(t);
    callback_(std::move(request));
  }
  recovered_ = true;
  for (auto& [id, entry] : dags_) {
    std::optional<RunRow> last = TRY(store_.LastScheduledRun(id));
    if (last) entry.last = DataInterval{last->interval_start_ms, last->interval_end_ms};
    PlanNext(entry);
  }
  return {};
}

/// Takes one task instance up where an earlier process left it.
void Engine::Resume(RunEntry& run, int task) {
  TaskEntry& entry = run.tasks[task];
  switch (entry.row.state) {
    case TaskState::kNone: return Check(run, task);
    case TaskState::kScheduled:
      ready_.insert({run.dag->tasks[task].total_weight, run.row.logical_date_ms, run.number, task, &run});
      return;
    case TaskState::kQueued: return Move(run, task, TaskState::kScheduled, "its scheduler ended before it started");
    case TaskState::kRunning:
    case TaskState::kRestarting:
      if (entry.row.pid == 0) {  // ran in that process and ended with it; such operators may be run again
        if (entry.row.state == TaskState::kRestarting) {
          Move(run, task, TaskState::kNone, "cleared");
          return Check(run, task);
        }
        return Move(run, task, TaskState::kScheduled, "its scheduler ended while it ran; same try again");
      }
      entry.ticket = ++last_ticket_;
      tickets_[entry.ticket] = {&run, task};
      to_adopt_.push_back({entry.ticket, run.dag, task, run.row, entry.row});
      if (entry.row.state == TaskState::kRestarting) to_kill_.emplace_back(entry.ticket, "cleared");
      if (int64_t limit = run.dag->tasks[task].execution_timeout_ms; limit > 0)
        AddTimer(entry.row.start_ms.value_or(0) + limit - clock_.NowMs(),
                 {TimerKind::kExecutionTimeout, run.row.dag_id, run.row.run_id, task, entry.ticket});
      return;
    case TaskState::kUpForRetry:
    case TaskState::kUpForReschedule: {
      int64_t due = entry.row.due_ms.value_or(clock_.NowMs());
      entry.row.due_ms = due;
      AddTimer(due - clock_.NowMs(), {TimerKind::kTaskDue, run.row.dag_id, run.row.run_id, task, 0, due});
      return;
    }
    default: return;
  }
}

Status Engine::SetDags(std::map<std::string, Loaded> dags) {
  for (auto it = dags_.begin(); it != dags_.end();) {
    if (dags.contains(it->first)) {
      ++it;
    } else if (it->second.runs.empty()) {
      it = dags_.erase(it);
    } else {  // its runs go on with the version they have; no new ones
      it->second.gone = true;
      it->second.paused = false;
      it->second.next.reset();
      ++it;
    }
  }
  for (auto& [id, loaded] : dags) {
    DagEntry& entry = dags_[id];
    bool is_new = entry.dag == nullptr || entry.gone;
    entry.gone = false;
    entry.paused = loaded.paused;
    if (!is_new && entry.dag->version == loaded.dag->version && entry.dag->file == loaded.dag->file && entry.next)
      continue;
    entry.dag = loaded.dag;
    if (!recovered_) continue;
    if (is_new) {
      std::optional<RunRow> last = TRY(store_.LastScheduledRun(id));
      if (last) entry.last = DataInterval{last->interval_start_ms, last->interval_end_ms};
    }
    PlanNext(entry);
  }
  if (!recovered_) return {};
  std::vector<RunRow> waiting = std::exchange(orphan_runs_, {});
  for (RunRow& row : waiting) {
    auto it = dags_.find(row.dag_id);
    if (it == dags_.end() || it->second.dag == nullptr) {
      orphan_runs_.push_back(std::move(row));
      continue;
    }
    RunEntry* run = TRY(LoadRun(row, it->second));
    WatchRun(*run);
    if (run->row.state == RunState::kRunning)
      for (int i = 0; i < static_cast<int>(run->tasks.size()); ++i) Resume(*run, i);
    Visit(*run);
  }
  return {};
}

Result<int> Engine::DeleteRuns(std::vector<RunKey> runs) {
  std::erase_if(runs, [&](const RunKey& run) { return Find(run.dag_id, run.run_id) != nullptr; });
  if (!runs.empty()) TRY(store_.DeleteRuns(runs));
  return static_cast<int>(runs.size());
}

Status Engine::SetPaused(const std::string& dag_id, bool paused) {
  auto it = dags_.find(dag_id);
  if (it == dags_.end()) return NotFound(fmt::format("no DAG '{}'", dag_id));
  TRY(store_.SetPaused(dag_id, paused));
  it->second.paused = paused;
  if (!paused) PlanNext(it->second);
  return {};
}

/// Lets go of a finished run that was loaded for a look only.
void Engine::Evict(RunEntry& run) {
  if (!Finished(run.row.state) || run.dirty) return;
  dags_[run.row.dag_id].runs.erase({run.number, &run});
  std::erase(visit_, &run);
  std::erase_if(dirty_tasks_, [&](const auto& d) { return d.first == &run; });
  runs_.erase({run.row.dag_id, run.row.run_id});
}

void Engine::ClearOne(RunEntry& run, int task) {
  TaskEntry& entry = run.tasks[task];
  const TaskState state = entry.row.state;
  run.skipped_by.erase(task);
  // Tries go on counting, as in Airflow: the next one has the full number of retries again.
  entry.row.max_tries = entry.row.try_number + run.dag->tasks[task].retry.retries;
  if (state == TaskState::kRunning) {
    Move(run, task, TaskState::kRestarting, "cleared", Mover::kUser);
    if (entry.ticket != 0) to_kill_.emplace_back(entry.ticket, "cleared");
    return;
  }
  if (state == TaskState::kNone || state == TaskState::kRestarting) return;
  Detach(run, task, "cleared");
  batch_.clear_xcoms.push_back(entry.row);
  entry.row.due_ms.reset();
  Move(run, task, TaskState::kNone, "cleared", Mover::kUser);
}

Status Engine::Clear(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                     bool downstream) {
  auto dag = dags_.find(dag_id);
  if (!task_id.empty() && dag != dags_.end() && dag->second.dag->Index(task_id) < 0)
    return NotFound(fmt::format("DAG '{}' has no task '{}'", dag_id, task_id))
        .Remedy(fmt::format("see 'tailrace dag show {}'", dag_id));
  RunEntry* run = TRY(FindOrLoad(dag_id, run_id));
  std::vector<int> tasks;
  if (task_id.empty()) {
    for (int i = 0; i < static_cast<int>(run->tasks.size()); ++i) tasks.push_back(i);
  } else {
    int task = run->dag->Index(task_id);
    if (task < 0) return NotFound(fmt::format("run '{}' has no task '{}'", run_id, task_id));
    tasks.push_back(task);
    if (downstream)
      for (int d : run->dag->Descendants(task)) tasks.push_back(d);
  }
  for (int task : tasks) ClearOne(*run, task);
  if (Finished(run->row.state)) Move(*run, RunState::kQueued, "cleared", Mover::kUser);
  for (int i = 0; i < static_cast<int>(run->tasks.size()); ++i) Check(*run, i);
  return {};
}

Status Engine::Mark(const std::string& dag_id, const std::string& run_id, const std::string& task_id, TaskState state) {
  if (state != TaskState::kSuccess && state != TaskState::kFailed && state != TaskState::kSkipped)
    return InvalidArgument(fmt::format("a task can be marked success, failed or skipped, not {}", Name(state)));
  auto dag = dags_.find(dag_id);
  if (dag != dags_.end() && dag->second.dag->Index(task_id) < 0)
    return NotFound(fmt::format("DAG '{}' has no task '{}'", dag_id, task_id))
        .Remedy(fmt::format("see 'tailrace dag show {}'", dag_id));
  RunEntry* run = TRY(FindOrLoad(dag_id, run_id));
  int task = run->dag->Index(task_id);
  if (task < 0) return NotFound(fmt::format("run '{}' has no task '{}'", run_id, task_id));
  if (run->tasks[task].row.state == state) {
    Evict(*run);
    return {};
  }
  Detach(*run, task, "marked");
  run->tasks[task].row.due_ms.reset();
  Move(*run, task, state, "marked", Mover::kUser);
  // What failed behind it gets another chance (Airflow: DAG.set_task_instance_state).
  for (int d : run->dag->Descendants(task)) {
    const TaskState s = run->tasks[d].row.state;
    if (s == TaskState::kFailed || s == TaskState::kUpstreamFailed) ClearOne(*run, d);
  }
  for (int d : run->dag->Descendants(task)) Check(*run, d);
  if (Finished(run->row.state)) Move(*run, RunState::kQueued, "a task was marked", Mover::kUser);
  Visit(*run);
  return {};
}

}  // namespace tailrace::workflow
