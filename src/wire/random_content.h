#pragma once
// Random content for the fields of generated messages; for tests.

#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "wire/types.h"

namespace tailrace::wire {

class RandomContent {
 public:
  explicit RandomContent(uint64_t seed) : random_(seed) {}

  template <typename T, typename Fill>
  void Value(T& field, bool, Fill fill) {
    fill(field);
  }
  template <typename Fill>
  void Value(Records& field, bool nullable, Fill fill) {
    field.null = nullable && Chance(4);
    if (!field.null) fill(field);
  }
  template <typename T, typename Fill>
  void Value(std::vector<T>& field, bool, Fill fill) {
    field.clear();
    for (uint64_t n = random_.Below(4); n > 0; n--) fill(field.emplace_back());
  }
  template <typename T, typename Fill>
  void Value(std::optional<T>& field, bool nullable, Fill fill) {
    if (nullable && Chance(3)) {
      field.reset();
    } else {
      Value(field.emplace(), false, fill);
    }
  }

  void Scalar(bool& v) { v = Chance(2); }
  void Scalar(int8_t& v) { v = static_cast<int8_t>(random_.Next()); }
  void Scalar(int16_t& v) { v = static_cast<int16_t>(random_.Next()); }
  void Scalar(int32_t& v) { v = static_cast<int32_t>(random_.Next()); }
  void Scalar(int64_t& v) { v = static_cast<int64_t>(random_.Next()); }
  void Scalar(Uuid& v) {
    for (uint8_t& b : v.bytes) b = static_cast<uint8_t>(random_.Next());
  }
  void Scalar(std::string& v) {
    // Now and then longer than what one byte of a compact length holds.
    v.resize(random_.Below(Chance(16) ? 300 : 12));
    for (char& c : v) c = static_cast<char>('a' + random_.Below(26));
  }
  void Scalar(Records& v) {
    // Two pieces: one small enough to be copied, one that is shared when it is large.
    v.chain.clear();
    std::string piece;
    Scalar(piece);
    v.chain.push_back(SharedBytes::Own(piece));
    v.chain.push_back(SharedBytes::Own(std::string(random_.Below(Chance(4) ? 5000 : 50), 'r')));
  }

 private:
  bool Chance(uint64_t one_in) { return random_.Below(one_in) == 0; }
  Random random_;
};

}  // namespace tailrace::wire
