// Recovery points, the scan after a crash, and the way back after a failed fsync.

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"
#include "log/partition_impl.h"

namespace tailrace::log {
namespace {

// docs/formats/segment.md. Integers are little-endian.
constexpr char kPointMagic[8] = {'T', 'R', 'S', 'N', 'A', 'P', 'S', 'H'};
constexpr uint32_t kPointVersion = 1;
constexpr size_t kPointHeaderBytes = 64;
constexpr size_t kPointBytesMax = 256 << 20;
constexpr char kLogStartMagic[8] = {'T', 'R', 'L', 'O', 'G', 'B', 'E', 'G'};
constexpr uint32_t kLogStartVersion = 1;
constexpr size_t kLogStartBytes = 24;
constexpr const char* kLogStartName = "/log-start";

// True where some whole batch with a matching CRC stands anywhere in `bytes`, so that they are more than a torn tail.
bool HoldsABatch(BytesView bytes, int64_t offset_min) {
  for (size_t at = 0; at + wire::kBatchHeaderBytes <= bytes.size(); at++) {
    if (bytes[at + 16] != wire::kBatchMagic) continue;
    auto batch = wire::BatchView::Parse(bytes.substr(at));
    if (batch.ok() && batch->base_offset() >= offset_min && batch->base_offset() - offset_min < INT32_MAX &&
        batch->CrcMatches())
      return true;
  }
  return false;
}

bool ParseOffset(std::string_view name, std::string_view suffix, int64_t* offset) {
  if (name.size() != 20 + suffix.size() || !name.ends_with(suffix)) return false;
  int64_t value = 0;
  for (char c : name.substr(0, 20)) {
    if (c < '0' || c > '9' || value > (INT64_MAX - 9) / 10) return false;
    value = value * 10 + (c - '0');
  }
  *offset = value;
  return true;
}

}  // namespace

std::string PartitionImpl::EncodeRecoveryPoint() const {
  const Segment& segment = *segments_.back();
  std::string bytes(kPointHeaderBytes, '\0');
  memcpy(bytes.data(), kPointMagic, 8);
  StoreLe32(bytes.data() + 8, kPointVersion);
  StoreLe64(bytes.data() + 16, static_cast<uint64_t>(end_offset_));
  StoreLe64(bytes.data() + 24, static_cast<uint64_t>(segment.base()));
  StoreLe64(bytes.data() + 32, segment.size());
  StoreLe64(bytes.data() + 40, const_cast<Segment&>(segment).offsets().file().count());
  StoreLe64(bytes.data() + 48, static_cast<uint64_t>(segment.max_timestamp_ms()));
  StoreLe64(bytes.data() + 56, static_cast<uint64_t>(segment.max_timestamp_offset()));
  producers_.EncodeTo(&bytes);
  StoreLe32(bytes.data() + 12, Crc32c(BytesView(bytes).substr(16)));
  return bytes;
}

Result<PartitionImpl::RecoveryPoint> PartitionImpl::DecodeRecoveryPoint(const std::string& path) const {
  std::string bytes = TRY(io::ReadFile(path, kPointBytesMax));
  if (bytes.size() < kPointHeaderBytes || memcmp(bytes.data(), kPointMagic, 8) != 0)
    return Corrupt(path + " is no recovery point");
  if (LoadLe32(bytes.data() + 8) != kPointVersion)
    return Unsupported(path + ": version " + std::to_string(LoadLe32(bytes.data() + 8)));
  if (Crc32c(BytesView(bytes).substr(16)) != LoadLe32(bytes.data() + 12)) return Corrupt(path + ": checksum");
  RecoveryPoint point;
  point.at.offset = static_cast<int64_t>(LoadLe64(bytes.data() + 16));
  point.at.segment_base = static_cast<int64_t>(LoadLe64(bytes.data() + 24));
  point.at.bytes = LoadLe64(bytes.data() + 32);
  point.index_entries = LoadLe64(bytes.data() + 40);
  point.max_timestamp_ms = static_cast<int64_t>(LoadLe64(bytes.data() + 48));
  point.max_timestamp_offset = static_cast<int64_t>(LoadLe64(bytes.data() + 56));
  BytesView rest = BytesView(bytes).substr(kPointHeaderBytes);
  point.producers = TRY(ProducerState::Decode(&rest));
  return point;
}

// The newest that is whole and fits what is there; the beginning of the log where there is none.
Result<PartitionImpl::RecoveryPoint> PartitionImpl::NewestRecoveryPoint(int64_t offset_max) {
  std::vector<std::string> names = TRY(io::ListDirectory(directory_));
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    int64_t offset;
    if (!ParseOffset(*name, ".snapshot", &offset)) continue;
    std::string path = directory_ + "/" + *name;
    auto point = DecodeRecoveryPoint(path);
    bool fits = false;
    if (point.ok() && offset <= offset_max) {
      for (const SegmentPtr& segment : segments_)
        fits |= segment->base() == point->at.segment_base && segment->size() >= point->at.bytes;
    }
    if (fits) return point;
    if (!point.ok()) LogWarning("log", point.error().ToString() + "; an older one serves");
    else LogWarning("log", path + " does not fit the segments; an older one serves");
    TRY(io::RemoveFile(path));
  }
  RecoveryPoint beginning;
  beginning.at = {segments_.front()->base(), segments_.front()->base(), 0};
  return beginning;
}

// Cuts off everything from there on. Bytes that hold whole batches are kept aside under another name: they were not
// acknowledged as far as is known, but nobody should have to believe that.
Status PartitionImpl::CutTail(size_t segment_index, uint64_t position, const std::string& why) {
  Segment& segment = *segments_[segment_index];
  uint64_t lost = segment.size() - position;
  for (size_t i = segment_index + 1; i < segments_.size(); i++) lost += segments_[i]->size();
  bool keep = segment_index + 1 < segments_.size();
  BytesView tail;
  std::shared_ptr<const io::Mapping> mapping;
  if (segment.size() > position) {
    mapping = TRY(segment.Map());
    tail = {mapping->data() + position, segment.size() - position};
    keep = keep || HoldsABatch(tail.substr(1), end_offset_);
  }
  std::string aside = segment.path() + ".cut-" + std::to_string(position);
  if (keep) {
    LogError("log", segment.path() + ": " + why + " at byte " + std::to_string(position) + "; " + std::to_string(lost) +
                        " bytes after it, whole batches among them, are kept aside in " + aside);
    TRY(io::WriteFileAtomically(aside, tail));
  } else if (lost > 0) {
    LogWarning("log", segment.path() + ": dropped a torn tail of " + std::to_string(lost) + " bytes at byte " +
                          std::to_string(position) + " (" + why + ")");
  }
  while (segments_.size() > segment_index + 1) TRY(DropNewest());
  return segment.Truncate(position);
}

// The newest segment, whose records, if there are any, are kept aside.
Status PartitionImpl::DropNewest() {
  const Segment& last = *segments_.back();
  std::string stem = last.path().substr(0, last.path().size() - 4);
  if (last.size() > 0) TRY(io::Rename(last.path(), last.path() + ".cut-0"));
  else TRY(io::RemoveFile(last.path()));
  TRY(io::RemoveFile(stem + ".index"));
  TRY(io::RemoveFile(stem + ".timeindex"));
  segments_.pop_back();
  directory_dirty_ = true;
  return Ok();
}

Status PartitionImpl::ScanFrom(const RecoveryPoint& point, bool opening, uint64_t* scanned) {
  producers_ = point.producers;
  end_offset_ = point.at.offset;
  size_t first = SegmentIndexFor(point.at.segment_base);
  CHECK(segments_[first]->base() == point.at.segment_base);
  int64_t now_ms = clock_.NowMs();
  for (size_t i = first; i < segments_.size(); i++) {
    Segment& segment = *segments_[i];
    uint64_t from = i == first ? point.at.bytes : 0;
    bool have_index = TRY(
        i == first ? segment.LoadGrowing(from, point.index_entries, point.max_timestamp_ms, point.max_timestamp_offset)
                   : segment.LoadGrowing(0, 0, -1, -1));
    segment.created_ms = now_ms;
    segment.synced_bytes = from;
    if (segment.size() == 0 || (have_index && segment.size() == from)) continue;
    auto mapping = TRY(segment.Map());
    if (!have_index) {
      // Before the recovery point the bytes were synced: what is damaged there is an error, not a torn tail.
      for (uint64_t at = 0; at < from;) {
        auto batch = TRY(BatchAt(*mapping, at, from, segment.path()));
        segment.NoteBatch(batch, at, options_.index_interval_bytes);
        at += batch.size();
      }
    }
    for (uint64_t at = from; at < segment.size();) {
      auto batch = wire::BatchView::Parse({mapping->data() + at, segment.size() - at});
      std::string why;
      if (!batch.ok()) why = batch.error().message();
      else if (!batch->CrcMatches()) why = "checksum does not match";
      else if (batch->base_offset() < end_offset_)
        why = "offset " + std::to_string(batch->base_offset()) + " after " + std::to_string(end_offset_ - 1);
      if (!why.empty()) {
        TRY(CutTail(i, at, why));
        break;
      }
      segment.NoteBatch(*batch, at, options_.index_interval_bytes);
      if (batch->has_producer_id()) {
        if (batch->control()) {
          auto record = wire::DecodeControl(*batch);
          if (record.ok())
            producers_.UpdateMarker(batch->producer_id(), batch->producer_epoch(), record->coordinator_epoch,
                                    record->type == wire::ControlRecord::kCommit, batch->base_offset(), now_ms);
        } else {
          producers_.Update(*batch, now_ms);
        }
      }
      end_offset_ = batch->next_offset();
      *scanned += batch->size();
      at += batch->size();
    }
  }
  // A segment is made before the records of the one before it are written: without those there is no use for it yet.
  while (opening && segments_.size() > first + 1 && active().size() == 0 && active().base() > end_offset_)
    TRY(DropNewest());
  for (size_t i = first; i + 1 < segments_.size(); i++) {
    segments_[i]->FinishIndexes();
    segments_[i]->seal_pending = true;
  }
  for (size_t i = 0; i < first && i + 1 < segments_.size(); i++) segments_[i]->synced_bytes = segments_[i]->size();
  return Ok();
}

Status PartitionImpl::Recover() {
  int64_t start_ns = clock_.MonotonicNs();
  TRY(io::MakeDirectories(directory_));
  log_start_ = TRY(ReadLogStart());
  bool fresh = true;
  for (const std::string& name : TRY(io::ListDirectory(directory_))) {
    if (name.ends_with(".tmp")) TRY(io::RemoveFile(directory_ + "/" + name));
    int64_t base;
    if (!ParseOffset(name, ".log", &base)) continue;
    segments_.push_back(TRY(Segment::Open(directory_, base, static_cast<uint64_t>(options_.segment_bytes))));
    fresh = false;
  }
  if (segments_.empty()) {
    segments_.push_back(TRY(Segment::Create(directory_, log_start_, static_cast<uint64_t>(options_.segment_bytes))));
    directory_dirty_ = true;
  }
  uint64_t scanned = 0;
  TRY(ScanFrom(TRY(NewestRecoveryPoint(INT64_MAX)), true, &scanned));
  if (end_offset_ < log_start_) {
    // The records were deleted up to an end that was not on disk (flush.before.ack off and a power loss).
    std::vector<SegmentPtr> old = std::move(segments_);
    RemoveFiles(old);
    end_offset_ = log_start_;
    segments_ = {TRY(Segment::Create(directory_, log_start_, static_cast<uint64_t>(options_.segment_bytes)))};
    directory_dirty_ = true;
  }
  // All older ones were deleted by age.
  end_offset_ = std::max(end_offset_, active().base());
  log_start_ = std::max(log_start_, segments_.front()->base());
  std::vector<SegmentPtr> old = TakeBelowLogStart();
  RemoveFiles(old);
  producers_.OnLogStart(log_start_);
  // What a killed process wrote may still be in the page cache only; readers are about to see it.
  for (const SegmentPtr& segment : segments_) {
    if (segment->synced_bytes == segment->size()) continue;
    TRY(segment->file()->SyncData());
    segment->synced_bytes = segment->size();
  }
  // A new partition's directory is synced with its first records: making a topic of a thousand partitions costs no
  // fsync.
  if (fresh) parent_dirty_ = true;
  else if (std::exchange(directory_dirty_, false)) TRY(io::SyncDirectory(directory_));
  flushed_ = EndPosition();
  visible_ = flushed_;
  producers_.OnHighWatermark(end_offset_);
  if (scanned == 0) checkpointed_offset_ = end_offset_;
  if (scanned > 0) {
    LogDebug("log", directory_ + ": recovered to offset " + std::to_string(end_offset_) + ", " +
                        std::to_string(scanned) + " bytes checked in " +
                        std::to_string((clock_.MonotonicNs() - start_ns) / 1'000'000) + " ms");
    dirty_noted_ = true;
    flusher_.NoteDirty(shared_from_this());
  }
  return Ok();
}

// After a failed write or sync: back to what is known to be there. Offsets handed out after it are not used again.
Status PartitionImpl::RollBack() {
  const Position to = roll_back_to_;
  unwritten_.clear();
  unwritten_bytes_ = 0;
  size_t keep = SegmentIndexFor(to.segment_base);
  CHECK(segments_[keep]->base() == to.segment_base);
  std::vector<SegmentPtr> gone(segments_.begin() + static_cast<ptrdiff_t>(keep) + 1, segments_.end());
  TRY(segments_[keep]->Truncate(to.bytes));
  segments_.resize(keep + 1);
  segments_.back()->seal_pending = false;
  RemoveFiles(gone);
  int64_t end = end_offset_;
  uint64_t scanned = 0;
  TRY(ScanFrom(TRY(NewestRecoveryPoint(to.offset)), false, &scanned));
  end_offset_ = end;
  active().synced_bytes = active().size();
  producers_.OnHighWatermark(visible_.offset);
  must_roll_back_ = false;
  tail_torn_ = false;
  roll_backs_++;
  LogWarning("log",
             directory_ + ": went back to offset " + std::to_string(to.offset) + " after a failed write or fsync");
  return Ok();
}

Result<int64_t> PartitionImpl::ReadLogStart() const {
  std::string path = directory_ + kLogStartName;
  auto bytes = io::ReadFile(path, kLogStartBytes);
  if (!bytes.ok()) {
    if (bytes.error().code() == ErrorCode::kNotFound) return int64_t{0};
    return std::move(bytes).error();
  }
  if (bytes->size() != kLogStartBytes || memcmp(bytes->data(), kLogStartMagic, 8) != 0 ||
      Crc32c(BytesView(*bytes).substr(0, 20)) != LoadLe32(bytes->data() + 20))
    return Corrupt(path + " is damaged").Remedy("remove the file; deleted records below the first kept one reappear");
  if (LoadLe32(bytes->data() + 8) != kLogStartVersion) return Unsupported(path + " has an unknown version");
  return static_cast<int64_t>(LoadLe64(bytes->data() + 12));
}

Status PartitionImpl::WriteLogStart(int64_t offset) const {
  std::string bytes(kLogStartBytes, '\0');
  memcpy(bytes.data(), kLogStartMagic, 8);
  StoreLe32(bytes.data() + 8, kLogStartVersion);
  StoreLe64(bytes.data() + 12, static_cast<uint64_t>(offset));
  StoreLe32(bytes.data() + 20, Crc32c(BytesView(bytes).substr(0, 20)));
  return io::WriteFileAtomically(directory_ + kLogStartName, bytes);
}

}  // namespace tailrace::log
