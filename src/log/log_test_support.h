#pragma once
// For the tests of this module: a temporary directory and batches.

#include <stdlib.h>

#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "io/file.h"
#include "log/flusher.h"
#include "log/partition.h"
#include "wire/record_batch.h"

namespace tailrace::log {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const char* base = getenv("TMPDIR");
    std::string pattern = std::string(base ? base : "/tmp") + "/tailrace-log-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { (void)io::RemoveTree(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Item {
  std::string key;
  std::string value;
  int64_t timestamp_ms = 1000;
};

inline std::string MakeBatch(const std::vector<Item>& items, const wire::BatchOptions& options = {}) {
  wire::RecordBatchBuilder builder;
  builder.Reset(options);
  for (const Item& item : items) builder.Append(item.key, item.value, item.timestamp_ms);
  return std::string(builder.Finish());
}

inline std::string MakeBatch(const std::string& value, const wire::BatchOptions& options = {}) {
  return MakeBatch(std::vector<Item>{{"k", value}}, options);
}

inline AppendResult AppendBytes(Partition& partition, std::string bytes) {
  return partition.Append({bytes.data(), bytes.size()});
}

/// REQUIRES: the append and its flush succeed.
inline AppendResult AppendDurably(Partition& partition, std::string bytes) {
  AppendResult result = AppendBytes(partition, std::move(bytes));
  CHECK(result.ok());
  CHECK(partition.WaitFlushed(result.end_offset).ok());
  return result;
}

struct ReadRecord {
  int64_t offset;
  std::string value;
  int64_t timestamp_ms;
};

/// Everything visible from `offset` on, aborted transactions left out as a read_committed client does.
inline Result<std::vector<ReadRecord>> ReadAll(Partition& partition, int64_t offset, Isolation isolation,
                                               uint32_t max_bytes = 1 << 20) {
  std::vector<ReadRecord> all;
  for (;;) {
    ReadResult read = TRY(partition.ReadBytes(offset, max_bytes, isolation));
    if (read.bytes.size() == 0) return all;
    for (BytesView rest = read.bytes.view; !rest.empty();) {
      auto batch = TRY(wire::BatchView::Parse(rest));
      rest.remove_prefix(batch.size());
      if (batch.next_offset() <= offset) return Corrupt("offsets go back");
      bool aborted = false;
      if (batch.transactional()) {
        for (const AbortedTransaction& a : read.aborted)
          aborted |= a.producer_id == batch.producer_id() && batch.base_offset() >= a.first_offset &&
                     batch.base_offset() <= a.last_offset;
      }
      if (!aborted && !batch.control()) {
        RecordSet set;
        TRY(wire::DecodeRecords(batch, {.from_offset = offset, .check_crc = true}, &set));
        for (const RecordView& r : set.records) all.push_back({r.offset, std::string(r.value), r.timestamp_ms});
      }
      offset = batch.next_offset();
    }
  }
}

}  // namespace tailrace::log
