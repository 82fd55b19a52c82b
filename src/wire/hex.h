#pragma once
// For tests: bytes captured from other programs, written as hex.

#include <string>
#include <string_view>

namespace tailrace::wire {

inline std::string FromHex(std::string_view hex) {
  auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) bytes += static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1]));
  return bytes;
}

}  // namespace tailrace::wire
