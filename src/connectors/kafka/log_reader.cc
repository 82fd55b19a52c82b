#include "connectors/kafka/log_reader.h"

#include <librdkafka/rdkafka.h>

#include <deque>

#include "base/clock.h"
#include "base/waker.h"

namespace tailrace::connectors {

namespace {

constexpr size_t kMessagesAtOnce = 512;
constexpr int64_t kEndOffsetAgeMsMax = 1000;

}  // namespace

struct ConsumerPool::Consumer {
  Handle handle;
  log::Isolation isolation;
  std::mutex mutex;
  std::set<TopicPartition> in_use;
};

namespace {

/// Keeps the messages behind the views of a RecordSet.
struct Messages {
  std::shared_ptr<ConsumerPool::Consumer> consumer;  // messages go before their consumer
  std::vector<rd_kafka_message_t*> messages;
  std::deque<std::vector<HeaderView>> headers;
  ~Messages() {
    for (auto* message : messages) rd_kafka_message_destroy(message);
  }
};

class KafkaReader final : public log::Reader {
 public:
  KafkaReader(std::shared_ptr<ConsumerPool::Consumer> consumer, TopicPartition from, int64_t offset)
      : consumer_(std::move(consumer)), from_(std::move(from)), position_(offset) {}

  Status Start(Waker* waker) {
    queue_.reset(rd_kafka_queue_new(consumer_->handle.get()));
    rd_kafka_topic_conf_t* conf = rd_kafka_topic_conf_new();
    char message[256];
    rd_kafka_topic_conf_set(conf, "auto.offset.reset", "error", message, sizeof(message));
    topic_.reset(rd_kafka_topic_new(consumer_->handle.get(), from_.topic.c_str(), conf));
    if (!topic_) return FromRdKafka(rd_kafka_last_error(), "topic " + from_.topic);
    if (waker)
      rd_kafka_queue_cb_event_enable(
          queue_.get(), [](rd_kafka_t*, void* w) { static_cast<Waker*>(w)->Wake(); }, waker);
    if (rd_kafka_consume_start_queue(topic_.get(), from_.partition, position_, queue_.get()) != 0)
      return FromRdKafka(rd_kafka_last_error(), "topic " + from_.topic);
    started_ = true;
    return Ok();
  }

  ~KafkaReader() override {
    if (queue_) rd_kafka_queue_cb_event_enable(queue_.get(), nullptr, nullptr);
    if (started_) rd_kafka_consume_stop(topic_.get(), from_.partition);
    topic_.reset();
    queue_.reset();
    std::lock_guard lock(consumer_->mutex);
    consumer_->in_use.erase(from_);
  }

  Status Poll(uint32_t max_bytes, RecordSet* out) override {
    out->from = from_;
    out->next_offset = position_;
    auto held = std::make_shared<Messages>();
    held->consumer = consumer_;
    uint64_t bytes = 0;
    Status status = Ok();
    rd_kafka_message_t* messages[kMessagesAtOnce];
    while (bytes < max_bytes && status.ok()) {
      ssize_t count = rd_kafka_consume_batch_queue(queue_.get(), 0, messages, kMessagesAtOnce);
      if (count <= 0) break;
      for (ssize_t i = 0; i < count; i++) {
        rd_kafka_message_t* m = messages[i];
        if (m->err) {
          if (status.ok()) status = OnEvent(*m);
          rd_kafka_message_destroy(m);
          continue;
        }
        held->messages.push_back(m);
        if (m->offset < position_) continue;  // fetched before a Seek
        bytes += m->len + m->key_len;
        Add(*m, *held, out);
        position_ = m->offset + 1;
      }
    }
    if (!out->records.empty()) out->owners.push_back(held);
    out->next_offset = position_;
    // What was read is good; the failure comes again, or is gone, at the next call.
    if (!status.ok() && !out->records.empty()) {
      pending_error_ = std::move(status).error();
      return Ok();
    }
    if (status.ok() && pending_error_ && out->records.empty()) {
      status = std::move(*pending_error_);
      pending_error_.reset();
    }
    return status;
  }

  void Seek(int64_t offset) override {
    position_ = offset;
    pending_error_.reset();
    rd_kafka_seek(topic_.get(), from_.partition, offset, kClusterTimeoutMs);
  }

  int64_t position() const override { return position_; }

  Result<int64_t> EndOffset() override {
    int64_t now_ms = Clock::System().MonotonicMs();
    if (end_ >= 0 && now_ms - end_asked_ms_ < kEndOffsetAgeMsMax) return std::max(end_, position_);
    int64_t low, high;
    // Only the first time is worth a question that waits for the cluster: later on the answers to fetches bring it.
    if (end_ >= 0 && rd_kafka_get_watermark_offsets(consumer_->handle.get(), from_.topic.c_str(), from_.partition, &low,
                                                    &high) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      end_ = std::max({end_, high, position_});
      end_asked_ms_ = now_ms;
      return end_;
    }
    auto code = rd_kafka_query_watermark_offsets(consumer_->handle.get(), from_.topic.c_str(), from_.partition, &low,
                                                 &high, kClusterTimeoutMs);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromRdKafka(code, "end of " + from_.topic);
    end_ = high;
    end_asked_ms_ = now_ms;
    return high;
  }

 private:
  static void Add(const rd_kafka_message_t& m, Messages& held, RecordSet* out) {
    RecordView record;
    record.offset = m.offset;
    rd_kafka_timestamp_type_t type;
    record.timestamp_ms = rd_kafka_message_timestamp(&m, &type);
    if (m.key) record.key = {static_cast<const char*>(m.key), m.key_len};
    if (m.payload) record.value = {static_cast<const char*>(m.payload), m.len};
    rd_kafka_headers_t* headers;
    if (rd_kafka_message_headers(&m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      auto& views = held.headers.emplace_back();
      const char* name;
      const void* value;
      size_t size;
      for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        views.push_back({name, {static_cast<const char*>(value), size}});
      record.headers = views.data();
      record.header_count = static_cast<uint32_t>(views.size());
    }
    out->records.push_back(record);
  }

  Status OnEvent(const rd_kafka_message_t& m) {
    switch (m.err) {
      case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        // Behind control records and aborted ones too.
        position_ = std::max(position_, m.offset);
        return Ok();
      case RD_KAFKA_RESP_ERR__TRANSPORT:
      case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
      case RD_KAFKA_RESP_ERR__TIMED_OUT:
      case RD_KAFKA_RESP_ERR__RESOLVE: return Ok();  // librdkafka tries again by itself
      default: {
        const char* detail = rd_kafka_message_errstr(&m);
        return FromRdKafka(m.err, from_.topic + "-" + std::to_string(from_.partition), detail ? detail : "");
      }
    }
  }

  std::shared_ptr<ConsumerPool::Consumer> consumer_;
  TopicPartition from_;
  TopicHandle topic_;
  QueueHandle queue_;
  bool started_ = false;
  int64_t position_;
  int64_t end_ = -1;
  int64_t end_asked_ms_ = 0;
  std::optional<Error> pending_error_;
};

}  // namespace

Result<std::unique_ptr<log::Reader>> ConsumerPool::OpenReader(const TopicPartition& partition, int64_t offset,
                                                              log::Isolation isolation, Waker* waker) {
  std::shared_ptr<Consumer> consumer;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(consumers_, [](auto& weak) { return weak.expired(); });
    for (auto& weak : consumers_) {
      auto candidate = weak.lock();
      if (!candidate || candidate->isolation != isolation) continue;
      std::lock_guard use(candidate->mutex);
      if (!candidate->in_use.insert(partition).second) continue;
      consumer = std::move(candidate);
      break;
    }
    if (!consumer) {
      consumer = std::make_shared<Consumer>();
      consumer->isolation = isolation;
      ConfHandle conf = TRY(MakeConf(
          cluster_,
          {{"isolation.level", isolation == log::Isolation::kReadCommitted ? "read_committed" : "read_uncommitted"},
           {"enable.auto.commit", "false"},
           {"enable.auto.offset.store", "false"},
           {"enable.partition.eof", "true"},
           {"fetch.wait.max.ms", "100"},
           {"fetch.error.backoff.ms", "50"},
           // librdkafka 2.0 looks only once a second whether a full queue has room again, so the queue must
           // hold a second's worth: with 32 MB a job reads 0.2 million bids/s, with this 1.1.
           {"queued.min.messages", "10000000"},
           {"queued.max.messages.kbytes", "131072"},
           {"fetch.message.max.bytes", "8388608"}}));
      consumer->handle = TRY(MakeConsumer(std::move(conf)));
      consumer->in_use.insert(partition);
      consumers_.push_back(consumer);
    }
  }
  auto reader = std::make_unique<KafkaReader>(std::move(consumer), partition, offset);
  TRY(reader->Start(waker));
  return std::unique_ptr<log::Reader>(std::move(reader));
}

}  // namespace tailrace::connectors
