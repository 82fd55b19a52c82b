#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/logging.h"
#include "workflow/executor/executor.h"
#include "workflow/executor/process.h"
#include "workflow/executor/process_table.h"
#include "workflow/executor/thread_pool.h"
#include "workflow/operators/sensor.h"
#include "workflow/operators/template_scope.h"

extern char** environ;

namespace tailrace::workflow {

namespace {

std::string PathPart(const char* kind, const std::string& id) {
  constexpr size_t kNameMax = 255;
  std::string part = std::string(kind) + "=" + id;
  return part.size() <= kNameMax ? part : part.substr(0, kNameMax - 41) + "~" + Sha1Hex(id);
}

}  // namespace

std::string RunLogFolder(const std::string& data_dir, const std::string& dag_id, const std::string& run_id) {
  return data_dir + "/logs/" + PathPart("dag_id", dag_id) + "/" + PathPart("run_id", run_id);
}

std::string TaskLogPath(const std::string& data_dir, const std::string& dag_id, const std::string& run_id,
                        const std::string& task_id, int try_number) {
  return fmt::format("{}/{}/attempt={}.log", RunLogFolder(data_dir, dag_id, run_id), PathPart("task_id", task_id),
                     try_number);
}

namespace {

constexpr int64_t kKillGraceMs = 5'000;  // between SIGTERM and SIGKILL (Airflow: killed_task_cleanup_time, 60 s)

/// One start of one task, from Start to its kEnded.
struct Work {
  TaskRequest request;
  std::string log_path, exit_path;
  std::unique_ptr<TaskLog> log;
  std::unique_ptr<TaskContext> context;
  std::unique_ptr<Operator> op;
  CancelToken cancel;
  Spawned process;
  bool adopted = false;
  std::string killed;      // why; guarded by the executor's mutex
  int64_t kill_at_ms = 0;  // monotonic; SIGKILL then
  bool ready = false, going = false;
  off_t output_from = 0;  // of the log: where the process's output begins
  const Task& task() const { return request.dag->tasks[static_cast<size_t>(request.task)]; }
};

class LocalExecutor final : public Executor {
 public:
  LocalExecutor(TaskEnvironment& environment, Listener listener)
      : environment_(environment),
        listener_(std::move(listener)),
        starters_(2),
        runners_(std::max(environment.options.parallelism, 1)) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_event event{EPOLLIN, {.u64 = 0}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
    for (char** e = environ; *e != nullptr; ++e) {
      std::string_view entry = *e;
      if (!entry.starts_with("AIRFLOW_CTX_")) base_environment_.emplace_back(entry);
    }
    reaper_ = std::thread([this] { Reap(); });
  }

  ~LocalExecutor() override {
    Shutdown(0);
    stop_ = true;
    Wake();
    reaper_.join();
    close(wake_);
    close(epoll_);
  }

  void Start(TaskRequest request) override {
    auto work = std::make_shared<Work>();
    work->request = std::move(request);
    {
      std::lock_guard lock(mutex_);
      work_[work->request.ticket] = work;
    }
    starters_.Submit([this, work] { Prepare(work); });
  }

  void Go(int64_t ticket) override {
    std::shared_ptr<Work> work = Find(ticket);
    if (!work) return;
    {
      std::lock_guard lock(mutex_);
      if (!work->killed.empty()) return;  // its end is on its way
      work->going = true;
      if (work->process.pid != 0) return SignalGo(std::exchange(work->process.go_fd, -1));
    }
    runners_.Submit([this, work] { Finish(work, RunHere(*work)); });
  }

  void Kill(int64_t ticket, const std::string& reason) override {
    std::shared_ptr<Work> work = Find(ticket);
    if (!work) return;
    bool end_now = false;
    {
      std::lock_guard lock(mutex_);
      if (!work->killed.empty()) return;
      work->killed = reason;
      work->kill_at_ms = environment_.clock.MonotonicMs() + kKillGraceMs;
      if (work->process.pid != 0) {
        SignalGroup(work->process.pid, SIGTERM);
        if (work->process.go_fd >= 0) close(std::exchange(work->process.go_fd, -1));
      } else if (work->ready && !work->going) {
        end_now = true;
      }
    }
    work->cancel.Cancel();
    Wake();
    if (end_now) Finish(work, Outcome::Fail("killed: " + reason));
  }

  void Adopt(TaskRequest request) override {
    auto work = std::make_shared<Work>();
    work->request = std::move(request);
    work->adopted = true;
    SetPaths(*work);
    const TaskRow& t = work->request.instance;
    {
      std::lock_guard lock(mutex_);
      work_[work->request.ticket] = work;
      if (ProcessStartTicks(t.pid) == t.pid_start && t.pid_start != 0) {
        work->process.pid = t.pid;
        work->process.pid_start = t.pid_start;
        work->process.pidfd = OpenPidfd(t.pid);
        work->going = true;
      }
    }
    if (work->process.pid != 0 && work->process.pidfd < 0)  // unwatched, its next try would run beside it
      SignalGroup(work->process.pid, SIGKILL);
    if (work->process.pid != 0 && work->process.pidfd >= 0) {
      LogInfo("scheduler",
              fmt::format("{}.{}: process {} outlived the scheduler, waiting for its end", t.dag_id, t.task_id, t.pid));
      Watch(work);
      return;
    }
    starters_.Submit([this, work] { Finish(work, AdoptedEnd(*work)); });
  }

  void Shutdown(int64_t grace_ms) override {
    std::vector<std::shared_ptr<Work>> all;
    {
      std::lock_guard lock(mutex_);
      shutting_down_ = true;
      for (auto& [ticket, work] : work_) all.push_back(work);
    }
    for (auto& work : all) Kill(work->request.ticket, "the scheduler shuts down");
    std::unique_lock lock(mutex_);
    if (!empty_.wait_for(lock, std::chrono::milliseconds(grace_ms), [&] { return work_.empty(); })) {
      for (auto& [ticket, work] : work_)
        if (work->process.pid != 0) SignalGroup(work->process.pid, SIGKILL);
      empty_.wait_for(lock, std::chrono::seconds(2), [&] { return work_.empty(); });
    }
    muted_ = true;
  }

 private:
  std::shared_ptr<Work> Find(int64_t ticket) {
    std::lock_guard lock(mutex_);
    auto it = work_.find(ticket);
    return it == work_.end() ? nullptr : it->second;
  }

  void Wake() {
    uint64_t one = 1;
    [[maybe_unused]] ssize_t n = write(wake_, &one, sizeof(one));
  }

  void SetPaths(Work& work) {
    const TaskRow& t = work.request.instance;
    work.log_path = TaskLogPath(environment_.options.data_dir, t.dag_id, t.run_id, t.task_id, t.try_number);
    work.exit_path = work.log_path.substr(0, work.log_path.size() - 4) + ".exit";
  }

  /// Opens the log, renders the parameters, makes the operator.
  Status Open(Work& work) {
    SetPaths(work);
    work.log = TRY(TaskLog::Open(work.log_path, environment_.clock, environment_.options.log_to_stdout));
    const Task& task = work.task();
    TaskScope scope(environment_, *work.request.dag, &task, work.request.run, work.request.instance);
    const OperatorSpec* spec = FindOperator(task.operator_name);
    if (spec == nullptr) return InvalidArgument(fmt::format("unknown operator '{}'", task.operator_name));
    Map with;
    for (const auto& [name, value] : task.with.map()) {
      Result<Value> rendered = RenderDeep(value, scope);
      if (!rendered.ok()) return std::move(rendered).error().Context(name).At(work.request.dag->file, task.line, 0);
      with.Set(name, std::move(*rendered));
    }
    work.context.reset(new TaskContext{environment_, *work.request.dag, task, work.request.run, work.request.instance,
                                       std::move(with), *work.log, work.cancel, work.log_path});
    work.op = spec->make();
    return {};
  }

  void Prepare(const std::shared_ptr<Work>& work) {
    std::optional<ProcessSpec> spec;
    Outcome made = Guarded([&]() -> Outcome {
      Status opened = Open(*work);
      if (!opened.ok()) return Outcome::Fail(opened.error().ToString());
      Result<std::optional<ProcessSpec>> wanted = work->op->Process(*work->context);
      if (!wanted.ok()) return Outcome::Fail(wanted.error().ToString());
      spec = std::move(*wanted);
      return Outcome::Success();
    });
    if (made.kind != Outcome::Kind::kSuccess) return Finish(work, std::move(made));
    Spawned spawned;
    if (spec) {
      unlink(work->exit_path.c_str());
      Result<Spawned> process = Spawn(*work, *spec);
      if (!process.ok()) return Finish(work, Outcome::Fail(process.error().ToString()));
      spawned = *process;
    }
    bool killed;
    {
      std::lock_guard lock(mutex_);
      work->process = spawned;
      killed = !work->killed.empty();
      work->ready = !killed;
    }
    if (killed) {
      if (spawned.pid == 0) return Finish(work, Outcome::Fail("killed"));
      close(std::exchange(work->process.go_fd, -1));
      return Watch(work);
    }
    Send({TaskEvent::Kind::kReady, work->request.ticket, spawned.pid, spawned.pid_start, {}});
    if (spawned.pid != 0) Watch(work);
  }

  Result<Spawned> Spawn(Work& work, ProcessSpec& spec) {
    const TaskRow& t = work.request.instance;
    const RunRow& run = work.request.run;
    SpawnRequest request;
    request.arguments = spec.arguments;
    request.cwd = spec.cwd.empty() ? environment_.options.base_dir : spec.cwd;
    request.exit_path = work.exit_path;
    request.output_fd = work.log->fd();
    if (spec.append_environment) request.environment = base_environment_;
    auto put = [&](std::string_view name, std::string_view value) {
      request.environment.push_back(fmt::format("{}={}", name, value));
    };
    put("AIRFLOW_CTX_DAG_ID", t.dag_id);
    put("AIRFLOW_CTX_DAG_OWNER", work.task().owner);
    put("AIRFLOW_CTX_TASK_ID", t.task_id);
    put("AIRFLOW_CTX_LOGICAL_DATE", IsoFormat(DateTime{run.logical_date_ms * 1000}));
    put("AIRFLOW_CTX_TRY_NUMBER", std::to_string(t.try_number));
    put("AIRFLOW_CTX_DAG_RUN_ID", run.run_id);
    if (!environment_.options.kafka_bootstrap.empty()) put("TAILRACE_KAFKA", environment_.options.kafka_bootstrap);
    if (!environment_.options.http_url.empty()) put("TAILRACE_URL", environment_.options.http_url);
    for (const auto& [name, value] : spec.environment) put(name, value);
    work.output_from = lseek(work.log->fd(), 0, SEEK_END);
    return SpawnProcess(request);
  }

  /// `dag test`: what the process wrote, as if it had written it here.
  void Echo(const Work& work) {
    int fd = open(work.log_path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    char buffer[65536];
    off_t at = work.output_from;
    for (ssize_t n; (n = pread(fd, buffer, sizeof(buffer), at)) > 0; at += n)
      fwrite(buffer, 1, static_cast<size_t>(n), stdout);
    fflush(stdout);
    close(fd);
  }

  void Watch(const std::shared_ptr<Work>& work) {
    epoll_event event{EPOLLIN, {.u64 = static_cast<uint64_t>(work->request.ticket)}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, work->process.pidfd, &event);
  }

  /// A library that throws where it should not must end a task, not the platform.
  template <typename Function>
  static Outcome Guarded(Function work) {
    try {
      return work();
    } catch (const std::exception& e) { return Outcome::Fail(fmt::format("the operator threw: {}", e.what())); }
  }

  Outcome RunHere(Work& work) {
    return Guarded([&]() -> Outcome {
      const OperatorSpec* spec = FindOperator(work.task().operator_name);
      Result<Outcome> outcome = spec->sensor ? RunSensor(*work.op, *work.context) : work.op->Execute(*work.context);
      if (!outcome.ok()) return Outcome::Fail(outcome.error().ToString());
      return std::move(*outcome);
    });
  }

  Outcome ProcessOutcome(Work& work, int code) {
    return Guarded([&]() -> Outcome {
      if (!work.context) {  // adopted: the operator is needed for its idea of the exit status and of the output
        Status opened = Open(work);
        if (!opened.ok()) return code == 0 ? Outcome::Success() : Outcome::Fail(fmt::format("exit status {}", code));
      }
      return work.op->ProcessEnded(*work.context, code);
    });
  }

  Outcome AdoptedEnd(Work& work) {
    int code = 0;
    switch (ReadExitFile(work.exit_path, &code)) {
      case ExitFile::kEnded: return ProcessOutcome(work, code);
      case ExitFile::kStarted: return {Outcome::Kind::kLost, "its process was killed while no scheduler ran"};
      case ExitFile::kNone: break;
    }
    return {Outcome::Kind::kNeverStarted, "its process had not begun"};
  }

  void Finish(const std::shared_ptr<Work>& work, Outcome outcome) {
    {
      std::lock_guard lock(mutex_);
      if (!work_.contains(work->request.ticket)) return;
      if (!work->killed.empty() && outcome.kind != Outcome::Kind::kSuccess) {
        if (shutting_down_) outcome.kind = Outcome::Kind::kLost;
        outcome.message = "killed: " + work->killed;
      }
    }
    if (work->log) {
      switch (outcome.kind) {
        case Outcome::Kind::kSuccess:
          work->log->Info("Task ended: success" + (outcome.message.empty() ? "" : ", " + outcome.message));
          break;
        case Outcome::Kind::kSkip: work->log->Info("Task skipped: " + outcome.message); break;
        case Outcome::Kind::kReschedule: break;
        default: work->log->Error("Task failed: " + outcome.message);
      }
    }
    // The exit file stays: until the scheduler has recorded the end, a restart needs it.
    int64_t ticket = work->request.ticket;
    Send({TaskEvent::Kind::kEnded, ticket, 0, 0, std::move(outcome)});
    std::lock_guard lock(mutex_);
    work_.erase(ticket);
    if (work_.empty()) empty_.notify_all();
  }

  void Send(TaskEvent event) {
    if (!muted_) listener_(std::move(event));
  }

  void Ended(const std::shared_ptr<Work>& work) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, work->process.pidfd, nullptr);
    close(work->process.pidfd);
    if (work->adopted) return Finish(work, AdoptedEnd(*work));
    int code = ReapProcess(work->process.pid);
    if (environment_.options.log_to_stdout) Echo(*work);
    bool went;
    {
      std::lock_guard lock(mutex_);
      went = work->going;
      if (work->process.go_fd >= 0) close(std::exchange(work->process.go_fd, -1));
    }
    Finish(work, went || code != 125 ? ProcessOutcome(*work, code) : Outcome::Fail("killed before it began"));
  }

  void Reap() {
    epoll_event events[64];
    while (!stop_) {
      int64_t wait_ms = -1;
      {
        std::lock_guard lock(mutex_);
        int64_t now = environment_.clock.MonotonicMs();
        for (auto& [ticket, work] : work_) {
          if (work->killed.empty() || work->process.pid == 0 || work->kill_at_ms == INT64_MAX) continue;
          if (work->kill_at_ms <= now) {
            SignalGroup(work->process.pid, SIGKILL);
            work->kill_at_ms = INT64_MAX;
          } else {
            wait_ms = wait_ms < 0 ? work->kill_at_ms - now : std::min(wait_ms, work->kill_at_ms - now);
          }
        }
      }
      int n = epoll_wait(epoll_, events, 64, static_cast<int>(wait_ms));
      for (int i = 0; i < n; ++i) {
        if (events[i].data.u64 == 0) {
          uint64_t drained;
          [[maybe_unused]] ssize_t r = read(wake_, &drained, sizeof(drained));
        } else if (std::shared_ptr<Work> work = Find(static_cast<int64_t>(events[i].data.u64))) {
          Ended(work);
        }
      }
    }
  }

  TaskEnvironment& environment_;
  Listener listener_;
  std::vector<std::string> base_environment_;
  std::mutex mutex_;
  std::condition_variable empty_;
  std::map<int64_t, std::shared_ptr<Work>> work_;
  int epoll_ = -1, wake_ = -1;
  std::atomic<bool> stop_{false}, shutting_down_{false}, muted_{false};
  std::thread reaper_;
  ThreadPool starters_, runners_;  // last: end first, while the rest stands
};

}  // namespace

std::unique_ptr<Executor> MakeLocalExecutor(TaskEnvironment& environment, Executor::Listener listener) {
  return std::make_unique<LocalExecutor>(environment, std::move(listener));
}

}  // namespace tailrace::workflow
