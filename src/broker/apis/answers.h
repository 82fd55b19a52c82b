#pragma once
// What several APIs answer alike.

#include <cstdint>

#include "base/result.h"
#include "wire/error_codes.h"

namespace tailrace::broker {

// Bit fields of KIP-430, bit = AclOperation. There are no ACLs yet: everyone may do everything.
inline constexpr int32_t kAllTopicOperations = 0b1101'1111'1000;  // read write create delete alter describe *configs
inline constexpr int32_t kAllClusterOperations = 0b1'1111'1010'0000;
inline constexpr int32_t kAllGroupOperations = 0b1'0100'1000;  // read delete describe

/// Kafka's code for what the topic manager refuses.
inline wire::KafkaError TopicError(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kAlreadyExists: return wire::KafkaError::kTopicAlreadyExists;
    case ErrorCode::kNotFound: return wire::KafkaError::kUnknownTopicOrPartition;
    case ErrorCode::kInvalidArgument: return wire::KafkaError::kInvalidRequest;
    case ErrorCode::kLimitExceeded: return wire::KafkaError::kPolicyViolation;
    case ErrorCode::kIo: return wire::KafkaError::kKafkaStorageError;
    default: return wire::KafkaError::kUnknownServerError;
  }
}

}  // namespace tailrace::broker
