// Appends, transaction markers, and who waits for the disk.

#include <algorithm>
#include <condition_variable>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"
#include "log/partition_impl.h"

namespace tailrace::log {
namespace {

constexpr size_t kBatchesPerAppendMax = 10'000;

AppendResult Refuse(AppendCode code, std::string message) {
  AppendResult result;
  result.code = code;
  result.message = std::move(message);
  return result;
}

}  // namespace

AppendResult PartitionImpl::Append(std::span<char> batches) {
  wire::BatchView one;
  std::vector<wire::BatchView> many;
  std::span<const wire::BatchView> views;
  for (BytesView rest(batches.data(), batches.size()); !rest.empty();) {
    auto batch = wire::BatchView::Parse(rest);
    if (!batch.ok()) return Refuse(AppendCode::kCorruptMessage, batch.error().message());
    rest.remove_prefix(batch->size());
    if (many.empty() && rest.empty()) {
      one = *batch;
      views = {&one, 1};
      break;
    }
    many.push_back(*batch);
    if (many.size() > kBatchesPerAppendMax)
      return Refuse(AppendCode::kRecordListTooLarge, "too many batches in one append");
    views = many;
  }
  if (views.empty()) return Refuse(AppendCode::kCorruptMessage, "an append without a batch");

  AppendResult result;
  bool visible = false, checkpoint = false, note_dirty = false;
  {
    std::lock_guard lock(mutex_);
    Status writable = MakeWritable();
    if (!writable.ok()) {
      auto code = deleted_ ? AppendCode::kNotFound : AppendCode::kStorageError;
      return Refuse(code, writable.error().ToString());
    }
    int64_t before = visible_.offset;
    result = AppendLocked(batches, views, clock_.NowMs());
    if (result.code != AppendCode::kNone) return result;
    visible = visible_.offset != before;
    checkpoint = bytes_since_checkpoint_ >= options_.checkpoint_bytes;
    if (checkpoint) bytes_since_checkpoint_ = 0;
    note_dirty = !std::exchange(dirty_noted_, true);
  }
  AfterAppend(visible, checkpoint, note_dirty);
  return result;
}

void PartitionImpl::AfterAppend(bool visible, bool checkpoint, bool note_dirty) {
  if (visible) WakeReaders();
  if (checkpoint) flusher_.RequestCheckpoint(shared_from_this());
  else if (note_dirty) flusher_.NoteDirty(shared_from_this());
}

Status PartitionImpl::MakeWritable() {
  if (deleted_) return NotFound("partition " + directory_ + " was deleted");
  if (closed_) return Error(ErrorCode::kCancelled, "partition " + directory_ + " is closed");
  if (must_roll_back_) TRY(RollBack());
  if (tail_torn_) {
    TRY(active().Truncate(active().size()));
    tail_torn_ = false;
  }
  return Ok();
}

AppendResult PartitionImpl::AppendLocked(std::span<char> batches, std::span<const wire::BatchView> views,
                                         int64_t now_ms, const Marker* marker) {
  AppendResult result;
  result.log_start_offset = log_start_;
  for (size_t i = 0; i < views.size(); i++) {
    const wire::BatchView& batch = views[i];
    if (!batch.has_producer_id() || batch.control()) continue;
    if (i > 0 && views[i - 1].producer_id() == batch.producer_id()) {
      // The state does not know the batches before this one yet; they have to follow each other.
      int32_t last = views[i - 1].last_sequence();
      bool follows = batch.base_sequence() == (last == INT32_MAX ? 0 : last + 1) &&
                     batch.producer_epoch() == views[i - 1].producer_epoch();
      if (!follows) return Refuse(AppendCode::kOutOfOrderSequence, "batches of one append don't follow each other");
      continue;
    }
    int64_t original = -1, original_end = -1;
    AppendCode code = producers_.Check(batch, &original, &original_end);
    if (code == AppendCode::kDuplicateSequence && views.size() == 1) {
      result.code = code;
      result.base_offset = original;
      result.end_offset = original_end;
      return result;
    }
    if (code != AppendCode::kNone) {
      result.code = code == AppendCode::kDuplicateSequence ? AppendCode::kOutOfOrderSequence : code;
      result.message = "producer " + std::to_string(batch.producer_id()) + " epoch " +
                       std::to_string(batch.producer_epoch()) + " sequence " + std::to_string(batch.base_sequence()) +
                       " refused by " + name_.topic + "-" + std::to_string(name_.partition);
      return result;
    }
  }

  if (static_cast<int64_t>(batches.size()) > options_.segment_bytes)
    return Refuse(
        AppendCode::kRecordListTooLarge,
        std::to_string(batches.size()) + " bytes don't fit in a segment of " + std::to_string(options_.segment_bytes));
  int64_t records = 0;
  for (const wire::BatchView& batch : views) records += batch.last_offset_delta() + 1ll;
  Segment& current = active();
  uint64_t limit = std::min<uint64_t>(static_cast<uint64_t>(options_.segment_bytes), current.capacity());
  bool full = current.size() + batches.size() > limit || end_offset_ + records - current.base() > INT32_MAX ||
              now_ms - current.created_ms >= options_.segment_ms;
  if (full && current.size() > 0) {
    if (Status rolled = Roll(); !rolled.ok()) return Refuse(AppendCode::kStorageError, rolled.error().ToString());
  }

  int64_t next = end_offset_;
  char* at = batches.data();
  for (const wire::BatchView& batch : views) {
    wire::SetBaseOffset(at, next);
    wire::SetPartitionLeaderEpoch(at, 0);
    if (options_.log_append_time && !batch.control()) wire::SetLogAppendTime(at, now_ms);
    next += batch.last_offset_delta() + 1;
    at += batch.size();
  }

  Segment& segment = active();
  uint64_t position = segment.size();
  bool torn = false;
  Status written = segment.Write({batches.data(), batches.size()}, &torn);
  if (torn) tail_torn_ = true;
  if (!written.ok()) return Refuse(AppendCode::kStorageError, written.error().ToString());

  for (const wire::BatchView& batch : views) {
    segment.NoteBatch(batch, position, options_.index_interval_bytes);
    position += batch.size();
    if (batch.has_producer_id() && !batch.control()) producers_.Update(batch, now_ms);
  }
  if (marker)
    producers_.UpdateMarker(marker->producer_id, marker->producer_epoch, marker->coordinator_epoch, marker->commit,
                            end_offset_, now_ms);
  result.base_offset = end_offset_;
  result.end_offset = next;
  if (options_.log_append_time) result.log_append_time_ms = now_ms;
  end_offset_ = next;
  bytes_since_checkpoint_ += static_cast<int64_t>(batches.size());
  Advance();
  return result;
}

AppendResult PartitionImpl::AppendMarker(int64_t producer_id, int16_t producer_epoch, int32_t coordinator_epoch,
                                         bool commit) {
  int64_t now_ms = clock_.NowMs();
  wire::ControlRecord record{commit ? wire::ControlRecord::kCommit : wire::ControlRecord::kAbort, coordinator_epoch};
  std::string bytes = wire::BuildControlBatch(record, producer_id, producer_epoch, now_ms);
  AppendResult result;
  bool visible = false, note_dirty = false;
  {
    std::lock_guard lock(mutex_);
    if (Status writable = MakeWritable(); !writable.ok())
      return Refuse(deleted_ ? AppendCode::kNotFound : AppendCode::kStorageError, writable.error().ToString());
    if (producers_.MarkerIsThere(producer_id, producer_epoch)) return result;
    AppendCode code = producers_.CheckMarker(producer_id, producer_epoch);
    if (code != AppendCode::kNone)
      return Refuse(code, "marker of producer " + std::to_string(producer_id) + " with the old epoch " +
                              std::to_string(producer_epoch));
    int64_t before = visible_.offset;
    wire::BatchView view = wire::BatchView::Trusted(bytes);
    Marker marker{producer_id, producer_epoch, coordinator_epoch, commit};
    result = AppendLocked({bytes.data(), bytes.size()}, {&view, 1}, now_ms, &marker);
    if (result.code != AppendCode::kNone) return result;
    visible = visible_.offset != before;
    note_dirty = !std::exchange(dirty_noted_, true);
  }
  AfterAppend(visible, false, note_dirty);
  return result;
}

Status PartitionImpl::Roll() {
  auto fresh = TRY(Segment::Create(directory_, end_offset_, static_cast<uint64_t>(options_.segment_bytes)));
  fresh->created_ms = clock_.NowMs();
  active().FinishIndexes();
  active().seal_pending = true;
  segments_.push_back(std::move(fresh));
  directory_dirty_ = true;
  flusher_.RequestCheckpoint(shared_from_this());
  return Ok();
}

void PartitionImpl::Advance() {
  if (!options_.flush_before_ack) SetHighWatermark(EndPosition());
}

bool PartitionImpl::SetHighWatermark(const Position& position) {
  if (position.offset <= visible_.offset) return false;
  visible_ = position;
  producers_.OnHighWatermark(position.offset);
  return true;
}

void PartitionImpl::WhenFlushed(int64_t end_offset, FlushDone done) {
  std::optional<Status> answer;
  {
    std::lock_guard lock(mutex_);
    bool cut = std::any_of(cut_.begin(), cut_.end(),
                           [&](const auto& range) { return end_offset > range.first && end_offset <= range.second; });
    if (deleted_) answer = NotFound("partition " + directory_ + " was deleted");
    else if (cut) answer = Error(ErrorCode::kIo, directory_ + ": the records could not be synced to disk");
    else if (end_offset <= flushed_.offset || !options_.flush_before_ack) answer = Ok();
    else {
      auto place = std::upper_bound(flush_waiters_.begin(), flush_waiters_.end(), end_offset,
                                    [](int64_t end, const FlushWaiter& w) { return end < w.end_offset; });
      flush_waiters_.insert(place, {end_offset, std::move(done)});
    }
  }
  if (answer) done(std::move(*answer));
  else flusher_.Request(shared_from_this());
}

Status PartitionImpl::WaitFlushed(int64_t end_offset) {
  std::mutex mutex;
  std::condition_variable cv;
  std::optional<Status> result;
  WhenFlushed(end_offset, [&](Status status) {
    std::lock_guard lock(mutex);
    result = std::move(status);
    cv.notify_one();
  });
  std::unique_lock lock(mutex);
  cv.wait(lock, [&] { return result.has_value(); });
  return *std::move(result);
}

std::deque<PartitionImpl::FlushWaiter> PartitionImpl::TakeServed(int64_t end_offset) {
  std::deque<FlushWaiter> served;
  while (!flush_waiters_.empty() && flush_waiters_.front().end_offset <= end_offset) {
    served.push_back(std::move(flush_waiters_.front()));
    flush_waiters_.pop_front();
  }
  return served;
}

bool PartitionImpl::SyncAll(bool take_recovery_point, std::string* recovery_point,
                            std::vector<IndexFile::Unwritten>* indexes, std::vector<SegmentPtr>* sealing) {
  struct ToSync {
    SegmentPtr segment;
    std::shared_ptr<io::File> file;
    uint64_t size;
  };
  std::vector<ToSync> to_sync;
  Position target;
  bool sync_directory, sync_parent;
  uint64_t roll_backs;
  {
    std::lock_guard lock(mutex_);
    if (deleted_ || must_roll_back_) return false;
    for (size_t i = segments_.size(); i-- > 0;) {
      const SegmentPtr& segment = segments_[i];
      if (segment->size() > segment->synced_bytes) to_sync.push_back({segment, segment->file(), segment->size()});
      if (segment->base() <= flushed_.segment_base) break;
    }
    target = EndPosition();
    sync_directory = std::exchange(directory_dirty_, false);
    sync_parent = std::exchange(parent_dirty_, false);
    roll_backs = roll_backs_;
    if (take_recovery_point) {
      *recovery_point = EncodeRecoveryPoint();
      dirty_noted_ = false;
      bytes_since_checkpoint_ = 0;
      checkpointed_offset_ = end_offset_;
      for (const SegmentPtr& segment : segments_) {
        bool grows = segment == segments_.back();
        if (!grows && !segment->seal_pending) continue;
        indexes->push_back(segment->offsets().file().TakeUnwritten());
        indexes->push_back(segment->times().file().TakeUnwritten());
        if (!grows) sealing->push_back(segment);
      }
    }
  }
  Status synced = Ok();
  std::reverse(to_sync.begin(), to_sync.end());
  for (const ToSync& item : to_sync) {
    int64_t start_ns = clock_.MonotonicNs();
    synced = item.file->SyncData();
    flusher_.CountFsync(static_cast<uint64_t>(clock_.MonotonicNs() - start_ns) / 1000);
    if (!synced.ok()) break;
  }
  if (synced.ok() && sync_directory) synced = io::SyncDirectory(directory_);
  if (synced.ok() && sync_parent) synced = io::SyncDirectory(directory_.substr(0, directory_.rfind('/')));

  std::deque<FlushWaiter> served;
  bool visible = false;
  {
    std::lock_guard lock(mutex_);
    if (roll_backs != roll_backs_ || deleted_) return false;
    if (synced.ok()) {
      for (const ToSync& item : to_sync) item.segment->synced_bytes = std::max(item.segment->synced_bytes, item.size);
      if (target.offset >= flushed_.offset) flushed_ = target;
      visible = SetHighWatermark(flushed_);
      served = TakeServed(flushed_.offset);
    } else {
      LogError("log", synced.error().ToString());
      directory_dirty_ = directory_dirty_ || sync_directory;
      parent_dirty_ = parent_dirty_ || sync_parent;
      served.swap(flush_waiters_);
      // (Where readers have seen more than was synced, flush_before_ack was off a moment ago: nothing to take back.)
      if (options_.flush_before_ack && visible_.offset <= flushed_.offset) {
        // What the disk holds past flushed_ is unknown from now on. Nobody was told of it: cut it off.
        must_roll_back_ = true;
        cut_.emplace_back(flushed_.offset, end_offset_);
        if (Status rolled = RollBack(); !rolled.ok()) LogError("log", rolled.error().ToString());
      }
    }
  }
  for (FlushWaiter& waiter : served) waiter.done(synced);
  if (visible) WakeReaders();
  return synced.ok();
}

void PartitionImpl::Flush() {
  {
    std::lock_guard lock(mutex_);
    if (flush_waiters_.empty() && flushed_.offset == end_offset_ && !directory_dirty_) return;
  }
  SyncAll(false, nullptr, nullptr, nullptr);
}

void PartitionImpl::Checkpoint() {
  std::string point;
  std::vector<IndexFile::Unwritten> indexes;
  std::vector<SegmentPtr> sealing;
  if (!SyncAll(true, &point, &indexes, &sealing)) return;
  auto write = [&]() -> Status {
    for (const IndexFile::Unwritten& index : indexes) TRY(IndexFile::WriteOut(index, false));
    for (const SegmentPtr& segment : sealing) {
      for (const std::string& path : {segment->offsets().file().path(), segment->times().file().path()}) {
        auto file = TRY(io::File::Open(path, io::File::Mode::kCreate));
        TRY(file.SyncData());
      }
    }
    int64_t offset = static_cast<int64_t>(LoadLe64(point.data() + 16));
    std::string path = directory_ + "/" + OffsetFileName(offset, ".snapshot");
    // Not synced: a torn one fails its CRC and the one before it serves.
    {
      auto file = TRY(io::File::Open(path + ".tmp", io::File::Mode::kTruncate));
      TRY(file.WriteAt(point, 0));
    }
    TRY(io::Rename(path + ".tmp", path));
    std::vector<std::string> points;
    for (std::string& name : TRY(io::ListDirectory(directory_)))
      if (name.ends_with(".snapshot")) points.push_back(std::move(name));
    for (size_t i = 0; i + 2 < points.size(); i++) TRY(io::RemoveFile(directory_ + "/" + points[i]));
    return Ok();
  };
  Status written = write();
  std::lock_guard lock(mutex_);
  if (written.ok()) {
    for (const SegmentPtr& segment : sealing) segment->Seal();
  } else if (!deleted_) {
    // Recovery has the one before; the index files are written whole the next time.
    LogWarning("log", directory_ + ": no recovery point written: " + written.error().ToString());
    for (const SegmentPtr& segment : segments_) {
      if (segment != segments_.back() && !segment->seal_pending) continue;
      segment->offsets().file().RewriteAll();
      segment->times().file().RewriteAll();
    }
  }
}

}  // namespace tailrace::log
