#include "base/bytes.h"

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#endif

#include <array>

namespace tailrace {
namespace {

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = (c & 1) ? 0x82F63B78u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}
[[maybe_unused]] constexpr auto kTable = MakeTable();

#if defined(__SSE4_2__)
// x^(8*n) mod P in the bit-reflected field, so that three independent streams of the crc32 instruction (latency 3,
// throughput 1) can be joined: crc(A|B) = shift(crc(A), |B|) ^ crc(B).
constexpr uint32_t MultiplyMod(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int i = 31; i >= 0; i--) {
    if ((b >> i) & 1) product ^= a;
    a = (a & 1) ? (a >> 1) ^ 0x82F63B78u : a >> 1;
  }
  return product;
}
constexpr uint32_t PowerOfX8(size_t bytes) {
  uint32_t result = 0x80000000u;  // x^0
  uint32_t base = 0x00800000u;    // x^8
  for (; bytes; bytes >>= 1) {
    if (bytes & 1) result = MultiplyMod(result, base);
    base = MultiplyMod(base, base);
  }
  return result;
}
constexpr size_t kStripe = 1024;
struct ShiftTables {
  std::array<std::array<uint32_t, 256>, 4> t{};
};
constexpr ShiftTables MakeShift(size_t bytes) {
  ShiftTables s;
  uint32_t power = PowerOfX8(bytes);
  for (int k = 0; k < 4; k++)
    for (uint32_t b = 0; b < 256; b++) s.t[k][b] = MultiplyMod(power, b << (8 * k));
  return s;
}
const ShiftTables kShift1 = MakeShift(kStripe);
const ShiftTables kShift2 = MakeShift(2 * kStripe);
inline uint32_t Shift(const ShiftTables& s, uint32_t c) {
  return s.t[0][c & 255] ^ s.t[1][(c >> 8) & 255] ^ s.t[2][(c >> 16) & 255] ^ s.t[3][c >> 24];
}
#endif

}  // namespace

uint32_t Crc32c(BytesView bytes, uint32_t seed) {
  const char* p = bytes.data();
  size_t n = bytes.size();
  uint32_t crc = ~seed;
#if defined(__SSE4_2__)
  while (n >= 3 * kStripe) {
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < kStripe; i += 8) {
      a = _mm_crc32_u64(a, LoadLe64(p + i));
      b = _mm_crc32_u64(b, LoadLe64(p + kStripe + i));
      c = _mm_crc32_u64(c, LoadLe64(p + 2 * kStripe + i));
    }
    crc =
        Shift(kShift2, static_cast<uint32_t>(a)) ^ Shift(kShift1, static_cast<uint32_t>(b)) ^ static_cast<uint32_t>(c);
    p += 3 * kStripe;
    n -= 3 * kStripe;
  }
  uint64_t c64 = crc;
  for (; n >= 8; n -= 8, p += 8) c64 = _mm_crc32_u64(c64, LoadLe64(p));
  crc = static_cast<uint32_t>(c64);
  for (; n; n--, p++) crc = _mm_crc32_u8(crc, static_cast<uint8_t>(*p));
#else
  for (; n; n--, p++) crc = kTable[(crc ^ static_cast<uint8_t>(*p)) & 255] ^ (crc >> 8);
#endif
  return ~crc;
}

std::string Base64Encode(BytesView bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t v = static_cast<uint8_t>(bytes[i]) << 16;
    if (i + 1 < bytes.size()) v |= static_cast<uint8_t>(bytes[i + 1]) << 8;
    if (i + 2 < bytes.size()) v |= static_cast<uint8_t>(bytes[i + 2]);
    out += digits[v >> 18];
    out += digits[(v >> 12) & 63];
    out += i + 1 < bytes.size() ? digits[(v >> 6) & 63] : '=';
    out += i + 2 < bytes.size() ? digits[v & 63] : '=';
  }
  return out;
}

bool IsUtf8(BytesView bytes) {
  const auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
  const auto* end = p + bytes.size();
  auto more = [&](int n) {
    if (end - p < n) return false;
    for (int i = 0; i < n; i++)
      if ((p[i] & 0xC0) != 0x80) return false;
    p += n;
    return true;
  };
  while (p < end) {
    uint8_t c = *p++;
    if (c < 0x80) continue;
    if (c < 0xC2 || c > 0xF4) return false;
    if (c < 0xE0) {
      if (!more(1)) return false;
    } else if (c < 0xF0) {
      if (p == end || (c == 0xE0 && *p < 0xA0) || (c == 0xED && *p > 0x9F) || !more(2)) return false;
    } else {
      if (p == end || (c == 0xF0 && *p < 0x90) || (c == 0xF4 && *p > 0x8F) || !more(3)) return false;
    }
  }
  return true;
}

}  // namespace tailrace
