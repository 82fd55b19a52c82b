// How a transaction ends: data on disk, one write that decides, markers, done. And what a start finds to be finished.

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "base/logging.h"
#include "broker/offsets.h"
#include "broker/topics.h"
#include "broker/transaction_impl.h"
#include "log/journal.h"
#include "log/partition.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;
constexpr int32_t kCoordinatorEpoch = 0;  // one broker, one coordinator for ever

// Calls `done` once after `count` calls of Arrive, with the first error. Its maker holds one count itself while it
// starts what it waits for.
class Countdown {
 public:
  Countdown(int count, std::function<void(Status)> done) : left_(count), done_(std::move(done)) {}
  void Arrive(Status status) {
    if (!status.ok()) {
      std::lock_guard lock(mutex_);
      if (first_.ok()) first_ = std::move(status);
    }
    if (left_.fetch_sub(1) == 1) done_(std::move(first_));
  }

 private:
  std::atomic<int> left_;
  std::mutex mutex_;
  Status first_;
  std::function<void(Status)> done_;
};

}  // namespace

void TransactionCoordinator::Impl::Fence(Transaction& transaction) {
  // Not `last_epoch`: the producer that is shut out must not get in again by KIP-360.
  transaction.producer.epoch++;
  transaction.last_epoch = -1;
  Move(transaction, TransactionState::kPrepareAbort);
  SetBusy(transaction, true);
}

void TransactionCoordinator::Impl::StartEnd(const TransactionPtr& transaction, Done done) {
  std::vector<TopicPartition> partitions;
  bool commit;
  {
    std::lock_guard lock(mutex);
    commit = transaction->state == TransactionState::kPrepareCommit;
    transaction->unmarked = transaction->partitions;
    partitions.assign(transaction->partitions.begin(), transaction->partitions.end());
  }
  if (!commit) return WriteDecision(transaction, std::move(done));
  // Records of Kafka's producers were synced before they were acknowledged; those of writers in this process were not.
  auto countdown = std::make_shared<Countdown>(
      static_cast<int>(partitions.size()) + 1, [self = shared_from_this(), transaction, done](Status status) {
        if (status.ok()) return self->WriteDecision(transaction, done);
        LogError("broker",
                 fmt::format("transaction '{}' can't be committed: {}", transaction->id, status.error().ToString()));
        self->GiveUpCommit(transaction, true);
        done(KafkaError::kKafkaStorageError);
      });
  for (const TopicPartition& p : partitions) {
    auto partition = topics.FindPartition(p.topic, p.partition);
    if (!partition) {  // deleted meanwhile, with its records
      countdown->Arrive(Ok());
      continue;
    }
    partition->WhenFlushed(partition->Ends().log_end_offset, [countdown](Status status) {
      if (!status.ok() && status.error().code() == ErrorCode::kNotFound) status = Ok();
      countdown->Arrive(std::move(status));
    });
  }
  countdown->Arrive(Ok());
}

void TransactionCoordinator::Impl::WriteDecision(const TransactionPtr& transaction, Done done) {
  log::JournalBatch batch;
  bool commit;
  int64_t producer_id;
  {
    std::lock_guard lock(mutex);
    commit = transaction->state == TransactionState::kPrepareCommit;
    producer_id = transaction->producer.id;
    batch.Put("x/" + transaction->id, Encode(*transaction));
  }
  offsets.PrepareEnd(producer_id, commit, &batch);
  journal->Append(batch,
                  [self = shared_from_this(), transaction, commit, producer_id, done = std::move(done)](Status status) {
                    if (!status.ok()) {
                      LogError("broker", fmt::format("the end of transaction '{}' could not be written: {}",
                                                     transaction->id, status.error().ToString()));
                      if (commit) {
                        self->GiveUpCommit(transaction, false);
                      } else {
                        std::lock_guard lock(self->mutex);
                        self->SetBusy(*transaction, false);  // Tick tries again
                      }
                      return done(KafkaError::kCoordinatorNotAvailable);
                    }
                    self->WriteMarkers(transaction);
                    self->offsets.ApplyEnd(producer_id, commit);
                    done(KafkaError::kNone);
                  });
}

// The decision did not get to disk, so there is none: the transaction is open as before.
void TransactionCoordinator::Impl::GiveUpCommit(const TransactionPtr& transaction, bool must_abort) {
  std::deque<std::function<void()>> parked;
  {
    std::lock_guard lock(mutex);
    Move(*transaction, TransactionState::kOngoing);
    transaction->must_abort = transaction->must_abort || must_abort;
    transaction->unmarked.clear();
    SetBusy(*transaction, false);
    parked.swap(transaction->parked);
  }
  for (auto& request : parked) request();
}

void TransactionCoordinator::Impl::WriteMarkers(const TransactionPtr& transaction) {
  std::vector<TopicPartition> partitions;
  ProducerIdAndEpoch producer;
  bool commit;
  {
    std::lock_guard lock(mutex);
    partitions.assign(transaction->unmarked.begin(), transaction->unmarked.end());
    producer = transaction->producer;
    commit = transaction->state == TransactionState::kPrepareCommit;
  }
  auto countdown =
      std::make_shared<Countdown>(static_cast<int>(partitions.size()) + 1,
                                  [self = shared_from_this(), transaction](Status) { self->Complete(transaction); });
  for (const TopicPartition& p : partitions) {
    auto marked = [self = shared_from_this(), transaction, p, countdown](Status status) {
      if (status.ok() || status.error().code() == ErrorCode::kNotFound) {
        std::lock_guard lock(self->mutex);
        transaction->unmarked.erase(p);
      } else {
        LogError("broker", fmt::format("marker of transaction '{}' in {}-{}: {}; it will be written again",
                                       transaction->id, p.topic, p.partition, status.error().ToString()));
      }
      countdown->Arrive(Ok());
    };
    auto partition = topics.FindPartition(p.topic, p.partition);
    if (!partition) {
      marked(Ok());
      continue;
    }
    log::AppendResult result = partition->AppendMarker(producer.id, producer.epoch, kCoordinatorEpoch, commit);
    switch (result.code) {
      case log::AppendCode::kNone:
        // Nothing appended: it was there already, perhaps not synced yet.
        partition->WhenFlushed(result.end_offset >= 0 ? result.end_offset : partition->Ends().log_end_offset, marked);
        break;
      case log::AppendCode::kNotFound: marked(Ok()); break;
      case log::AppendCode::kInvalidProducerEpoch:
        LogError("broker", fmt::format("transaction '{}': {}", transaction->id, result.message));
        marked(Ok());
        break;
      default: marked(Error(ErrorCode::kIo, result.message));
    }
  }
  countdown->Arrive(Ok());
}

void TransactionCoordinator::Impl::Complete(const TransactionPtr& transaction) {
  std::deque<std::function<void()>> parked;
  {
    std::lock_guard lock(mutex);
    SetBusy(*transaction, false);
    if (!transaction->unmarked.empty()) return;  // Tick writes the rest
    bool commit = transaction->state == TransactionState::kPrepareCommit;
    Move(*transaction, commit ? TransactionState::kCompleteCommit : TransactionState::kCompleteAbort);
    transaction->partitions.clear();
    transaction->groups.clear();
    Persist(*transaction);  // lost in a crash: the markers are written again, which changes nothing
    parked.swap(transaction->parked);
  }
  for (auto& request : parked) request();
}

void TransactionCoordinator::Impl::Tick(int64_t now_ms) {
  int64_t monotonic_ms = clock.MonotonicMs();
  std::vector<TransactionPtr> to_abort, to_decide, to_mark;
  {
    std::lock_guard lock(mutex);
    for (auto at = by_id.begin(); at != by_id.end();) {
      const TransactionPtr& t = at->second;
      if (t->state == TransactionState::kOngoing && !t->in_process &&
          monotonic_ms - t->start_monotonic_ms > t->timeout_ms) {
        LogWarning("broker", fmt::format("transaction '{}' is aborted: open for longer than its timeout of {} ms",
                                         t->id, t->timeout_ms));
        Fence(*t);
        to_abort.push_back(t);
      } else if (t->Ending() && !t->busy) {
        SetBusy(*t, true);
        // An abort whose decision was refused by the disk is written again with all of it.
        (t->state == TransactionState::kPrepareAbort ? to_decide : to_mark).push_back(t);
      } else if (!t->Ending() && t->state != TransactionState::kOngoing && now_ms - t->updated_ms > kIdExpirationMs) {
        log::JournalBatch batch;
        batch.Delete("x/" + t->id);
        journal->Append(batch, nullptr);
        by_producer.erase(t->producer.id);
        at = by_id.erase(at);
        continue;
      }
      ++at;
    }
  }
  for (const TransactionPtr& t : to_abort) StartEnd(t, [](KafkaError) {});
  for (const TransactionPtr& t : to_decide) WriteDecision(t, [](KafkaError) {});
  for (const TransactionPtr& t : to_mark) WriteMarkers(t);
}

// Before anybody else knows of the coordinator; nothing runs beside it until the ends are started.
void TransactionCoordinator::Impl::Recover() {
  std::vector<TransactionPtr> decided, fenced;
  for (const auto& [id, t] : by_id) {
    if (!t->Ending()) continue;
    LogInfo("broker", fmt::format("finishing transaction '{}' ({})", t->id, TransactionStateName(t->state)));
    SetBusy(*t, true);
    decided.push_back(t);
  }
  // Open transactions in the partitions themselves: what the journal knows as open stays so until its producer or its
  // timeout ends it; all else was never decided, so it is aborted.
  for (const TopicPtr& topic : topics.List()) {
    for (const auto& partition : topic->partitions) {
      const TopicPartition& name = partition->name();
      for (const log::ProducerInfo& open : partition->Producers()) {
        if (open.txn_start_offset < 0) continue;
        auto found = by_producer.find(open.producer_id);
        TransactionPtr owner = found == by_producer.end() ? nullptr : found->second;
        bool takes_part = owner && owner->partitions.count(name) > 0;
        if (takes_part && owner->Ending()) continue;
        if (owner && owner->state == TransactionState::kOngoing && !owner->in_process) {
          if (takes_part && owner->producer.epoch == open.producer_epoch) continue;
          // The journal lost (to a power loss) that this partition takes part: it can't be committed as a whole any
          // more.
          owner->partitions.insert(name);
          Fence(*owner);
          fenced.push_back(owner);
          continue;
        }
        if (owner && std::find(fenced.begin(), fenced.end(), owner) != fenced.end()) {
          owner->partitions.insert(name);
          continue;
        }
        LogInfo("broker", fmt::format("aborting an open transaction of producer {} in {}-{}", open.producer_id,
                                      name.topic, name.partition));
        auto result = partition->AppendMarker(open.producer_id, open.producer_epoch, kCoordinatorEpoch, false);
        if (result.ok()) partition->WhenFlushed(result.end_offset, [](Status) {});
        else LogError("broker", "abort marker: " + result.message);
      }
    }
  }
  for (const TransactionPtr& t : decided) WriteMarkers(t);
  for (const TransactionPtr& t : fenced) StartEnd(t, [](KafkaError) {});
  // Offsets whose transaction was not decided are dropped with it.
  std::vector<int64_t> undecided;
  {
    std::lock_guard lock(mutex);
    for (const auto& [producer_id, t] : by_producer)
      if (t->state != TransactionState::kOngoing && !t->Ending()) undecided.push_back(producer_id);
  }
  for (int64_t producer_id : undecided) offsets.EndTransaction(producer_id, false, nullptr);
}

}  // namespace tailrace::broker
