#pragma once
// The embedded Kafka broker: topics and groups on disk, the Kafka protocol on a port, the same log in process.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace {
class Clock;
}
namespace tailrace::log {
class Client;
}

namespace tailrace::broker {

struct BrokerOptions {
  std::string data_dir;  // holds partitions as TOPIC-N/ and meta.journal
  int32_t node_id = 0;
  std::string cluster_id;  // made and kept on first start where empty
  std::string advertised_host = "127.0.0.1";
  bool auto_create_topics = true;
  int32_t default_partitions = 1;
  int64_t segment_bytes = 1 << 30;  // topic config segment.bytes overrides; likewise below
  int64_t segment_ms = 7 * 86400'000ll;
  int64_t retention_ms = 7 * 86400'000ll;
  int64_t retention_bytes = -1;
  int64_t retention_check_interval_ms = 300'000;
  int32_t max_message_bytes = 1'048'588;
  int32_t max_request_bytes = 104'857'600;  // socket.request.max.bytes
  // A compressed batch is inflated by the loop that serves its connection, to be checked: what it may grow to is memory
  // and time that others wait for. 32 times the default max.message.bytes; a topic that allows larger batches allows
  // them compressed as well.
  int64_t max_decompressed_bytes = 32 << 20;
  int32_t max_connections = 4096;
  int64_t max_queued_bytes = 256 << 20;  // of requests not yet answered, all connections together
  bool flush_before_ack = true;          // false: acknowledged means in the page cache, as Kafka's default
  int32_t group_min_session_timeout_ms = 1000;
  int32_t group_max_session_timeout_ms = 1'800'000;
  int32_t group_initial_rebalance_delay_ms = 0;
  int64_t offsets_retention_ms = 7 * 86400'000ll;
  int32_t io_threads = 1;
};

struct PartitionStats {
  std::string topic;
  int32_t partition;
  int64_t log_start_offset;
  int64_t high_watermark;
  int64_t log_end_offset;
  int64_t size_bytes;
};

struct GroupPartitionStats {
  std::string topic;
  int32_t partition;
  int64_t committed;
  int64_t lag;
};
struct GroupStats {
  std::string group;
  std::string state;  // Empty, PreparingRebalance, CompletingRebalance, Stable, Dead
  int32_t members;
  std::vector<GroupPartitionStats> partitions;
};

/// Requests of one API since start. Times from the frame's last byte read to the answer's first byte written.
struct ApiStats {
  std::string api;  // "Produce"
  uint64_t requests = 0;
  uint64_t errors = 0;
  uint64_t time_us_sum = 0;
  std::vector<uint64_t> time_us_buckets;  // bucket k counts times < 2^k microseconds, not cumulative
};

struct BrokerStats {
  uint64_t messages_in = 0, bytes_in = 0, bytes_out = 0;
  uint64_t connections = 0;
  uint64_t fsyncs = 0, fsync_us_sum = 0;
  std::vector<PartitionStats> partitions;
  std::vector<GroupStats> groups;
  std::vector<ApiStats> apis;
};

/// Thread-safe.
class Broker {
 public:
  /// Opens the data directory and recovers every partition (torn tails dropped). kConflict: another process has it.
  static Result<std::unique_ptr<Broker>> Open(BrokerOptions options, Clock& clock);
  virtual ~Broker() = default;
  /// Serves the Kafka protocol; returns the port bound (0 asks for a free one). kConflict: port taken.
  virtual Result<uint16_t> Listen(const std::string& host, uint16_t port) = 0;
  /// The same topics in process.
  virtual log::Client& client() = 0;
  virtual BrokerStats Stats() = 0;
  virtual const std::string& cluster_id() const = 0;
  /// Stops serving, flushes, writes clean-shutdown marks. Within 2 s.
  virtual Status Close() = 0;
};

}  // namespace tailrace::broker
