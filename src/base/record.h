#pragma once
// A record as the log hands it out and as decoders take it in: views into bytes that somebody keeps alive.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace tailrace {

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  bool operator==(const TopicPartition&) const = default;
  auto operator<=>(const TopicPartition&) const = default;
};

struct HeaderView {
  BytesView key;
  BytesView value;
};

/// One record on loan. A null key or value (a tombstone) has data() == nullptr; an empty one has not.
struct RecordView {
  int64_t offset = -1;        // in its partition; the line number for files, from 0
  int64_t timestamp_ms = -1;  // CreateTime or LogAppendTime; -1 = none
  BytesView key;
  BytesView value;
  const HeaderView* headers = nullptr;
  uint32_t header_count = 0;
};

/// Records of one partition with the buffers behind them. The views stay valid while any copy of `owners` lives.
struct RecordSet {
  TopicPartition from;
  std::vector<RecordView> records;
  std::vector<std::shared_ptr<const void>> owners;
  /// Where to read on: one past the last record seen, control batches and aborted records included.
  int64_t next_offset = 0;
  void Clear() {
    records.clear();
    owners.clear();
  }
};

}  // namespace tailrace
