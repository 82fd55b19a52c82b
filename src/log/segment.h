#pragma once
// One segment: a file of record batches, standing one after the other as they came, with its two indexes
// (docs/formats/segment.md).

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "io/file.h"
#include "log/index.h"
#include "wire/record_batch.h"

namespace tailrace::log {

/// "00000000000000000042" + suffix.
std::string OffsetFileName(int64_t offset, std::string_view suffix);

/// Guarded by the partition's lock; `file()` and mappings may be used outside of it.
class Segment {
 public:
  /// An empty one; kAlreadyExists where its file does.
  static Result<std::shared_ptr<Segment>> Create(const std::string& directory, int64_t base, uint64_t capacity);
  /// An existing file. Indexes are not read yet. `capacity` is raised to the file's size.
  static Result<std::shared_ptr<Segment>> Open(const std::string& directory, int64_t base, uint64_t capacity);

  int64_t base() const { return base_; }
  uint64_t size() const { return size_; }
  uint64_t capacity() const { return capacity_; }
  const std::shared_ptr<io::File>& file() const { return file_; }
  const std::string& path() const { return file_->path(); }

  /// Counts bytes that the caller is going to write at the position returned.
  uint64_t Grow(uint64_t bytes) { return std::exchange(size_, size_ + bytes); }
  /// What to ask File::Reserve for before [begin, end) is written; {0, 0}: nothing. Space that is there
  /// already spares each write its share of the block bookkeeping, and each sync the allocation.
  std::pair<uint64_t, uint64_t> NextReservation(uint64_t begin, uint64_t end);
  /// Gives back reserved space behind the end. REQUIRES: all of size() is written.
  Status ReleaseReservation();
  /// Copies the bytes to the page cache. On an error none of them stay, unless cutting them off fails too: then
  /// `*torn` is set and the file has to be truncated before the next write.
  Status Write(BytesView bytes, bool* torn);
  /// Enters a batch that stands at `position` into indexes and times. In order of positions.
  void NoteBatch(const wire::BatchView& batch, uint64_t position, int32_t index_interval_bytes);
  /// Cuts the file, not the indexes.
  Status Truncate(uint64_t size);

  /// The whole capacity, mapped at the first call. Touch only below size().
  Result<std::shared_ptr<const io::Mapping>> Map();

  /// For a segment that grows: reads the index files, keeps what is below `position`. False where they hold fewer than
  /// `offset_entries`, or nonsense: then they are empty and the caller notes all batches again.
  Result<bool> LoadGrowing(uint64_t position, size_t offset_entries, int64_t max_timestamp_ms,
                           int64_t max_timestamp_offset);
  /// Forgets index and times, to note all batches again.
  void ClearIndexes();
  /// The last time entry, before sealing.
  void FinishIndexes();
  /// For a closed segment: indexes are mapped; made anew from the batches where they are missing or damaged.
  Status EnsureIndexes(int32_t index_interval_bytes);
  /// Makes both indexes anew from the batches (a read has found that they lie). kCorrupt: the batches are damaged.
  Status RebuildIndexes(int32_t index_interval_bytes);
  bool has_indexes() const { return has_indexes_; }
  /// Drops the in-memory indexes of a segment whose files are complete; read again when needed.
  void Seal();

  OffsetIndex& offsets() { return offsets_; }
  TimeIndex& times() { return times_; }
  // REQUIRES: has_indexes(). -1 where no batch has a timestamp.
  int64_t max_timestamp_ms() const { return max_timestamp_ms_; }
  /// Last offset of the first batch with that timestamp.
  int64_t max_timestamp_offset() const { return max_timestamp_offset_; }

  uint64_t synced_bytes = 0;  // of the file; set by the partition
  int64_t created_ms = 0;     // wall clock; set by the partition
  bool seal_pending = false;  // closed, index files not complete yet

 private:
  Segment(const std::string& directory, int64_t base);

  const int64_t base_;
  std::string prefix_;  // of the paths, without suffix
  std::shared_ptr<io::File> file_;
  uint64_t size_ = 0;
  uint64_t capacity_ = 0;
  uint64_t reserved_ = 0;  // disk space up to here was asked for
  std::shared_ptr<const io::Mapping> mapping_;
  OffsetIndex offsets_;
  TimeIndex times_;
  bool has_indexes_ = false;
  uint64_t bytes_since_index_ = 0;
  int64_t max_timestamp_ms_ = -1;
  int64_t max_timestamp_offset_ = -1;
};

/// The batch at `position` of a mapped segment, of which bytes below `limit` are written. kCorrupt with file and
/// position.
Result<wire::BatchView> BatchAt(const io::Mapping& mapping, uint64_t position, uint64_t limit, const std::string& path);

}  // namespace tailrace::log
