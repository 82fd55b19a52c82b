#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "stream/job_manager.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/alert_sink.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

constexpr int64_t kSampleMs = 500;
constexpr int64_t kStartupMs = 15'000;

/// True once jobs were healthy for a while: running, fast enough, throughput high enough; not before `watch_for` has
/// passed since the first poke. What is not is alerted, once a problem.
class StreamHealthSensor final : public Operator {
 public:
  Result<bool> Poke(TaskContext& context, Outcome* outcome) override {
    stream::JobManager* jobs = context.environment.services.jobs;
    if (jobs == nullptr) return Unsupported("no streaming engine is configured for this scheduler");
    const double least_rate = TRY(context.Number("min_events_per_second", 100));
    const int64_t latency_ms = TRY(context.DurationMs("max_latency", 30'000)),
                  healthy_for_ms = TRY(context.DurationMs("healthy_for", 5'000)),
                  watch_for_ms = TRY(context.DurationMs("watch_for", 0));
    const bool alerting = TRY(context.Boolean("alert", true));
    List names = TRY(context.Values("job"));
    for (const Value& name : TRY(context.Values("jobs"))) names.push_back(name);
    if (names.empty()) return InvalidArgument("operator sensor.stream_health needs 'job' or 'jobs'");
    Clock& clock = context.environment.clock;
    const int64_t began_ms = clock.MonotonicMs(), now_ms = clock.NowMs();
    const int64_t watched_ms = std::max<int64_t>(now_ms - context.instance.first_poke_ms.value_or(now_ms), 0);
    const int64_t healthy_at_ms = began_ms + std::max(healthy_for_ms, watch_for_ms - watched_ms);
    Map numbers;
    while (true) {
      std::vector<std::pair<std::string, std::string>> problems;  // kind of it, text
      for (const Value& value : names) {
        std::string name = PythonStr(value);
        Result<stream::JobInfo> job = jobs->Describe(name);
        if (!job.ok()) {
          problems.emplace_back(name + ":missing", fmt::format("job {} does not exist", name));
          continue;
        }
        Map n;
        n.Set("events_per_second", job->records_in_per_second);
        n.Set("latency_p99_ms",
              job->latency.p99_us < 0 ? Value() : Value(static_cast<double>(job->latency.p99_us) / 1000));
        n.Set("lag", job->lag);
        numbers.Set(name, Value(std::move(n)));
        if (job->state != stream::JobState::kRunning)
          problems.emplace_back(name + ":state", fmt::format("job {} is {}{}", name, stream::JobStateName(job->state),
                                                             job->error.empty() ? "" : ": " + job->error));
        else if (job->latency.p99_us > latency_ms * 1000)
          problems.emplace_back(
              name + ":latency",
              fmt::format("High latency detected: job {} needs {:.1f} s (p99), more than {} s", name,
                          static_cast<double>(job->latency.p99_us) / 1e6, static_cast<double>(latency_ms) / 1000));
        else if (job->records_in_per_second < least_rate)
          problems.emplace_back(name + ":throughput",
                                fmt::format("Low throughput detected: job {} takes {:.0f} events/s, less than {:.0f}",
                                            name, job->records_in_per_second, least_rate));
      }
      if (!problems.empty()) {
        for (const auto& [kind, text] : problems) {
          context.log.Warning(text);
          // A job that has only just begun has not got up to speed: that is no alarm yet.
          bool starting = kind.ends_with(":throughput") &&
                          clock.NowMs() - context.instance.first_poke_ms.value_or(clock.NowMs()) < kStartupMs;
          if (alerting && !starting)
            context.environment.alerts.Send({"warning", context.dag.dag_id + "." + context.task.task_id, text,
                                             Value(numbers),
                                             fmt::format("{}/{}/{}#{}:{}", context.dag.dag_id, context.run.run_id,
                                                         context.task.task_id, context.instance.try_number, kind)});
        }
        outcome->message = problems[0].second;
        return false;
      }
      if (clock.MonotonicMs() >= healthy_at_ms) {
        outcome->message.clear();
        outcome->xcoms.emplace_back("return_value", ToJson(Value(numbers)));
        context.log.Info("Healthy: " + ToJson(Value(numbers)));
        return true;
      }
      if (!context.cancel.Sleep(std::min(kSampleMs, std::max<int64_t>(healthy_at_ms - clock.MonotonicMs(), 1))))
        return false;
    }
  }
};

}  // namespace

std::unique_ptr<Operator> MakeStreamHealthSensor() { return std::make_unique<StreamHealthSensor>(); }

}  // namespace tailrace::workflow
