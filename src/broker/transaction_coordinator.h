#pragma once
// Kafka transactions (KIP-98, KIP-360, KIP-447) of one broker: who owns a transactional id, which partitions and groups
// take part, and the one write that decides. docs/decisions/0005-transactions.md.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/record.h"
#include "base/result.h"
#include "wire/error_codes.h"

namespace tailrace {
class Clock;
}
namespace tailrace::log {
class Journal;
}

namespace tailrace::broker {

class OffsetStore;
class ProducerIds;
class TopicManager;

enum class TransactionState : uint8_t {
  kEmpty,
  kOngoing,
  kPrepareCommit,  // decided and on disk, or about to be; markers are being written
  kPrepareAbort,
  kCompleteCommit,  // all markers are on disk
  kCompleteAbort,
};
inline constexpr int kTransactionStates = 6;
/// As ListTransactions names them: "Empty", "Ongoing", "PrepareCommit", ...
std::string_view TransactionStateName(TransactionState state);
/// The one table of legal moves.
bool TransactionMayMove(TransactionState from, TransactionState to);

struct ProducerIdAndEpoch {
  int64_t id = -1;
  int16_t epoch = -1;
  bool operator==(const ProducerIdAndEpoch&) const = default;
};

struct TransactionInfo {
  std::string transactional_id;
  TransactionState state = TransactionState::kEmpty;
  ProducerIdAndEpoch producer;
  int32_t timeout_ms = 0;
  int64_t start_ms = -1;  // wall clock; -1: none open
  std::vector<TopicPartition> partitions;
};

/// Thread-safe. Callbacks are called once, from the caller's thread or a flusher's; they must be cheap and not wait for
/// a flush. A request that comes while an earlier transaction of its id is being finished waits for that (some hundred
/// microseconds), where Kafka answers CONCURRENT_TRANSACTIONS and has the client ask again.
class TransactionCoordinator {
 public:
  static constexpr int32_t kTimeoutMsMax = 900'000;  // transaction.max.timeout.ms
  static constexpr int64_t kIdExpirationMs = 7 * 86400'000ll;
  static constexpr size_t kPartitionsMax = 100'000;  // of one transaction
  static constexpr size_t kIdsMax = 100'000;
  static constexpr size_t kParkedMax = 64;  // requests of one id that wait

  using Done = std::function<void(wire::KafkaError)>;
  using InitDone = std::function<void(wire::KafkaError, ProducerIdAndEpoch)>;

  /// Reads the journal, finishes what was decided, aborts what nobody can finish. The references must outlive it.
  static Result<std::unique_ptr<TransactionCoordinator>> Open(std::shared_ptr<log::Journal> journal,
                                                              TopicManager& topics, OffsetStore& offsets,
                                                              ProducerIds& producer_ids, Clock& clock);
  ~TransactionCoordinator();

  /// Fences older producers of the id and aborts what they left open; answers once that is on disk. `current`: what the
  /// producer believes to be (KIP-360), or {-1, -1}. `in_process`: a writer that lives and dies with this process.
  /// kInvalidTransactionTimeout, kInvalidRequest (empty id), kProducerFenced, kConcurrentTransactions,
  /// kCoordinatorNotAvailable.
  void InitProducerId(const std::string& transactional_id, int32_t timeout_ms, ProducerIdAndEpoch current,
                      bool in_process, InitDone done);

  /// REQUIRES: the partitions exist. kInvalidProducerIdMapping, kProducerFenced, kConcurrentTransactions.
  void AddPartitions(const std::string& transactional_id, ProducerIdAndEpoch producer,
                     std::span<const TopicPartition> partitions, Done done);
  /// The same for a group whose offsets will be part of the transaction (AddOffsetsToTxn).
  void AddGroup(const std::string& transactional_id, ProducerIdAndEpoch producer, const std::string& group, Done done);
  /// May this producer's pending offsets for `group` be stored now (TxnOffsetCommit)? kInvalidTxnState besides the
  /// above.
  wire::KafkaError CheckGroup(const std::string& transactional_id, ProducerIdAndEpoch producer,
                              const std::string& group) const;
  /// May a transactional batch of this producer be appended there (KIP-890)? kInvalidTxnState, kInvalidProducerEpoch.
  wire::KafkaError CheckAppend(ProducerIdAndEpoch producer, const TopicPartition& partition) const;

  /// Ends the transaction. A commit is answered when the decision is on disk and the markers are in the logs.
  /// kInvalidTxnState, kInvalidProducerIdMapping, kProducerFenced, kCoordinatorNotAvailable (disk; still open, try
  /// again).
  void End(const std::string& transactional_id, ProducerIdAndEpoch producer, bool commit, Done done);

  /// Aborts what has timed out, tries again what the disk refused, forgets ids unused for long. Call about every
  /// second. `now_ms`: wall clock that may be believed (PatientClock).
  void Tick(int64_t now_ms);

  std::vector<TransactionInfo> List() const;
  std::optional<TransactionInfo> Describe(const std::string& transactional_id) const;

  struct Impl;

 private:
  explicit TransactionCoordinator(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // callbacks under way hold it too
};

}  // namespace tailrace::broker
