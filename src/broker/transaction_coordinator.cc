#include "broker/transaction_coordinator.h"

#include <fmt/format.h>

#include <chrono>

#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"
#include "broker/offsets.h"
#include "broker/producer_ids.h"
#include "broker/topics.h"
#include "broker/transaction_impl.h"
#include "log/journal.h"
#include "wire/codec.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;

constexpr std::string_view kTransactionPrefix = "x/";
constexpr int8_t kVersion = 1;
constexpr int16_t kEpochMax = 32766;  // the last one a producer gets; one more is left for fencing it

// Rows: from. Columns: to, in the order of TransactionState. PrepareCommit to Ongoing: the decision could not be
// written.
constexpr bool kMoves[kTransactionStates][kTransactionStates] = {
    // Empty Ongoing PrepareCommit PrepareAbort CompleteCommit CompleteAbort
    {true, true, false, false, false, false},   // Empty
    {false, true, true, true, false, false},    // Ongoing
    {false, true, false, false, true, false},   // PrepareCommit
    {false, false, false, false, false, true},  // PrepareAbort
    {true, true, false, false, false, false},   // CompleteCommit
    {true, true, false, false, false, false},   // CompleteAbort
};

std::string Key(const std::string& id) { return std::string(kTransactionPrefix).append(id); }

}  // namespace

std::string_view TransactionStateName(TransactionState state) {
  switch (state) {
    case TransactionState::kEmpty: return "Empty";
    case TransactionState::kOngoing: return "Ongoing";
    case TransactionState::kPrepareCommit: return "PrepareCommit";
    case TransactionState::kPrepareAbort: return "PrepareAbort";
    case TransactionState::kCompleteCommit: return "CompleteCommit";
    case TransactionState::kCompleteAbort: return "CompleteAbort";
  }
  return "Unknown";
}

bool TransactionMayMove(TransactionState from, TransactionState to) {
  return kMoves[static_cast<size_t>(from)][static_cast<size_t>(to)];
}

void TransactionCoordinator::Impl::Move(Transaction& transaction, TransactionState to) {
  CHECK(TransactionMayMove(transaction.state, to));
  bool opens = to == TransactionState::kOngoing && transaction.state != TransactionState::kOngoing &&
               transaction.state != TransactionState::kPrepareCommit;
  if (opens) {
    transaction.start_ms = clock.NowMs();
    transaction.start_monotonic_ms = clock.MonotonicMs();
    transaction.must_abort = false;
  }
  transaction.state = to;
  transaction.updated_ms = clock.NowMs();
}

std::string TransactionCoordinator::Impl::Encode(const Transaction& transaction) const {
  wire::Encoder to;
  to.Int8(kVersion);
  to.Int8(static_cast<int8_t>(transaction.state));
  to.Int64(transaction.producer.id);
  to.Int16(transaction.producer.epoch);
  to.Int16(transaction.last_epoch);
  to.Int32(transaction.timeout_ms);
  to.Bool(transaction.in_process);
  to.Int64(transaction.updated_ms);
  to.ArrayCount(transaction.partitions.size(), true);
  for (const TopicPartition& p : transaction.partitions) {
    to.String(p.topic, true);
    to.Int32(p.partition);
  }
  to.ArrayCount(transaction.groups.size(), true);
  for (const std::string& group : transaction.groups) to.String(group, true);
  return std::move(to).Finish().Flatten();
}

Status TransactionCoordinator::Impl::Load() {
  Status status;
  journal->ForEach(kTransactionPrefix, [&](std::string_view key, std::string_view value) {
    if (!status.ok()) return;
    auto t = std::make_shared<Transaction>();
    t->id = key.substr(kTransactionPrefix.size());
    wire::Decoder from(value);
    int8_t version = from.Int8("version");
    if (from.ok() && version != kVersion) from.Fail("an unknown format version", "version");
    int8_t state = from.Int8("state");
    if (from.ok() && (state < 0 || state >= kTransactionStates)) from.Fail("no such state", "state");
    t->state = static_cast<TransactionState>(state);
    t->producer.id = from.Int64("producer_id");
    t->producer.epoch = from.Int16("producer_epoch");
    t->last_epoch = from.Int16("last_epoch");
    t->timeout_ms = from.Int32("timeout_ms");
    t->in_process = from.Int8("in_process") != 0;
    t->updated_ms = from.Int64("updated_ms");
    for (int32_t n = from.ArrayCount(true, false, "partitions"); n > 0 && from.ok(); --n) {
      TopicPartition p;
      p.topic = from.String(true, "partitions[].topic");
      p.partition = from.Int32("partitions[].partition");
      t->partitions.insert(std::move(p));
    }
    for (int32_t n = from.ArrayCount(true, false, "groups"); n > 0 && from.ok(); --n)
      t->groups.insert(from.String(true, "groups[]"));
    if (!from.ok()) {
      status = from.ToError(fmt::format("transactional id '{}' in meta.journal", t->id), version);
      return;
    }
    t->start_ms = t->updated_ms;
    t->start_monotonic_ms = clock.MonotonicMs();
    if (t->Ending()) t->unmarked = t->partitions;
    by_producer[t->producer.id] = t;
    by_id[t->id] = std::move(t);
  });
  return status;
}

void TransactionCoordinator::Impl::Persist(const Transaction& transaction) {
  log::JournalBatch batch;
  batch.Put(Key(transaction.id), Encode(transaction));
  journal->Append(batch, nullptr);
}

KafkaError TransactionCoordinator::Impl::Check(const TransactionPtr& transaction,
                                               const ProducerIdAndEpoch& producer) const {
  if (!transaction || transaction->producer.id != producer.id) return KafkaError::kInvalidProducerIdMapping;
  if (transaction->producer.epoch != producer.epoch) return KafkaError::kProducerFenced;
  return KafkaError::kNone;
}

void TransactionCoordinator::Impl::SetBusy(Transaction& transaction, bool busy) {
  if (transaction.busy == busy) return;
  transaction.busy = busy;
  busy_count += busy ? 1 : -1;
  if (busy_count == 0) quiet.notify_all();
}

TransactionPtr TransactionCoordinator::Impl::Find(const std::string& id) const {
  auto found = by_id.find(id);
  return found == by_id.end() ? nullptr : found->second;
}

bool TransactionCoordinator::Impl::Park(Transaction& transaction, std::function<void()> request) {
  if (transaction.parked.size() >= kParkedMax) return false;
  transaction.parked.push_back(std::move(request));
  return true;
}

void TransactionCoordinator::Impl::Init(const std::string& id, int32_t timeout_ms, ProducerIdAndEpoch current,
                                        bool in_process, InitDone done) {
  std::unique_lock lock(mutex);
  TransactionPtr t = Find(id);
  if (!t) {
    if (by_id.size() >= kIdsMax || spare_producer_ids.empty()) {
      lock.unlock();
      return done(KafkaError::kCoordinatorNotAvailable, {});
    }
    if (current.id >= 0) {
      lock.unlock();
      return done(KafkaError::kInvalidProducerIdMapping, {});
    }
    t = std::make_shared<Transaction>();
    t->id = id;
    t->producer = {TakeSpare(), 0};
    by_id[id] = t;
    by_producer[t->producer.id] = t;
  } else {
    bool known = current.id < 0 || (current.id == t->producer.id &&
                                    (current.epoch == t->producer.epoch || current.epoch == t->last_epoch));
    if (!known) {
      lock.unlock();
      return done(KafkaError::kProducerFenced, {});
    }
    if (t->Ending() || t->state == TransactionState::kOngoing) {
      bool abort = t->state == TransactionState::kOngoing;
      // When the end is there this producer may have been fenced by the abort itself, so it asks anew without
      // `current`.
      bool parked = Park(*t, [self = shared_from_this(), id, timeout_ms, in_process, done] {
        self->Init(id, timeout_ms, {}, in_process, done);
      });
      if (parked && abort) Fence(*t);
      lock.unlock();
      if (!parked) return done(KafkaError::kConcurrentTransactions, {});
      if (abort) StartEnd(t, [](KafkaError) {});
      return;
    }
    bool answer_was_lost = current.id >= 0 && current.epoch != t->producer.epoch;
    if (!answer_was_lost) {
      if (t->producer.epoch >= kEpochMax) {
        if (spare_producer_ids.empty()) {
          lock.unlock();
          return done(KafkaError::kConcurrentTransactions, {});
        }
        by_producer.erase(t->producer.id);
        t->producer = {TakeSpare(), 0};
        t->last_epoch = -1;
        by_producer[t->producer.id] = t;
      } else {
        t->last_epoch = t->producer.epoch++;
      }
    }
  }
  t->timeout_ms = timeout_ms;
  t->in_process = in_process;
  Move(*t, TransactionState::kEmpty);
  log::JournalBatch batch;
  batch.Put(Key(id), Encode(*t));
  ProducerIdAndEpoch producer = t->producer;
  lock.unlock();
  journal->Append(batch, [done = std::move(done), producer](Status status) {
    if (status.ok()) return done(KafkaError::kNone, producer);
    LogError("broker", "a transactional id could not be stored: " + status.error().ToString());
    done(KafkaError::kCoordinatorNotAvailable, {});
  });
}

void TransactionCoordinator::Impl::Join(const std::string& id, ProducerIdAndEpoch producer,
                                        std::span<const TopicPartition> partitions, const std::string* group,
                                        Done done) {
  KafkaError error;
  {
    std::lock_guard lock(mutex);
    TransactionPtr t = Find(id);
    error = Check(t, producer);
    if (error == KafkaError::kNone && t->Ending()) {
      bool parked = Park(*t, [self = shared_from_this(), id, producer, done,
                              copy = std::vector<TopicPartition>(partitions.begin(), partitions.end()),
                              name = group ? std::optional<std::string>(*group) : std::nullopt] {
        self->Join(id, producer, copy, name ? &*name : nullptr, done);
      });
      if (parked) return;
      error = KafkaError::kConcurrentTransactions;
    }
    if (error == KafkaError::kNone && t->partitions.size() + partitions.size() > kPartitionsMax)
      error = KafkaError::kInvalidRequest;
    if (error == KafkaError::kNone) {
      bool changed = t->state != TransactionState::kOngoing;
      Move(*t, TransactionState::kOngoing);
      for (const TopicPartition& p : partitions) changed |= t->partitions.insert(p).second;
      if (group) changed |= t->groups.insert(*group).second;
      // Not waited for: after a power loss the start finds open transactions in the partitions themselves.
      if (changed && !t->in_process) Persist(*t);
    }
  }
  done(error);
}

void TransactionCoordinator::Impl::End(const std::string& id, ProducerIdAndEpoch producer, bool commit, Done done) {
  KafkaError error;
  TransactionPtr t;
  {
    std::lock_guard lock(mutex);
    t = Find(id);
    error = Check(t, producer);
    if (error == KafkaError::kNone) {
      using S = TransactionState;
      switch (t->state) {
        case S::kOngoing:
          if (commit && t->must_abort) {
            error = KafkaError::kInvalidTxnState;
            break;
          }
          Move(*t, commit ? S::kPrepareCommit : S::kPrepareAbort);
          SetBusy(*t, true);
          break;
        case S::kPrepareCommit:
        case S::kPrepareAbort:
          // The same request again (its answer was lost), or the opposite: told apart once the end is there.
          if (Park(*t,
                   [self = shared_from_this(), id, producer, commit, done] { self->End(id, producer, commit, done); }))
            return;
          error = KafkaError::kConcurrentTransactions;
          break;
        case S::kCompleteCommit:
        case S::kCompleteAbort:
          if (commit != (t->state == S::kCompleteCommit)) error = KafkaError::kInvalidTxnState;
          t = nullptr;
          break;
        case S::kEmpty: error = KafkaError::kInvalidTxnState; break;
      }
    }
  }
  if (error != KafkaError::kNone || !t) return done(error);
  StartEnd(t, std::move(done));
}

TransactionCoordinator::TransactionCoordinator(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
TransactionCoordinator::~TransactionCoordinator() {
  // Ends under way use the topics and the offsets, which may go away next. What the disk holds up is left to recovery.
  std::unique_lock lock(impl_->mutex);
  impl_->quiet.wait_for(lock, std::chrono::seconds(1), [this] { return impl_->busy_count == 0; });
}

Result<std::unique_ptr<TransactionCoordinator>> TransactionCoordinator::Open(std::shared_ptr<log::Journal> journal,
                                                                             TopicManager& topics, OffsetStore& offsets,
                                                                             ProducerIds& producer_ids, Clock& clock) {
  auto impl = std::make_shared<Impl>(std::move(journal), topics, offsets, producer_ids, clock);
  TRY(impl->Load());
  impl->Recover();
  return std::unique_ptr<TransactionCoordinator>(new TransactionCoordinator(std::move(impl)));
}

void TransactionCoordinator::InitProducerId(const std::string& transactional_id, int32_t timeout_ms,
                                            ProducerIdAndEpoch current, bool in_process, InitDone done) {
  if (transactional_id.empty() || transactional_id.size() > wire::Decoder::kMaxString)
    return done(KafkaError::kInvalidRequest, {});
  if (timeout_ms <= 0 || timeout_ms > kTimeoutMsMax) return done(KafkaError::kInvalidTransactionTimeout, {});
  bool need_spare;  // a parked request runs in a flusher thread, where waiting for a new id is not possible
  {
    std::lock_guard lock(impl_->mutex);
    TransactionPtr t = impl_->Find(transactional_id);
    need_spare = !t || t->producer.epoch >= kEpochMax - 1;
  }
  if (need_spare) {
    auto id = impl_->producer_ids.Next();
    if (!id.ok()) {
      LogError("broker", "no producer id: " + id.error().ToString());
      return done(KafkaError::kCoordinatorNotAvailable, {});
    }
    std::lock_guard lock(impl_->mutex);
    impl_->spare_producer_ids.push_back(*id);
  }
  impl_->Init(transactional_id, timeout_ms, current, in_process, std::move(done));
}

void TransactionCoordinator::AddPartitions(const std::string& transactional_id, ProducerIdAndEpoch producer,
                                           std::span<const TopicPartition> partitions, Done done) {
  impl_->Join(transactional_id, producer, partitions, nullptr, std::move(done));
}

void TransactionCoordinator::AddGroup(const std::string& transactional_id, ProducerIdAndEpoch producer,
                                      const std::string& group, Done done) {
  impl_->Join(transactional_id, producer, {}, &group, std::move(done));
}

KafkaError TransactionCoordinator::CheckGroup(const std::string& transactional_id, ProducerIdAndEpoch producer,
                                              const std::string& group) const {
  std::lock_guard lock(impl_->mutex);
  TransactionPtr t = impl_->Find(transactional_id);
  KafkaError error = impl_->Check(t, producer);
  if (error != KafkaError::kNone) return error;
  return t->state == TransactionState::kOngoing && t->groups.count(group) ? KafkaError::kNone
                                                                          : KafkaError::kInvalidTxnState;
}

KafkaError TransactionCoordinator::CheckAppend(ProducerIdAndEpoch producer, const TopicPartition& partition) const {
  std::lock_guard lock(impl_->mutex);
  auto found = impl_->by_producer.find(producer.id);
  if (found == impl_->by_producer.end()) return KafkaError::kInvalidTxnState;
  const Transaction& t = *found->second;
  if (producer.epoch != t.producer.epoch) return KafkaError::kInvalidProducerEpoch;
  return t.state == TransactionState::kOngoing && t.partitions.count(partition) ? KafkaError::kNone
                                                                                : KafkaError::kInvalidTxnState;
}

void TransactionCoordinator::End(const std::string& transactional_id, ProducerIdAndEpoch producer, bool commit,
                                 Done done) {
  impl_->End(transactional_id, producer, commit, std::move(done));
}

void TransactionCoordinator::Tick(int64_t now_ms) { impl_->Tick(now_ms); }

namespace {
TransactionInfo Info(const Transaction& t) {
  bool open = t.state == TransactionState::kOngoing || t.Ending();
  return {t.id, t.state, t.producer, t.timeout_ms, open ? t.start_ms : -1, {t.partitions.begin(), t.partitions.end()}};
}
}  // namespace

std::vector<TransactionInfo> TransactionCoordinator::List() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<TransactionInfo> all;
  all.reserve(impl_->by_id.size());
  for (const auto& [id, t] : impl_->by_id) all.push_back(Info(*t));
  return all;
}

std::optional<TransactionInfo> TransactionCoordinator::Describe(const std::string& transactional_id) const {
  std::lock_guard lock(impl_->mutex);
  TransactionPtr t = impl_->Find(transactional_id);
  if (!t) return std::nullopt;
  return Info(*t);
}

}  // namespace tailrace::broker
