#pragma once
// Inside of the transaction coordinator, for transaction_*.cc only.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "broker/transaction_coordinator.h"

namespace tailrace::log {
class Partition;
}

namespace tailrace::broker {

/// One transactional id. Guarded by the coordinator's mutex.
struct Transaction {
  std::string id;
  ProducerIdAndEpoch producer;
  int16_t last_epoch = -1;  // the one before, for a producer whose answer was lost (KIP-360)
  int32_t timeout_ms = 0;
  TransactionState state = TransactionState::kEmpty;
  bool in_process = false;  // its writer lives in this process: nothing to resume after a restart
  bool must_abort = false;  // some of its records could not be synced and are gone
  bool busy = false;        // an end is under way in callbacks
  int64_t start_ms = -1;    // wall clock
  int64_t start_monotonic_ms = 0;
  int64_t updated_ms = 0;  // wall clock
  std::set<TopicPartition> partitions;
  std::set<std::string> groups;
  std::set<TopicPartition> unmarked;         // in a Prepare state: partitions without their marker on disk
  std::deque<std::function<void()>> parked;  // requests that wait for the end

  bool Ending() const { return state == TransactionState::kPrepareCommit || state == TransactionState::kPrepareAbort; }
};
using TransactionPtr = std::shared_ptr<Transaction>;

struct TransactionCoordinator::Impl : std::enable_shared_from_this<TransactionCoordinator::Impl> {
  Impl(std::shared_ptr<log::Journal> j, TopicManager& t, OffsetStore& o, ProducerIds& p, Clock& c)
      : journal(std::move(j)), topics(t), offsets(o), producer_ids(p), clock(c) {}

  // transaction_coordinator.cc
  Status Load();
  void Init(const std::string& id, int32_t timeout_ms, ProducerIdAndEpoch current, bool in_process, InitDone done);
  void Join(const std::string& id, ProducerIdAndEpoch producer, std::span<const TopicPartition> partitions,
            const std::string* group, Done done);
  void End(const std::string& id, ProducerIdAndEpoch producer, bool commit, Done done);
  // With the mutex held:
  wire::KafkaError Check(const TransactionPtr& transaction, const ProducerIdAndEpoch& producer) const;
  TransactionPtr Find(const std::string& id) const;
  void Move(Transaction& transaction, TransactionState to);
  bool Park(Transaction& transaction, std::function<void()> request);
  int64_t TakeSpare() {
    int64_t id = spare_producer_ids.back();
    spare_producer_ids.pop_back();
    return id;
  }
  void Persist(const Transaction& transaction);  // without waiting
  void SetBusy(Transaction& transaction, bool busy);
  std::string Encode(const Transaction& transaction) const;

  // transaction_end.cc
  /// REQUIRES: in a Prepare state since just now, busy; the mutex not held.
  void StartEnd(const TransactionPtr& transaction, Done done);
  void WriteDecision(const TransactionPtr& transaction, Done done);
  void WriteMarkers(const TransactionPtr& transaction);
  void Complete(const TransactionPtr& transaction);
  void GiveUpCommit(const TransactionPtr& transaction, bool must_abort);
  /// Bumps the epoch and moves an ongoing transaction to PrepareAbort; StartEnd is the caller's. Mutex held.
  void Fence(Transaction& transaction);
  void Recover();
  void Tick(int64_t now_ms);

  const std::shared_ptr<log::Journal> journal;
  TopicManager& topics;
  OffsetStore& offsets;
  ProducerIds& producer_ids;
  Clock& clock;

  mutable std::mutex mutex;  // guards what follows; never held while calling what may call back
  std::unordered_map<std::string, TransactionPtr> by_id;
  std::unordered_map<int64_t, TransactionPtr> by_producer;
  std::vector<int64_t> spare_producer_ids;
  int busy_count = 0;             // transactions with `busy`
  std::condition_variable quiet;  // busy_count has become 0
};

}  // namespace tailrace::broker
