#pragma once
// Resources of the config APIs, and what changing them has in common.

#include <cstdint>
#include <optional>
#include <string>

#include "broker/call.h"
#include "broker/parts.h"
#include "broker/topics.h"
#include "wire/error_codes.h"

namespace tailrace::broker {

// ConfigResource types of the protocol.
inline constexpr int8_t kResourceTopic = 2, kResourceBroker = 4;
// Sources of a value.
inline constexpr int8_t kSourceTopic = 1, kSourceDynamicBroker = 2, kSourceStaticBroker = 4, kSourceDefault = 5;

struct ConfigRefusal {
  wire::KafkaError error;
  std::string message;
};

/// `Answer`: one resource of an answer of these APIs.
template <typename Answer>
void AnswerRefusal(Call& call, std::optional<ConfigRefusal> refusal, Answer* answer) {
  if (!refusal) return;
  answer->error_code = call.Code(refusal->error);
  answer->error_message = std::move(refusal->message);
}

/// What the resource overrides now.
std::optional<ConfigRefusal> ReadConfigs(Parts& parts, int8_t type, const std::string& name, TopicConfigs* configs);
/// Checks, and unless `validate_only` replaces them.
std::optional<ConfigRefusal> WriteConfigs(Parts& parts, int8_t type, const std::string& name,
                                          const TopicConfigs& configs, bool validate_only);

}  // namespace tailrace::broker
