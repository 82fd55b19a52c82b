#include "api/status.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "api/to_json.h"
#include "base/clock.h"
#include "base/logging.h"
#include "http/events.h"
#include "log/client.h"
#include "observe/alerts.h"
#include "observe/process_stats.h"
#include "observe/recent_log.h"

namespace tailrace::api {
namespace {

constexpr int64_t kSampleIntervalMs = 1000;
constexpr size_t kSamplesKept = 61;
constexpr size_t kRateSamples = 5;
constexpr int kRunsShown = 20;
constexpr int kDagAlertsShown = 10;
// A topic without room for its next segment is a broker that can't acknowledge.
constexpr int64_t kDiskFreeLeast = 64 << 20;

double PerSecond(double now, double before, int64_t ms) {
  return ms <= 0 ? 0 : std::max(0.0, (now - before) * 1000 / static_cast<double>(ms));
}

std::string Plural(size_t n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

bool IsInternal(const std::string& topic) { return topic.starts_with("__"); }

}  // namespace

StatusService::StatusService(const Services& services)
    : services_(services), events_(std::make_shared<http::EventHub>()) {}

void StatusService::Start() {
  TakeSample();
  thread_ = std::thread([this] { Loop(); });
}

StatusService::~StatusService() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  waker_.Wake();
  if (thread_.joinable()) thread_.join();
}

void StatusService::Loop() {
  while (true) {
    const int64_t begun = services_.clock->MonotonicMs();
    waker_.Sleep(kSampleIntervalMs);
    {
      std::lock_guard lock(mutex_);
      if (stop_) return;
    }
    if (services_.clock->MonotonicMs() - begun < kSampleIntervalMs / 2) continue;
    TakeSample();
    if (services_.alerts && services_.jobs) {
      std::vector<observe::JobSample> jobs;
      for (const stream::JobInfo& job : services_.jobs->List())
        jobs.push_back({job.name, job.state == stream::JobState::kRunning, job.started_ms, job.records_in_per_second,
                        job.latency.p99_us, job.lag});
      services_.alerts->Evaluate(jobs);
    }
    if (events_->listeners() > 0) events_->Publish("status", StatusJson());
  }
}

void StatusService::TakeSample() {
  Sample sample;
  sample.monotonic_ms = services_.clock->MonotonicMs();
  sample.cpu_seconds = observe::ReadProcessStats().cpu_seconds;
  if (services_.broker) {
    const broker::BrokerStats stats = services_.broker->Stats();
    sample.messages_in = stats.messages_in;
    sample.bytes_in = stats.bytes_in;
    sample.bytes_out = stats.bytes_out;
    for (const auto& p : stats.partitions) sample.topic_ends[p.topic] += p.log_end_offset;
  }
  if (services_.jobs)
    for (const stream::JobInfo& job : services_.jobs->List()) {
      const bool running = job.state == stream::JobState::kRunning;
      sample.job_rates[job.name] = {running ? job.records_in_per_second : 0, running ? job.rows_out_per_second : 0};
    }
  std::lock_guard lock(mutex_);
  samples_.push_back(std::move(sample));
  if (samples_.size() > kSamplesKept) samples_.pop_front();
}

double StatusService::TopicRate(const std::string& topic) const {
  std::lock_guard lock(mutex_);
  if (samples_.size() < 2) return 0;
  const Sample& last = samples_.back();
  const Sample& first = samples_[samples_.size() - std::min(samples_.size(), kRateSamples + 1)];
  auto end = last.topic_ends.find(topic), start = first.topic_ends.find(topic);
  if (end == last.topic_ends.end()) return 0;
  return PerSecond(static_cast<double>(end->second),
                   start == first.topic_ends.end() ? 0 : static_cast<double>(start->second),
                   last.monotonic_ms - first.monotonic_ms);
}

void StatusService::WriteHistory(http::JsonWriter& json) const {
  // One value a second, oldest first, of the differences between neighbours.
  auto series = [&](const char* name, auto value) {
    json.Key(name).BeginArray();
    for (size_t i = 1; i < samples_.size(); ++i)
      json.Value(PerSecond(value(samples_[i]), value(samples_[i - 1]),
                           samples_[i].monotonic_ms - samples_[i - 1].monotonic_ms));
    json.EndArray();
  };
  json.Key("history").BeginObject();
  series("messages_in", [](const Sample& s) { return static_cast<double>(s.messages_in); });
  series("bytes_in", [](const Sample& s) { return static_cast<double>(s.bytes_in); });
  series("bytes_out", [](const Sample& s) { return static_cast<double>(s.bytes_out); });
  series("cpu", [](const Sample& s) { return s.cpu_seconds; });
  json.Key("rows_out").BeginArray();
  for (size_t i = 1; i < samples_.size(); ++i) {
    double sum = 0;
    for (const auto& [job, rates] : samples_[i].job_rates) sum += rates.second;
    json.Value(sum);
  }
  json.EndArray();
  json.Key("streams").BeginObject();
  if (!samples_.empty())
    for (const auto& [job, ignored] : samples_.back().job_rates) {
      json.Key(job).BeginArray();
      for (const Sample& s : samples_) {
        auto found = s.job_rates.find(job);
        json.Value(found == s.job_rates.end() ? 0.0 : found->second.first);
      }
      json.EndArray();
    }
  json.EndObject().EndObject();
}

void StatusService::WriteTopics(http::JsonWriter& json, const std::string& only, bool partitions) const {
  json.BeginArray();
  if (services_.broker) {
    const broker::BrokerStats stats = services_.broker->Stats();
    std::map<std::string, std::vector<const broker::PartitionStats*>> topics;
    for (const auto& p : stats.partitions)
      if (only.empty() ? !IsInternal(p.topic) : p.topic == only) topics[p.topic].push_back(&p);
    for (const auto& [name, list] : topics) {
      int64_t messages = 0, bytes = 0;
      for (const auto* p : list) {
        messages += p->high_watermark - p->log_start_offset;
        bytes += p->size_bytes;
      }
      json.BeginObject()
          .Field("name", name)
          .Field("partitions", list.size())
          .Field("messages", messages)
          .Field("size_bytes", bytes);
      json.Field("messages_in_per_second", TopicRate(name));
      if (partitions) {
        json.Key("partition_list").BeginArray();
        for (const auto* p : list)
          json.BeginObject()
              .Field("partition", p->partition)
              .Field("start_offset", p->log_start_offset)
              .Field("end_offset", p->high_watermark)
              .Field("size_bytes", p->size_bytes)
              .EndObject();
        json.EndArray();
      }
      json.EndObject();
    }
  } else if (services_.log) {
    if (auto list = services_.log->ListTopics(); list.ok())
      for (const auto& topic : *list) {
        if (only.empty() ? IsInternal(topic.name) : topic.name != only) continue;
        int64_t messages = 0;
        struct Range {
          int64_t first, end;
        };
        std::vector<Range> ranges;
        for (int32_t p = 0; p < topic.partitions; ++p) {
          auto offsets = services_.log->Offsets({topic.name, p});
          ranges.push_back(offsets.ok() ? Range{offsets->first, offsets->second} : Range{0, 0});
          messages += ranges.back().end - ranges.back().first;
        }
        json.BeginObject().Field("name", topic.name).Field("partitions", topic.partitions).Field("messages", messages);
        if (partitions) {
          json.Key("partition_list").BeginArray();
          for (size_t p = 0; p < ranges.size(); ++p)
            json.BeginObject()
                .Field("partition", p)
                .Field("start_offset", ranges[p].first)
                .Field("end_offset", ranges[p].end)
                .EndObject();
          json.EndArray();
        }
        json.EndObject();
      }
  }
  json.EndArray();
}

std::vector<ComponentHealth> StatusService::Health() {
  std::vector<ComponentHealth> out;
  if (services_.log) {
    auto topics = services_.log->ListTopics();
    out.push_back({"log", topics.ok() ? "ok" : "failed",
                   topics.ok() ? fmt::format("{} at {}, {}", services_.broker ? "embedded broker" : "Kafka cluster",
                                             services_.kafka, Plural(topics->size(), "topic"))
                               : topics.error().ToString()});
  } else {
    out.push_back({"log", "off", ""});
  }
  if (services_.jobs) {
    size_t running = 0, failed = 0;
    std::string first;
    for (const auto& job : services_.jobs->List()) {
      if (job.state == stream::JobState::kRunning) ++running;
      if (job.state == stream::JobState::kFailed && failed++ == 0) first = job.name + ": " + job.error;
    }
    out.push_back({"engine", "ok",
                   fmt::format("{} running{}", Plural(running, "job"),
                               failed ? fmt::format(", {} failed ({})", failed, first) : "")});
  } else {
    out.push_back({"engine", "off", ""});
  }
  if (services_.scheduler) {
    auto runs = services_.scheduler->Runs("", 1);
    size_t broken = 0;
    const auto dags = services_.scheduler->Dags();
    for (const auto& dag : dags) broken += !dag.error.empty();
    out.push_back({"scheduler", runs.ok() ? "ok" : "failed",
                   !runs.ok() ? runs.error().ToString()
                              : fmt::format("{}{}", Plural(dags.size() - broken, "DAG"),
                                            broken ? fmt::format(", {} that do not load", broken) : "")});
  } else {
    out.push_back({"scheduler", "off", ""});
  }
  const observe::DiskSpace disk = observe::ReadDiskSpace(services_.data_dir);
  out.push_back({"disk", disk.free_bytes < 0 || disk.free_bytes > kDiskFreeLeast ? "ok" : "failed",
                 fmt::format("{:.1f} GB free at {}", static_cast<double>(disk.free_bytes) / 1e9, services_.data_dir)});
  return out;
}

namespace {
void WriteHealth(http::JsonWriter& json, const std::vector<ComponentHealth>& components, bool* ok) {
  *ok = std::none_of(components.begin(), components.end(), [](const auto& c) { return c.status == "failed"; });
  json.BeginObject().Field("status", *ok ? "ok" : "degraded").Key("components").BeginArray();
  for (const auto& c : components)
    json.BeginObject().Field("name", c.name).Field("status", c.status).Field("detail", c.detail).EndObject();
  json.EndArray().EndObject();
}
}  // namespace

std::string StatusService::HealthJson(bool* ok) {
  http::JsonWriter json;
  WriteHealth(json, Health(), ok);
  return json.Take();
}

std::string StatusService::StatusJson() {
  const Services& s = services_;
  http::JsonWriter json;
  json.BeginObject()
      .Field("name", s.project_name)
      .Field("version", kVersion)
      .Field("pid", getpid())
      .Field("started_ms", s.started_ms);
  json.Field("now_ms", s.clock->NowMs())
      .Field("kafka", s.kafka)
      .Field("http", s.http)
      .Field("data_dir", s.data_dir)
      .Field("project_dir", s.project_dir);
  bool ok;
  json.Key("health");
  WriteHealth(json, Health(), &ok);

  const observe::ProcessStats process = observe::ReadProcessStats();
  json.Key("process")
      .BeginObject()
      .Field("cpu_seconds", process.cpu_seconds)
      .Field("resident_bytes", process.resident_bytes);
  json.Field("threads", process.threads).Field("open_fds", process.open_fds).EndObject();

  json.Key("broker").BeginObject().Field("embedded", s.broker != nullptr);
  std::vector<broker::GroupStats> groups;
  if (s.broker) {
    broker::BrokerStats stats = s.broker->Stats();
    groups = std::move(stats.groups);
    json.Field("messages_in", stats.messages_in).Field("bytes_in", stats.bytes_in).Field("bytes_out", stats.bytes_out);
    json.Field("connections", stats.connections).Field("fsyncs", stats.fsyncs);
    json.Field("fsync_us_mean",
               stats.fsyncs ? static_cast<double>(stats.fsync_us_sum) / static_cast<double>(stats.fsyncs) : 0.0);
  }
  {
    std::lock_guard lock(mutex_);
    if (samples_.size() >= 2) {
      const Sample& last = samples_.back();
      const Sample& first = samples_[samples_.size() - std::min(samples_.size(), kRateSamples + 1)];
      const int64_t ms = last.monotonic_ms - first.monotonic_ms;
      json.Field("messages_in_per_second",
                 PerSecond(static_cast<double>(last.messages_in), static_cast<double>(first.messages_in), ms));
      json.Field("bytes_in_per_second",
                 PerSecond(static_cast<double>(last.bytes_in), static_cast<double>(first.bytes_in), ms));
      json.Field("bytes_out_per_second",
                 PerSecond(static_cast<double>(last.bytes_out), static_cast<double>(first.bytes_out), ms));
      json.Field("cpu", PerSecond(last.cpu_seconds, first.cpu_seconds, ms));
    }
    WriteHistory(json);
  }
  json.EndObject();

  json.Key("topics");
  WriteTopics(json, "", false);
  json.Key("groups").BeginArray();
  for (const auto& group : groups) Write(json, group);
  json.EndArray().Key("streams").BeginArray();
  if (s.jobs)
    for (const auto& job : s.jobs->List()) Write(json, job);
  json.EndArray().Key("dags").BeginArray();
  if (s.scheduler)
    for (const auto& dag : s.scheduler->Dags()) Write(json, dag);
  json.EndArray().Key("runs").BeginArray();
  if (s.scheduler)
    if (auto runs = s.scheduler->Runs("", kRunsShown); runs.ok())
      for (const auto& run : *runs) {
        json.BeginObject().Key("run");
        Write(json, run);
        json.Key("tasks").BeginArray();
        if (auto tasks = s.scheduler->Tasks(run.dag_id, run.run_id); tasks.ok())
          for (const auto& task : *tasks) Write(json, task);
        json.EndArray().EndObject();
      }
  json.EndArray().Key("generators").BeginArray();
  if (s.generators)
    for (const auto& generator : s.generators()) Write(json, generator);
  json.EndArray().Key("alerts").BeginArray();
  if (s.alerts)
    for (const auto& alert : s.alerts->Alerts()) json.Raw(alert.ToJson());
  json.EndArray().Key("dag_alerts").BeginArray();
  if (s.scheduler)
    if (auto alerts = s.scheduler->Alerts(kDagAlertsShown); alerts.ok())
      for (const auto& alert : *alerts)
        json.BeginObject()
            .Field("time_ms", alert.at_ms)
            .Field("severity", alert.severity)
            .Field("source", alert.source)
            .Field("message", alert.message)
            .EndObject();
  json.EndArray().Key("sla_misses").BeginArray();
  if (s.scheduler)
    if (auto misses = s.scheduler->SlaMisses("", kDagAlertsShown); misses.ok())
      for (const auto& miss : *misses)
        json.BeginObject()
            .Field("time_ms", miss.at_ms)
            .Field("dag_id", miss.dag_id)
            .Field("run_id", miss.run_id)
            .Field("task_id", miss.task_id)
            .EndObject();
  json.EndArray().Key("errors").BeginArray();
  if (s.recent)
    for (const auto& line : s.recent->Lines())
      json.BeginObject()
          .Field("time_ms", line.time_ms)
          .Field("level", line.level == LogLevel::kError ? "error" : "warning")
          .Field("component", line.component)
          .Field("message", line.message)
          .Field("repeated", line.repeated)
          .EndObject();
  json.EndArray().EndObject();
  return json.Take();
}

}  // namespace tailrace::api
