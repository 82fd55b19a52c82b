#pragma once
// Streaming jobs of this process: start, stop, look at. One pipeline thread a job.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace {
class Clock;
}

namespace tailrace::stream {

class ConnectorFactory;

enum class JobState { kStarting, kRunning, kFinished, kFailed, kCancelled, kRestarting };
const char* JobStateName(JobState state);  // Flink's names: CREATED RUNNING FINISHED FAILED CANCELED RESTARTING

struct JobOptions {
  std::string name;      // default: pipeline.name of the script, else the file's stem
  std::string base_dir;  // relative paths in the script start here; default: the file's directory
  bool resume = true;    // from the last checkpoint where there is one
};

/// Percentiles over the last minute; -1 where nothing was seen.
struct LatencyStats {
  int64_t p50_us = -1, p99_us = -1, max_us = -1;
};

struct JobInfo {
  std::string name;
  std::string file;
  JobState state = JobState::kStarting;
  std::string error;  // of a failed job: where and what to do
  int64_t started_ms = 0, ended_ms = 0;
  int restarts = 0;
  uint64_t records_in = 0, bytes_in = 0, rows_out = 0, bad_records = 0, late_records = 0;
  double records_in_per_second = 0, rows_out_per_second = 0;  // over the last 10 s
  int64_t lag = -1;                                           // records waiting in the sources; -1: not known
  int64_t watermark_ms = INT64_MIN;
  uint64_t epoch = 0;  // last epoch that stands
  int64_t last_checkpoint_ms = 0, checkpoint_duration_ms = 0, state_bytes = 0;
  LatencyStats latency;  // from the record's timestamp to the commit of its epoch
};

struct JobManagerOptions {
  std::string checkpoint_dir;  // one folder a job
  int max_jobs = 64;
  int max_restarts = 10;            // of a job whose sink or source failed retriably, with growing delays
  int64_t restart_delay_ms = 1000;  // the first; each next one doubles, up to a minute
  /// Called by the job's own thread once it has ended (finished, failed or cancelled), with its last numbers.
  std::function<void(const JobInfo&)> on_end;
};

/// Thread-safe.
class JobManager {
 public:
  static std::unique_ptr<JobManager> Create(JobManagerOptions options, ConnectorFactory& connectors, Clock& clock);
  virtual ~JobManager() = default;
  /// Parses, plans and starts; returns the job's name. kAlreadyExists: it runs. Errors of the file have their place.
  virtual Result<std::string> Start(const std::string& file, const std::string& sql, JobOptions options) = 0;
  /// Takes a last checkpoint, then stops. Returns when it has ended.
  virtual Status Stop(const std::string& name) = 0;
  virtual std::vector<JobInfo> List() = 0;
  virtual Result<JobInfo> Describe(const std::string& name) = 0;
  /// Until the job has ended or `timeout_ms` passed (kTimeout).
  virtual Result<JobInfo> Wait(const std::string& name, int64_t timeout_ms) = 0;
  /// Stops every job, each with a last checkpoint, within `deadline_ms`.
  virtual void Shutdown(int64_t deadline_ms) = 0;
};

}  // namespace tailrace::stream
