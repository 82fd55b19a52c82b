#pragma once
// What one partition knows of its producers: sequences of idempotent ones (KIP-98), open and aborted transactions.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "log/partition.h"

namespace tailrace::wire {
class BatchView;
}

namespace tailrace::log {

/// Guarded by the partition's lock.
class ProducerState {
 public:
  static constexpr size_t kBatchesKept = 5;  // max.in.flight.requests.per.connection of idempotent producers

  /// May `batch` be appended? kDuplicateSequence: `*original_offset` and `*original_end` say where it stands already.
  /// REQUIRES: batch has a producer id and is no control batch.
  AppendCode Check(const wire::BatchView& batch, int64_t* original_offset, int64_t* original_end) const;
  /// Notes a batch with its final offsets. `now_ms`: when it was appended, for expiry.
  void Update(const wire::BatchView& batch, int64_t now_ms);
  /// True where the marker changes nothing: this producer's last entry with this epoch is a marker.
  bool MarkerIsThere(int64_t producer_id, int16_t epoch) const;
  AppendCode CheckMarker(int64_t producer_id, int16_t epoch) const;
  /// Notes a marker that stands at `offset`.
  void UpdateMarker(int64_t producer_id, int16_t epoch, int32_t coordinator_epoch, bool commit, int64_t offset,
                    int64_t now_ms);

  /// The first offset of the oldest transaction that is open or whose marker is not below the high watermark;
  /// INT64_MAX where there is none.
  int64_t FirstUnstable() const;
  /// The high watermark is `offset` now.
  void OnHighWatermark(int64_t offset);

  bool HasAborted() const { return !aborted_.empty(); }
  /// Aborted transactions with records in [from, to), in order of their markers.
  std::vector<AbortedTransaction> AbortedIn(int64_t from, int64_t to) const;

  /// Forgets what lies wholly below the log start.
  void OnLogStart(int64_t offset);
  /// Forgets producers without an open transaction that appended nothing since `before_ms`.
  void Expire(int64_t before_ms);
  std::vector<ProducerInfo> List() const;

  /// Bytes as docs/formats/segment.md describes them for snapshots.
  void EncodeTo(std::string* out) const;
  static Result<ProducerState> Decode(BytesView* bytes);

 private:
  struct Batch {
    int32_t first_sequence = -1;
    int32_t last_sequence = -1;
    int64_t last_offset = -1;
    int32_t offset_delta = 0;
  };
  struct Entry {
    int16_t epoch = -1;
    bool ended = false;  // the last thing appended is a marker
    int32_t coordinator_epoch = -1;
    int64_t transaction_first = -1;
    int64_t last_append_ms = -1;
    uint8_t batch_count = 0;
    std::array<Batch, kBatchesKept> batches;  // oldest first
  };
  struct Ended {
    int64_t first_offset;
    int64_t marker_offset;
  };
  struct Aborted {
    AbortedTransaction transaction;
    int64_t last_stable_offset;  // when the marker was appended: all later entries begin at or after it
  };

  std::unordered_map<int64_t, Entry> producers_;
  std::map<int64_t, int64_t> open_;  // first offset to producer id
  std::deque<Ended> ended_;          // markers at or above the high watermark
  std::vector<Aborted> aborted_;     // in order of marker
};

}  // namespace tailrace::log
