#include "broker/apis/produce_append.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "broker/broker.h"
#include "broker/metrics.h"
#include "broker/transaction_coordinator.h"
#include "wire/record_batch.h"

namespace tailrace::broker {

using wire::KafkaError;

KafkaError AppendError(log::AppendCode code) {
  switch (code) {
    case log::AppendCode::kNone:
    case log::AppendCode::kDuplicateSequence: return KafkaError::kNone;
    case log::AppendCode::kOutOfOrderSequence: return KafkaError::kOutOfOrderSequenceNumber;
    case log::AppendCode::kInvalidProducerEpoch: return KafkaError::kInvalidProducerEpoch;
    case log::AppendCode::kInvalidTxnState: return KafkaError::kInvalidTxnState;
    case log::AppendCode::kCorruptMessage: return KafkaError::kCorruptMessage;
    case log::AppendCode::kRecordListTooLarge: return KafkaError::kRecordListTooLarge;
    case log::AppendCode::kNotFound: return KafkaError::kUnknownTopicOrPartition;
    case log::AppendCode::kStorageError: return KafkaError::kKafkaStorageError;
  }
  return KafkaError::kUnknownServerError;
}

ProduceOutcome AppendProduced(Parts& parts, const Topic& topic, int32_t partition, const wire::Records& records,
                              std::shared_ptr<const void> owner, int16_t produce_version, bool transactional_request) {
  ProduceOutcome outcome;
  if (records.null || records.view.empty()) {
    outcome.error = KafkaError::kInvalidRecord;
    outcome.message = "the request holds no records for this partition";
    return outcome;
  }
  wire::ProduceLimits limits;
  limits.max_batch_bytes = static_cast<size_t>(topic.max_message_bytes);
  limits.max_inflated_bytes =
      std::max(static_cast<size_t>(parts.options.max_decompressed_bytes), limits.max_batch_bytes);
  limits.require_keys = topic.compacted;
  limits.allow_zstd = produce_version >= 7;
  // Inflated records are looked at and forgotten. Kept per loop thread while it is small, so that compressed traffic
  // doesn't allocate per batch.
  thread_local wire::InflateBuffer scratch;
  wire::ProduceCheck check = wire::CheckProduce(records.view, limits, &scratch);
  if (scratch.view().size() > (4u << 20)) scratch = wire::InflateBuffer();
  if (check.error != KafkaError::kNone) {
    outcome.error = check.error;
    outcome.message = std::move(check.reason);
    return outcome;
  }
  if (check.batch.transactional() && !transactional_request) {
    outcome.error = KafkaError::kInvalidRequest;
    outcome.message = "a transactional batch in a request without a transactional id";
    return outcome;
  }
  char* bytes = const_cast<char*>(records.view.data());
  if (!topic.log_append_time) {
    if (check.max_timestamp_ms != check.batch.max_timestamp()) wire::SetMaxTimestamp(bytes, check.max_timestamp_ms);
    int64_t now_ms = parts.clock.NowMs();
    if (check.max_timestamp_ms >= 0 && (check.max_timestamp_ms - now_ms > topic.timestamp_after_max_ms ||
                                        now_ms - check.max_timestamp_ms > topic.timestamp_before_max_ms)) {
      outcome.error = KafkaError::kInvalidTimestamp;
      outcome.message = fmt::format(
          "a timestamp of {} is too far from the broker's clock ({}); message.timestamp.after.max.ms "
          "and message.timestamp.before.max.ms of the topic set how far is allowed",
          check.max_timestamp_ms, now_ms);
      return outcome;
    }
  }
  if (check.batch.transactional()) {
    outcome.error = parts.transactions.CheckAppend({check.batch.producer_id(), check.batch.producer_epoch()},
                                                   {topic.name, partition});
    if (outcome.error != KafkaError::kNone) return outcome;
  }
  auto count = static_cast<uint64_t>(check.batch.record_count());
  outcome.result =
      topic.partitions[static_cast<size_t>(partition)]->Append({bytes, records.view.size()}, std::move(owner));
  if (!outcome.result.ok()) {
    outcome.error = AppendError(outcome.result.code);
    outcome.message = std::move(outcome.result.message);
    return outcome;
  }
  if (outcome.result.code == log::AppendCode::kNone) { parts.topics.traffic().Count(count, records.view.size()); }
  return outcome;
}

}  // namespace tailrace::broker
