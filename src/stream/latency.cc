#include "stream/latency.h"

#include <algorithm>
#include <bit>

namespace tailrace::stream {

int LatencyHistogram::BucketOf(int64_t us) {
  if (us < kSteps) return static_cast<int>(std::max<int64_t>(us, 0));
  int power = 63 - std::countl_zero(static_cast<uint64_t>(us));  // >= 4
  int bucket = (power - 3) * kSteps + static_cast<int>((us >> (power - 4)) & (kSteps - 1));
  return std::min(bucket, kBuckets - 1);
}

int64_t LatencyHistogram::UpperUs(int bucket) {
  if (bucket < kSteps) return bucket;
  int power = bucket / kSteps + 3;
  int64_t step = bucket % kSteps;
  return (int64_t{1} << power) + ((step + 1) << (power - 4)) - 1;
}

void LatencyHistogram::Record(int64_t latency_us, uint64_t count, int64_t monotonic_ms) {
  int64_t number = monotonic_ms / kSliceMs;
  Slice& slice = slices_[number % kSlices];
  if (slice.number != number) {
    slice = Slice{};
    slice.number = number;
  }
  slice.counts[BucketOf(latency_us)] += count;
  slice.max_us = std::max(slice.max_us, latency_us);
}

LatencyStats LatencyHistogram::Stats(int64_t monotonic_ms) const {
  int64_t now = monotonic_ms / kSliceMs;
  std::array<uint64_t, kBuckets> counts{};
  uint64_t total = 0;
  LatencyStats stats;
  for (const Slice& slice : slices_) {
    if (slice.number < 0 || slice.number <= now - kSlices) continue;
    for (int b = 0; b < kBuckets; b++) counts[b] += slice.counts[b], total += slice.counts[b];
    stats.max_us = std::max(stats.max_us, slice.max_us);
  }
  if (total == 0) return LatencyStats{};
  auto percentile = [&](double q) {
    uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(q * static_cast<double>(total) + 0.5)), seen = 0;
    for (int b = 0; b < kBuckets; b++) {
      seen += counts[b];
      if (seen >= rank) return std::min(UpperUs(b), stats.max_us);
    }
    return stats.max_us;
  };
  stats.p50_us = percentile(0.50);
  stats.p99_us = percentile(0.99);
  return stats;
}

void PendingLatencies::Add(const data::Batch& batch) {
  if (!batch.origins) return;
  constexpr uint32_t kAll = 64, kSamples = 32;
  uint32_t step = batch.rows <= kAll ? 1 : batch.rows / kSamples;
  for (uint32_t row = 0; row < batch.rows; row += step) {
    int64_t timestamp = batch.origins[row].timestamp_ms;
    if (timestamp < 0 || timestamp > INT64_MAX / 1000) continue;
    if (!runs_.empty() && runs_.back().timestamp_ms == timestamp) runs_.back().count += step;
    else runs_.push_back({timestamp, step});
  }
}

void PendingLatencies::Commit(int64_t now_us, int64_t monotonic_ms, LatencyHistogram* histogram) {
  for (const Run& run : runs_) {
    histogram->Record(std::max<int64_t>(0, now_us - run.timestamp_ms * 1000), run.count, monotonic_ms);
  }
  runs_.clear();
}

}  // namespace tailrace::stream
