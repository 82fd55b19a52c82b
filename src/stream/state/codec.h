#pragma once
// Bytes of state: what snapshots are written with and read from. Little-endian, no alignment, bounds checked on
// reading. docs/formats/checkpoint.md

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace tailrace::stream {

class StateWriter {
 public:
  explicit StateWriter(std::string* out) : out_(*out) {}
  void U8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void U32(uint32_t v) { Fixed(&v, 4); }
  void U64(uint64_t v) { Fixed(&v, 8); }
  void I64(int64_t v) { Fixed(&v, 8); }
  void I128(__int128 v) { Fixed(&v, 16); }
  void F64(double v) { Fixed(&v, 8); }
  void Fixed(const void* p, size_t n) { out_.append(static_cast<const char*>(p), n); }
  /// LEB128.
  void Varint(uint64_t v) {
    while (v >= 0x80) {
      out_.push_back(static_cast<char>(v | 0x80));
      v >>= 7;
    }
    out_.push_back(static_cast<char>(v));
  }
  /// Length, then bytes.
  void Bytes(BytesView v) {
    Varint(v.size());
    out_.append(v);
  }
  std::string& out() { return out_; }

 private:
  std::string& out_;
};

/// After a read past the end every read gives zero and ok() is false: check once, at the end.
class StateReader {
 public:
  explicit StateReader(BytesView in) : in_(in) {}
  uint8_t U8() { return Get<uint8_t>(); }
  uint32_t U32() { return Get<uint32_t>(); }
  uint64_t U64() { return Get<uint64_t>(); }
  int64_t I64() { return Get<int64_t>(); }
  __int128 I128() { return Get<__int128>(); }
  double F64() { return Get<double>(); }
  void Fixed(void* p, size_t n) {
    if (n == 0) return;  // p may be null
    if (n > in_.size()) {
      Fail();
      __builtin_memset(p, 0, n);
      return;
    }
    __builtin_memcpy(p, in_.data(), n);
    in_.remove_prefix(n);
  }
  uint64_t Varint() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      uint8_t b = U8();
      v |= static_cast<uint64_t>(b & 0x7f) << shift;
      if (!(b & 0x80)) return v;
    }
    Fail();
    return 0;
  }
  /// A count of things that each take at least one byte, so that a corrupt count cannot allocate the earth.
  uint64_t Count() {
    uint64_t n = Varint();
    if (n > in_.size()) {
      Fail();
      return 0;
    }
    return n;
  }
  BytesView Bytes() {
    uint64_t n = Varint();
    if (n > in_.size()) {
      Fail();
      return {};
    }
    BytesView v = in_.substr(0, n);
    in_.remove_prefix(n);
    return v;
  }
  bool ok() const { return ok_; }
  bool AtEnd() const { return in_.empty(); }
  void Fail() {
    ok_ = false;
    in_ = {};
  }

 private:
  template <typename T>
  T Get() {
    T v;
    Fixed(&v, sizeof v);
    return v;
  }
  BytesView in_;
  bool ok_ = true;
};

}  // namespace tailrace::stream
