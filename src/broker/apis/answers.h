#pragma once
// What several APIs answer alike.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

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

/// PRODUCER_FENCED is news to older clients (KIP-588): before `since` of an API they are told what they know.
inline wire::KafkaError FencedAs(wire::KafkaError error, int16_t version, int16_t since) {
  return error == wire::KafkaError::kProducerFenced && version < since ? wire::KafkaError::kInvalidProducerEpoch
                                                                       : error;
}

/// Names that stand more than once in a request are refused, each once: Kafka's rule for topics to be made or grown.
class NamesGivenTwice {
 public:
  enum class Place : uint8_t { kOnly, kFirstOfMany, kLater };
  template <typename Named>
  explicit NamesGivenTwice(const std::vector<Named>& all) {
    for (const Named& one : all) times_[one.name]++;
  }
  Place Next(const std::string& name) {
    int& times = times_[name];
    if (times == 1) return Place::kOnly;
    return std::exchange(times, 0) > 0 ? Place::kFirstOfMany : Place::kLater;
  }

 private:
  std::map<std::string, int> times_;
};

}  // namespace tailrace::broker
