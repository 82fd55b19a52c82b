#pragma once
// The two types of the Kafka protocol that std has no name for.

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace tailrace::wire {

/// 16 bytes as on the wire. All zero = none.
struct Uuid {
  std::array<uint8_t, 16> bytes{};
  bool is_zero() const { return *this == Uuid{}; }
  bool operator==(const Uuid&) const = default;
  auto operator<=>(const Uuid&) const = default;
  /// base64url without padding, as Kafka's tools print topic ids.
  std::string ToString() const;
};

/// A field of record batches. Decoded, it is a view into the frame it came from, on loan. To be encoded, it may be a
/// view or a chain of shared slices (mapped segments, buffers), which then travel to the socket without a copy.
struct Records {
  bool null = false;
  BytesView view;  // used where `chain` is empty
  std::vector<SharedBytes> chain;

  size_t size() const;
  /// One piece of memory, copied.
  std::string Flatten() const;
  bool operator==(const Records& other) const;  // by content
};

}  // namespace tailrace::wire
