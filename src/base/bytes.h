#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tailrace {

/// Bytes on loan: valid as long as the lender says. (string_view, because every codec here takes one.)
using BytesView = std::string_view;

/// Immutable bytes with shared ownership: a slice of a network buffer, a mapped segment, a string.
/// Copying shares; slicing keeps the whole buffer alive. Thread-safe like shared_ptr.
struct SharedBytes {
  std::shared_ptr<const void> owner;
  BytesView view;

  static SharedBytes Own(std::string bytes) {
    auto held = std::make_shared<const std::string>(std::move(bytes));
    BytesView view = *held;
    return {std::move(held), view};
  }
  SharedBytes Slice(size_t offset, size_t length) const { return {owner, view.substr(offset, length)}; }
  size_t size() const { return view.size(); }
};

// Big-endian (the Kafka protocol) and little-endian (our own formats) integers at unaligned addresses.
inline void StoreBe16(void* p, uint16_t v) {
  v = __builtin_bswap16(v);
  __builtin_memcpy(p, &v, 2);
}
inline void StoreBe32(void* p, uint32_t v) {
  v = __builtin_bswap32(v);
  __builtin_memcpy(p, &v, 4);
}
inline void StoreBe64(void* p, uint64_t v) {
  v = __builtin_bswap64(v);
  __builtin_memcpy(p, &v, 8);
}
inline uint16_t LoadBe16(const void* p) {
  uint16_t v;
  __builtin_memcpy(&v, p, 2);
  return __builtin_bswap16(v);
}
inline uint32_t LoadBe32(const void* p) {
  uint32_t v;
  __builtin_memcpy(&v, p, 4);
  return __builtin_bswap32(v);
}
inline uint64_t LoadBe64(const void* p) {
  uint64_t v;
  __builtin_memcpy(&v, p, 8);
  return __builtin_bswap64(v);
}
inline void StoreLe32(void* p, uint32_t v) { __builtin_memcpy(p, &v, 4); }
inline void StoreLe64(void* p, uint64_t v) { __builtin_memcpy(p, &v, 8); }
inline uint32_t LoadLe32(const void* p) {
  uint32_t v;
  __builtin_memcpy(&v, p, 4);
  return v;
}
inline uint64_t LoadLe64(const void* p) {
  uint64_t v;
  __builtin_memcpy(&v, p, 8);
  return v;
}

/// CRC-32C (Castagnoli), as in record batches and in every format of ours. `seed` continues an earlier call.
uint32_t Crc32c(BytesView bytes, uint32_t seed = 0);

std::string Base64Encode(BytesView bytes);
/// True where `bytes` is well-formed UTF-8.
bool IsUtf8(BytesView bytes);

}  // namespace tailrace
