#include "log/segment.h"

#include <algorithm>
#include <cstdio>

#include "base/logging.h"

namespace tailrace::log {

std::string OffsetFileName(int64_t offset, std::string_view suffix) {
  char digits[24];
  snprintf(digits, sizeof digits, "%020lld", static_cast<long long>(offset));
  return digits + std::string(suffix);
}

Segment::Segment(const std::string& directory, int64_t base)
    : base_(base),
      prefix_(directory + "/" + OffsetFileName(base, "")),
      offsets_(prefix_ + ".index", base),
      times_(prefix_ + ".timeindex", base) {}

Result<std::shared_ptr<Segment>> Segment::Create(const std::string& directory, int64_t base, uint64_t capacity) {
  std::shared_ptr<Segment> segment(new Segment(directory, base));
  segment->file_ =
      std::make_shared<io::File>(TRY(io::File::Open(segment->prefix_ + ".log", io::File::Mode::kCreateNew)));
  segment->capacity_ = capacity;
  segment->has_indexes_ = true;
  // Leftovers of a segment of this name that was cut off would be taken for ours.
  TRY(io::RemoveFile(segment->offsets_.file().path()));
  TRY(io::RemoveFile(segment->times_.file().path()));
  return segment;
}

Result<std::shared_ptr<Segment>> Segment::Open(const std::string& directory, int64_t base, uint64_t capacity) {
  std::shared_ptr<Segment> segment(new Segment(directory, base));
  segment->file_ =
      std::make_shared<io::File>(TRY(io::File::Open(segment->prefix_ + ".log", io::File::Mode::kReadWrite)));
  segment->size_ = TRY(segment->file_->Size());
  segment->capacity_ = std::max(capacity, segment->size_);
  return segment;
}

std::pair<uint64_t, uint64_t> Segment::NextReservation(uint64_t begin, uint64_t end) {
  // A small segment stays small on disk; one that grows quickly is a step ahead, at most its own size.
  constexpr uint64_t kFrom = 1 << 20, kStepMax = 16 << 20;
  if (end < kFrom || end <= reserved_) return {0, 0};
  uint64_t from = std::max(reserved_, begin);
  reserved_ = std::max(end, std::min(end + std::min(end, kStepMax), capacity_));
  return {from, reserved_ - from};
}

Status Segment::ReleaseReservation() {
  if (std::exchange(reserved_, 0) <= size_) return Ok();
  return file_->Truncate(size_);
}

Status Segment::Write(BytesView bytes, bool* torn) {
  if (auto [from, length] = NextReservation(size_, size_ + bytes.size()); length > 0)
    (void)file_->Reserve(from, length);
  Status written = file_->WriteAt(bytes, size_);
  if (written.ok()) {
    size_ += bytes.size();
    return written;
  }
  if (!file_->Truncate(size_).ok()) *torn = true;
  return written;
}

void Segment::NoteBatch(const wire::BatchView& batch, uint64_t position, int32_t index_interval_bytes) {
  if (batch.max_timestamp() > max_timestamp_ms_) {
    max_timestamp_ms_ = batch.max_timestamp();
    max_timestamp_offset_ = batch.last_offset();
  }
  if (bytes_since_index_ > static_cast<uint64_t>(index_interval_bytes)) {
    offsets_.Append(batch.last_offset(), static_cast<uint32_t>(position));
    times_.MaybeAppend(max_timestamp_ms_, max_timestamp_offset_);
    bytes_since_index_ = 0;
  }
  bytes_since_index_ += batch.size();
}

Status Segment::Truncate(uint64_t size) {
  TRY(file_->Truncate(size));
  size_ = size;
  reserved_ = std::min(reserved_, size);
  synced_bytes = std::min(synced_bytes, size);
  return Ok();
}

Result<std::shared_ptr<const io::Mapping>> Segment::Map() {
  if (!mapping_) mapping_ = TRY(io::Mapping::Map(*file_, std::max<uint64_t>(capacity_, 1)));
  return mapping_;
}

Result<bool> Segment::LoadGrowing(uint64_t position, size_t offset_entries, int64_t max_timestamp_ms,
                                  int64_t max_timestamp_offset) {
  TRY(offsets_.file().Load());
  TRY(times_.file().Load());
  has_indexes_ = true;
  // Files of a crash may be ahead of the recovery point (cut) or behind it (made anew).
  size_t kept = offsets_.TruncateFrom(position);
  times_.TruncateFrom(max_timestamp_offset + 1);
  if (kept < offset_entries || !offsets_.Sane(position) || !times_.Sane()) {
    ClearIndexes();
    return position == 0;
  }
  max_timestamp_ms_ = max_timestamp_ms;
  max_timestamp_offset_ = max_timestamp_offset;
  bytes_since_index_ = position - offsets_.last_position();
  return true;
}

void Segment::ClearIndexes() {
  offsets_.file().Truncate(0);
  times_.file().Truncate(0);
  has_indexes_ = true;
  bytes_since_index_ = 0;
  max_timestamp_ms_ = -1;
  max_timestamp_offset_ = -1;
}

void Segment::FinishIndexes() { times_.MaybeAppend(max_timestamp_ms_, max_timestamp_offset_); }

Status Segment::EnsureIndexes(int32_t index_interval_bytes) {
  if (has_indexes_) return Ok();
  Status offsets = offsets_.file().LoadSealed();
  Status times = times_.file().LoadSealed();
  bool dense_enough = offsets_.file().count() > 0 || size_ <= 2 * static_cast<uint64_t>(index_interval_bytes) + 65536;
  if (offsets.ok() && times.ok() && dense_enough && offsets_.Sane(size_) && times_.Sane() &&
      (times_.file().count() > 0 || size_ == 0)) {
    if (auto last = times_.Last()) {
      max_timestamp_ms_ = last->timestamp_ms;
      max_timestamp_offset_ = last->offset;
    }
    has_indexes_ = true;
    return Ok();
  }
  return RebuildIndexes(index_interval_bytes);
}

Status Segment::RebuildIndexes(int32_t index_interval_bytes) {
  LogWarning("log", path() + ": its index is missing or damaged; making it anew");
  bool closed = offsets_.file().sealed() || times_.file().sealed() || !has_indexes_;
  has_indexes_ = false;  // until all went well
  if (closed) {
    for (IndexFile* index : {&offsets_.file(), &times_.file()}) {
      TRY(io::RemoveFile(index->path()));
      TRY(index->Load());
    }
  }
  ClearIndexes();
  has_indexes_ = false;
  auto mapping = TRY(Map());
  for (uint64_t at = 0; at < size_;) {
    auto batch = TRY(BatchAt(*mapping, at, size_, path()));
    NoteBatch(batch, at, index_interval_bytes);
    at += batch.size();
  }
  if (closed) {
    FinishIndexes();
    TRY(IndexFile::WriteOut(offsets_.file().TakeUnwritten(), false));
    TRY(IndexFile::WriteOut(times_.file().TakeUnwritten(), false));
  }
  has_indexes_ = true;
  return Ok();
}

void Segment::Seal() {
  has_indexes_ = false;
  seal_pending = false;
}

Result<wire::BatchView> BatchAt(const io::Mapping& mapping, uint64_t position, uint64_t limit,
                                const std::string& path) {
  auto batch = wire::BatchView::Parse({mapping.data() + position, limit - position});
  if (batch.ok()) return batch;
  return std::move(batch).error().At({path, 0, 0}).Context("damaged batch at byte " + std::to_string(position));
}

}  // namespace tailrace::log
