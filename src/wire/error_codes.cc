#include "wire/error_codes.h"

namespace tailrace::wire {

std::string_view KafkaErrorName(int16_t code) {
  switch (code) {
#define X(value, name, retriable) \
  case value: return #name;
    TAILRACE_KAFKA_ERRORS(X)
#undef X
  }
  return "UNKNOWN";
}

bool KafkaErrorRetriable(int16_t code) {
  switch (code) {
#define X(value, name, retriable) \
  case value: return retriable;
    TAILRACE_KAFKA_ERRORS(X)
#undef X
  }
  return false;
}

}  // namespace tailrace::wire
