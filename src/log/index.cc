#include "log/index.h"

#include "base/check.h"
#include "io/file.h"

namespace tailrace::log {
namespace {

constexpr size_t kIndexBytesMax = 64 << 20;  // a segment of 2 GiB with an entry every 512 bytes

// First i in [0, count) for which `reached(i)` is true; count where there is none. `reached` turns true once.
template <typename Reached>
size_t FirstWhere(size_t count, Reached reached) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (reached(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

}  // namespace

void IndexFile::Append(const char* entry) {
  CHECK(!sealed_);
  held_.append(entry, entry_bytes_);
  view_ = held_;
}

void IndexFile::Truncate(size_t count) {
  CHECK(!sealed_);
  size_t bytes = count * entry_bytes_;
  if (bytes >= held_.size()) return;
  held_.resize(bytes);
  view_ = held_;
  if (written_ > bytes) {
    written_ = bytes;
    truncate_ = true;
  }
}

Status IndexFile::Load() {
  sealed_ = false;
  mapping_.reset();
  held_.clear();
  truncate_ = false;
  auto bytes = io::ReadFile(path_, kIndexBytesMax);
  if (bytes.ok()) {
    held_ = *std::move(bytes);
    if (size_t odd = held_.size() % entry_bytes_) {
      held_.resize(held_.size() - odd);
      truncate_ = true;
    }
  } else if (bytes.error().code() != ErrorCode::kNotFound) {
    return std::move(bytes).error();
  }
  written_ = held_.size();
  view_ = held_;
  return Ok();
}

Status IndexFile::LoadSealed() {
  auto file = TRY(io::File::Open(path_, io::File::Mode::kRead));
  uint64_t size = TRY(file.Size());
  size -= size % entry_bytes_;
  BytesView view;
  if (size > 0) {
    mapping_ = TRY(io::Mapping::Map(file, size));
    view = {mapping_->data(), size};
  }
  sealed_ = true;
  held_ = {};
  held_.shrink_to_fit();
  view_ = view;
  return Ok();
}

IndexFile::Unwritten IndexFile::TakeUnwritten() {
  Unwritten unwritten{path_, held_.substr(written_), written_, truncate_};
  written_ = held_.size();
  truncate_ = false;
  return unwritten;
}

Status IndexFile::WriteOut(const Unwritten& unwritten, bool sync) {
  if (unwritten.bytes.empty() && !unwritten.truncate && !sync) return Ok();
  io::File file = TRY(io::File::Open(unwritten.path, io::File::Mode::kCreate));
  if (unwritten.truncate) TRY(file.Truncate(unwritten.position));
  TRY(file.WriteAt(unwritten.bytes, unwritten.position));
  if (sync) TRY(file.SyncData());
  return Ok();
}

void OffsetIndex::Append(int64_t last_offset, uint32_t position) {
  char entry[kEntryBytes];
  StoreBe32(entry, static_cast<uint32_t>(last_offset - base_));
  StoreBe32(entry + 4, position);
  file_.Append(entry);
}

uint32_t OffsetIndex::Lookup(int64_t offset) const {
  size_t after = FirstWhere(file_.count(), [&](size_t i) { return OffsetAt(i) > offset; });
  return after == 0 ? 0 : PositionAt(after - 1);
}

uint32_t OffsetIndex::LookupPosition(uint64_t position, int64_t below) const {
  size_t after = FirstWhere(file_.count(), [&](size_t i) { return PositionAt(i) > position || OffsetAt(i) >= below; });
  return after == 0 ? 0 : PositionAt(after - 1);
}

size_t OffsetIndex::TruncateFrom(uint64_t position) {
  size_t keep = FirstWhere(file_.count(), [&](size_t i) { return PositionAt(i) >= position; });
  file_.Truncate(keep);
  return keep;
}

bool OffsetIndex::Sane(uint64_t segment_bytes) const {
  int64_t offset = base_ - 1;
  int64_t position = -1;
  for (size_t i = 0; i < file_.count(); i++) {
    if (OffsetAt(i) <= offset || PositionAt(i) <= position || PositionAt(i) >= segment_bytes) return false;
    offset = OffsetAt(i);
    position = PositionAt(i);
  }
  return true;
}

void TimeIndex::MaybeAppend(int64_t timestamp_ms, int64_t offset) {
  auto last = Last();
  if (timestamp_ms < 0 || (last && (timestamp_ms <= last->timestamp_ms || offset <= last->offset))) return;
  char entry[kEntryBytes];
  StoreBe64(entry, static_cast<uint64_t>(timestamp_ms));
  StoreBe32(entry + 8, static_cast<uint32_t>(offset - base_));
  file_.Append(entry);
}

int64_t TimeIndex::Lookup(int64_t timestamp_ms) const {
  size_t after = FirstWhere(file_.count(), [&](size_t i) { return At(i).timestamp_ms >= timestamp_ms; });
  return after == 0 ? base_ - 1 : At(after - 1).offset;
}

std::optional<TimeIndex::Entry> TimeIndex::Last() const {
  if (file_.count() == 0) return std::nullopt;
  return At(file_.count() - 1);
}

size_t TimeIndex::TruncateFrom(int64_t offset) {
  size_t keep = FirstWhere(file_.count(), [&](size_t i) { return At(i).offset >= offset; });
  file_.Truncate(keep);
  return keep;
}

bool TimeIndex::Sane() const {
  Entry before{-1, base_ - 1};
  for (size_t i = 0; i < file_.count(); i++) {
    Entry entry = At(i);
    if (entry.timestamp_ms <= before.timestamp_ms || entry.offset <= before.offset) return false;
    before = entry;
  }
  return true;
}

}  // namespace tailrace::log
