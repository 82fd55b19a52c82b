#pragma once
// The sparse indexes beside a segment, in Kafka's formats (docs/formats/segment.md).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace tailrace::io {
class Mapping;
}

namespace tailrace::log {

/// Fixed-size entries of one index file. While its segment grows they live in memory and are written out at recovery
/// points (what is missing after a crash is rebuilt by the scan that recovery makes anyway); once sealed they are read
/// from the mapped file. Not thread-safe.
class IndexFile {
 public:
  IndexFile(const IndexFile&) = delete;
  IndexFile& operator=(const IndexFile&) = delete;
  IndexFile(std::string path, size_t entry_bytes) : path_(std::move(path)), entry_bytes_(entry_bytes) {}

  size_t count() const { return view_.size() / entry_bytes_; }
  const char* entry(size_t i) const { return view_.data() + i * entry_bytes_; }
  void Append(const char* entry);
  /// Keeps the first `count` entries.
  void Truncate(size_t count);

  /// Reads the file into memory, to append on. A missing file is an empty one. A last entry cut short is dropped.
  Status Load();
  /// Maps the file, to read only.
  Status LoadSealed();
  bool sealed() const { return sealed_; }

  /// What WriteOut has not written yet, with its position: taken under the partition's lock, written outside of it.
  struct Unwritten {
    std::string path;
    std::string bytes;
    uint64_t position = 0;
    bool truncate = false;  // the file may hold more than `position` bytes
  };
  Unwritten TakeUnwritten();
  /// The next TakeUnwritten takes all of it (the file is not to be trusted).
  void RewriteAll() {
    written_ = 0;
    truncate_ = true;
  }
  static Status WriteOut(const Unwritten& unwritten, bool sync);
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  size_t entry_bytes_;
  std::string held_;                            // where not sealed
  std::shared_ptr<const io::Mapping> mapping_;  // where sealed
  BytesView view_;                              // of one of the two
  size_t written_ = 0;                          // bytes of held_ that are in the file
  bool truncate_ = false;
  bool sealed_ = false;
};

/// Offset to position. One entry: 4 bytes last offset of a batch less the segment's base, 4 bytes its position.
class OffsetIndex {
 public:
  static constexpr size_t kEntryBytes = 8;
  OffsetIndex(std::string path, int64_t base) : file_(std::move(path), kEntryBytes), base_(base) {}

  void Append(int64_t last_offset, uint32_t position);
  /// Where to start walking to find `offset`: no batch before this position holds it or a later one.
  uint32_t Lookup(int64_t offset) const;
  /// The largest entry with position <= `position` and last offset < `below`: its position. 0 where there is none.
  uint32_t LookupPosition(uint64_t position, int64_t below) const;
  /// Drops entries whose position is >= `position`; returns how many stay.
  size_t TruncateFrom(uint64_t position);
  /// Entries rise, and all point below `segment_bytes`.
  bool Sane(uint64_t segment_bytes) const;
  uint64_t last_position() const { return file_.count() ? PositionAt(file_.count() - 1) : 0; }

  IndexFile& file() { return file_; }
  const IndexFile& file() const { return file_; }

 private:
  int64_t OffsetAt(size_t i) const { return base_ + LoadBe32(file_.entry(i)); }
  uint32_t PositionAt(size_t i) const { return LoadBe32(file_.entry(i) + 4); }

  IndexFile file_;
  int64_t base_;
};

/// Time to offset. One entry: 8 bytes the largest timestamp so far, 4 bytes the last offset of the batch that brought
/// it, less the segment's base.
class TimeIndex {
 public:
  static constexpr size_t kEntryBytes = 12;
  TimeIndex(std::string path, int64_t base) : file_(std::move(path), kEntryBytes), base_(base) {}

  struct Entry {
    int64_t timestamp_ms;
    int64_t offset;
  };
  /// Kept only where the timestamp is larger than the last entry's.
  void MaybeAppend(int64_t timestamp_ms, int64_t offset);
  /// An offset such that every record up to it is older than `timestamp_ms`; base - 1 where nothing is known.
  int64_t Lookup(int64_t timestamp_ms) const;
  std::optional<Entry> Last() const;
  /// Drops entries whose offset is >= `offset`; returns how many stay.
  size_t TruncateFrom(int64_t offset);
  bool Sane() const;

  IndexFile& file() { return file_; }
  const IndexFile& file() const { return file_; }

 private:
  Entry At(size_t i) const {
    return {static_cast<int64_t>(LoadBe64(file_.entry(i))), base_ + LoadBe32(file_.entry(i) + 8)};
  }

  IndexFile file_;
  int64_t base_;
};

}  // namespace tailrace::log
