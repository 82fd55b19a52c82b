// What may run: due timers, runs by schedule, dependencies, slots.

#include <fmt/format.h>

#include <algorithm>

#include "base/logging.h"
#include "workflow/operators/operator.h"
#include "workflow/scheduler/engine.h"

namespace tailrace::workflow {

void Engine::FireTimers() {
  const int64_t now = clock_.MonotonicMs();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Timer timer = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    Fire(timer);
  }
}

void Engine::Fire(const Timer& timer) {
  RunEntry* run = Find(timer.dag_id, timer.run_id);
  if (run == nullptr || Finished(run->row.state)) return;
  if (timer.kind == TimerKind::kRunTimeout) {
    if (run->row.start_ms == timer.due_wall_ms) FailRunByTimeout(*run);
    return;
  }
  if (timer.task < 0 || timer.task >= static_cast<int>(run->tasks.size())) return;
  TaskEntry& entry = run->tasks[timer.task];
  switch (timer.kind) {
    case TimerKind::kTaskDue:
      if (entry.row.due_ms != timer.due_wall_ms) return;  // cleared or marked meanwhile
      if (entry.row.state == TaskState::kUpForRetry) {
        ++entry.row.try_number;
        entry.row.first_poke_ms.reset();
        entry.row.pokes = 0;
        entry.row.start_ms.reset();
        entry.row.end_ms.reset();
      } else if (entry.row.state != TaskState::kUpForReschedule) {
        return;
      }
      entry.row.due_ms.reset();
      Move(*run, timer.task, TaskState::kScheduled, "");
      return;
    case TimerKind::kExecutionTimeout:
      if (entry.ticket != timer.ticket || entry.row.state != TaskState::kRunning) return;
      entry.timed_out = true;
      to_kill_.emplace_back(entry.ticket, "execution_timeout");
      return;
    case TimerKind::kSla:
      if (entry.sla_missed || entry.row.state == TaskState::kSuccess || entry.row.state == TaskState::kSkipped) return;
      entry.sla_missed = true;
      batch_.sla_misses.push_back(
          {run->row.dag_id, run->row.run_id, entry.row.task_id, clock_.NowMs(), run->dag->tasks[timer.task].sla_ms});
      LogWarning("scheduler",
                 fmt::format("SLA missed: {}.{} of {} has not ended within {} s", run->row.dag_id, entry.row.task_id,
                             run->row.run_id, run->dag->tasks[timer.task].sla_ms / 1000));
      if (!run->dag->sla_miss.empty()) Owe(*run, timer.task, "sla_miss", "SLA missed");
      return;
    case TimerKind::kRunTimeout: return;
  }
}

void Engine::FailRunByTimeout(RunEntry& run) {
  if (run.row.state != RunState::kRunning) return;
  for (int i = 0; i < static_cast<int>(run.tasks.size()); ++i) {
    if (Finished(run.tasks[i].row.state)) continue;
    Detach(run, i, "dagrun_timeout");
    Move(run, i, TaskState::kSkipped, "dagrun_timeout");
  }
  std::string reason = fmt::format("dagrun_timeout of {} s exceeded", run.dag->dagrun_timeout_ms / 1000);
  Move(run, RunState::kFailed, reason);
  if (!run.dag->on_failure.empty()) Owe(run, -1, "on_failure", reason);
  ended_.emplace_back(run.row.dag_id, run.row.run_id);
}

void Engine::PlanNext(DagEntry& entry) {
  entry.next.reset();
  if (entry.dag->timetable == nullptr || entry.gone) return;
  Restriction restriction{entry.dag->start_date_ms, entry.dag->end_date_ms, entry.dag->catchup};
  entry.next = entry.dag->timetable->Next(entry.last, restriction, clock_.NowMs());
}

bool Engine::CreateScheduledRuns() {
  if (stopping_ || !recovered_) return false;
  const int64_t now = clock_.NowMs();
  bool any = false;
  for (auto& [dag_id, entry] : dags_) {
    while (entry.next && !entry.paused && entry.next->run_after_ms <= now &&
           static_cast<int>(entry.runs.size()) < entry.dag->max_active_runs) {
      if (entry.dag->timetable->continuous() && !entry.runs.empty()) break;
      PlanNext(entry);  // time has passed since it was planned: without catchup only the latest counts
      if (!entry.next || entry.next->run_after_ms > now) break;
      RunRow row;
      row.dag_id = dag_id;
      row.run_id = "scheduled__" + IsoFormat(DateTime{entry.next->logical_date_ms * 1000});
      row.run_type = "scheduled";
      row.logical_date_ms = entry.next->logical_date_ms;
      row.interval_start_ms = entry.next->interval.start_ms;
      row.interval_end_ms = entry.next->interval.end_ms;
      entry.last = entry.next->interval;
      if (Find(dag_id, row.run_id) == nullptr && !store_.Run(dag_id, row.run_id).ok()) {
        NewRun(entry, std::move(row));
        any = true;
      }
      PlanNext(entry);
    }
  }
  return any;
}

bool Engine::StartQueuedRuns() {
  bool any = false;
  for (auto& [dag_id, entry] : dags_) {
    if (entry.paused || entry.running == static_cast<int>(entry.runs.size())) continue;
    for (const auto& [number, run] : entry.runs) {
      if (entry.running >= entry.dag->max_active_runs) break;
      if (run->row.state != RunState::kQueued) continue;
      Move(*run, RunState::kRunning, "");
      if (run->dag->dagrun_timeout_ms > 0)
        AddTimer(run->dag->dagrun_timeout_ms,
                 {TimerKind::kRunTimeout, dag_id, run->row.run_id, -1, 0, *run->row.start_ms});
      for (int i = 0; i < static_cast<int>(run->tasks.size()); ++i) Check(*run, i);
      Visit(*run);
      any = true;
    }
  }
  return any;
}

bool Engine::VisitRuns() {
  bool any = !visit_.empty();
  while (!visit_.empty()) {
    RunEntry* run = visit_.back();
    visit_.pop_back();
    run->to_visit = false;
    if (run->row.state != RunState::kRunning) continue;
    while (!run->to_check.empty()) {
      int task = run->to_check.back();
      run->to_check.pop_back();
      CheckTask(*run, task);
    }
    if (run->unfinished > 0) continue;
    std::vector<TaskState> leaves;
    for (int leaf : run->dag->leaves) leaves.push_back(run->tasks[leaf].row.state);
    RunState verdict = RunVerdict(leaves).value_or(RunState::kSuccess);  // a DAG without tasks succeeds
    std::string reason;
    if (verdict == RunState::kFailed) {
      for (const TaskEntry& entry : run->tasks)
        if (entry.row.state == TaskState::kFailed) reason += (reason.empty() ? "failed: " : ", ") + entry.row.task_id;
    }
    Move(*run, verdict, reason);
    const auto& callbacks = verdict == RunState::kFailed ? run->dag->on_failure : run->dag->on_success;
    if (!callbacks.empty()) Owe(*run, -1, verdict == RunState::kFailed ? "on_failure" : "on_success", reason);
    ended_.emplace_back(run->row.dag_id, run->row.run_id);
    run->to_visit = false;
    if (DagEntry& dag = dags_[run->row.dag_id]; dag.dag && dag.dag->timetable && dag.dag->timetable->continuous())
      PlanNext(dag);
  }
  return any;
}

void Engine::CheckTask(RunEntry& run, int task) {
  TaskEntry& entry = run.tasks[task];
  if (entry.row.state != TaskState::kNone) return;
  const Task& spec = run.dag->tasks[task];
  for (const auto& [source, skipped] : run.skipped_by)
    if (run.tasks[source].row.state == TaskState::kSuccess && skipped.contains(task))
      return Move(run, task, TaskState::kSkipped,
                  fmt::format("'{}' chose another branch", run.tasks[source].row.task_id));
  UpstreamCounts counts;
  for (int u : spec.upstream) counts.Add(run.tasks[u].row.state, run.dag->tasks[u].setup);
  switch (Evaluate(spec.trigger_rule, counts)) {
    case Verdict::kWait: return;
    case Verdict::kSkip:
      return Move(run, task, TaskState::kSkipped, fmt::format("trigger rule {}", Name(spec.trigger_rule)));
    case Verdict::kUpstreamFailed:
      return Move(run, task, TaskState::kUpstreamFailed, fmt::format("trigger rule {}", Name(spec.trigger_rule)));
    case Verdict::kRun: break;
  }
  if (spec.depends_on_past || spec.wait_for_downstream) {
    Result<bool> allowed = PastAllows(run, task);
    if (!allowed.ok()) {
      LogError("scheduler", fmt::format("{}.{}: {}", run.row.dag_id, spec.task_id, allowed.error().ToString()));
      return;
    }
    if (!*allowed) return;
  }
  ++entry.row.try_number;
  entry.row.first_poke_ms.reset();
  entry.row.pokes = 0;
  entry.row.start_ms.reset();
  entry.row.end_ms.reset();
  Move(run, task, TaskState::kScheduled, "");
  const OperatorSpec* op = FindOperator(spec.operator_name);
  if (op != nullptr && op->empty && spec.callbacks.on_execute.empty() && spec.callbacks.on_success.empty())
    Move(run, task, TaskState::kSuccess, "");
}

Result<bool> Engine::PastAllows(RunEntry& run, int task) {
  const Task& spec = run.dag->tasks[task];
  std::optional<RunRow> previous = TRY(store_.PreviousRun(run.row.dag_id, run.row.logical_date_ms));
  // A run created in this very tick is not in the store yet.
  for (const auto& [number, other] : dags_[run.row.dag_id].runs)
    if (other->row.logical_date_ms < run.row.logical_date_ms &&
        (!previous || other->row.logical_date_ms > previous->logical_date_ms))
      previous = other->row;
  if (!previous) return true;
  std::map<std::string, TaskState> states;
  if (RunEntry* loaded = Find(previous->dag_id, previous->run_id)) {
    for (const TaskEntry& t : loaded->tasks) states[t.row.task_id] = t.row.state;
  } else {
    for (const TaskRow& t : TRY(store_.Tasks(previous->dag_id, previous->run_id))) states[t.task_id] = t.state;
  }
  auto good = [&](const std::string& id) {
    auto it = states.find(id);
    return it == states.end() || it->second == TaskState::kSuccess || it->second == TaskState::kSkipped;
  };
  if (!good(spec.task_id)) return false;
  if (spec.wait_for_downstream)
    for (int d : spec.downstream)
      if (!good(run.dag->tasks[d].task_id)) return false;
  return true;
}

void Engine::WakeFuture(RunEntry& run, int task) {
  auto wake = [&](RunEntry& other, const std::string& id) {
    int i = other.dag->Index(id);
    if (i >= 0 && (other.dag->tasks[i].depends_on_past || other.dag->tasks[i].wait_for_downstream)) Check(other, i);
  };
  for (const auto& [number, other] : dags_[run.row.dag_id].runs) {
    if (other == &run || other->row.logical_date_ms <= run.row.logical_date_ms) continue;
    wake(*other, run.tasks[task].row.task_id);
    for (int u : run.dag->tasks[task].upstream) wake(*other, run.tasks[u].row.task_id);
  }
}

void Engine::FillSlots() {
  if (stopping_) return;
  // A task that takes several slots may wait while a narrower one goes ahead.
  std::vector<std::pair<RunEntry*, int>> chosen;
  for (const ReadyKey& key : ready_) {
    if (active_ + static_cast<int>(chosen.size()) >= options_.parallelism) break;
    chosen.emplace_back(key.run, key.task);
    RunEntry& run = *key.run;
    TaskEntry& entry = run.tasks[key.task];
    const Task& spec = run.dag->tasks[key.task];
    DagEntry& dag = dags_[run.row.dag_id];
    bool fits = !dag.paused && run.row.state == RunState::kRunning && run.active < run.dag->max_active_tasks &&
                pool_used_[entry.row.pool] + spec.pool_slots <= PoolSlots(*run.dag, entry.row.pool) &&
                (spec.max_active_tis_per_dag == 0 || dag.task_active[spec.task_id] < spec.max_active_tis_per_dag);
    if (!fits) {
      chosen.pop_back();
      continue;
    }
    // Counted now, moved below: moving changes the set this loop walks.
    ++run.active;
    pool_used_[entry.row.pool] += spec.pool_slots;
    if (spec.max_active_tis_per_dag > 0) ++dag.task_active[spec.task_id];
  }
  for (auto& [run, task] : chosen) {
    TaskEntry& entry = run->tasks[task];
    const Task& spec = run->dag->tasks[task];
    --run->active;
    pool_used_[entry.row.pool] -= spec.pool_slots;
    if (spec.max_active_tis_per_dag > 0) --dags_[run->row.dag_id].task_active[spec.task_id];
    entry.ticket = ++last_ticket_;
    entry.timed_out = false;
    entry.row.scheduler_id = options_.scheduler_id;
    entry.row.pid = entry.row.pid_start = 0;
    Move(*run, task, TaskState::kQueued, "");
    tickets_[entry.ticket] = {run, task};
    to_start_.push_back({entry.ticket, run->dag, task, run->row, entry.row});
  }
}

}  // namespace tailrace::workflow
