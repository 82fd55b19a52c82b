// Appends, transaction markers, and who waits for the disk.

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"
#include "log/partition_impl.h"

namespace tailrace::log {
namespace {

constexpr size_t kBatchesPerAppendMax = 10'000;
constexpr uint64_t kUnwrittenBytesMax = 1 << 20;  // then the appender writes, while the bytes are in its cache
constexpr size_t kCopyMax = 4096;                 // below, a copy is cheaper than keeping its owner
constexpr size_t kChunkBytes = 64 << 10;

AppendResult Refuse(AppendCode code, std::string message) {
  AppendResult result;
  result.code = code;
  result.message = std::move(message);
  return result;
}

}  // namespace

AppendResult PartitionImpl::Append(std::span<char> batches, std::shared_ptr<const void> owner) {
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
  bool visible = false, checkpoint = false, note_dirty = false, write = false;
  {
    std::lock_guard lock(mutex_);
    Status writable = MakeWritable();
    if (!writable.ok()) {
      auto code = deleted_ ? AppendCode::kNotFound : AppendCode::kStorageError;
      return Refuse(code, writable.error().ToString());
    }
    int64_t before = visible_.offset;
    result = AppendLocked(batches, views, clock_.NowMs(), std::move(owner));
    if (result.code != AppendCode::kNone) return result;
    visible = visible_.offset != before;
    checkpoint = bytes_since_checkpoint_ >= options_.checkpoint_bytes;
    if (checkpoint) bytes_since_checkpoint_ = 0;
    note_dirty = !std::exchange(dirty_noted_, true);
    write = unwritten_bytes_ > kUnwrittenBytesMax;
  }
  if (write) WriteAndCheck();
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
                                         int64_t now_ms, std::shared_ptr<const void> owner, const Marker* marker) {
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
  if (options_.flush_before_ack && !write_through_) {
    Keep(segments_.back(), {batches.data(), batches.size()}, std::move(owner));
  } else {
    bool torn = false;
    Status written = segment.Write({batches.data(), batches.size()}, &torn);
    if (torn) tail_torn_ = true;
    if (!written.ok()) return Refuse(AppendCode::kStorageError, written.error().ToString());
    write_through_ = false;
  }

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

void PartitionImpl::Keep(const SegmentPtr& segment, BytesView bytes, std::shared_ptr<const void> owner) {
  uint64_t begin = segment->Grow(bytes.size());
  if (unwritten_.empty() || unwritten_.back().segment != segment) unwritten_.push_back({segment, begin, begin, {}, {}});
  Unwritten& run = unwritten_.back();
  run.end = begin + bytes.size();
  unwritten_bytes_ += bytes.size();
  flusher_.CountBytes(bytes.size());
  if (owner && bytes.size() > kCopyMax) {
    run.pieces.push_back({std::move(owner), bytes});
    return;
  }
  if (!chunk_ || kChunkBytes - chunk_used_ < bytes.size()) {
    chunk_ = std::make_shared_for_overwrite<char[]>(std::max(kChunkBytes, bytes.size()));
    chunk_used_ = 0;
  }
  char* to = chunk_.get() + chunk_used_;
  memcpy(to, bytes.data(), bytes.size());
  chunk_used_ = std::min(chunk_used_ + bytes.size(), kChunkBytes);
  SharedBytes* last = run.pieces.empty() ? nullptr : &run.pieces.back();
  if (last && last->view.data() + last->view.size() == to && last->owner == chunk_)
    last->view = {last->view.data(), last->view.size() + bytes.size()};
  else run.pieces.push_back({chunk_, {to, bytes.size()}});
}

std::vector<PartitionImpl::Unwritten> PartitionImpl::TakeUnwritten() {
  for (Unwritten& run : unwritten_) run.reserve = run.segment->NextReservation(run.begin, run.end);
  unwritten_bytes_ = 0;
  chunk_ = nullptr;
  return std::exchange(unwritten_, {});
}

Status PartitionImpl::Write(const std::vector<Unwritten>& runs) {
  std::vector<BytesView> pieces;
  for (const Unwritten& run : runs) {
    if (run.reserve.second > 0) (void)run.segment->file()->Reserve(run.reserve.first, run.reserve.second);
    pieces.clear();
    for (const SharedBytes& piece : run.pieces) pieces.push_back(piece.view);
    TRY(run.segment->file()->WriteAt(pieces, run.begin));
  }
  return Ok();
}

void PartitionImpl::WriteAndCheck() {
  std::deque<FlushWaiter> served;
  Status written;
  {
    std::lock_guard writing(write_mutex_);
    std::vector<Unwritten> runs;
    {
      std::lock_guard lock(mutex_);
      if (deleted_ || must_roll_back_) return;
      runs = TakeUnwritten();
    }
    if (runs.empty()) return;
    written = Write(runs);
    if (!written.ok()) {
      std::lock_guard lock(mutex_);
      GiveUpUnwritten(written, &served);
    }
  }
  for (FlushWaiter& waiter : served) waiter.done(written);
}

Status PartitionImpl::MakeIndexesAnew(const SegmentPtr& segment) {
  std::deque<FlushWaiter> served;
  Status status;
  {
    std::lock_guard writing(write_mutex_);
    std::lock_guard lock(mutex_);
    // They are made from the file.
    status = Write(TakeUnwritten());
    if (!status.ok()) GiveUpUnwritten(status, &served);
    else status = segment->RebuildIndexes(options_.index_interval_bytes);
  }
  for (FlushWaiter& waiter : served) waiter.done(status);
  return status;
}

// What was noted can't be written: back to what is in the file for sure, and nobody is told that more of it stands.
void PartitionImpl::GiveUpUnwritten(const Status& why, std::deque<FlushWaiter>* served) {
  LogError("log", why.error().ToString());
  write_through_ = true;
  if (deleted_ || must_roll_back_) return;
  served->swap(flush_waiters_);
  roll_back_to_ = visible_.offset > flushed_.offset ? visible_ : flushed_;
  must_roll_back_ = true;
  cut_.emplace_back(roll_back_to_.offset, end_offset_);
  if (Status rolled = RollBack(); !rolled.ok()) LogError("log", rolled.error().ToString());
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
    result = AppendLocked({bytes.data(), bytes.size()}, {&view, 1}, now_ms, nullptr, &marker);
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

bool PartitionImpl::BeginSync(bool take_recovery_point, Sync* sync) {
  std::lock_guard writing(write_mutex_);
  std::vector<Unwritten> runs;
  {
    std::lock_guard lock(mutex_);
    if (deleted_ || must_roll_back_) return false;
    runs = TakeUnwritten();
    for (size_t i = segments_.size(); i-- > 0;) {
      const SegmentPtr& segment = segments_[i];
      if (segment->size() > segment->synced_bytes) sync->files.push_back({segment, segment->file(), segment->size()});
      if (segment->base() <= flushed_.segment_base) break;
    }
    std::reverse(sync->files.begin(), sync->files.end());
    sync->target = EndPosition();
    sync->directory = std::exchange(directory_dirty_, false);
    sync->parent = std::exchange(parent_dirty_, false);
    sync->roll_backs = roll_backs_;
    if (take_recovery_point) {
      sync->recovery_point = EncodeRecoveryPoint();
      dirty_noted_ = false;
      bytes_since_checkpoint_ = 0;
      checkpointed_offset_ = end_offset_;
      for (const SegmentPtr& segment : segments_) {
        bool grows = segment == segments_.back();
        if (!grows && !segment->seal_pending) continue;
        sync->indexes.push_back(segment->offsets().file().TakeUnwritten());
        sync->indexes.push_back(segment->times().file().TakeUnwritten());
        if (!grows) sync->sealing.push_back(segment);
      }
    }
  }
  sync->written = Write(runs);
  return true;
}

bool PartitionImpl::FinishSync(const Sync& sync) {
  Status synced = sync.written;
  for (const Sync::OneFile& one : sync.files) {
    if (!synced.ok()) break;
    int64_t start_ns = clock_.MonotonicNs();
    synced = one.file->SyncData();
    flusher_.CountFsync(static_cast<uint64_t>(clock_.MonotonicNs() - start_ns) / 1000);
  }
  if (synced.ok() && sync.directory) synced = io::SyncDirectory(directory_);
  if (synced.ok() && sync.parent) synced = io::SyncDirectory(directory_.substr(0, directory_.rfind('/')));

  std::deque<FlushWaiter> served;
  bool visible = false;
  {
    std::lock_guard lock(mutex_);
    if (!synced.ok()) {
      directory_dirty_ = directory_dirty_ || sync.directory;
      parent_dirty_ = parent_dirty_ || sync.parent;
    }
    if (sync.roll_backs != roll_backs_ || deleted_) return false;
    if (synced.ok()) {
      for (const Sync::OneFile& one : sync.files)
        one.segment->synced_bytes = std::max(one.segment->synced_bytes, one.size);
      if (sync.target.offset >= flushed_.offset) flushed_ = sync.target;
      visible = SetHighWatermark(flushed_);
      served = TakeServed(flushed_.offset);
    } else if (!sync.written.ok()) {
      GiveUpUnwritten(synced, &served);
    } else {
      LogError("log", synced.error().ToString());
      served.swap(flush_waiters_);
      // (Where readers have seen more than was synced, flush_before_ack was off a moment ago: nothing to take back.)
      if (options_.flush_before_ack && visible_.offset <= flushed_.offset) {
        // What the disk holds past flushed_ is unknown from now on. Nobody was told of it: cut it off.
        must_roll_back_ = true;
        roll_back_to_ = flushed_;
        cut_.emplace_back(flushed_.offset, end_offset_);
        if (Status rolled = RollBack(); !rolled.ok()) LogError("log", rolled.error().ToString());
      }
    }
  }
  for (FlushWaiter& waiter : served) waiter.done(synced);
  if (visible) WakeReaders();
  return synced.ok();
}

void PartitionImpl::Prepare() {
  Sync sync;
  if (!BeginSync(false, &sync)) return;
  for (const Sync::OneFile& one : sync.files) one.file->StartWriteback();
  prepared_ = std::move(sync);
}

void PartitionImpl::Settle() {
  if (!prepared_) return;
  for (const Sync::OneFile& one : prepared_->files) one.file->AwaitWriteback();
}

void PartitionImpl::Flush() {
  if (auto prepared = std::exchange(prepared_, std::nullopt)) {
    FinishSync(*prepared);
    return;
  }
  {
    std::lock_guard lock(mutex_);
    if (flush_waiters_.empty() && flushed_.offset == end_offset_ && !directory_dirty_) return;
  }
  Sync sync;
  if (BeginSync(false, &sync)) FinishSync(sync);
}

void PartitionImpl::Checkpoint() {
  Sync sync;
  if (!BeginSync(true, &sync) || !FinishSync(sync)) return;
  const std::string& point = sync.recovery_point;
  auto write = [&]() -> Status {
    for (const IndexFile::Unwritten& index : sync.indexes) TRY(IndexFile::WriteOut(index, false));
    for (const SegmentPtr& segment : sync.sealing) {
      for (const std::string& path : {segment->offsets().file().path(), segment->times().file().path()}) {
        auto file = TRY(io::File::Open(path, io::File::Mode::kCreate));
        TRY(file.SyncData());
      }
    }
    int64_t offset = static_cast<int64_t>(LoadLe64(point.data() + 16));
    for (const SegmentPtr& segment : sync.sealing) TRY(segment->ReleaseReservation());
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
    for (const SegmentPtr& segment : sync.sealing) segment->Seal();
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
