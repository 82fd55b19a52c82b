#pragma once
// Which topics there are: names, ids, configs, and their partitions' logs. The one owner of broker metadata on disk
// (keys "t/", "b/" and "c/" of DATA_DIR/meta.journal, docs/formats/broker-metadata.md).

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace tailrace {
class Clock;
}
namespace tailrace::log {
class Flusher;
class Journal;
class Partition;
}  // namespace tailrace::log

namespace tailrace::broker {

struct BrokerOptions;

using TopicId = std::array<uint8_t, 16>;  // all zero: none
using TopicConfigs = std::map<std::string, std::string, std::less<>>;

/// One topic as it stood at one moment: a change makes a new one. Partitions stay usable after the topic is deleted
/// as long as somebody holds them; they then refuse appends.
struct Topic {
  std::string name;
  TopicId id{};
  TopicConfigs configs;                                     // only what the topic overrides
  std::vector<std::shared_ptr<log::Partition>> partitions;  // index = partition number
  // Resolved from configs for the produce path:
  int32_t max_message_bytes = 0;
  bool compacted = false;
  bool log_append_time = false;
  int64_t timestamp_after_max_ms = 0;
  int64_t timestamp_before_max_ms = 0;
};
using TopicPtr = std::shared_ptr<const Topic>;

/// Kafka's rules: 1 to 249 of [a-zA-Z0-9._-], neither "." nor "..".
Status CheckTopicName(std::string_view name);

/// What was appended since start, over the network and in process.
struct AppendTraffic {
  std::atomic<uint64_t> messages{0};
  std::atomic<uint64_t> bytes{0};  // of batches
  void Count(uint64_t records, uint64_t batch_bytes) {
    messages.fetch_add(records, std::memory_order_relaxed);
    bytes.fetch_add(batch_bytes, std::memory_order_relaxed);
  }
};

/// Thread-safe. Look-ups take a lock for some ten nanoseconds; changes are on disk before they return.
class TopicManager {
 public:
  static constexpr int32_t kPartitionsMax = 10'000;  // of one topic
  static constexpr int32_t kPartitionsTotalMax = 100'000;

  /// Opens every partition that the journal names. `options`, `clock` and `flusher` must outlive it.
  static Result<std::unique_ptr<TopicManager>> Open(const BrokerOptions& options, Clock& clock, log::Flusher& flusher,
                                                    std::shared_ptr<log::Journal> journal);
  ~TopicManager();

  /// Null where there is none.
  TopicPtr Find(std::string_view name) const;
  TopicPtr FindById(const TopicId& id) const;
  std::shared_ptr<log::Partition> FindPartition(std::string_view topic, int32_t partition) const;
  /// Ordered by name.
  std::vector<TopicPtr> List() const;

  /// partitions -1: the broker's default. Errors: kInvalidArgument (name, count, config), kAlreadyExists,
  /// kLimitExceeded, kIo.
  Result<TopicPtr> Create(const std::string& name, int32_t partitions, const TopicConfigs& configs);
  /// The topic, created with the defaults where the broker's settings allow it. kNotFound where they don't.
  Result<TopicPtr> FindOrAutoCreate(const std::string& name);
  /// Waiting readers are woken with kNotFound; files are removed.
  Status Delete(const std::string& name);
  /// Grows the topic to `count` partitions. kInvalidArgument where that is not more than it has.
  Result<TopicPtr> AddPartitions(const std::string& name, int32_t count);
  /// Replaces the topic's overrides.
  Status SetConfigs(const std::string& name, const TopicConfigs& configs);

  /// Broker-wide dynamic configs (Alter/DescribeConfigs on a broker resource): they override the options and are the
  /// defaults of topics. Names: broker_configs.h.
  TopicConfigs BrokerConfigs() const;
  /// Replaces them; kInvalidArgument where one is unknown, fixed at start or out of range.
  Status SetBrokerConfigs(const TopicConfigs& configs);
  /// The options with the dynamic configs over them.
  std::shared_ptr<const BrokerOptions> effective_options() const;

  /// Whoever appends to a partition counts here.
  AppendTraffic& traffic() { return traffic_; }
  /// Made on the first start, or taken from the options.
  const std::string& cluster_id() const { return cluster_id_; }
  /// Called after each change of the set of topics or partitions. It may look topics up but not change them. One
  /// listener; set before use.
  void SetListener(std::function<void(const std::string& topic)> listener) { listener_ = std::move(listener); }

  /// Retention over all partitions; returns how many segments were deleted. `now_ms`: as
  /// log::Partition::ApplyRetention.
  int64_t ApplyRetention(int64_t now_ms);
  /// Closes every partition, so that the next start scans nothing.
  Status Close();

 private:
  TopicManager(const BrokerOptions& options, Clock& clock, log::Flusher& flusher,
               std::shared_ptr<log::Journal> journal);
  Status Load();
  Status OpenPartitions(Topic* topic, int32_t count);
  Status Save(const Topic& topic);
  void Publish(const TopicPtr& topic);
  void RemoveDeletedDirectories();

  const BrokerOptions& options_;  // as started
  Clock& clock_;
  log::Flusher& flusher_;
  std::string cluster_id_;
  AppendTraffic traffic_;
  std::function<void(const std::string&)> listener_;

  std::mutex change_mutex_;  // one change at a time; taken before mutex_
  const std::shared_ptr<log::Journal> journal_;

  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, TopicPtr, std::less<>> by_name_;
  std::map<TopicId, TopicPtr> by_id_;
  TopicConfigs broker_configs_;
  std::shared_ptr<const BrokerOptions> effective_;
  int64_t partitions_total_ = 0;
};

}  // namespace tailrace::broker
