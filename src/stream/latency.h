#pragma once
// How long records take from their timestamp to the commit of their epoch.

#include <array>
#include <cstdint>
#include <vector>

#include "data/batch.h"
#include "stream/job_manager.h"

namespace tailrace::stream {

/// Log-linear histogram (16 steps a power of two, under 7 % error) over the last minute, in slices of ten seconds.
/// Not thread-safe.
class LatencyHistogram {
 public:
  void Record(int64_t latency_us, uint64_t count, int64_t monotonic_ms);
  LatencyStats Stats(int64_t monotonic_ms) const;

 private:
  static constexpr int kSlices = 6, kSliceMs = 10'000, kSteps = 16, kBuckets = 44 * kSteps;
  struct Slice {
    int64_t number = -1;  // monotonic_ms / kSliceMs
    int64_t max_us = 0;
    std::array<uint64_t, kBuckets> counts{};
  };
  static int BucketOf(int64_t us);
  static int64_t UpperUs(int bucket);
  std::array<Slice, kSlices> slices_;
};

/// Timestamps of records read and not yet committed: every one of small batches, a sample of large ones.
class PendingLatencies {
 public:
  void Add(const data::Batch& batch);
  /// Their epoch has been committed at `now_us` of the wall clock.
  void Commit(int64_t now_us, int64_t monotonic_ms, LatencyHistogram* histogram);

 private:
  struct Run {
    int64_t timestamp_ms;
    uint64_t count;
  };
  std::vector<Run> runs_;
};

}  // namespace tailrace::stream
