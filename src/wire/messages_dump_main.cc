// Prints random messages of every kind and version, one a line: "api-key is-request version hex". Apache Kafka's codec
// reads them in tests/engines.

#include <cstdio>

#include "wire/messages/random_fill.h"

namespace tailrace::wire {
namespace {

constexpr int kRounds = 15;

template <typename Message>
void Dump(std::string_view name) {
  if constexpr (requires { Message::kApi; }) {
    for (int16_t version = Message::kMinVersion; version <= Message::kMaxVersion; version++) {
      for (int round = 0; round < kRounds; round++) {
        RandomContent random(static_cast<uint64_t>(round * 1000 + version));
        Message message;
        Fill(message, random, version);
        Encoder to;
        message.Encode(to, version);
        std::printf("%d %d %d ", static_cast<int>(Message::kApi), name.ends_with("Request"), version);
        for (char c : std::move(to).Finish().Flatten()) std::printf("%02x", static_cast<unsigned char>(c));
        std::printf("\n");
      }
    }
  }
}

}  // namespace
}  // namespace tailrace::wire

int main() {
#define X(Message) tailrace::wire::Dump<tailrace::wire::Message>(#Message);
  TAILRACE_KAFKA_MESSAGES(X)
#undef X
}
