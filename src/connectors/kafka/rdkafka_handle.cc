#include "connectors/kafka/rdkafka_handle.h"

#include <librdkafka/rdkafka.h>
#include <syslog.h>

#include "base/logging.h"

namespace tailrace::connectors {

namespace {

void OnLog(const rd_kafka_t*, int level, const char* facility, const char* message) {
  std::string text = std::string(facility) + ": " + message;
  if (level <= LOG_ERR) LogWarning("kafka", text);  // librdkafka recovers from most and calls them errors all the same
  else if (level <= LOG_WARNING) LogInfo("kafka", text);
  else LogDebug("kafka", text);
}

}  // namespace

Result<ConfHandle> MakeConf(const ClusterConfig& cluster, const std::map<std::string, std::string>& own) {
  ConfHandle conf(rd_kafka_conf_new());
  char message[512];
  auto set = [&](const std::string& name, const std::string& value) -> Status {
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), message, sizeof(message)) != RD_KAFKA_CONF_OK)
      return InvalidArgument("'properties." + name + "': " + message);
    return Ok();
  };
  rd_kafka_conf_set_log_cb(conf.get(), &OnLog);
  TRY(set("client.id", "tailrace"));
  for (const auto& [name, value] : cluster.properties) TRY(set(name, value));
  TRY(set("bootstrap.servers", cluster.bootstrap_servers));
  for (const auto& [name, value] : own) TRY(set(name, value));
  return conf;
}

namespace {

Result<Handle> MakeHandle(rd_kafka_type_t type, ConfHandle conf) {
  char message[512];
  rd_kafka_t* rk = rd_kafka_new(type, conf.get(), message, sizeof(message));
  if (!rk) return InvalidArgument(std::string("Kafka client: ") + message);
  conf.release();  // librdkafka owns it now
  return Handle(rk);
}

}  // namespace

Result<Handle> MakeProducer(ConfHandle conf) { return MakeHandle(RD_KAFKA_PRODUCER, std::move(conf)); }
Result<Handle> MakeConsumer(ConfHandle conf) { return MakeHandle(RD_KAFKA_CONSUMER, std::move(conf)); }

void RdKafkaDestroy::operator()(rd_kafka_s* rk) const { rd_kafka_destroy(rk); }
void RdKafkaDestroy::operator()(rd_kafka_topic_s* topic) const { rd_kafka_topic_destroy(topic); }
void RdKafkaDestroy::operator()(rd_kafka_queue_s* queue) const { rd_kafka_queue_destroy(queue); }
void RdKafkaDestroy::operator()(rd_kafka_topic_partition_list_s* list) const {
  rd_kafka_topic_partition_list_destroy(list);
}
void RdKafkaDestroy::operator()(rd_kafka_error_s* error) const { rd_kafka_error_destroy(error); }
void RdKafkaDestroy::operator()(rd_kafka_op_s* event) const { rd_kafka_event_destroy(event); }
void RdKafkaDestroy::operator()(rd_kafka_conf_s* conf) const { rd_kafka_conf_destroy(conf); }

Error FromRdKafka(int number, const std::string& what, const std::string& detail) {
  auto code = static_cast<rd_kafka_resp_err_t>(number);
  std::string message = what + ": " + (detail.empty() ? rd_kafka_err2str(code) : detail);
  switch (code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: return NotFound(message);
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: return {ErrorCode::kAlreadyExists, message};
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: return InvalidArgument(message);
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE: return {ErrorCode::kLimitExceeded, message};
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED: return {ErrorCode::kConflict, message};
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED: return {ErrorCode::kPermissionDenied, message};
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    default: return {ErrorCode::kUnavailable, message};
  }
}

}  // namespace tailrace::connectors
