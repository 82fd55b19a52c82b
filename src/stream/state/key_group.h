#pragma once
// Keyed state is cut into key groups, the unit of rescaling: a key belongs to one for ever, an instance of a job owns a
// range of them (as Flink's "Elastic Scaling" page describes). The hash is part of the checkpoint format: changing it
// changes the format's version.

#include <cstdint>

namespace tailrace::stream {

inline constexpr uint32_t kKeyGroupsDefault = 128;
inline constexpr uint32_t kKeyGroupsMax = 32768;

inline uint64_t MixHash(uint64_t a, uint64_t b) {
  unsigned __int128 product = static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15ull) * (b ^ 0xd6e8feb86659fd93ull);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

/// Uses the hash's upper half; tables use the lower.
inline uint32_t KeyGroupOf(uint64_t hash, uint32_t key_groups) {
  return static_cast<uint32_t>(((hash >> 32) * key_groups) >> 32);
}

struct KeyGroupRange {
  uint32_t first = 0;
  uint32_t last = kKeyGroupsDefault - 1;  // inclusive
  uint32_t total = kKeyGroupsDefault;
  bool Contains(uint32_t group) const { return first <= group && group <= last; }
};

}  // namespace tailrace::stream
