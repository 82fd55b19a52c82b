#include "workflow/scheduler/engine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"
#include "base/logging.h"
#include "workflow/executor/process_table.h"

namespace tailrace::workflow {

Engine::Engine(EngineOptions options, MetadataStore& store, Executor& executor, Clock& clock,
               std::function<void(CallbackRequest)> callback)
    : options_(std::move(options)), store_(store), executor_(executor), clock_(clock), callback_(std::move(callback)) {
  SetPools({});
  started_ms_ = clock_.NowMs();
  next_heartbeat_mono_ms_ = clock_.MonotonicMs() + options_.heartbeat_ms;
}

Engine::~Engine() = default;

Engine::RunEntry* Engine::Find(const std::string& dag_id, const std::string& run_id) {
  auto it = runs_.find({dag_id, run_id});
  return it == runs_.end() ? nullptr : it->second.get();
}

void Engine::SetPools(std::map<std::string, int> pools) {
  pool_slots_ = std::move(pools);
  pool_slots_.try_emplace(kDefaultPool, kDefaultPoolSlots);
}

int Engine::PoolSlots(const Dag& dag, const std::string& pool) const {
  auto it = pool_slots_.find(pool);
  if (it != pool_slots_.end()) return it->second;
  auto own = dag.pools.find(pool);
  return own == dag.pools.end() ? 0 : own->second;
}

void Engine::AddTimer(int64_t in_ms, Timer timer) {
  timers_.emplace(clock_.MonotonicMs() + std::max<int64_t>(in_ms, 0), std::move(timer));
}

void Engine::Visit(RunEntry& run) {
  if (run.to_visit) return;
  run.to_visit = true;
  visit_.push_back(&run);
}

void Engine::Check(RunEntry& run, int task) {
  if (run.tasks[task].row.state != TaskState::kNone) return;
  run.to_check.push_back(task);
  Visit(run);
}

void Engine::Move(RunEntry& run, int task, TaskState to, std::string reason, Mover mover) {
  TaskEntry& entry = run.tasks[task];
  const TaskState from = entry.row.state;
  const Task& spec = run.dag->tasks[task];
  CHECK(LegalMove(from, to, mover));
  const int64_t now = clock_.NowMs();

  if (Occupying(from) != Occupying(to)) {
    int by = Occupying(to) ? 1 : -1;
    active_ += by;
    run.active += by;
    pool_used_[entry.row.pool] += by * spec.pool_slots;
    if (spec.max_active_tis_per_dag > 0) dags_[run.row.dag_id].task_active[spec.task_id] += by;
  }
  if (Finished(from) && !Finished(to)) ++run.unfinished;
  if (!Finished(from) && Finished(to)) --run.unfinished;
  ReadyKey key{spec.total_weight, run.row.logical_date_ms, run.number, task, &run};
  if (from == TaskState::kScheduled) ready_.erase(key);
  if (to == TaskState::kScheduled) ready_.insert(key);

  batch_.transitions.push_back({now, run.row.dag_id, run.row.run_id, entry.row.task_id, entry.row.try_number,
                                std::string(Name(from)), std::string(Name(to)), reason});
  entry.row.state = to;
  if (!reason.empty() || to == TaskState::kRunning || to == TaskState::kSuccess) entry.row.note = std::move(reason);
  if (to == TaskState::kScheduled) entry.row.scheduled_ms = now;
  if (to == TaskState::kQueued) entry.row.queued_ms = now;
  if (Finished(to) || to == TaskState::kUpForRetry) {
    entry.row.end_ms = now;
    if (!entry.row.start_ms) entry.row.start_ms = now;
  }
  if (from == TaskState::kRunning || from == TaskState::kRestarting ||
      (from == TaskState::kQueued && to != TaskState::kRunning))
    entry.ended_try = entry.ended_try || Finished(to) || to == TaskState::kUpForRetry || from == TaskState::kRestarting;
  if (!entry.dirty) {
    entry.dirty = true;
    dirty_tasks_.emplace_back(&run, task);
  }
  if (Finished(to)) {
    for (int d : spec.downstream) Check(run, d);
    WakeFuture(run, task);
    Visit(run);
  }
}

void Engine::Move(RunEntry& run, RunState to, std::string reason, Mover mover) {
  const RunState from = run.row.state;
  CHECK(LegalMove(from, to, mover));
  const int64_t now = clock_.NowMs();
  batch_.transitions.push_back(
      {now, run.row.dag_id, run.row.run_id, "", 0, std::string(Name(from)), std::string(Name(to)), reason});
  DagEntry& dag = dags_[run.row.dag_id];
  if (from == RunState::kRunning) --dag.running;
  if (to == RunState::kRunning) ++dag.running;
  run.row.state = to;
  run.row.note = std::move(reason);
  if (to == RunState::kQueued) run.row.queued_ms = now, run.row.end_ms.reset();
  if (to == RunState::kRunning) run.row.start_ms = now;
  if (Finished(to)) run.row.end_ms = now;
  if (!run.dirty) {
    run.dirty = true;
    dirty_runs_.push_back(&run);
  }
}

void Engine::Owe(RunEntry& run, int task, const char* event, const std::string& reason) {
  CallbackRow row{0, run.row.dag_id, run.row.run_id, "", event, 0, reason};
  CallbackRequest request;
  if (task >= 0) {
    row.task_id = run.tasks[task].row.task_id;
    row.try_number = run.tasks[task].row.try_number;
    request.instance = run.tasks[task].row;
  }
  batch_.callbacks.push_back(row);
  request.dag = run.dag;
  request.task = task;
  request.run = run.row;
  owed_.push_back(std::move(request));
}

Status Engine::Commit() {
  const int64_t mono = clock_.MonotonicMs();
  if (mono >= next_heartbeat_mono_ms_) {
    batch_.heartbeat = LeaseRow{options_.scheduler_id,       options_.hostname, getpid(),
                                ProcessStartTicks(getpid()), started_ms_,       clock_.NowMs()};
    next_heartbeat_mono_ms_ = mono + options_.heartbeat_ms;
  }
  // Rebuilt on every attempt: after a failed one the rows may have moved on.
  batch_.runs.clear();
  batch_.tasks.clear();
  for (RunEntry* run : dirty_runs_) batch_.runs.push_back({run->row, run->committed});
  for (auto& [run, task] : dirty_tasks_) {
    TaskEntry& entry = run->tasks[task];
    batch_.tasks.push_back({entry.row, entry.committed, entry.committed_try, entry.ended_try});
  }
  // What only moved on towards running need not survive a power failure: it would run again in the same try.
  batch_.durable = !batch_.runs.empty() || !batch_.xcoms.empty() || !batch_.callbacks.empty() ||
                   !batch_.removed.empty() || !batch_.sla_misses.empty();
  for (const Batch::TaskChange& change : batch_.tasks) {
    const TaskState s = change.row.state;
    batch_.durable |= s != TaskState::kScheduled && s != TaskState::kQueued && s != TaskState::kRunning;
  }
  if (!batch_.empty()) {
    Status done = store_.Apply(batch_);
    if (!done.ok()) {
      // One scheduler holds the lease: a lost race means that what we believe is wrong. What stands on disk is right.
      CHECK(done.error().code() != ErrorCode::kConflict);
      retry_commit_mono_ms_ = mono + 1000;
      LogError("scheduler", fmt::format("transitions wait, next attempt in 1 s: {}", done.error().ToString()));
      return done;
    }
  }
  retry_commit_mono_ms_ = 0;
  for (size_t i = 0; i < owed_.size(); ++i) owed_[i].row = batch_.callbacks[i];
  batch_ = Batch();
  for (auto& [run, task] : dirty_tasks_) {
    TaskEntry& entry = run->tasks[task];
    entry.committed = entry.row.state;
    entry.committed_try = entry.row.try_number;
    entry.dirty = entry.ended_try = false;
  }
  dirty_tasks_.clear();
  for (RunEntry* run : dirty_runs_) {
    run->committed = run->row.state;
    run->dirty = false;
  }
  dirty_runs_.clear();

  // The order matters: what was killed makes room before what starts.
  auto kill = std::exchange(to_kill_, {});
  auto go = std::exchange(to_go_, {});
  auto start = std::exchange(to_start_, {});
  auto adopt = std::exchange(to_adopt_, {});
  auto owed = std::exchange(owed_, {});
  ended_visible_.insert(ended_visible_.end(), ended_.begin(), ended_.end());
  for (const auto& key : std::exchange(ended_, {})) {
    auto it = runs_.find(key);
    if (it == runs_.end() || !Finished(it->second->row.state)) continue;  // cleared meanwhile
    DagEntry& dag = dags_[key.first];
    dag.runs.erase({it->second->number, it->second.get()});
    if (it->second->to_visit) std::erase(visit_, it->second.get());
    runs_.erase(it);
    if (dag.gone && dag.runs.empty()) dags_.erase(key.first);
  }
  for (const auto& [ticket, reason] : kill) executor_.Kill(ticket, reason);
  for (int64_t ticket : go) executor_.Go(ticket);
  for (TaskRequest& request : start) executor_.Start(std::move(request));
  for (TaskRequest& request : adopt) executor_.Adopt(std::move(request));
  for (CallbackRequest& request : owed) callback_(std::move(request));
  return {};
}

Status Engine::Tick() {
  FireTimers();
  bool more = true;
  while (more) {
    more = CreateScheduledRuns();
    more |= StartQueuedRuns();
    more |= VisitRuns();
  }
  FillSlots();
  return Commit();
}

int64_t Engine::NextWakeMs() const {
  const int64_t mono = clock_.MonotonicMs(), now = clock_.NowMs();
  if (retry_commit_mono_ms_ != 0) return retry_commit_mono_ms_;
  int64_t wake = next_heartbeat_mono_ms_;
  if (!timers_.empty()) wake = std::min(wake, timers_.begin()->first);
  // Schedules follow the wall clock, which may jump: the heartbeat looks at it again.
  for (const auto& [id, entry] : dags_)
    if (entry.next && !entry.paused && static_cast<int>(entry.runs.size()) < entry.dag->max_active_runs)
      wake = std::min(wake, mono + std::max<int64_t>(entry.next->run_after_ms - now, 0));
  return wake;
}

std::optional<int64_t> Engine::NextRunMs(const std::string& dag_id) const {
  auto it = dags_.find(dag_id);
  if (it == dags_.end() || !it->second.next) return std::nullopt;
  return it->second.next->run_after_ms;
}

bool Engine::Paused(const std::string& dag_id) const {
  auto it = dags_.find(dag_id);
  return it != dags_.end() && it->second.paused;
}

}  // namespace tailrace::workflow
