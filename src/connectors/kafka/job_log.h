#pragma once
// What the tables of one job share of the log: clients, the one transaction, the commit point, the error topic.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "connectors/options.h"
#include "connectors/registry.h"
#include "log/client.h"
#include "stream/connector.h"

namespace tailrace::connectors {

/// The log clients of the process: the embedded one and one a cluster. Thread-safe.
class LogClients {
 public:
  explicit LogClients(Services services);
  ~LogClients();
  /// `bootstrap` empty: the default; "embedded" or an own address: the log in this process.
  Result<log::Client*> For(const std::string& bootstrap, const std::map<std::string, std::string>& properties);
  const Services& services() const { return services_; }
  /// The default log; null where there is none.
  log::Client* Default();

 private:
  Services services_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<log::Client>> clusters_;
};

/// One thread (the pipeline's) uses it, and it outlives the job's sources and sinks.
class JobLog {
 public:
  JobLog(LogClients& clients, sql::Options settings);
  ~JobLog();

  Result<log::Client*> ClientFor(const OptionValues& options);

  /// A source reads `topic` there; `group` empty: the job's own group.
  void AddSource(log::Client* client, const std::string& topic, const std::string& group);
  /// A sink writes `topic` there. Exactly-once sinks of one job share one transaction, so they share one cluster.
  Status AddSink(log::Client* client, const std::string& topic, const std::string& table, bool exactly_once,
                 const std::string& transactional_id_prefix);
  /// Where a sink appends: the transaction's writer (between Begin and Commit), or a plain one.
  Result<log::Writer*> WriterFor(log::Client* client, bool exactly_once);

  Result<std::unique_ptr<stream::CommitPoint>> MakeCommitPoint(const stream::ConnectorContext& context);
  Status WriteBadRecords(const std::vector<stream::BadRecord>& bad, const stream::ConnectorContext& context);
  /// The same outside the job's transaction, on disk on return: for rows that a sink can't take after their epoch
  /// stands.
  Status WriteBadRecordsNow(const std::vector<stream::BadRecord>& bad, const stream::ConnectorContext& context);

  struct State;

 private:
  Status WriteBadRecordsTo(log::Client* client, log::Writer* writer, const std::vector<stream::BadRecord>& bad,
                           const stream::ConnectorContext& context);
  Status WriteBadRecordsToFile(const std::vector<stream::BadRecord>& bad, const stream::ConnectorContext& context);
  std::unique_ptr<State> state_;
};

/// The value of an error record: JSON with job, stage, reason, topic, partition, offset, timestamp, key, original (or
/// original_base64 where it is not UTF-8) and failed_at. An original of more than `original_bytes_max` is cut to that.
std::string BadRecordJson(const stream::BadRecord& bad, const std::string& job, int64_t now_ms,
                          size_t original_bytes_max = 600 << 10);

/// The metadata that marks a committed offset as part of a job's epoch, and back; 0 where it is not this job's.
std::string EpochMetadata(const std::string& job, uint64_t epoch);
uint64_t EpochOfMetadata(const std::string& metadata, const std::string& job);

}  // namespace tailrace::connectors
