#pragma once
// Writers of the in-process client: records to batches to partitions, without a socket between.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/topics.h"
#include "broker/transaction_coordinator.h"
#include "log/client.h"
#include "wire/record_batch.h"

namespace tailrace {
class Clock;
}

namespace tailrace::broker {

/// Builds batches for many partitions and appends them when they are full. One thread at a time.
class BatchWriter {
 public:
  static constexpr size_t kBatchBytes = 256 << 10;       // a batch is appended when it has grown to this
  static constexpr size_t kUnsyncedBytesMax = 64 << 20;  // Append blocks above this

  BatchWriter(TopicManager& topics, Clock& clock) : topics_(topics), clock_(clock) {}
  virtual ~BatchWriter() = default;

  /// kNotFound (topic), kInvalidArgument (partition), kLimitExceeded (record larger than max.message.bytes), kIo,
  /// kConflict.
  Status Append(const std::string& topic, int32_t partition, std::span<const log::RecordToWrite> records);
  /// Appends the batches that are begun.
  Status AppendPending();
  /// Waits until all that was appended is on disk.
  Status WaitSynced();
  /// Forgets batches not appended yet.
  void DropPending();
  /// Forgets what WaitSynced would wait for.
  void ForgetUnsynced();

 protected:
  struct Target {
    TopicPartition name;
    std::shared_ptr<log::Partition> partition;
    wire::RecordBatchBuilder builder;
    wire::BatchOptions options;
    size_t bytes_max = 0;     // of one batch
    int64_t end_offset = -1;  // of what was appended and not waited for
    int32_t next_sequence = 0;
    bool pending = false;        // in pending_
    uint32_t* sticky = nullptr;  // set where the batch has records without a key
    bool joined = false;         // takes part in the open transaction
  };
  /// Called before the first record of a batch: sets options for it.
  virtual Status Prepare(Target*) { return Ok(); }

  std::vector<Target*> pending_;   // with records in their builder
  std::vector<Target*> unsynced_;  // with an end_offset
  void ForEachTarget(const std::function<void(Target&)>& visit);

 private:
  struct OneTopic {
    TopicPtr topic;
    std::vector<std::unique_ptr<Target>> targets;  // made when first written to
    uint32_t sticky = 0;                           // where records without a key go until that batch is full
  };
  Result<OneTopic*> FindTopic(const std::string& name);
  Target& TargetOf(OneTopic& topic, int32_t partition);
  Status AppendBatch(Target& target);

  TopicManager& topics_;
  Clock& clock_;
  std::unordered_map<std::string, OneTopic> by_topic_;
  size_t unsynced_bytes_ = 0;
};

class EmbeddedWriter final : public log::Writer {
 public:
  EmbeddedWriter(TopicManager& topics, Clock& clock) : batches_(topics, clock) {}
  Status Append(const std::string& topic, int32_t partition, std::span<const log::RecordToWrite> records) override {
    return batches_.Append(topic, partition, records);
  }
  Status Flush() override;

 private:
  BatchWriter batches_;
};

class EmbeddedTransactionalWriter final : public log::TransactionalWriter, private BatchWriter {
 public:
  /// Fences older writers of the id. kConflict, kUnavailable.
  static Result<std::unique_ptr<log::TransactionalWriter>> Open(const std::string& transactional_id,
                                                                TopicManager& topics, OffsetStore& offsets,
                                                                TransactionCoordinator& transactions, Clock& clock);
  /// Aborts what is open.
  ~EmbeddedTransactionalWriter() override;

  Status Begin() override;
  Status Append(const std::string& topic, int32_t partition, std::span<const log::RecordToWrite> records) override;
  Status Flush() override;
  Status Commit(const std::string& group, std::span<const log::OffsetToCommit> offsets) override;
  Status Abort() override;

 private:
  EmbeddedTransactionalWriter(std::string id, TopicManager& topics, OffsetStore& offsets,
                              TransactionCoordinator& transactions, Clock& clock)
      : BatchWriter(topics, clock), id_(std::move(id)), offsets_(offsets), transactions_(transactions), clock_(clock) {}
  Status Initialise();
  Status Prepare(Target* target) override;
  Status End(bool commit);
  void Reset();

  const std::string id_;
  OffsetStore& offsets_;
  TransactionCoordinator& transactions_;
  Clock& clock_;
  ProducerIdAndEpoch producer_;
  bool open_ = false;
  bool joined_any_ = false;  // the coordinator knows of the open transaction
  bool failed_ = false;      // sequences may be off: a new epoch is needed
};

}  // namespace tailrace::broker
