#include "api/metrics.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/clock.h"
#include "broker/broker.h"
#include "observe/alerts.h"
#include "observe/metrics_text.h"
#include "observe/process_stats.h"
#include "observe/recent_log.h"
#include "stream/job_manager.h"
#include "workflow/scheduler.h"

namespace tailrace::api {
namespace {

using observe::MetricsText;

// Runs whose tasks are counted; older ones are history, which the metadata keeps.
constexpr int kRunsCounted = 100;

double D(uint64_t n) { return static_cast<double>(n); }
double D(int64_t n) { return static_cast<double>(n); }

void BrokerMetrics(MetricsText& m, const broker::BrokerStats& stats) {
  m.Single("kafka_brokers", "gauge", "Number of brokers in the Kafka cluster.", 1);
  std::map<std::string, int> partitions;
  for (const auto& p : stats.partitions) ++partitions[p.topic];
  m.Family("kafka_topic_partitions", "gauge", "Number of partitions for this topic.");
  for (const auto& [topic, n] : partitions) m.Sample(n, {{"topic", topic}});

  auto each = [&](const char* name, const char* help, auto value) {
    m.Family(name, "gauge", help);
    for (const auto& p : stats.partitions)
      m.Sample(value(p), {{"topic", p.topic}, {"partition", std::to_string(p.partition)}});
  };
  using P = broker::PartitionStats;
  each("kafka_topic_partition_current_offset", "Current offset of a broker at topic/partition.",
       [](const P& p) { return D(p.high_watermark); });
  each("kafka_topic_partition_oldest_offset", "Oldest offset of a broker at topic/partition.",
       [](const P& p) { return D(p.log_start_offset); });
  each("kafka_topic_partition_leader", "Leader broker id of this topic/partition.", [](const P&) { return 0.0; });
  each("kafka_topic_partition_leader_is_preferred", "1 if the topic/partition is using the preferred broker.",
       [](const P&) { return 1.0; });
  each("kafka_topic_partition_replicas", "Number of replicas for this topic/partition.", [](const P&) { return 1.0; });
  each("kafka_topic_partition_in_sync_replica", "Number of in-sync replicas for this topic/partition.",
       [](const P&) { return 1.0; });
  each("kafka_topic_partition_under_replicated_partition", "1 if the topic/partition is under-replicated.",
       [](const P&) { return 0.0; });
  each("kafka_log_log_size", "Size of the partition on disk in bytes.", [](const P& p) { return D(p.size_bytes); });

  m.Family("kafka_consumergroup_current_offset", "gauge", "Current offset of a consumer group at topic/partition.");
  for (const auto& g : stats.groups)
    for (const auto& p : g.partitions)
      m.Sample(D(p.committed),
               {{"consumergroup", g.group}, {"topic", p.topic}, {"partition", std::to_string(p.partition)}});
  m.Family("kafka_consumergroup_lag", "gauge", "Current approximate lag of a consumer group at topic/partition.");
  for (const auto& g : stats.groups)
    for (const auto& p : g.partitions)
      m.Sample(D(p.lag), {{"consumergroup", g.group}, {"topic", p.topic}, {"partition", std::to_string(p.partition)}});
  m.Family("kafka_consumergroup_lag_sum", "gauge",
           "Current approximate lag of a consumer group at topic for all partitions.");
  for (const auto& g : stats.groups) {
    std::map<std::string, int64_t> lag;
    for (const auto& p : g.partitions) lag[p.topic] += std::max<int64_t>(0, p.lag);
    for (const auto& [topic, sum] : lag) m.Sample(D(sum), {{"consumergroup", g.group}, {"topic", topic}});
  }
  m.Family("kafka_consumergroup_members", "gauge", "Amount of members in a consumer group.");
  for (const auto& g : stats.groups) m.Sample(g.members, {{"consumergroup", g.group}});

  m.Single("kafka_server_brokertopicmetrics_messagesin_total", "counter", "Records taken in.", D(stats.messages_in));
  m.Single("kafka_server_brokertopicmetrics_bytesin_total", "counter", "Bytes taken in.", D(stats.bytes_in));
  m.Single("kafka_server_brokertopicmetrics_bytesout_total", "counter", "Bytes given out.", D(stats.bytes_out));
  m.Single("kafka_server_replicamanager_partitioncount", "gauge", "Partitions of this broker.",
           D(stats.partitions.size()));
  m.Single("kafka_server_replicamanager_leadercount", "gauge", "Partitions this broker leads.",
           D(stats.partitions.size()));
  m.Single("kafka_server_replicamanager_underreplicatedpartitions", "gauge", "Always 0: one broker.", 0);
  m.Single("kafka_controller_kafkacontroller_activecontrollercount", "gauge", "Always 1: one broker.", 1);
  m.Single("kafka_controller_kafkacontroller_offlinepartitionscount", "gauge", "Partitions without a leader.", 0);
  m.Single("kafka_server_socket_server_metrics_connection_count", "gauge", "Open Kafka connections.",
           D(stats.connections));

  m.Family("kafka_network_requestmetrics_requests_total", "counter", "Requests answered.");
  for (const auto& a : stats.apis) m.Sample(D(a.requests), {{"request", a.api}});
  m.Family("kafka_network_requestmetrics_errors_total", "counter", "Requests answered with an error.");
  for (const auto& a : stats.apis) m.Sample(D(a.errors), {{"request", a.api}});
  m.Family("kafka_network_requestmetrics_totaltimems", "summary", "Time of a request in the broker in milliseconds.");
  for (const auto& a : stats.apis) {
    for (const char* quantile : {"0.50", "0.75", "0.95", "0.98", "0.99", "0.999"})
      m.Sample(observe::QuantileOfPowers(a.time_us_buckets, std::stod(quantile)) / 1000,
               {{"request", a.api}, {"quantile", quantile}});
    m.Sample("_sum", D(a.time_us_sum) / 1000, {{"request", a.api}});
    m.Sample("_count", D(a.requests), {{"request", a.api}});
  }
  m.Single("tailrace_log_fsync_total", "counter", "fsync calls of the log.", D(stats.fsyncs));
  m.Single("tailrace_log_fsync_seconds_total", "counter", "Time spent in them.", D(stats.fsync_us_sum) / 1e6);
}

void StreamMetrics(MetricsText& m, const std::vector<stream::JobInfo>& jobs) {
  using Job = stream::JobInfo;
  auto each = [&](const char* name, const char* type, const char* help, auto value) {
    m.Family(name, type, help);
    for (const Job& job : jobs) m.Sample(value(job), {{"job", job.name}});
  };
  m.Family("tailrace_stream_state", "gauge", "1 for the state the job is in.");
  for (const Job& job : jobs) m.Sample(1, {{"job", job.name}, {"state", stream::JobStateName(job.state)}});
  each("tailrace_stream_records_in_total", "counter", "Records read.", [](const Job& j) { return D(j.records_in); });
  each("tailrace_stream_bytes_in_total", "counter", "Bytes read.", [](const Job& j) { return D(j.bytes_in); });
  each("tailrace_stream_rows_out_total", "counter", "Rows written.", [](const Job& j) { return D(j.rows_out); });
  each("tailrace_stream_bad_records_total", "counter", "Records sent to the error topic.",
       [](const Job& j) { return D(j.bad_records); });
  each("tailrace_stream_late_records_total", "counter", "Rows behind the watermark, dropped.",
       [](const Job& j) { return D(j.late_records); });
  each("tailrace_stream_restarts_total", "counter", "Restarts after a failure.",
       [](const Job& j) { return double(j.restarts); });
  each("tailrace_stream_records_in_per_second", "gauge", "Over the last 10 s.",
       [](const Job& j) { return j.records_in_per_second; });
  each("tailrace_stream_rows_out_per_second", "gauge", "Over the last 10 s.",
       [](const Job& j) { return j.rows_out_per_second; });
  each("tailrace_stream_epoch", "gauge", "Last epoch that stands.", [](const Job& j) { return D(j.epoch); });
  each("tailrace_stream_checkpoint_duration_seconds", "gauge", "Of the last checkpoint.",
       [](const Job& j) { return D(j.checkpoint_duration_ms) / 1000; });
  each("tailrace_stream_state_bytes", "gauge", "State of the operators.",
       [](const Job& j) { return D(j.state_bytes); });
  m.Family("tailrace_stream_lag", "gauge", "Records waiting in the sources.");
  for (const Job& job : jobs)
    if (job.lag >= 0) m.Sample(D(job.lag), {{"job", job.name}});
  m.Family("tailrace_stream_watermark_seconds", "gauge",
           "Event time up to which the job has seen everything, since the epoch.");
  for (const Job& job : jobs)
    if (job.watermark_ms != INT64_MIN && job.state == stream::JobState::kRunning)
      m.Sample(D(job.watermark_ms) / 1000, {{"job", job.name}});
  m.Family("tailrace_stream_latency_seconds", "gauge",
           "From a record's timestamp to the commit of its result, over the last minute.");
  for (const Job& job : jobs) {
    if (job.latency.p99_us < 0) continue;
    m.Sample(D(job.latency.p50_us) / 1e6, {{"job", job.name}, {"quantile", "0.5"}});
    m.Sample(D(job.latency.p99_us) / 1e6, {{"job", job.name}, {"quantile", "0.99"}});
    m.Sample(D(job.latency.max_us) / 1e6, {{"job", job.name}, {"quantile", "1"}});
  }
}

void WorkflowMetrics(MetricsText& m, workflow::Scheduler& scheduler) {
  const auto dags = scheduler.Dags();
  size_t broken = 0;
  for (const auto& dag : dags) broken += !dag.error.empty();
  m.Single("tailrace_dag_count", "gauge", "DAGs that load.", D(dags.size() - broken));
  m.Single("tailrace_dag_import_errors", "gauge", "DAG files that do not.", D(broken));
  m.Family("tailrace_dag_paused", "gauge", "1 where the DAG is paused.");
  for (const auto& dag : dags)
    if (dag.error.empty()) m.Sample(dag.paused ? 1 : 0, {{"dag_id", dag.dag_id}});
  auto runs = scheduler.Runs("", kRunsCounted);
  if (!runs.ok()) return;
  std::map<std::pair<std::string, std::string>, int> run_states, task_states;
  std::map<std::string, double> duration;
  std::map<std::pair<std::string, std::string>, double> task_duration;
  for (const auto& run : *runs) {  // newest first
    ++run_states[{run.dag_id, run.state}];
    if (run.start_date_ms && run.end_date_ms)
      duration.try_emplace(run.dag_id, D(*run.end_date_ms - *run.start_date_ms) / 1000);
    if (auto tasks = scheduler.Tasks(run.dag_id, run.run_id); tasks.ok())
      for (const auto& task : *tasks) {
        ++task_states[{task.dag_id, task.state.empty() ? "none" : task.state}];
        if (task.start_date_ms && task.end_date_ms)
          task_duration.try_emplace({task.dag_id, task.task_id}, D(*task.end_date_ms - *task.start_date_ms) / 1000);
      }
  }
  m.Family("tailrace_dag_runs", "gauge", "Among the last 100 runs of all DAGs.");
  for (const auto& [key, n] : run_states) m.Sample(n, {{"dag_id", key.first}, {"state", key.second}});
  m.Family("tailrace_dag_run_duration_seconds", "gauge", "Of the DAG's last run that ended.");
  for (const auto& [dag, seconds] : duration) m.Sample(seconds, {{"dag_id", dag}});
  m.Family("tailrace_task_instances", "gauge", "Of the last 100 runs of all DAGs.");
  for (const auto& [key, n] : task_states) m.Sample(n, {{"dag_id", key.first}, {"state", key.second}});
  m.Family("tailrace_task_duration_seconds", "gauge", "Of the task's last instance that ended.");
  for (const auto& [key, seconds] : task_duration) m.Sample(seconds, {{"dag_id", key.first}, {"task_id", key.second}});
}

void ProcessMetrics(MetricsText& m) {
  const observe::ProcessStats p = observe::ReadProcessStats();
  m.Single("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", p.cpu_seconds);
  m.Single("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", D(p.resident_bytes));
  m.Single("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", D(p.virtual_bytes));
  m.Single("process_open_fds", "gauge", "Number of open file descriptors.", D(p.open_fds));
  m.Single("process_max_fds", "gauge", "Maximum number of open file descriptors.", D(p.max_fds));
  m.Single("process_threads", "gauge", "Number of threads.", D(p.threads));
  m.Single("process_start_time_seconds", "gauge", "Start time of the process since the epoch in seconds.",
           D(p.start_time_ms) / 1000);
}

}  // namespace

std::string MetricsPage(const Services& services) {
  MetricsText m;
  m.Single("tailrace_build_info", "gauge", "The version that runs.", 1, {{"version", kVersion}});
  if (services.broker) BrokerMetrics(m, services.broker->Stats());
  if (services.jobs) StreamMetrics(m, services.jobs->List());
  if (services.scheduler) WorkflowMetrics(m, *services.scheduler);
  if (services.alerts) {
    m.Family("tailrace_alerts", "gauge", "1 for each alert that is pending or firing.");
    for (const auto& alert : services.alerts->Alerts())
      if (alert.state != observe::AlertState::kResolved)
        m.Sample(1, {{"rule", alert.rule}, {"job", alert.job}, {"state", observe::AlertStateName(alert.state)}});
  }
  if (services.recent)
    m.Single("tailrace_log_errors_total", "counter", "Error lines in the program's log.", D(services.recent->errors()));
  const observe::DiskSpace disk = observe::ReadDiskSpace(services.data_dir);
  m.Single("tailrace_disk_free_bytes", "gauge", "Of the data directory's file system.", D(disk.free_bytes));
  ProcessMetrics(m);
  return m.Take();
}

}  // namespace tailrace::api
