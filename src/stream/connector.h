#pragma once
// What a connector implements. connectors/registry.cc lists them all; each folder under connectors/ holds one.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/record.h"
#include "base/result.h"
#include "data/batch.h"
#include "sql/catalog.h"

namespace tailrace {
class Clock;
class Waker;
}  // namespace tailrace

namespace tailrace::stream {

/// A record that did not decode, or a row that broke a constraint or an expression. Never stops a job: it goes to the
/// job's error topic.
struct BadRecord {
  std::string reason;   // "column user_id: expected a string, found a number at byte 31"
  std::string stage;    // "decode", "constraint", "expression"
  TopicPartition from;  // the file's path and 0 for files
  int64_t offset = -1;
  int64_t timestamp_ms = -1;
  std::string key;
  std::string original;  // the bytes as they came
};

/// What one Poll gave.
struct Polled {
  std::vector<data::Batch> batches;  // each at most data::kBatchRows rows, with origins; columns as ScanSpec asks
  std::vector<BadRecord> bad;
  uint64_t records = 0;  // read from outside, good and bad
  uint64_t bytes = 0;
};

enum class PollState {
  kMore,  // there may be more at once
  kIdle,  // nothing now; the Waker wakes, or poll again after `idle_ms`
  kEnd,   // bounded, and all of it was given
};

/// What the plan reads of a table. `columns` are indices into table->physical_columns, in the order wanted: the
/// projection is pushed into the decoder, which need not look at other fields (a constraint's columns are included).
struct ScanSpec {
  const sql::Table* table = nullptr;
  std::vector<int> columns;
};

/// Reads one table for one job. One thread (the pipeline's) calls it.
class Source {
 public:
  virtual ~Source() = default;
  /// Position as Position() once gave it; empty: start as the table's options say.
  virtual Status Open(const std::string& position) = 0;
  virtual Result<PollState> Poll(Polled* out) = 0;
  /// Everything given by Poll so far and nothing else, in a form stable across versions: part of the checkpoint.
  virtual std::string Position() const = 0;
  virtual bool bounded() const = 0;
  /// For sources on the log: the offsets behind Position(), for the group's commit and the lag metric. Else empty.
  virtual std::vector<std::pair<TopicPartition, int64_t>> LogOffsets() const { return {}; }
  /// Records known to be there and not yet polled; -1 where it can't be told.
  virtual int64_t Lag() { return -1; }
};

/// Writes one table for one job. One thread (the pipeline's) calls it. Rows between two Prepare calls are one epoch.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual Status Open() = 0;
  virtual Status Write(const data::Batch& batch) = 0;
  /// Ends the epoch: returns what Commit needs to make it visible, which then is stored in the checkpoint (rows to
  /// upsert, files to rename; empty where the log transaction does it all).
  virtual Result<std::string> Prepare(uint64_t epoch) = 0;
  /// The epoch stands: make it visible. Idempotent; called again with the same arguments after a crash.
  virtual Status Commit(uint64_t epoch, const std::string& prepared) = 0;
  /// Removes what an epoch that does not stand left behind (after a restart: every epoch above `last_committed`).
  virtual Status Discard(uint64_t last_committed) {
    (void)last_committed;
    return {};
  }
  /// Flush of what is visible without a checkpoint (print to a terminal, at-least-once jobs).
  virtual Status Flush() { return {}; }
};

/// The decision that an epoch stands. One per job. A job that touches the log decides by the log's transaction
/// (results + source offsets + "epoch N" as their metadata); any other by the checkpoint file itself
/// (docs/decisions/0002).
class CommitPoint {
 public:
  virtual ~CommitPoint() = default;
  /// The last epoch that stands; 0 = none. Called once, before anything else; fences an older run of the same job.
  virtual Result<uint64_t> Recover() = 0;
  /// Opens the epoch's transaction; sinks on the log append to it.
  virtual Status Begin(uint64_t epoch) = 0;
  /// On return the epoch stands, whatever happens next. The checkpoint file is on disk before the call.
  virtual Status Commit(uint64_t epoch, const std::vector<std::pair<TopicPartition, int64_t>>& offsets) = 0;
  virtual Status Abort() = 0;
};

/// What a connector may use of the job it works for. Lives longer than its sources and sinks.
struct ConnectorContext {
  std::string job;         // name of the job
  Waker* waker = nullptr;  // wakes the pipeline
  Clock* clock = nullptr;
  std::string base_dir;  // relative paths of files and stores start here
  bool exactly_once = true;
};

/// Where the engine gets its connectors from; implemented by connectors/registry (kept apart so that stream/ does not
/// know them). A job keeps one JobConnectors: what its sinks share (one log transaction) lives there.
class JobConnectors {
 public:
  virtual ~JobConnectors() = default;
  virtual Result<std::unique_ptr<Source>> MakeSource(const ScanSpec& scan, const ConnectorContext& context) = 0;
  virtual Result<std::unique_ptr<Sink>> MakeSink(const sql::Table& table, const ConnectorContext& context) = 0;
  /// After all sources and sinks were made. Null where the checkpoint file decides.
  virtual Result<std::unique_ptr<CommitPoint>> MakeCommitPoint(const ConnectorContext& context) = 0;
  /// Sends bad records to the job's error topic, within the job's transaction where it has one.
  virtual Status WriteBadRecords(const std::vector<BadRecord>& bad, const ConnectorContext& context) = 0;
};

class ConnectorFactory {
 public:
  virtual ~ConnectorFactory() = default;
  /// Checks connector name and options of a table: unknown option, missing option, wrong value, each with its place.
  virtual Status Validate(const sql::Table& table) const = 0;
  virtual std::unique_ptr<JobConnectors> ForJob(const sql::Script& script) = 0;
};

}  // namespace tailrace::stream
