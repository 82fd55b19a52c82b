#pragma once

#include <cstdint>
#include <string>

namespace tailrace {

/// Randomness comes in through here. Not thread-safe: one per owner. Not for secrets.
class Random {  // xoshiro256** by Blackman and Vigna
 public:
  explicit Random(uint64_t seed);
  /// Seeded from the operating system.
  static Random FromSystem();
  uint64_t Next();
  /// Uniform in [0, bound). REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }
  /// Uniform in [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t s_[4];
};

/// A random (version 4) UUID as text.
std::string MakeUuid(Random& random);

}  // namespace tailrace
