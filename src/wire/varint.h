#pragma once
// Zigzag varints as inside record batches (Protobuf's sint32 and sint64).

#include <cstdint>

namespace tailrace::wire {

namespace internal {
inline const char* ReadUnsigned(const char* p, const char* end, int bits, uint64_t* out) {
  uint64_t v = 0;
  for (int shift = 0; shift < bits; shift += 7) {
    if (p >= end) return nullptr;
    auto b = static_cast<uint8_t>(*p++);
    v |= static_cast<uint64_t>(b & 0x7f) << shift;
    if (b < 0x80) {
      *out = v;
      return p;
    }
  }
  return nullptr;
}
}  // namespace internal

// Each reads one number from [p, end) and returns the byte after it, or nullptr where none is there.
inline const char* ReadVarint(const char* p, const char* end, int32_t* out) {
  if (__builtin_expect(p < end && static_cast<uint8_t>(*p) < 0x80, 1)) {
    auto v = static_cast<uint32_t>(static_cast<uint8_t>(*p));
    *out = static_cast<int32_t>((v >> 1) ^ (0 - (v & 1)));
    return p + 1;
  }
  uint64_t wide;
  p = internal::ReadUnsigned(p, end, 35, &wide);
  if (!p || wide > UINT32_MAX) return nullptr;
  auto v = static_cast<uint32_t>(wide);
  *out = static_cast<int32_t>((v >> 1) ^ (0 - (v & 1)));
  return p;
}

inline const char* ReadVarlong(const char* p, const char* end, int64_t* out) {
  uint64_t v;
  if (__builtin_expect(p < end && static_cast<uint8_t>(*p) < 0x80, 1)) {
    v = static_cast<uint8_t>(*p++);
  } else {
    p = internal::ReadUnsigned(p, end, 70, &v);
    if (!p) return nullptr;
  }
  *out = static_cast<int64_t>((v >> 1) ^ (0 - (v & 1)));
  return p;
}

/// Writes at most 10 bytes (5 for an int32) and returns the byte after them.
inline char* WriteVarlong(char* p, int64_t value) {
  auto v = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  for (; v >= 0x80; v >>= 7) *p++ = static_cast<char>(v | 0x80);
  *p++ = static_cast<char>(v);
  return p;
}

inline int VarlongSize(int64_t value) {
  auto v = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  return (70 - __builtin_clzll(v | 1)) / 7;
}

}  // namespace tailrace::wire
