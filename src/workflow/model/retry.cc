#include "workflow/model/retry.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cmath>

#include "workflow/model/value.h"

namespace tailrace::workflow {

std::string Sha1Hex(const std::string& bytes) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  std::string hex;
  for (unsigned char c : digest) hex += fmt::format("{:02x}", c);
  return hex;
}

int64_t RetryDelayMs(const RetryPolicy& policy, const std::string& dag_id, const std::string& task_id,
                     int64_t logical_date_ms, int try_number) {
  constexpr double kDayS = 86'400;
  if (policy.backoff <= 0 || policy.backoff == 1) return policy.delay_ms;
  double exact_s = std::ceil(static_cast<double>(policy.delay_ms) / 1000.0 * std::pow(policy.backoff, try_number - 1));
  // Beyond a day the cap below decides, whatever the jitter.
  uint64_t base_s = std::isfinite(exact_s) ? static_cast<uint64_t>(std::clamp(exact_s, 1.0, 1e15)) : 86'400;
  std::string key =
      fmt::format("{}#{}#{}#{}", dag_id, task_id, IsoFormat(DateTime{logical_date_ms * 1000}, ' '), try_number);
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest);
  unsigned __int128 rest = 0;
  for (unsigned char c : digest) rest = (rest * 256 + c) % base_s;
  double wait_s = std::min(static_cast<double>(base_s) + static_cast<double>(static_cast<uint64_t>(rest)), kDayS);
  int64_t wait_ms = static_cast<int64_t>(wait_s * 1000);
  return policy.max_delay_ms > 0 ? std::min(wait_ms, policy.max_delay_ms) : wait_ms;
}

}  // namespace tailrace::workflow
