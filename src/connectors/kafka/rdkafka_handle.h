#pragma once
// librdkafka's objects with owners, and its errors as ours. Internal to this folder.

#include <map>
#include <memory>
#include <string>

#include "base/result.h"

// Of rdkafka.h.
struct rd_kafka_s;
struct rd_kafka_topic_s;
struct rd_kafka_queue_s;
struct rd_kafka_topic_partition_list_s;
struct rd_kafka_error_s;
struct rd_kafka_op_s;
struct rd_kafka_conf_s;

namespace tailrace::connectors {

struct RdKafkaDestroy {
  void operator()(rd_kafka_s* rk) const;
  void operator()(rd_kafka_topic_s* topic) const;
  void operator()(rd_kafka_queue_s* queue) const;
  void operator()(rd_kafka_topic_partition_list_s* list) const;
  void operator()(rd_kafka_error_s* error) const;
  void operator()(rd_kafka_op_s* event) const;
  void operator()(rd_kafka_conf_s* conf) const;
};
using Handle = std::unique_ptr<rd_kafka_s, RdKafkaDestroy>;
using TopicHandle = std::unique_ptr<rd_kafka_topic_s, RdKafkaDestroy>;
using QueueHandle = std::unique_ptr<rd_kafka_queue_s, RdKafkaDestroy>;
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_s, RdKafkaDestroy>;
using ErrorHandle = std::unique_ptr<rd_kafka_error_s, RdKafkaDestroy>;
using EventHandle = std::unique_ptr<rd_kafka_op_s, RdKafkaDestroy>;
using ConfHandle = std::unique_ptr<rd_kafka_conf_s, RdKafkaDestroy>;

struct ClusterConfig {
  std::string bootstrap_servers;
  std::map<std::string, std::string> properties;
};

/// What each wait for the cluster is given.
inline constexpr int kClusterTimeoutMs = 10'000;
inline constexpr int kTransactionTimeoutMs = 30'000;

/// A configuration with the cluster's properties and then `own` on top.
Result<ConfHandle> MakeConf(const ClusterConfig& cluster, const std::map<std::string, std::string>& own);
/// Takes the configuration over.
Result<Handle> MakeProducer(ConfHandle conf);
Result<Handle> MakeConsumer(ConfHandle conf);

/// `code` is a rd_kafka_resp_err_t.
Error FromRdKafka(int code, const std::string& what, const std::string& detail = "");

}  // namespace tailrace::connectors
