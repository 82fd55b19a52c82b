// The scheduler as others see it: the engine on a thread of its own that sleeps until an event, the executor, the
// folder of DAG files, and reads straight from the metadata.

#include "workflow/scheduler/scheduler_impl.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "base/clock.h"
#include "base/logging.h"
#include "base/random.h"
#include "io/file.h"
#include "workflow/executor/process_table.h"
#include "workflow/operators/output.h"
#include "workflow/scheduler/callbacks.h"

namespace tailrace::workflow {
namespace {

DagRunInfo Public(const RunRow& r) {
  DagRunInfo info;
  info.dag_id = r.dag_id;
  info.run_id = r.run_id;
  info.run_type = r.run_type;
  info.state = Name(r.state);
  info.conf_json = r.conf_json;
  info.logical_date_ms = r.logical_date_ms;
  info.data_interval_start_ms = r.interval_start_ms;
  info.data_interval_end_ms = r.interval_end_ms;
  info.queued_at_ms = r.queued_ms;
  info.start_date_ms = r.start_ms;
  info.end_date_ms = r.end_ms;
  return info;
}

}  // namespace

SchedulerImpl::SchedulerImpl(SchedulerOptions options, OperatorServices services, Clock& clock)
    : options_(std::move(options)), services_(services), clock_(clock), pools_(options_.pools) {}

SchedulerImpl::~SchedulerImpl() {
  Shutdown(0);
  if (lock_fd_ >= 0) close(lock_fd_);
}

/// One scheduler a data directory: the lock goes with the process, however it ends.
Status SchedulerImpl::TakeFolder(const std::string& data_dir) {
  TRY(io::MakeDirectories(data_dir));
  std::string path = data_dir + "/scheduler.lock";
  lock_fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_fd_ < 0) return IoError("open " + path, errno);
  if (flock(lock_fd_, LOCK_EX | LOCK_NB) != 0)
    return Error(ErrorCode::kConflict, fmt::format("another scheduler works on {}", data_dir))
        .Remedy("stop it, or name another data directory");
  return {};
}

Status SchedulerImpl::Open(const std::string& only_file) {
  only_file_ = only_file;
  TRY(TakeFolder(options_.data_dir));
  store_ = TRY(OpenSqliteStore(options_.data_dir + "/metadata.sqlite"));
  Random random = Random::FromSystem();
  scheduler_id_ = MakeUuid(random);
  char hostname[256] = "localhost";
  gethostname(hostname, sizeof(hostname) - 1);
  const int64_t now = clock_.NowMs();
  TRY(store_->AcquireLease({scheduler_id_, hostname, getpid(), ProcessStartTicks(getpid()), now, now}));
  alerts_ = MakeAlertSink(*store_, services_.log, options_.alert_topic, clock_);
  environment_.reset(new TaskEnvironment{
      options_, services_, clock_, *store_, *alerts_,
      [this](const std::string& dag_id, const std::string& conf, const std::string& run_id,
             std::optional<int64_t> date) { return TriggerAs(dag_id, conf, run_id, date, "operator_triggered"); },
      [this](const std::string& dag_id, const std::string& run_id, int64_t timeout_ms) {
        return WaitRun(dag_id, run_id, timeout_ms);
      }});
  executor_ = MakeLocalExecutor(*environment_, [this](TaskEvent event) {
    Post([this, event = std::move(event)]() mutable { engine_->OnTaskEvent(std::move(event)); });
  });
  callback_pool_ = std::make_unique<ThreadPool>(4);
  EngineOptions engine_options;
  engine_options.scheduler_id = scheduler_id_;
  engine_options.hostname = hostname;
  engine_options.parallelism = options_.parallelism;
  engine_options.retry_at_once = options_.log_to_stdout;
  engine_ = std::make_unique<Engine>(engine_options, *store_, *executor_, clock_, [this](CallbackRequest request) {
    callback_pool_->Submit([this, request = std::move(request)] {
      if (!RunCallbacks(*environment_, request, stopping_)) return;  // owed; the next start runs them
      Post([this, id = request.row.id] { engine_->CallbackDone(id); });
    });
  });
  TRY(LoadDags(true));
  TRY(engine_->Recover());
  TRY(engine_->Tick());
  thread_ = std::thread([this] { Loop(); });
  if (only_file_.empty() && !options_.dags_dir.empty())
    watch_ = FolderWatch::Start(options_.dags_dir, [this] { LoadDagsAgain(); });
  if (only_file_.empty()) tidy_thread_ = std::thread([this] { KeepTidy(); });
  return {};
}

void SchedulerImpl::LoadDagsAgain() {
  Status loaded = LoadDags(false);
  if (!loaded.ok() && loaded.error().code() != ErrorCode::kCancelled) LogError("scheduler", loaded.error().ToString());
}

void SchedulerImpl::Post(std::function<void()> event) {
  {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    if (events_.size() > 1) return;  // the thread is awake or about to be
  }
  wake_.notify_one();
}

Status SchedulerImpl::OnEngine(const std::function<Status()>& work) {
  struct Call {
    std::mutex mutex;
    std::condition_variable cv;
    std::optional<Status> result;
  };
  auto call = std::make_shared<Call>();
  {
    std::lock_guard lock(mutex_);
    if (stop_) return Error(ErrorCode::kCancelled, "the scheduler has shut down");
  }
  auto answer = [call](Status status) {
    std::lock_guard lock(call->mutex);
    call->result = std::move(status);
    call->cv.notify_one();
  };
  // `work` outlives the call: this thread waits for the answer.
  Post([this, &work, answer] {
    Status done = work();
    if (!done.ok()) return answer(std::move(done));
    after_tick_.push_back([answer](const Status& tick) { answer(tick); });
  });
  std::unique_lock lock(call->mutex);
  call->cv.wait(lock, [&] { return call->result.has_value(); });
  return *std::move(call->result);
}

void SchedulerImpl::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (events_.empty()) {
      if (stop_) return;
      lock.unlock();
      int64_t wait_ms = engine_->NextWakeMs() - clock_.MonotonicMs();
      lock.lock();
      if (events_.empty() && !stop_ && wait_ms > 0) wake_.wait_for(lock, std::chrono::milliseconds(wait_ms));
    }
    std::deque<std::function<void()>> events;
    events.swap(events_);
    lock.unlock();
    for (auto& event : events) event();
    Status tick = engine_->Tick();
    for (auto& after : std::exchange(after_tick_, {})) after(tick);
    size_t ended = engine_->TakeEndedRuns().size();
    lock.lock();
    if (ended > 0) {
      ended_count_ += ended;
      ended_.notify_all();
    }
  }
}

Status SchedulerImpl::LoadDags(bool at_start) {
  std::lock_guard load_lock(load_mutex_);
  LoadOptions options{options_.max_active_runs, options_.max_active_tasks, pools_};
  FolderContents contents;
  if (!only_file_.empty()) {
    std::shared_ptr<const Dag> dag = TRY(LoadDagFile(only_file_, options));
    contents.dags[dag->dag_id] = dag;
  } else {
    contents = LoadFolder(options_.dags_dir, options);
  }
  std::map<std::string, bool> paused;
  for (const DagRow& row : TRY(store_->Dags())) paused[row.dag_id] = row.paused;
  std::map<std::string, Engine::Loaded> loaded;
  std::vector<DagRow> rows;
  {
    std::lock_guard lock(dags_mutex_);
    for (const auto& [file, why] : contents.errors) {
      if (!contents_.errors.contains(file) || contents_.errors[file] != why) LogError("scheduler", why);
      // A file broken by an edit: the version that worked goes on until it is mended.
      for (const auto& [id, dag] : contents_.dags)
        if (dag->file == file && !contents.dags.contains(id)) contents.dags[id] = dag;
    }
  }
  for (const auto& [id, dag] : contents.dags) {
    auto known = paused.find(id);
    bool pause = known == paused.end() ? dag->is_paused_upon_creation : known->second;
    loaded[id] = {dag, pause};
    auto error = contents.errors.find(dag->file);
    rows.push_back({id, dag->file, dag->schedule_text, dag->description, dag->source,
                    error == contents.errors.end() ? "" : error->second, dag->version, pause, std::nullopt});
  }
  TRY(store_->PutDags(rows));
  // The engine first: who sees a DAG here can run it.
  std::map<std::string, int> pools = TRY(store_->Pools());
  for (const auto& [name, slots] : pools_) pools.try_emplace(name, slots);
  auto tell = [&]() -> Status {
    engine_->SetPools(std::move(pools));
    return engine_->SetDags(std::move(loaded));
  };
  TRY(at_start ? tell() : OnEngine(tell));
  std::lock_guard lock(dags_mutex_);
  contents_ = std::move(contents);
  return {};
}

std::shared_ptr<const Dag> SchedulerImpl::FindDag(const std::string& dag_id) {
  std::lock_guard lock(dags_mutex_);
  auto it = contents_.dags.find(dag_id);
  return it == contents_.dags.end() ? nullptr : it->second;
}

std::vector<DagSummary> SchedulerImpl::Dags() {
  FolderContents contents;
  {
    std::lock_guard lock(dags_mutex_);
    contents = contents_;
  }
  std::map<std::string, std::optional<int64_t>> next;
  std::map<std::string, bool> paused;
  (void)OnEngine([&]() -> Status {
    for (const auto& [id, dag] : contents.dags) {
      next[id] = engine_->NextRunMs(id);
      paused[id] = engine_->Paused(id);
    }
    return {};
  });
  std::vector<DagSummary> out;
  for (const auto& [id, dag] : contents.dags) {
    DagSummary d;
    d.dag_id = id;
    d.file = dag->file;
    d.schedule = dag->schedule_text;
    d.description = dag->description;
    if (auto error = contents.errors.find(dag->file); error != contents.errors.end())
      d.error = error->second, contents.errors.erase(error);
    d.paused = paused[id];
    for (const Task& task : dag->tasks) d.task_ids.push_back(task.task_id);
    d.next_run_ms = next[id];
    Result<std::vector<RunRow>> last = store_->Runs(id, 1);
    if (last.ok() && !last->empty()) d.last_run_state = Name(last->front().state);
    out.push_back(std::move(d));
  }
  for (const auto& [file, why] : contents.errors) {
    DagSummary d;
    size_t slash = file.rfind('/');
    d.dag_id = file.substr(slash == std::string::npos ? 0 : slash + 1);
    d.dag_id = d.dag_id.substr(0, d.dag_id.rfind('.'));
    d.file = file;
    d.error = why;
    out.push_back(std::move(d));
  }
  return out;
}

Result<std::string> SchedulerImpl::DagSource(const std::string& dag_id) {
  std::shared_ptr<const Dag> dag = FindDag(dag_id);
  if (dag == nullptr) return NotFound(fmt::format("no DAG '{}'", dag_id));
  return dag->source;
}

Result<DagRunInfo> SchedulerImpl::TriggerAs(const std::string& dag_id, const std::string& conf_json,
                                            const std::string& run_id, std::optional<int64_t> logical_date_ms,
                                            const std::string& run_type) {
  RunRow row;
  TRY(OnEngine([&]() -> Status {
    row = TRY(engine_->Trigger(dag_id, conf_json, run_id, logical_date_ms, run_type));
    return {};
  }));
  return Run(dag_id, row.run_id);
}

Result<DagRunInfo> SchedulerImpl::Trigger(const std::string& dag_id, const std::string& conf_json,
                                          const std::string& run_id, std::optional<int64_t> logical_date_ms) {
  return TriggerAs(dag_id, conf_json, run_id, logical_date_ms, "manual");
}

Result<DagRunInfo> SchedulerImpl::Run(const std::string& dag_id, const std::string& run_id) {
  return Public(TRY(store_->Run(dag_id, run_id)));
}

Result<DagRunInfo> SchedulerImpl::WaitRun(const std::string& dag_id, const std::string& run_id, int64_t timeout_ms) {
  const int64_t deadline_ms = clock_.MonotonicMs() + timeout_ms;
  while (true) {
    uint64_t seen;
    {
      std::lock_guard lock(mutex_);
      seen = ended_count_;
    }
    RunRow row = TRY(store_->Run(dag_id, run_id));
    if (Finished(row.state)) return Public(row);
    std::unique_lock lock(mutex_);
    int64_t left_ms = deadline_ms - clock_.MonotonicMs();
    if (left_ms <= 0) return Error(ErrorCode::kTimeout, fmt::format("run {} is still {}", run_id, Name(row.state)));
    if (stop_) return Error(ErrorCode::kCancelled, "the scheduler has shut down");
    ended_.wait_for(lock, std::chrono::milliseconds(left_ms), [&] { return ended_count_ != seen || stop_; });
  }
}

Result<std::vector<DagRunInfo>> SchedulerImpl::Runs(const std::string& dag_id, int limit) {
  std::vector<DagRunInfo> out;
  for (const RunRow& row : TRY(store_->Runs(dag_id, limit))) out.push_back(Public(row));
  return out;
}

Result<std::vector<TaskInstanceInfo>> SchedulerImpl::Tasks(const std::string& dag_id, const std::string& run_id) {
  TRY(store_->Run(dag_id, run_id));
  std::vector<TaskInstanceInfo> out;
  std::shared_ptr<const Dag> dag = FindDag(dag_id);
  for (const TaskRow& t : TRY(store_->Tasks(dag_id, run_id))) {
    TaskInstanceInfo info;
    info.dag_id = t.dag_id;
    info.run_id = t.run_id;
    info.task_id = t.task_id;
    info.state = Name(t.state);
    info.operator_name = t.operator_name;
    info.pool = t.pool;
    info.queue = t.queue;
    info.note = t.note;
    info.try_number = t.try_number;
    info.max_tries = t.max_tries;
    info.queued_at_ms = t.queued_ms;
    info.start_date_ms = t.start_ms;
    info.end_date_ms = t.end_ms;
    info.next_retry_ms = t.due_ms;
    out.push_back(std::move(info));
  }
  // Topological order; tasks the file has lost come last.
  auto place = [&](const TaskInstanceInfo& t) {
    int i = dag ? dag->Index(t.task_id) : -1;
    return i < 0 ? INT_MAX : i;
  };
  std::stable_sort(out.begin(), out.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
  return out;
}

Result<std::string> SchedulerImpl::TaskLog(const std::string& dag_id, const std::string& run_id,
                                           const std::string& task_id, int try_number) {
  for (const TaskRow& t : TRY(store_->Tasks(dag_id, run_id))) {
    if (t.task_id != task_id) continue;
    int number = try_number > 0 ? try_number : t.try_number;
    if (number == 0) return NotFound(fmt::format("task '{}' has not started yet", task_id));
    return ReadTaskLog(TaskLogPath(options_.data_dir, dag_id, run_id, task_id, number));
  }
  return NotFound(fmt::format("run '{}' of '{}' has no task '{}'", run_id, dag_id, task_id))
      .Remedy(fmt::format("see 'tailrace task list {} {}'", dag_id, run_id));
}

Result<std::string> SchedulerImpl::XCom(const std::string& dag_id, const std::string& run_id,
                                        const std::string& task_id, const std::string& key) {
  return store_->XCom(dag_id, run_id, task_id, key.empty() ? "return_value" : key);
}

Result<std::vector<TaskTryInfo>> SchedulerImpl::Tries(const std::string& dag_id, const std::string& run_id,
                                                      const std::string& task_id) {
  std::vector<TaskTryInfo> out;
  for (const TaskRow& t : TRY(store_->Tries(dag_id, run_id, task_id)))
    out.push_back({t.try_number, std::string(Name(t.state)), t.note, t.start_ms, t.end_ms});
  return out;
}

Result<std::vector<AlertInfo>> SchedulerImpl::Alerts(int limit) {
  std::vector<AlertInfo> out;
  for (const AlertRow& a : TRY(store_->Alerts(limit)))
    out.push_back({a.at_ms, a.severity, a.source, a.message, a.detail_json});
  return out;
}

Result<std::vector<SlaMissInfo>> SchedulerImpl::SlaMisses(const std::string& dag_id, int limit) {
  std::vector<SlaMissInfo> out;
  for (const SlaMissRow& m : TRY(store_->SlaMisses(dag_id, limit)))
    out.push_back({m.dag_id, m.run_id, m.task_id, m.at_ms});
  return out;
}

Result<std::string> SchedulerImpl::Variable(const std::string& key) { return store_->Variable(key); }
Status SchedulerImpl::SetVariable(const std::string& key, const std::string& value) {
  return store_->SetVariable(key, value);
}
Result<std::map<std::string, std::string>> SchedulerImpl::Variables() { return store_->Variables(); }

Status SchedulerImpl::SetPools(std::map<std::string, int> pools) {
  {
    std::lock_guard lock(load_mutex_);
    if (pools == pools_) return {};
    pools_ = std::move(pools);
  }
  return LoadDags(false);
}

Status SchedulerImpl::SetPaused(const std::string& dag_id, bool paused) {
  return OnEngine([&] { return engine_->SetPaused(dag_id, paused); });
}

Status SchedulerImpl::Clear(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                            bool downstream) {
  return OnEngine([&] { return engine_->Clear(dag_id, run_id, task_id, downstream); });
}

Status SchedulerImpl::SetTaskState(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                                   const std::string& state) {
  std::optional<TaskState> parsed = ParseTaskState(state);
  if (!parsed) return InvalidArgument(fmt::format("unknown state '{}'", state));
  return OnEngine([&] { return engine_->Mark(dag_id, run_id, task_id, *parsed); });
}

Result<std::vector<std::pair<int64_t, int64_t>>> SchedulerImpl::NextRuns(const std::string& dag_id, int count) {
  std::shared_ptr<const Dag> dag = FindDag(dag_id);
  if (dag == nullptr) return NotFound(fmt::format("no DAG '{}'", dag_id));
  std::vector<std::pair<int64_t, int64_t>> out;
  if (dag->timetable == nullptr) return out;
  std::optional<DataInterval> last;
  if (std::optional<RunRow> row = TRY(store_->LastScheduledRun(dag_id)))
    last = DataInterval{row->interval_start_ms, row->interval_end_ms};
  Restriction restriction{dag->start_date_ms, dag->end_date_ms, dag->catchup};
  constexpr int kCountMax = 1000;
  for (int i = 0; i < std::min(count, kCountMax); ++i) {
    std::optional<PlannedRun> next = dag->timetable->Next(last, restriction, clock_.NowMs());
    if (!next) break;
    out.emplace_back(next->interval.start_ms, next->interval.end_ms);
    last = next->interval;
    restriction.catchup = true;  // from the coming one on, each follows the other
    if (dag->timetable->continuous()) break;
  }
  return out;
}

void SchedulerImpl::Shutdown(int64_t grace_ms) {
  {
    std::lock_guard lock(mutex_);
    if (shut_down_) return;
    shut_down_ = true;
  }
  stopping_.Cancel();
  watch_.reset();
  if (tidy_thread_.joinable()) tidy_thread_.join();
  if (engine_ && thread_.joinable()) {
    (void)OnEngine([&]() -> Status {
      engine_->StopStarting();
      return {};
    });
    executor_->Shutdown(grace_ms);  // its last events are posted before it returns
  }
  callback_pool_.reset();
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  ended_.notify_all();
  if (thread_.joinable()) thread_.join();
  executor_.reset();
  if (store_ && !scheduler_id_.empty()) (void)store_->ReleaseLease(scheduler_id_);
}

Result<std::unique_ptr<Scheduler>> Scheduler::Start(SchedulerOptions options, OperatorServices services, Clock& clock) {
  auto scheduler = std::make_unique<SchedulerImpl>(std::move(options), services, clock);
  TRY(scheduler->Open(""));
  return std::unique_ptr<Scheduler>(std::move(scheduler));
}

}  // namespace tailrace::workflow
