#pragma once
// Any Kafka, through librdkafka, for the topic, group, bench and doctor commands.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tailrace::app {

struct KafkaPartition {
  int32_t id = 0, leader = -1;
  int replicas = 0, in_sync = 0;
  int64_t first = -1, end = -1;  // filled by Offsets
};
struct KafkaTopic {
  std::string name;
  std::vector<KafkaPartition> partitions;
};
struct KafkaGroupPartition {
  std::string topic;
  int32_t partition = 0;
  int64_t committed = -1, end = -1;
};
struct KafkaGroup {
  std::string name, state, protocol, coordinator;
  struct Member {
    std::string id, client_id, host;
    std::vector<std::pair<std::string, int32_t>> assignment;
  };
  std::vector<Member> members;
  std::vector<KafkaGroupPartition> partitions;  // filled by GroupOffsets
};
struct KafkaMessage {
  std::string topic;
  int32_t partition = 0;
  int64_t offset = -1, timestamp_ms = -1;
  std::optional<std::string_view> key, value;  // valid during the callback
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Offsets with a meaning: where a consumer begins.
inline constexpr int64_t kOffsetEarliest = -2, kOffsetLatest = -1;

/// One connection. Errors: kUnavailable where nobody answers, with what to do.
class Kafka {
 public:
  /// `properties`: librdkafka's.
  static Result<std::unique_ptr<Kafka>> Connect(const std::string& bootstrap,
                                                const std::map<std::string, std::string>& properties = {});
  virtual ~Kafka() = default;

  virtual Result<std::vector<KafkaTopic>> Topics() = 0;
  /// kNotFound, with the nearest name there is.
  virtual Result<KafkaTopic> Topic(const std::string& name) = 0;
  virtual Status Offsets(KafkaTopic* topic) = 0;
  virtual Result<std::map<std::string, std::string>> TopicConfigs(const std::string& topic) = 0;
  virtual Status CreateTopic(const std::string& name, int partitions, int replication,
                             const std::map<std::string, std::string>& configs) = 0;
  virtual Status DeleteTopic(const std::string& name) = 0;
  virtual Result<int64_t> OffsetForTime(const std::string& topic, int32_t partition, int64_t timestamp_ms) = 0;

  virtual Result<std::vector<std::pair<std::string, std::string>>> Groups() = 0;  // name, state
  virtual Result<KafkaGroup> Group(const std::string& name) = 0;                  // members and offsets
  virtual Status ResetGroup(const std::string& group, const std::vector<KafkaGroupPartition>& offsets) = 0;
  virtual Status DeleteGroup(const std::string& group) = 0;
};

/// Asynchronous; one thread.
class KafkaProducer {
 public:
  /// Called once a message is acknowledged (`error` empty) or given up, from Produce or Flush.
  using Delivered = std::function<void(int64_t tag, const std::string& error)>;
  static Result<std::unique_ptr<KafkaProducer>> Open(const std::string& bootstrap,
                                                     const std::map<std::string, std::string>& properties,
                                                     Delivered delivered);
  virtual ~KafkaProducer() = default;
  /// Waits while the queue is full. partition -1: by key.
  virtual Status Produce(const std::string& topic, int32_t partition, std::optional<std::string_view> key,
                         std::optional<std::string_view> value,
                         const std::vector<std::pair<std::string, std::string>>& headers, int64_t tag) = 0;
  virtual void Poll() = 0;
  virtual Status Flush(int64_t timeout_ms) = 0;
};

/// One thread.
class KafkaConsumer {
 public:
  static Result<std::unique_ptr<KafkaConsumer>> Open(const std::string& bootstrap,
                                                     const std::map<std::string, std::string>& properties);
  virtual ~KafkaConsumer() = default;
  virtual Status Assign(const std::vector<KafkaGroupPartition>& from) = 0;  // `committed` is where to begin
  virtual Status Subscribe(const std::string& topic) = 0;
  enum class Event { kMessage, kNothing, kEndOfPartition };
  virtual Result<Event> Poll(int64_t timeout_ms, KafkaMessage* message) = 0;
};

}  // namespace tailrace::app
