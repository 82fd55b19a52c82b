#include <fmt/format.h>

#include "base/clock.h"
#include "stream/job_manager.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"
#include "workflow/operators/sql_support.h"

namespace tailrace::workflow {
namespace {

/// Starts streaming SQL jobs and waits until they run. A job that runs already is left alone.
class StreamStart final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    stream::JobManager* jobs = context.environment.services.jobs;
    if (jobs == nullptr) return Unsupported("no streaming engine is configured for this scheduler");
    const int64_t timeout_ms = TRY(context.DurationMs("timeout", 60'000));
    const bool wait_end = TRY(context.Boolean("wait_finished", false));
    List files = TRY(context.Values("file")), names;
    for (const Value& file : TRY(context.Values("files"))) files.push_back(file);
    if (files.empty()) return InvalidArgument("operator stream.start needs 'file' or 'files'");
    for (const Value& file : files) {
      std::string path = context.Path(PythonStr(file));
      std::string sql = TRY(ReadTextFile(path));
      stream::JobOptions options;
      options.base_dir = context.environment.options.base_dir;
      if (files.size() == 1) options.name = TRY(context.Text("name", ""));
      options.resume = TRY(context.Boolean("resume", true));
      Result<std::string> started = jobs->Start(path, sql, options);
      std::string name;
      if (started.ok()) {
        name = *started;
        context.log.Info("Started job " + name);
      } else if (started.error().code() == ErrorCode::kAlreadyExists) {
        name = NameOf(*jobs, path, options.name);
        context.log.Info(fmt::format("Job {} runs already", name));
      } else {
        return std::move(started).error();
      }
      names.push_back(name);
      if (!name.empty()) TRY(Await(context, *jobs, name, timeout_ms, wait_end));
    }
    return Outcome::Success().Return(names.size() == 1 ? names[0] : Value(std::move(names)));
  }

 private:
  static std::string NameOf(stream::JobManager& jobs, const std::string& path, const std::string& asked) {
    if (!asked.empty()) return asked;
    for (const stream::JobInfo& job : jobs.List())
      if (job.file == path) return job.name;
    return "";
  }

  static Status Await(TaskContext& context, stream::JobManager& jobs, const std::string& name, int64_t timeout_ms,
                      bool wait_end) {
    Clock& clock = context.environment.clock;
    const int64_t deadline_ms = clock.MonotonicMs() + timeout_ms;
    while (true) {
      stream::JobInfo job = TRY(jobs.Describe(name));
      switch (job.state) {
        case stream::JobState::kFailed:
          return Error(ErrorCode::kUnavailable, fmt::format("job {} failed: {}", name, job.error));
        case stream::JobState::kCancelled: return Error(ErrorCode::kCancelled, fmt::format("job {} was stopped", name));
        case stream::JobState::kFinished: return {};
        case stream::JobState::kRunning:
          if (!wait_end) return {};
          break;
        default: break;
      }
      if (clock.MonotonicMs() >= deadline_ms)
        return Error(ErrorCode::kTimeout,
                     fmt::format("job {} is {} after {} s", name, stream::JobStateName(job.state), timeout_ms / 1000));
      if (!context.cancel.Sleep(20)) return Error(ErrorCode::kCancelled, "cancelled");
    }
  }
};

}  // namespace

std::unique_ptr<Operator> MakeStreamStart() { return std::make_unique<StreamStart>(); }

}  // namespace tailrace::workflow
