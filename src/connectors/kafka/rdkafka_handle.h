#pragma once
// librdkafka's objects with owners, and its errors as ours. Internal to this folder.

#include <librdkafka/rdkafka.h>

#include <map>
#include <memory>
#include <string>

#include "base/result.h"

namespace tailrace::connectors {

struct RdKafkaDestroy {
  void operator()(rd_kafka_t* rk) const { rd_kafka_destroy(rk); }
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  void operator()(rd_kafka_topic_partition_list_t* list) const { rd_kafka_topic_partition_list_destroy(list); }
  void operator()(rd_kafka_error_t* error) const { rd_kafka_error_destroy(error); }
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using Handle = std::unique_ptr<rd_kafka_t, RdKafkaDestroy>;
using TopicHandle = std::unique_ptr<rd_kafka_topic_t, RdKafkaDestroy>;
using QueueHandle = std::unique_ptr<rd_kafka_queue_t, RdKafkaDestroy>;
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t, RdKafkaDestroy>;
using ErrorHandle = std::unique_ptr<rd_kafka_error_t, RdKafkaDestroy>;
using EventHandle = std::unique_ptr<rd_kafka_event_t, RdKafkaDestroy>;
using ConfHandle = std::unique_ptr<rd_kafka_conf_t, RdKafkaDestroy>;

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
Result<Handle> MakeHandle(rd_kafka_type_t type, ConfHandle conf);

Error FromRdKafka(rd_kafka_resp_err_t code, const std::string& what, const std::string& detail = "");

}  // namespace tailrace::connectors
