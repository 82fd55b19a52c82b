#pragma once
// Counters of the broker since start. Lock-free; Stats() reads them.

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <iterator>

#include "wire/api_versions.h"

namespace tailrace::broker {

struct ApiCounters {
  static constexpr size_t kBuckets = 32;
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> errors{0};
  std::atomic<uint64_t> time_us_sum{0};
  std::array<std::atomic<uint64_t>, kBuckets> time_us_buckets{};  // k counts times in [2^(k-1), 2^k) microseconds

  void Count(uint64_t time_us, bool error) {
    requests.fetch_add(1, std::memory_order_relaxed);
    if (error) errors.fetch_add(1, std::memory_order_relaxed);
    time_us_sum.fetch_add(time_us, std::memory_order_relaxed);
    size_t bucket = std::min<size_t>(static_cast<size_t>(std::bit_width(time_us)), kBuckets - 1);
    time_us_buckets[bucket].fetch_add(1, std::memory_order_relaxed);
  }
};

struct Metrics {
  std::atomic<uint64_t> bytes_out{0};                    // batches sent to clients
  std::array<ApiCounters, std::size(wire::kApis)> apis;  // in the order of the table
};

}  // namespace tailrace::broker
