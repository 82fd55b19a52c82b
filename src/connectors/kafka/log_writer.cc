#include "connectors/kafka/log_writer.h"

#include <librdkafka/rdkafka.h>

#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"

namespace tailrace::connectors {

namespace {

/// The producer and what became of its records. Appends come from one thread; delivery reports come in that thread's
/// polls.
class Producer {
 public:
  static Result<std::unique_ptr<Producer>> Open(const ClusterConfig& cluster, std::map<std::string, std::string> own) {
    std::unique_ptr<Producer> producer(new Producer);
    own.insert({{"acks", "all"},
                {"enable.idempotence", "true"},
                {"linger.ms", "5"},
                {"partitioner", "murmur2_random"},  // as the Java client's default for keyed records
                {"queue.buffering.max.messages", "500000"},
                {"queue.buffering.max.kbytes", "262144"}});
    ConfHandle conf = TRY(MakeConf(cluster, own));
    rd_kafka_conf_set_dr_msg_cb(conf.get(), &OnDelivery);
    rd_kafka_conf_set_opaque(conf.get(), producer.get());
    producer->handle_ = TRY(MakeProducer(std::move(conf)));
    return producer;
  }

  rd_kafka_t* get() { return handle_.get(); }

  Status Append(const std::string& topic, int32_t partition, std::span<const log::RecordToWrite> records) {
    TRY(TakeError());
    for (const log::RecordToWrite& record : records) {
      rd_kafka_headers_t* headers = nullptr;
      if (!record.headers.empty()) {
        headers = rd_kafka_headers_new(record.headers.size());
        for (const HeaderView& h : record.headers)
          rd_kafka_header_add(headers, h.key.data(), static_cast<ssize_t>(h.key.size()), h.value.data(),
                              static_cast<ssize_t>(h.value.size()));
      }
      while (true) {
        rd_kafka_vu_t fields[8];
        size_t n = 0;
        fields[n].vtype = RD_KAFKA_VTYPE_TOPIC, fields[n++].u.cstr = topic.c_str();
        fields[n].vtype = RD_KAFKA_VTYPE_PARTITION, fields[n++].u.i32 = partition;
        fields[n].vtype = RD_KAFKA_VTYPE_MSGFLAGS, fields[n++].u.i = RD_KAFKA_MSG_F_COPY;
        fields[n].vtype = RD_KAFKA_VTYPE_VALUE;
        fields[n].u.mem.ptr = const_cast<char*>(record.value.data());
        fields[n++].u.mem.size = record.value.size();
        fields[n].vtype = RD_KAFKA_VTYPE_KEY;
        fields[n].u.mem.ptr = const_cast<char*>(record.key.data());
        fields[n++].u.mem.size = record.key.size();
        if (record.timestamp_ms >= 0)
          fields[n].vtype = RD_KAFKA_VTYPE_TIMESTAMP, fields[n++].u.i64 = record.timestamp_ms;
        if (headers) fields[n].vtype = RD_KAFKA_VTYPE_HEADERS, fields[n++].u.headers = headers;
        ErrorHandle error(rd_kafka_produceva(handle_.get(), fields, n));
        if (!error) break;
        if (rd_kafka_error_code(error.get()) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
          rd_kafka_poll(handle_.get(), 10);
          if (Status failed = TakeError(); !failed.ok()) {
            if (headers) rd_kafka_headers_destroy(headers);
            return failed;
          }
          continue;
        }
        if (headers) rd_kafka_headers_destroy(headers);
        return FromRdKafka(rd_kafka_error_code(error.get()), "topic " + topic, rd_kafka_error_string(error.get()));
      }
    }
    rd_kafka_poll(handle_.get(), 0);
    return Ok();
  }

  Status Flush() {
    auto code = rd_kafka_flush(handle_.get(), kTransactionTimeoutMs);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromRdKafka(code, "flush");
    return TakeError();
  }

  /// Records of a transaction that ended without them are no longer of interest.
  void ForgetErrors() { error_.reset(); }

 private:
  Producer() = default;
  static void OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    auto* self = static_cast<Producer*>(opaque);
    if (!self->error_)
      self->error_ = FromRdKafka(message->err, std::string("topic ") + rd_kafka_topic_name(message->rkt));
  }
  Status TakeError() {
    if (!error_) return Ok();
    Error error = std::move(*error_);
    error_.reset();
    return error;
  }

  std::optional<Error> error_;
  Handle handle_;  // destroyed first: its last delivery reports use error_
};

class KafkaWriter final : public log::Writer {
 public:
  explicit KafkaWriter(std::unique_ptr<Producer> producer) : producer_(std::move(producer)) {}
  Status Append(const std::string& topic, int32_t partition, std::span<const log::RecordToWrite> records) override {
    return producer_->Append(topic, partition, records);
  }
  Status Flush() override { return producer_->Flush(); }

 private:
  std::unique_ptr<Producer> producer_;
};

class KafkaTransactionalWriter final : public log::TransactionalWriter {
 public:
  explicit KafkaTransactionalWriter(std::unique_ptr<Producer> producer) : producer_(std::move(producer)) {}
  ~KafkaTransactionalWriter() override {
    if (open_) (void)Abort();
  }

  Status Append(const std::string& topic, int32_t partition, std::span<const log::RecordToWrite> records) override {
    return producer_->Append(topic, partition, records);
  }
  Status Flush() override { return producer_->Flush(); }

  Status Begin() override {
    CHECK(!open_);
    TRY(Convert(ErrorHandle(rd_kafka_begin_transaction(producer_->get())), "begin of a transaction"));
    open_ = true;
    return Ok();
  }

  Status Commit(const std::string& group, std::span<const log::OffsetToCommit> offsets) override {
    CHECK(open_);
    if (!offsets.empty()) {
      PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
      for (const log::OffsetToCommit& o : offsets) {
        auto* entry = rd_kafka_topic_partition_list_add(list.get(), o.from.topic.c_str(), o.from.partition);
        entry->offset = o.offset;
        if (!o.metadata.empty()) {
          entry->metadata = malloc(o.metadata.size());  // freed with the list
          memcpy(entry->metadata, o.metadata.data(), o.metadata.size());
          entry->metadata_size = o.metadata.size();
        }
      }
      rd_kafka_consumer_group_metadata_t* metadata = rd_kafka_consumer_group_metadata_new(group.c_str());
      Status sent = Retried("offsets of a transaction", [&] {
        return rd_kafka_send_offsets_to_transaction(producer_->get(), list.get(), metadata, kTransactionTimeoutMs);
      });
      rd_kafka_consumer_group_metadata_destroy(metadata);
      TRY(std::move(sent));
    }
    Status committed = Retried("commit of a transaction",
                               [&] { return rd_kafka_commit_transaction(producer_->get(), kTransactionTimeoutMs); });
    if (committed.ok()) open_ = false;
    return committed;
  }

  Status Abort() override {
    if (!open_) return Ok();
    Status aborted = Retried("abort of a transaction",
                             [&] { return rd_kafka_abort_transaction(producer_->get(), kTransactionTimeoutMs); });
    open_ = false;
    producer_->ForgetErrors();
    return aborted;
  }

 private:
  template <typename Call>
  Status Retried(const char* what, Call call) {
    int64_t deadline_ms = Clock::System().MonotonicMs() + 2 * kTransactionTimeoutMs;
    while (true) {
      ErrorHandle error(call());
      if (error && rd_kafka_error_is_retriable(error.get()) && Clock::System().MonotonicMs() < deadline_ms) {
        rd_kafka_poll(producer_->get(), 20);
        continue;
      }
      return Convert(std::move(error), what);
    }
  }

  static Status Convert(ErrorHandle error, const char* what) {
    if (!error) return Ok();
    Error converted = FromRdKafka(rd_kafka_error_code(error.get()), what, rd_kafka_error_string(error.get()));
    if (rd_kafka_error_is_fatal(error.get())) return Error(ErrorCode::kConflict, converted.message());
    return converted;
  }

  std::unique_ptr<Producer> producer_;
  bool open_ = false;
};

}  // namespace

Result<std::unique_ptr<log::Writer>> OpenKafkaWriter(const ClusterConfig& cluster) {
  return std::unique_ptr<log::Writer>(std::make_unique<KafkaWriter>(TRY(Producer::Open(cluster, {}))));
}

Result<std::unique_ptr<log::TransactionalWriter>> OpenKafkaTransactionalWriter(const ClusterConfig& cluster,
                                                                               const std::string& transactional_id) {
  auto producer = TRY(Producer::Open(cluster, {{"transactional.id", transactional_id}}));
  int64_t deadline_ms = Clock::System().MonotonicMs() + kTransactionTimeoutMs;
  while (true) {
    ErrorHandle error(rd_kafka_init_transactions(producer->get(), kClusterTimeoutMs));
    if (!error) break;
    if (!rd_kafka_error_is_retriable(error.get()) || Clock::System().MonotonicMs() >= deadline_ms)
      return FromRdKafka(rd_kafka_error_code(error.get()), "transactional id " + transactional_id,
                         rd_kafka_error_string(error.get()));
  }
  return std::unique_ptr<log::TransactionalWriter>(std::make_unique<KafkaTransactionalWriter>(std::move(producer)));
}

}  // namespace tailrace::connectors
