#pragma once
// One job at work: polls its sources in turn, pushes batches through the graph, ends epochs. Pull-based: a sink that
// blocks stops the polls, and so back-pressure reaches the log. One thread calls everything but the statistics.
// The order of commits: docs/decisions/0002-commit-protocol.md.

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "sql/plan.h"
#include "stream/checkpoint.h"
#include "stream/connector.h"
#include "stream/job_manager.h"
#include "stream/latency.h"
#include "stream/lowering.h"
#include "stream/settings.h"

namespace tailrace::stream {

struct PipelineOptions {
  std::string job;
  std::string base_dir;
  JobSettings settings;
  bool resume = true;
};

class Pipeline final : public EpochGate {
 public:
  /// Builds the graph; opens nothing. `connectors`, `store`, `waker`, `clock` and `counters` outlive it.
  static Result<std::unique_ptr<Pipeline>> Make(const sql::Plan& plan, PipelineOptions options,
                                                JobConnectors& connectors, CheckpointStore& store, Waker& waker,
                                                Clock& clock, JobCounters& counters);
  ~Pipeline() override;

  /// Finds the epoch that stands, loads its checkpoint, repeats its commit, removes what is newer, opens the sources.
  Status Recover();

  enum class Step {
    kWorked,    // there may be more at once
    kIdle,      // nothing to do before the Waker wakes or `idle_ms` passed
    kFinished,  // every source has ended and its results are committed
  };
  /// One poll of every source, timers, and the end of the epoch where it is due. An error leaves the pipeline unusable:
  /// make a new one and recover.
  Result<Step> Run(int64_t* idle_ms);
  /// Ends the epoch now, where anything has happened since the last.
  Status EndEpoch();
  /// The last step of a job that is through: its next run starts anew.
  Status MarkFinished();

  /// Whether an epoch of this pipeline stands.
  bool committed() const { return committed_; }

  /// Fills in what the pipeline knows. Thread-safe.
  void Describe(JobInfo* info) const;

 private:
  Pipeline(PipelineOptions options, JobConnectors& connectors, CheckpointStore& store, Waker& waker, Clock& clock,
           JobCounters& counters);

  Status EnsureBegun() override;
  Status Poll(GraphSource& source, bool* worked, bool* idle);
  Status SendBad();
  Status Commit();
  Checkpoint TakeCheckpoint(std::vector<std::string>* prepared_by_sink) const;
  Result<Checkpoint> FindStanding(bool* fresh, uint64_t* last_committed);
  void Publish();

  const PipelineOptions options_;
  JobConnectors& connectors_;
  CheckpointStore& store_;
  Clock& clock_;
  JobCounters& counters_;
  ConnectorContext connector_context_;
  OperatorContext operator_context_;
  std::vector<BadRecord> bad_;
  Graph graph_;
  std::unique_ptr<CommitPoint> commit_point_;
  std::vector<bool> ended_;  // by source
  Polled polled_;

  uint64_t epoch_ = 1;  // the one being worked on
  bool begun_ = false;  // its transaction is open
  bool dirty_ = false;  // something has happened in it
  bool committed_ = false;
  bool unflushed_ = false;  // rows of an at-least-once job are with the sinks
  int64_t last_end_ms_ = 0, last_tick_ms_ = 0, last_publish_ms_ = 0, last_flush_ms_ = 0;  // monotonic
  int64_t checkpoint_duration_ms_ = 0, state_bytes_ = 0;
  int64_t last_lag_ms_ = -1;   // monotonic
  std::vector<int64_t> lags_;  // by source, as last asked
  PendingLatencies pending_;

  mutable std::mutex mutex_;  // guards what follows
  LatencyHistogram latency_;
  JobInfo published_;
  struct Sample {
    int64_t at_ms = 0;  // monotonic
    uint64_t records_in = 0, rows_out = 0;
  };
  std::vector<Sample> samples_;  // one a second, of the last ten
};

}  // namespace tailrace::stream
