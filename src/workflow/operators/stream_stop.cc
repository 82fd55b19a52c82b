#include <fmt/format.h>

#include "stream/job_manager.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/generator_stop.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// Stops jobs, each with a last checkpoint. One that does not run is fine.
class StreamStop final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    stream::JobManager* jobs = context.environment.services.jobs;
    if (jobs == nullptr) return Unsupported("no streaming engine is configured for this scheduler");
    // What feeds the jobs goes first, so that they end with nothing left to read.
    if (List generators = TRY(context.Values("generators")); !generators.empty())
      TRY(StopGenerators(context, generators));
    Map stopped;
    List names = TRY(context.Values("name"));
    for (const Value& name : TRY(context.Values("names"))) names.push_back(name);
    for (const Value& value : names) {
      std::string name = PythonStr(value);
      Status done = jobs->Stop(name);
      if (!done.ok() && done.error().code() != ErrorCode::kNotFound && done.error().code() != ErrorCode::kConflict)
        return std::move(done).error();
      Result<stream::JobInfo> job = jobs->Describe(name);
      if (!job.ok()) {
        context.log.Info(fmt::format("Job {} does not exist", name));
        continue;
      }
      context.log.Info(fmt::format("Job {} is {}: {} records in, {} rows out, {} bad, epoch {}", name,
                                   stream::JobStateName(job->state), job->records_in, job->rows_out, job->bad_records,
                                   job->epoch));
      Map info;
      info.Set("state", stream::JobStateName(job->state));
      info.Set("records_in", static_cast<int64_t>(job->records_in));
      info.Set("rows_out", static_cast<int64_t>(job->rows_out));
      info.Set("bad_records", static_cast<int64_t>(job->bad_records));
      stopped.Set(name, Value(std::move(info)));
    }
    return Outcome::Success().Return(Value(std::move(stopped)));
  }
};

}  // namespace

std::unique_ptr<Operator> MakeStreamStop() { return std::make_unique<StreamStop>(); }

}  // namespace tailrace::workflow
