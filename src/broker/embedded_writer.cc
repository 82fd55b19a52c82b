#include "broker/embedded_writer.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"
#include "broker/offsets.h"
#include "log/partition.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;

// Murmur2 as Kafka's DefaultPartitioner hashes keys (org.apache.kafka.common.utils.Utils.murmur2), so that a key goes
// to the same partition whoever writes it.
uint32_t Murmur2(BytesView key) {
  constexpr uint32_t m = 0x5bd1e995;
  constexpr int r = 24;
  size_t length = key.size();
  uint32_t h = 0x9747b28c ^ static_cast<uint32_t>(length);
  const char* p = key.data();
  for (; length >= 4; length -= 4, p += 4) {
    uint32_t k = LoadLe32(p);
    k *= m;
    k ^= k >> r;
    k *= m;
    h *= m;
    h ^= k;
  }
  switch (length) {
    case 3: h ^= static_cast<uint32_t>(static_cast<uint8_t>(p[2])) << 16; [[fallthrough]];
    case 2: h ^= static_cast<uint32_t>(static_cast<uint8_t>(p[1])) << 8; [[fallthrough]];
    case 1:
      h ^= static_cast<uint8_t>(p[0]);
      h *= m;
      break;
    default: break;
  }
  h ^= h >> 13;
  h *= m;
  h ^= h >> 15;
  return h;
}

// Waits for a callback from another thread.
template <typename T>
class Answer {
 public:
  void Set(T value) {
    std::lock_guard lock(mutex_);
    value_ = std::move(value);
    cv_.notify_one();
  }
  T Wait() {
    std::unique_lock lock(mutex_);
    cv_.wait(lock, [&] { return value_.has_value(); });
    return *std::move(value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable cv_;
  std::optional<T> value_;
};

Status ToStatus(KafkaError error, const std::string& id) {
  switch (error) {
    case KafkaError::kNone: return Ok();
    case KafkaError::kProducerFenced:
    case KafkaError::kInvalidProducerEpoch:
    case KafkaError::kInvalidProducerIdMapping:
      return Error(ErrorCode::kConflict, "transactional id '" + id + "' was taken over by a newer writer");
    case KafkaError::kInvalidTxnState:
      return Error(ErrorCode::kConflict, "the transaction of '" + id + "' was aborted meanwhile");
    case KafkaError::kKafkaStorageError:
      return Error(ErrorCode::kIo, "records of '" + id + "' could not be synced to disk")
          .Remedy("look for a full or broken disk");
    case KafkaError::kInvalidRequest: return InvalidArgument("transactional id '" + id + "' is not allowed");
    default: return Error(ErrorCode::kUnavailable, "the transaction coordinator can't serve '" + id + "' now");
  }
}

}  // namespace

Result<BatchWriter::OneTopic*> BatchWriter::FindTopic(const std::string& name) {
  TopicPtr now = topics_.Find(name);
  if (!now) now = TRY(topics_.FindOrAutoCreate(name));
  OneTopic& one = by_topic_[name];
  if (one.topic != now) {
    if (one.topic && one.topic->id != now->id) {
      // Deleted and made again: nothing of the old one can be waited for.
      for (auto& target : one.targets) {
        if (!target) continue;
        std::erase(pending_, target.get());
        std::erase(unsynced_, target.get());
      }
      one.targets.clear();
    }
    one.topic = now;
    one.targets.resize(now->partitions.size());
    for (auto& target : one.targets)
      if (target) target->bytes_max = static_cast<size_t>(now->max_message_bytes);
  }
  return &one;
}

BatchWriter::Target& BatchWriter::TargetOf(OneTopic& topic, int32_t partition) {
  auto& slot = topic.targets[static_cast<size_t>(partition)];
  if (!slot) {
    slot = std::make_unique<Target>();
    slot->name = {topic.topic->name, partition};
    slot->partition = topic.topic->partitions[static_cast<size_t>(partition)];
    slot->bytes_max = static_cast<size_t>(topic.topic->max_message_bytes);
  }
  return *slot;
}

void BatchWriter::ForEachTarget(const std::function<void(Target&)>& visit) {
  for (auto& [name, topic] : by_topic_)
    for (auto& target : topic.targets)
      if (target) visit(*target);
}

Status BatchWriter::Append(const std::string& topic, int32_t partition, std::span<const log::RecordToWrite> records) {
  OneTopic& one = *TRY(FindTopic(topic));
  auto count = static_cast<uint32_t>(one.targets.size());
  if (partition < -1 || partition >= static_cast<int32_t>(count))
    return InvalidArgument(
        fmt::format("topic '{}' has {} partitions, there is no partition {}", topic, count, partition));
  int64_t now_ms = -1;
  for (const log::RecordToWrite& record : records) {
    int32_t to = partition;
    if (to < 0) {
      to = static_cast<int32_t>((record.key.data() ? Murmur2(record.key) & 0x7fffffff : one.sticky) % count);
    }
    Target& target = TargetOf(one, to);
    size_t bound = wire::RecordBatchBuilder::RecordBound(record.key, record.value, record.headers);
    size_t limit = std::min(kBatchBytes, target.bytes_max);
    if (target.pending && target.builder.size_bytes() + bound > limit) { TRY(AppendBatch(target)); }
    if (wire::kBatchHeaderBytes + bound > target.bytes_max)
      return Error(ErrorCode::kLimitExceeded,
                   fmt::format("a record of {} bytes for topic '{}', whose max.message.bytes is {}",
                               record.key.size() + record.value.size(), topic, target.bytes_max))
          .Remedy("raise max.message.bytes of the topic");
    if (!target.pending) {
      TRY(Prepare(&target));
      target.builder.Reset(target.options);
      target.pending = true;
      pending_.push_back(&target);
    }
    if (!record.key.data() && partition < 0) target.sticky = &one.sticky;
    int64_t timestamp_ms = record.timestamp_ms;
    if (timestamp_ms < 0) {
      if (now_ms < 0) now_ms = clock_.NowMs();
      timestamp_ms = now_ms;
    }
    target.builder.Append(record.key, record.value, timestamp_ms, record.headers);
  }
  return Ok();
}

Status BatchWriter::AppendBatch(Target& target) {
  std::erase(pending_, &target);
  target.pending = false;
  if (target.sticky) ++*std::exchange(target.sticky, nullptr);
  int32_t count = target.builder.count();
  BytesView batch = target.builder.Finish();
  log::AppendResult result = target.partition->Append({const_cast<char*>(batch.data()), batch.size()});
  if (result.code != log::AppendCode::kNone) {
    std::string what = fmt::format("append to {}-{}: {}", target.name.topic, target.name.partition, result.message);
    switch (result.code) {
      case log::AppendCode::kNotFound: return NotFound(what);
      case log::AppendCode::kStorageError: return Error(ErrorCode::kIo, what);
      case log::AppendCode::kRecordListTooLarge: return Error(ErrorCode::kLimitExceeded, what);
      default: return Error(ErrorCode::kConflict, what);
    }
  }
  topics_.traffic().Count(static_cast<uint64_t>(count), batch.size());
  target.next_sequence = static_cast<int32_t>((static_cast<int64_t>(target.next_sequence) + count) & 0x7fffffff);
  if (target.end_offset < 0) unsynced_.push_back(&target);
  target.end_offset = result.end_offset;
  unsynced_bytes_ += batch.size();
  if (unsynced_bytes_ > kUnsyncedBytesMax) TRY(WaitSynced());
  return Ok();
}

Status BatchWriter::AppendPending() {
  while (!pending_.empty()) TRY(AppendBatch(*pending_.back()));
  return Ok();
}

Status BatchWriter::WaitSynced() {
  // All asked for before the first is waited for, so that their fsyncs overlap.
  std::vector<Answer<Status>> answers(unsynced_.size());
  for (size_t i = 0; i < unsynced_.size(); i++)
    unsynced_[i]->partition->WhenFlushed(unsynced_[i]->end_offset,
                                         [&answers, i](Status status) { answers[i].Set(std::move(status)); });
  Status first;
  for (Answer<Status>& answer : answers) {
    Status status = answer.Wait();
    if (first.ok()) first = std::move(status);
  }
  ForgetUnsynced();
  return first;
}

void BatchWriter::ForgetUnsynced() {
  for (Target* target : unsynced_) target->end_offset = -1;
  unsynced_.clear();
  unsynced_bytes_ = 0;
}

void BatchWriter::DropPending() {
  for (Target* target : pending_) target->pending = false;
  pending_.clear();
}

Status EmbeddedWriter::Flush() {
  TRY(batches_.AppendPending());
  return batches_.WaitSynced();
}

Result<std::unique_ptr<log::TransactionalWriter>> EmbeddedTransactionalWriter::Open(
    const std::string& transactional_id, TopicManager& topics, OffsetStore& offsets,
    TransactionCoordinator& transactions, Clock& clock) {
  std::unique_ptr<EmbeddedTransactionalWriter> writer(
      new EmbeddedTransactionalWriter(transactional_id, topics, offsets, transactions, clock));
  TRY(writer->Initialise());
  return std::unique_ptr<log::TransactionalWriter>(std::move(writer));
}

Status EmbeddedTransactionalWriter::Initialise() {
  using Given = std::pair<KafkaError, ProducerIdAndEpoch>;
  Answer<Given> answer;
  transactions_.InitProducerId(id_, TransactionCoordinator::kTimeoutMsMax, producer_, true,
                               [&](KafkaError error, ProducerIdAndEpoch producer) {
                                 answer.Set({error, producer});
                               });
  auto [error, producer] = answer.Wait();
  TRY(ToStatus(error, id_));
  producer_ = producer;
  failed_ = false;
  Reset();
  ForEachTarget([](Target& target) { target.next_sequence = 0; });
  return Ok();
}

EmbeddedTransactionalWriter::~EmbeddedTransactionalWriter() {
  if (!open_) return;
  if (Status aborted = Abort(); !aborted.ok() && aborted.error().code() != ErrorCode::kConflict)
    LogWarning("broker", "transaction of '" + id_ + "' is left open: " + aborted.error().ToString());
}

void EmbeddedTransactionalWriter::Reset() {
  DropPending();
  open_ = false;
  joined_any_ = false;
  ForEachTarget([](Target& target) { target.joined = false; });
}

Status EmbeddedTransactionalWriter::Begin() {
  CHECK(!open_);
  if (failed_) TRY(Initialise());
  open_ = true;
  return Ok();
}

Status EmbeddedTransactionalWriter::Prepare(Target* target) {
  if (!target->joined) {
    Answer<KafkaError> answer;
    transactions_.AddPartitions(id_, producer_, {&target->name, 1}, [&](KafkaError error) { answer.Set(error); });
    TRY(ToStatus(answer.Wait(), id_));
    target->joined = true;
    joined_any_ = true;
  }
  target->options.producer_id = producer_.id;
  target->options.producer_epoch = producer_.epoch;
  target->options.base_sequence = target->next_sequence;
  target->options.transactional = true;
  return Ok();
}

Status EmbeddedTransactionalWriter::Append(const std::string& topic, int32_t partition,
                                           std::span<const log::RecordToWrite> records) {
  CHECK(open_);
  Status appended = BatchWriter::Append(topic, partition, records);
  if (!appended.ok()) failed_ = true;
  return appended;
}

Status EmbeddedTransactionalWriter::Flush() {
  Status flushed = AppendPending();
  if (flushed.ok()) flushed = WaitSynced();
  if (!flushed.ok()) failed_ = true;
  return flushed;
}

Status EmbeddedTransactionalWriter::End(bool commit) {
  Answer<KafkaError> answer;
  transactions_.End(id_, producer_, commit, [&](KafkaError error) { answer.Set(error); });
  return ToStatus(answer.Wait(), id_);
}

Status EmbeddedTransactionalWriter::Commit(const std::string& group, std::span<const log::OffsetToCommit> offsets) {
  CHECK(open_);
  if (failed_)
    return Error(ErrorCode::kConflict, "an append of this transaction of '" + id_ + "' failed").Remedy("abort it");
  failed_ = true;  // until all went well
  TRY(AppendPending());
  if (!offsets.empty()) {
    Answer<KafkaError> answer;
    transactions_.AddGroup(id_, producer_, group, [&](KafkaError error) { answer.Set(error); });
    TRY(ToStatus(answer.Wait(), id_));
    joined_any_ = true;
    std::vector<OffsetCommitItem> items;
    items.reserve(offsets.size());
    int64_t now_ms = clock_.NowMs();
    for (const log::OffsetToCommit& o : offsets) items.push_back({o.from, {o.offset, -1, o.metadata, now_ms, -1}});
    // Not waited for: the decision comes after it in the same file.
    offsets_.CommitPending(producer_.id, group, items, nullptr);
  }
  if (joined_any_) TRY(End(true));
  ForgetUnsynced();  // the decision waited for their fsync
  failed_ = false;
  Reset();
  return Ok();
}

Status EmbeddedTransactionalWriter::Abort() {
  CHECK(open_);
  DropPending();
  Status ended;
  if (joined_any_) ended = End(false);
  if (!ended.ok()) failed_ = true;
  Reset();
  return ended;
}

}  // namespace tailrace::broker
