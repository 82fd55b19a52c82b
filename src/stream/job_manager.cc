#include "stream/job_manager.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"
#include "base/waker.h"
#include "sql/planner.h"
#include "stream/pipeline.h"

namespace tailrace::stream {
namespace {

constexpr int64_t kRestartDelayMaxMs = 60'000;
/// A job that ran so long since its last restart has got over it: its restarts are counted anew.
constexpr int64_t kStableMs = 300'000;

struct Move {
  JobState from, to;
};
/// Every legal move.
constexpr Move kMoves[] = {
    {JobState::kStarting, JobState::kRunning},    {JobState::kStarting, JobState::kFailed},
    {JobState::kStarting, JobState::kRestarting}, {JobState::kStarting, JobState::kCancelled},
    {JobState::kRunning, JobState::kFinished},    {JobState::kRunning, JobState::kFailed},
    {JobState::kRunning, JobState::kRestarting},  {JobState::kRunning, JobState::kCancelled},
    {JobState::kRestarting, JobState::kStarting}, {JobState::kRestarting, JobState::kCancelled},
    {JobState::kRestarting, JobState::kFailed},
};

bool Ended(JobState state) {
  return state == JobState::kFinished || state == JobState::kFailed || state == JobState::kCancelled;
}

/// A peer that is away may come back, and so may room on a disk that a job has worked with; anything else would fail
/// again.
bool WorthRestart(const Error& error, bool has_worked) {
  return error.retriable() || (has_worked && error.code() == ErrorCode::kIo);
}

std::string FileStem(const std::string& path) {
  size_t slash = path.rfind('/');
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

std::string DirectoryOf(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
}

/// A job's name as a folder's: whatever is not plain is written %XX.
std::string FolderName(const std::string& job) {
  std::string out;
  for (unsigned char c : job) {
    if (std::isalnum(c) || c == '_' || c == '-' || (c == '.' && !out.empty())) out += static_cast<char>(c);
    else out += fmt::format("%{:02X}", c);
  }
  return out;
}

/// One job: its thread runs attempts until one ends it.
class Job {
 public:
  Job(std::string file, sql::Plan plan, JobSettings settings, JobOptions options, const JobManagerOptions& manager,
      ConnectorFactory& connectors, Clock& clock)
      : plan_(std::move(plan)),
        settings_(std::move(settings)),
        options_(std::move(options)),
        manager_(manager),
        connectors_(connectors),
        clock_(clock) {
    info_.name = options_.name;
    info_.file = std::move(file);
    info_.started_ms = clock.NowMs();
  }

  ~Job() {
    RequestStop();
    if (thread_.joinable()) thread_.join();
  }

  /// Builds the first attempt, so that what the plan asks for and nobody can do is said at once.
  Status Start() {
    TRY(Build());
    thread_ = std::thread([this] { Main(); });
    pthread_setname_np(thread_.native_handle(), fmt::format("job {}", options_.name).substr(0, 15).c_str());
    return {};
  }

  void RequestStop() {
    stop_.store(true);
    waker_.Wake();
  }

  bool WaitUntilEnded(int64_t timeout_ms) {
    std::unique_lock lock(mutex_);
    return cv_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return thread_done_; });
  }

  JobInfo Describe() {
    std::lock_guard lock(mutex_);
    JobInfo info = info_;
    info.records_in = counters_.records_in.load();
    info.bytes_in = counters_.bytes_in.load();
    info.rows_out = counters_.rows_out.load();
    info.bad_records = counters_.bad_records.load();
    info.late_records = counters_.late_records.load();
    if (pipeline_) pipeline_->Describe(&info);
    return info;
  }

  bool ended() {
    std::lock_guard lock(mutex_);
    return Ended(info_.state);
  }

 private:
  Status Build() {
    if (!store_) store_ = TRY(OpenCheckpointDirectory(manager_.checkpoint_dir + "/" + FolderName(options_.name)));
    auto connectors = connectors_.ForJob(*plan_.script);
    PipelineOptions options{options_.name, options_.base_dir, settings_, options_.resume};
    auto pipeline = TRY(Pipeline::Make(plan_, std::move(options), *connectors, *store_, waker_, clock_, counters_));
    std::lock_guard lock(mutex_);
    job_connectors_ = std::move(connectors);
    pipeline_ = std::move(pipeline);
    return {};
  }

  /// Takes the pipeline out of sight of Describe before it goes, keeping its last numbers.
  void TearDown() {
    std::unique_ptr<Pipeline> pipeline;
    std::unique_ptr<JobConnectors> connectors;
    {
      std::lock_guard lock(mutex_);
      if (pipeline_) pipeline_->Describe(&info_);
      if (pipeline_ && pipeline_->committed()) {
        has_worked_ = true;
        options_.resume = true;  // what this run has committed stands
      }
      pipeline = std::move(pipeline_);
      connectors = std::move(job_connectors_);
    }
    pipeline.reset();
    connectors.reset();
  }

  void Set(JobState to, std::string error = "") {
    std::lock_guard lock(mutex_);
    bool legal = std::any_of(std::begin(kMoves), std::end(kMoves),
                             [&](const Move& m) { return m.from == info_.state && m.to == to; });
    CHECK(legal);
    info_.state = to;
    info_.error = std::move(error);
    if (Ended(to)) info_.ended_ms = clock_.NowMs();
  }

  /// One life of the pipeline. The state it ended in, or why it did not.
  Result<JobState> Attempt() {
    if (!pipeline_) TRY(Build());
    TRY(pipeline_->Recover());
    Set(JobState::kRunning);
    while (!stop_.load(std::memory_order_relaxed)) {
      int64_t idle_ms = 0;
      Pipeline::Step step = TRY(pipeline_->Run(&idle_ms));
      if (step == Pipeline::Step::kFinished) {
        TRY(pipeline_->MarkFinished());
        return JobState::kFinished;
      }
      if (step == Pipeline::Step::kIdle && idle_ms > 0) waker_.Sleep(idle_ms);
    }
    TRY(pipeline_->EndEpoch());
    return JobState::kCancelled;
  }

  Result<JobState> AttemptNoThrow() {
    try {
      return Attempt();
    } catch (const std::exception& e) {
      return Internal(fmt::format("unexpected failure in job {}: {}", options_.name, e.what()));
    }
  }

  void Main() {
    int failures = 0;
    for (;;) {
      int64_t began_ms = clock_.MonotonicMs();
      Result<JobState> end = AttemptNoThrow();
      TearDown();
      if (end.ok()) {
        Set(*end);
        break;
      }
      std::string reason = end.error().ToString();
      if (stop_.load()) {
        LogWarning("stream", fmt::format("job {}: stopped without a last checkpoint: {}", options_.name, reason));
        Set(JobState::kCancelled, reason);
        break;
      }
      if (clock_.MonotonicMs() - began_ms > kStableMs) failures = 0;
      if (!WorthRestart(end.error(), has_worked_) || failures >= manager_.max_restarts) {
        LogError("stream", fmt::format("job {} failed: {}", options_.name, reason));
        Set(JobState::kFailed, reason);
        break;
      }
      int64_t delay = std::min(kRestartDelayMaxMs, manager_.restart_delay_ms << std::min(failures, 20));
      failures++;
      LogWarning("stream", fmt::format("job {}: {}; restart {} in {} ms", options_.name, reason, failures, delay));
      Set(JobState::kRestarting, reason);
      for (int64_t until = clock_.MonotonicMs() + delay, now = until - delay; now < until && !stop_.load();
           now = clock_.MonotonicMs()) {
        waker_.Sleep(until - now);
      }
      if (stop_.load()) {
        Set(JobState::kCancelled, reason);
        break;
      }
      {
        std::lock_guard lock(mutex_);
        info_.restarts++;
      }
      Set(JobState::kStarting);
    }
    if (manager_.on_end) manager_.on_end(Describe());
    std::lock_guard lock(mutex_);
    thread_done_ = true;
    cv_.notify_all();
  }

  const sql::Plan plan_;
  const JobSettings settings_;
  JobOptions options_;
  const JobManagerOptions manager_;
  ConnectorFactory& connectors_;
  Clock& clock_;
  Waker waker_;
  JobCounters counters_;
  std::atomic<bool> stop_{false};
  std::unique_ptr<CheckpointStore> store_;
  bool has_worked_ = false;  // an epoch of this run stands; of the job's thread

  std::mutex mutex_;  // guards what follows; pipeline_ is called without it by its own thread
  std::condition_variable cv_;
  JobInfo info_;
  bool thread_done_ = false;
  std::unique_ptr<JobConnectors> job_connectors_;
  std::unique_ptr<Pipeline> pipeline_;

  std::thread thread_;
};

class JobManagerImpl final : public JobManager {
 public:
  JobManagerImpl(JobManagerOptions options, ConnectorFactory& connectors, Clock& clock)
      : options_(std::move(options)), connectors_(connectors), clock_(clock) {}
  ~JobManagerImpl() override { Shutdown(5000); }

  Result<std::string> Start(const std::string& file, const std::string& text, JobOptions options) override {
    auto script = std::make_shared<const sql::Script>(TRY(sql::ParseScript(file, text)));
    JobSettings settings = TRY(ReadSettings(*script));
    for (const sql::Table& table : script->tables) TRY(connectors_.Validate(table));
    sql::Plan plan = TRY(sql::MakePlan(script));
    if (options.name.empty()) options.name = settings.pipeline_name.empty() ? FileStem(file) : settings.pipeline_name;
    if (options.base_dir.empty()) options.base_dir = DirectoryOf(file);
    if (plan.sinks.empty()) {
      return InvalidArgument("nothing to run: the file has no INSERT INTO")
          .At(file, 1, 1)
          .Remedy("add INSERT INTO table SELECT ...");
    }
    std::string name = options.name;
    if (name.size() > 200) return InvalidArgument("the job's name is longer than 200 bytes");

    std::shared_ptr<Job> ended;  // of the same name; goes after the lock is free
    std::shared_ptr<Job> job;
    {
      std::lock_guard lock(mutex_);
      if (auto it = jobs_.find(name); it != jobs_.end()) {
        if (!it->second || !it->second->ended()) {
          return Error(ErrorCode::kAlreadyExists, "job " + name + " is running")
              .Remedy("stop it first, or give this one another pipeline.name");
        }
        ended = std::move(it->second);
      }
      int running = 0;
      for (auto& [other, held] : jobs_) running += held && !held->ended();
      if (running >= options_.max_jobs) {
        if (ended) jobs_[name] = ended;
        return Error(ErrorCode::kLimitExceeded, fmt::format("{} jobs are running, which is the limit", running))
            .Remedy("stop one first");
      }
      jobs_[name] = nullptr;  // the name is taken while the job is being made
    }
    ended.reset();
    job = std::make_shared<Job>(file, std::move(plan), std::move(settings), std::move(options), options_, connectors_,
                                clock_);
    Status started = job->Start();
    std::lock_guard lock(mutex_);
    if (!started.ok()) {
      jobs_.erase(name);
      return std::move(started).error();
    }
    jobs_[name] = std::move(job);
    return name;
  }

  Status Stop(const std::string& name) override {
    std::shared_ptr<Job> job = TRY(Find(name));
    job->RequestStop();
    while (!job->WaitUntilEnded(1000)) {}
    JobInfo info = job->Describe();
    if (info.state == JobState::kCancelled && !info.error.empty()) {
      return Error(ErrorCode::kIo, "job " + name + " stopped without a last checkpoint: " + info.error)
          .Remedy("start it again: it goes on from the checkpoint before");
    }
    return {};
  }

  std::vector<JobInfo> List() override {
    std::vector<std::shared_ptr<Job>> jobs;
    {
      std::lock_guard lock(mutex_);
      for (auto& [name, job] : jobs_)
        if (job) jobs.push_back(job);
    }
    std::vector<JobInfo> infos;
    for (auto& job : jobs) infos.push_back(job->Describe());
    return infos;
  }

  Result<JobInfo> Describe(const std::string& name) override { return TRY(Find(name))->Describe(); }

  Result<JobInfo> Wait(const std::string& name, int64_t timeout_ms) override {
    std::shared_ptr<Job> job = TRY(Find(name));
    if (!job->WaitUntilEnded(timeout_ms)) {
      return Error(ErrorCode::kTimeout, fmt::format("job {} is still {} after {} ms", name,
                                                    JobStateName(job->Describe().state), timeout_ms));
    }
    return job->Describe();
  }

  void Shutdown(int64_t deadline_ms) override {
    std::vector<std::shared_ptr<Job>> jobs;
    {
      std::lock_guard lock(mutex_);
      for (auto& [name, job] : jobs_)
        if (job) jobs.push_back(job);
    }
    for (auto& job : jobs) job->RequestStop();
    int64_t until = clock_.MonotonicMs() + deadline_ms;
    for (auto& job : jobs) {
      if (job->WaitUntilEnded(std::max<int64_t>(0, until - clock_.MonotonicMs()))) continue;
      LogError("stream", fmt::format("job {} did not stop within {} ms; it will resume from its last checkpoint",
                                     job->Describe().name, deadline_ms));
    }
  }

 private:
  Result<std::shared_ptr<Job>> Find(const std::string& name) {
    std::lock_guard lock(mutex_);
    auto it = jobs_.find(name);
    if (it != jobs_.end() && it->second) return it->second;
    std::string names;
    for (auto& [other, job] : jobs_) names += (names.empty() ? "" : ", ") + other;
    return NotFound("no job " + name).Remedy(names.empty() ? "no job was started" : "there are: " + names);
  }

  const JobManagerOptions options_;
  ConnectorFactory& connectors_;
  Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Job>> jobs_;  // null: being started
};

}  // namespace

const char* JobStateName(JobState state) {
  switch (state) {
    case JobState::kStarting: return "CREATED";
    case JobState::kRunning: return "RUNNING";
    case JobState::kFinished: return "FINISHED";
    case JobState::kFailed: return "FAILED";
    case JobState::kCancelled: return "CANCELED";
    case JobState::kRestarting: return "RESTARTING";
  }
  return "?";
}

std::unique_ptr<JobManager> JobManager::Create(JobManagerOptions options, ConnectorFactory& connectors, Clock& clock) {
  return std::make_unique<JobManagerImpl>(std::move(options), connectors, clock);
}

}  // namespace tailrace::stream
