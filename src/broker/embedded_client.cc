#include "broker/embedded_client.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/waker.h"
#include "broker/embedded_writer.h"
#include "broker/offsets.h"
#include "broker/topics.h"
#include "log/partition.h"
#include "wire/record_batch.h"

namespace tailrace::broker {
namespace {

class EmbeddedReader final : public log::Reader {
 public:
  EmbeddedReader(std::shared_ptr<log::Partition> partition, int64_t position, log::Isolation isolation, Waker* waker)
      : partition_(std::move(partition)), position_(position), isolation_(isolation), waker_(waker) {}
  ~EmbeddedReader() override { partition_->RemoveWaiter(waiter_); }

  Status Poll(uint32_t max_bytes, RecordSet* out) override {
    out->from = partition_->name();
    out->next_offset = position_;
    for (;;) {
      log::ReadResult read = TRY(partition_->ReadBytes(position_, max_bytes, isolation_));
      if (read.bytes.size() == 0) {
        if (waker_) {
          partition_->RemoveWaiter(waiter_);
          waiter_ = partition_->AddWaiter(position_, isolation_, [waker = waker_] { waker->Wake(); });
        }
        return Ok();
      }
      size_t before = out->records.size();
      TRY(Decode(read, out));
      out->next_offset = position_;
      if (out->records.size() > before) {
        out->owners.push_back(std::move(read.bytes.owner));
        return Ok();
      }
      // Markers and aborted records only: on to what follows.
    }
  }
  void Seek(int64_t offset) override { position_ = offset; }
  int64_t position() const override { return position_; }
  Result<int64_t> EndOffset() override {
    log::PartitionEnds ends = partition_->Ends();
    return isolation_ == log::Isolation::kReadCommitted ? ends.last_stable_offset : ends.high_watermark;
  }

 private:
  Status Decode(const log::ReadResult& read, RecordSet* out) {
    for (BytesView rest = read.bytes.view; !rest.empty();) {
      auto batch = TRY(wire::BatchView::Parse(rest));
      rest.remove_prefix(batch.size());
      // Offsets lie outside the CRC; one that goes back would have the reader go round in circles.
      if (batch.next_offset() <= position_)
        return Corrupt(fmt::format("{}-{}: a batch at offset {} where {} or later is due", partition_->name().topic,
                                   partition_->name().partition, batch.base_offset(), position_));
      if (!batch.control() && !Aborted(batch, read.aborted)) {
        // Bit rot is told here, not by wrong results downstream.
        Status decoded = wire::DecodeRecords(batch, {.from_offset = position_, .check_crc = true}, out);
        if (!decoded.ok())
          return std::move(decoded).error().Context(fmt::format("{}-{}, batch at offset {}", partition_->name().topic,
                                                                partition_->name().partition, batch.base_offset()));
      }
      position_ = batch.next_offset();
    }
    return Ok();
  }
  static bool Aborted(const wire::BatchView& batch, const std::vector<log::AbortedTransaction>& aborted) {
    if (aborted.empty() || !batch.transactional()) return false;
    for (const log::AbortedTransaction& a : aborted)
      if (a.producer_id == batch.producer_id() && a.first_offset <= batch.base_offset() &&
          batch.base_offset() <= a.last_offset)
        return true;
    return false;
  }

  const std::shared_ptr<log::Partition> partition_;
  int64_t position_;
  const log::Isolation isolation_;
  Waker* const waker_;
  uint64_t waiter_ = 0;
};

class EmbeddedClient final : public log::Client {
 public:
  EmbeddedClient(TopicManager& topics, OffsetStore& offsets, TransactionCoordinator& transactions, Clock& clock)
      : topics_(topics), offsets_(offsets), transactions_(transactions), clock_(clock) {}

  Result<log::TopicDescription> DescribeTopic(const std::string& topic) override {
    TopicPtr found = topics_.Find(topic);
    if (!found) return NotFound("there is no topic '" + topic + "'");
    return log::TopicDescription{found->name, static_cast<int32_t>(found->partitions.size())};
  }
  Result<std::vector<log::TopicDescription>> ListTopics() override {
    std::vector<log::TopicDescription> all;
    for (const TopicPtr& topic : topics_.List())
      all.push_back({topic->name, static_cast<int32_t>(topic->partitions.size())});
    return all;
  }
  Status CreateTopic(const log::TopicSpec& spec) override {
    TopicConfigs configs(spec.configs.begin(), spec.configs.end());
    TRY(topics_.Create(spec.name, spec.partitions, configs));
    return Ok();
  }
  Status DeleteTopic(const std::string& topic) override {
    TRY(topics_.Delete(topic));
    offsets_.DeleteTopic(topic);
    return Ok();
  }
  Result<std::pair<int64_t, int64_t>> Offsets(const TopicPartition& partition) override {
    log::PartitionEnds ends = TRY(Find(partition))->Ends();
    return std::pair<int64_t, int64_t>(ends.log_start_offset, ends.high_watermark);
  }
  Result<int64_t> OffsetForTime(const TopicPartition& partition, int64_t timestamp_ms) override {
    auto found = TRY(Find(partition));
    log::TimestampOffset at = TRY(found->OffsetForTime(timestamp_ms, log::Isolation::kReadUncommitted));
    return at.offset >= 0 ? at.offset : found->Ends().high_watermark;
  }
  Result<std::unique_ptr<log::Reader>> OpenReader(const TopicPartition& partition, int64_t offset,
                                                  log::Isolation isolation, Waker* waker) override {
    auto found = TRY(Find(partition));
    log::PartitionEnds ends = found->Ends();
    if (offset == -1) offset = ends.log_start_offset;
    if (offset == -2)
      offset = isolation == log::Isolation::kReadCommitted ? ends.last_stable_offset : ends.high_watermark;
    if (offset < 0) return InvalidArgument("offset " + std::to_string(offset));
    return std::unique_ptr<log::Reader>(std::make_unique<EmbeddedReader>(std::move(found), offset, isolation, waker));
  }
  Result<std::unique_ptr<log::Writer>> OpenWriter() override {
    return std::unique_ptr<log::Writer>(std::make_unique<EmbeddedWriter>(topics_, clock_));
  }
  Result<std::unique_ptr<log::TransactionalWriter>> OpenTransactionalWriter(
      const std::string& transactional_id) override {
    return EmbeddedTransactionalWriter::Open(transactional_id, topics_, offsets_, transactions_, clock_);
  }
  Result<log::CommittedOffset> Committed(const std::string& group, const TopicPartition& partition) override {
    auto found = offsets_.Fetch(group, partition);
    if (!found) return log::CommittedOffset{};
    return log::CommittedOffset{found->offset, found->metadata};
  }
  Status CommitOffsets(const std::string& group, std::span<const log::OffsetToCommit> offsets) override {
    if (offsets.empty()) return Ok();
    std::vector<OffsetCommitItem> items;
    items.reserve(offsets.size());
    int64_t now_ms = clock_.NowMs();
    for (const log::OffsetToCommit& o : offsets) items.push_back({o.from, {o.offset, -1, o.metadata, now_ms, -1}});
    std::mutex mutex;
    std::condition_variable cv;
    std::optional<Status> result;
    offsets_.Commit(group, items, [&](Status status) {
      std::lock_guard lock(mutex);
      result = std::move(status);
      cv.notify_one();
    });
    std::unique_lock lock(mutex);
    cv.wait(lock, [&] { return result.has_value(); });
    return *std::move(result);
  }

 private:
  Result<std::shared_ptr<log::Partition>> Find(const TopicPartition& name) {
    auto partition = topics_.FindPartition(name.topic, name.partition);
    if (!partition) return NotFound(fmt::format("there is no partition {} of topic '{}'", name.partition, name.topic));
    return partition;
  }

  TopicManager& topics_;
  OffsetStore& offsets_;
  TransactionCoordinator& transactions_;
  Clock& clock_;
};

}  // namespace

std::unique_ptr<log::Client> MakeEmbeddedClient(TopicManager& topics, OffsetStore& offsets,
                                                TransactionCoordinator& transactions, Clock& clock) {
  return std::make_unique<EmbeddedClient>(topics, offsets, transactions, clock);
}

}  // namespace tailrace::broker
