#include "connectors/kafka/log_client.h"

#include <librdkafka/rdkafka.h>

#include <cstring>
#include <mutex>
#include <set>
#include <thread>

#include "base/clock.h"
#include "connectors/kafka/fetcher.h"
#include "connectors/kafka/log_reader.h"
#include "connectors/kafka/log_writer.h"
#include "connectors/kafka/rdkafka_handle.h"

namespace tailrace::connectors {

namespace {

class KafkaClient final : public log::Client {
 public:
  static Result<std::unique_ptr<log::Client>> Open(ClusterConfig cluster) {
    std::unique_ptr<KafkaClient> client(new KafkaClient(cluster));
    // A consumer, because a producer's question about a topic creates it.
    ConfHandle conf = TRY(MakeConf(cluster, {{"allow.auto.create.topics", "false"}}));
    client->control_ = TRY(MakeConsumer(std::move(conf)));
    return std::unique_ptr<log::Client>(std::move(client));
  }

  Result<log::TopicDescription> DescribeTopic(const std::string& topic) override {
    TopicHandle handle(rd_kafka_topic_new(control_.get(), topic.c_str(), nullptr));
    if (!handle) return FromRdKafka(rd_kafka_last_error(), "topic " + topic);
    const rd_kafka_metadata_t* metadata = nullptr;
    auto code = rd_kafka_metadata(control_.get(), 0, handle.get(), &metadata, kClusterTimeoutMs);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromRdKafka(code, "Kafka at " + cluster_.bootstrap_servers);
    Result<log::TopicDescription> result = NotFound("there is no topic " + topic);
    if (metadata->topic_cnt == 1) {
      const auto& found = metadata->topics[0];
      if (found.err == RD_KAFKA_RESP_ERR_NO_ERROR) result = log::TopicDescription{topic, found.partition_cnt};
      else result = FromRdKafka(found.err, "topic " + topic);
    }
    rd_kafka_metadata_destroy(metadata);
    return result;
  }

  Result<std::vector<log::TopicDescription>> ListTopics() override {
    const rd_kafka_metadata_t* metadata = nullptr;
    auto code = rd_kafka_metadata(control_.get(), 1, nullptr, &metadata, kClusterTimeoutMs);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromRdKafka(code, "Kafka at " + cluster_.bootstrap_servers);
    std::vector<log::TopicDescription> topics;
    for (int i = 0; i < metadata->topic_cnt; i++)
      if (metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
        topics.push_back({metadata->topics[i].topic, metadata->topics[i].partition_cnt});
    rd_kafka_metadata_destroy(metadata);
    return topics;
  }

  Status CreateTopic(const log::TopicSpec& spec) override {
    char message[256];
    rd_kafka_NewTopic_t* topic =
        rd_kafka_NewTopic_new(spec.name.c_str(), spec.partitions, -1, message, sizeof(message));
    if (!topic) return InvalidArgument("topic " + spec.name + ": " + message);
    for (const auto& [name, value] : spec.configs) rd_kafka_NewTopic_set_config(topic, name.c_str(), value.c_str());
    QueueHandle queue(rd_kafka_queue_new(control_.get()));
    rd_kafka_CreateTopics(control_.get(), &topic, 1, nullptr, queue.get());
    rd_kafka_NewTopic_destroy(topic);
    EventHandle event(rd_kafka_queue_poll(queue.get(), kTransactionTimeoutMs));
    if (!event) return FromRdKafka(RD_KAFKA_RESP_ERR__TIMED_OUT, "create topic " + spec.name);
    if (rd_kafka_event_error(event.get()))
      return FromRdKafka(rd_kafka_event_error(event.get()), "create topic " + spec.name,
                         rd_kafka_event_error_string(event.get()));
    TRY(TopicResult(rd_kafka_event_CreateTopics_result(event.get()), "create topic " + spec.name));
    // The answer comes before the brokers' metadata has it.
    int64_t deadline_ms = Clock::System().MonotonicMs() + kClusterTimeoutMs;
    while (!DescribeTopic(spec.name).ok() && Clock::System().MonotonicMs() < deadline_ms)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return Ok();
  }

  Status DeleteTopic(const std::string& topic) override {
    rd_kafka_DeleteTopic_t* request = rd_kafka_DeleteTopic_new(topic.c_str());
    QueueHandle queue(rd_kafka_queue_new(control_.get()));
    rd_kafka_DeleteTopics(control_.get(), &request, 1, nullptr, queue.get());
    rd_kafka_DeleteTopic_destroy(request);
    EventHandle event(rd_kafka_queue_poll(queue.get(), kTransactionTimeoutMs));
    if (!event) return FromRdKafka(RD_KAFKA_RESP_ERR__TIMED_OUT, "delete topic " + topic);
    if (rd_kafka_event_error(event.get()))
      return FromRdKafka(rd_kafka_event_error(event.get()), "delete topic " + topic,
                         rd_kafka_event_error_string(event.get()));
    size_t count = 0;
    const rd_kafka_topic_result_t** results =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &count);
    for (size_t i = 0; i < count; i++)
      if (rd_kafka_topic_result_error(results[i]))
        return FromRdKafka(rd_kafka_topic_result_error(results[i]), "delete topic " + topic);
    return Ok();
  }

  Result<std::pair<int64_t, int64_t>> Offsets(const TopicPartition& partition) override {
    int64_t low = 0, high = 0;
    auto code = rd_kafka_query_watermark_offsets(control_.get(), partition.topic.c_str(), partition.partition, &low,
                                                 &high, kClusterTimeoutMs);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromRdKafka(code, Name(partition));
    return std::pair<int64_t, int64_t>(low, high);
  }

  Result<int64_t> OffsetForTime(const TopicPartition& partition, int64_t timestamp_ms) override {
    PartitionList list(rd_kafka_topic_partition_list_new(1));
    auto* entry = rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition);
    entry->offset = timestamp_ms;
    auto code = rd_kafka_offsets_for_times(control_.get(), list.get(), kClusterTimeoutMs);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = entry->err;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromRdKafka(code, Name(partition));
    if (entry->offset >= 0) return entry->offset;
    return TRY(Offsets(partition)).second;
  }

  Result<std::unique_ptr<log::Reader>> OpenReader(const TopicPartition& partition, int64_t offset,
                                                  log::Isolation isolation, Waker* waker) override {
    if (offset < 0) {
      auto [first, end] = TRY(Offsets(partition));
      offset = offset == -1 ? first : end;
    }
    if (plain_) return fetcher_.OpenReader(partition, offset, isolation, waker);
    return consumers_.OpenReader(partition, offset, isolation, waker);
  }

  Result<std::unique_ptr<log::Writer>> OpenWriter() override { return OpenKafkaWriter(cluster_); }
  Result<std::unique_ptr<log::TransactionalWriter>> OpenTransactionalWriter(
      const std::string& transactional_id) override {
    return OpenKafkaTransactionalWriter(cluster_, transactional_id);
  }

  Result<log::CommittedOffset> Committed(const std::string& group, const TopicPartition& partition) override {
    std::lock_guard lock(groups_mutex_);
    rd_kafka_t* consumer = TRY(GroupConsumer(group));
    PartitionList list(rd_kafka_topic_partition_list_new(1));
    auto* entry = rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition);
    auto code = rd_kafka_committed(consumer, list.get(), kClusterTimeoutMs);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = entry->err;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromRdKafka(code, "group " + group);
    log::CommittedOffset committed;
    if (entry->offset >= 0) committed.offset = entry->offset;
    if (entry->metadata_size)
      committed.metadata.assign(static_cast<const char*>(entry->metadata), entry->metadata_size);
    return committed;
  }

  Status CommitOffsets(const std::string& group, std::span<const log::OffsetToCommit> offsets) override {
    std::lock_guard lock(groups_mutex_);
    rd_kafka_t* consumer = TRY(GroupConsumer(group));
    PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
    for (const log::OffsetToCommit& o : offsets) {
      auto* entry = rd_kafka_topic_partition_list_add(list.get(), o.from.topic.c_str(), o.from.partition);
      entry->offset = o.offset;
      if (!o.metadata.empty()) {
        entry->metadata = malloc(o.metadata.size());
        memcpy(entry->metadata, o.metadata.data(), o.metadata.size());
        entry->metadata_size = o.metadata.size();
      }
    }
    auto code = rd_kafka_commit(consumer, list.get(), 0);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) code = list->elems[i].err;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromRdKafka(code, "group " + group);
    return Ok();
  }

 private:
  explicit KafkaClient(ClusterConfig cluster)
      : cluster_(std::move(cluster)),
        plain_(ReadsPlainly(cluster_.properties)),
        fetcher_(cluster_.bootstrap_servers),
        consumers_(cluster_) {}

  /// Nothing is set that only librdkafka's consumer knows how to do.
  static bool ReadsPlainly(const std::map<std::string, std::string>& properties) {
    static const std::set<std::string> kOfWriting = {"acks",      "batch.size",        "compression.type",
                                                     "linger.ms", "message.max.bytes", "transaction.timeout.ms"};
    for (const auto& [name, value] : properties)
      if (!kOfWriting.contains(name)) return false;
    return true;
  }

  static std::string Name(const TopicPartition& partition) {
    return partition.topic + "-" + std::to_string(partition.partition);
  }

  static Status TopicResult(const rd_kafka_CreateTopics_result_t* result, const std::string& what) {
    size_t count = 0;
    const rd_kafka_topic_result_t** results = rd_kafka_CreateTopics_result_topics(result, &count);
    for (size_t i = 0; i < count; i++) {
      auto code = rd_kafka_topic_result_error(results[i]);
      const char* detail = rd_kafka_topic_result_error_string(results[i]);
      if (code) return FromRdKafka(code, what, detail ? detail : "");
    }
    return Ok();
  }

  /// A consumer that knows the group but never joins it. REQUIRES: groups_mutex_ held.
  Result<rd_kafka_t*> GroupConsumer(const std::string& group) {
    auto& consumer = groups_[group];
    if (!consumer) {
      ConfHandle conf = TRY(MakeConf(cluster_, {{"group.id", group},
                                                {"enable.auto.commit", "false"},
                                                {"isolation.level", "read_committed"},
                                                {"allow.auto.create.topics", "false"}}));
      consumer = TRY(MakeConsumer(std::move(conf)));
    }
    return consumer.get();
  }

  ClusterConfig cluster_;
  const bool plain_;
  Fetcher fetcher_;
  Handle control_;
  ConsumerPool consumers_;
  std::mutex groups_mutex_;
  std::map<std::string, Handle> groups_;
};

}  // namespace

Result<std::unique_ptr<log::Client>> OpenKafkaClient(const std::string& bootstrap_servers,
                                                     const std::map<std::string, std::string>& properties) {
  return KafkaClient::Open({bootstrap_servers, properties});
}

}  // namespace tailrace::connectors
