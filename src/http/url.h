#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tailrace::http {

struct Url {
  bool tls = false;
  std::string host;  // without brackets
  uint16_t port = 80;
  std::string target;  // path and query, at least "/"
};
/// http:// and https:// only; user:password@ is refused.
Result<Url> ParseUrl(std::string_view url);

/// %XX and, with `plus`, '+' to what they stand for. False where a % is not followed by two hex digits.
bool PercentDecode(std::string_view text, bool plus, std::string* out);
/// Everything but letters, digits and -._~ as %XX.
std::string PercentEncode(std::string_view text);
/// "a=1&b=x%20y", malformed pieces kept as they are.
std::vector<std::pair<std::string, std::string>> ParseQuery(std::string_view query);

}  // namespace tailrace::http
