#pragma once
// One partition's share of a Produce request: Kafka's checks and the append.

#include <memory>
#include <string>

#include "broker/parts.h"
#include "broker/topics.h"
#include "log/partition.h"
#include "wire/codec.h"
#include "wire/error_codes.h"

namespace tailrace::broker {

struct ProduceOutcome {
  wire::KafkaError error = wire::KafkaError::kNone;
  std::string message;
  log::AppendResult result;
};

/// Kafka's code for a refused append.
wire::KafkaError AppendError(log::AppendCode code);

/// REQUIRES: the topic has that partition; `records` lies in memory that may be written to (the request's frame), which
/// `owner` keeps.
ProduceOutcome AppendProduced(Parts& parts, const Topic& topic, int32_t partition, const wire::Records& records,
                              std::shared_ptr<const void> owner, int16_t produce_version, bool transactional_request);

}  // namespace tailrace::broker
