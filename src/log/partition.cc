#include "log/partition.h"

#include <algorithm>

#include "base/clock.h"
#include "base/logging.h"
#include "log/partition_impl.h"

namespace tailrace::log {

Result<std::shared_ptr<Partition>> Partition::Open(const std::string& directory, const TopicPartition& name,
                                                   const PartitionOptions& options, Clock& clock, Flusher& flusher) {
  if (options.segment_bytes < 1 || options.segment_bytes > INT32_MAX)
    return InvalidArgument("segment.bytes " + std::to_string(options.segment_bytes) + " is not in [1, 2147483647]");
  auto partition = std::make_shared<PartitionImpl>(directory, name, options, clock, flusher);
  TRY(partition->Recover());
  return std::shared_ptr<Partition>(std::move(partition));
}

PartitionOptions PartitionImpl::options() const {
  std::lock_guard lock(mutex_);
  return options_;
}

void PartitionImpl::SetOptions(const PartitionOptions& options) {
  bool visible;
  Status written;
  std::deque<FlushWaiter> served;
  {
    std::lock_guard writing(write_mutex_);
    std::lock_guard lock(mutex_);
    options_ = options;
    if (!options_.flush_before_ack) {
      // From now on readers see what was appended, so it has to be in the file.
      written = Write(TakeUnwritten());
      if (!written.ok()) GiveUpUnwritten(written, &served);
    }
    int64_t before = visible_.offset;
    if (!must_roll_back_) Advance();
    visible = visible_.offset != before;
  }
  for (FlushWaiter& waiter : served) waiter.done(written);
  if (visible) WakeReaders();
}

PartitionEnds PartitionImpl::EndsLocked() const {
  PartitionEnds ends;
  ends.log_start_offset = log_start_;
  ends.high_watermark = visible_.offset;
  ends.last_stable_offset = std::min(visible_.offset, producers_.FirstUnstable());
  ends.log_end_offset = end_offset_;
  return ends;
}

PartitionEnds PartitionImpl::Ends() const {
  std::lock_guard lock(mutex_);
  return EndsLocked();
}

int64_t PartitionImpl::SizeBytes() const {
  std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const SegmentPtr& segment : segments_) bytes += segment->size();
  return static_cast<int64_t>(bytes);
}

std::vector<ProducerInfo> PartitionImpl::Producers() const {
  std::lock_guard lock(mutex_);
  return producers_.List();
}

std::vector<PartitionImpl::SegmentPtr> PartitionImpl::TakeBelowLogStart() {
  std::vector<SegmentPtr> taken;
  while (segments_.size() > 1 && segments_[1]->base() <= log_start_) {
    taken.push_back(segments_.front());
    segments_.erase(segments_.begin());
  }
  KeepPositionsInside();
  return taken;
}

// A position at the very end of a segment that is gone is the beginning of the next one.
void PartitionImpl::KeepPositionsInside() {
  int64_t first = segments_.front()->base();
  for (Position* position : {&flushed_, &visible_})
    if (position->segment_base < first) *position = {std::max(position->offset, first), first, 0};
}

void PartitionImpl::RemoveFiles(const std::vector<SegmentPtr>& segments) {
  for (const SegmentPtr& segment : segments) {
    for (const std::string& path :
         {segment->path(), segment->offsets().file().path(), segment->times().file().path()}) {
      if (Status removed = io::RemoveFile(path); !removed.ok()) LogWarning("log", removed.error().ToString());
    }
  }
}

Result<int64_t> PartitionImpl::DeleteRecords(int64_t offset) {
  std::lock_guard one_at_a_time(log_start_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (deleted_) return NotFound("partition " + directory_ + " was deleted");
    if (offset == -1) offset = visible_.offset;
    if (offset < 0 || offset > visible_.offset)
      return InvalidArgument("offset " + std::to_string(offset) + " is above the high watermark " +
                             std::to_string(visible_.offset));
    if (offset <= log_start_) return log_start_;
  }
  TRY(WriteLogStart(offset));
  std::vector<SegmentPtr> old;
  {
    std::lock_guard lock(mutex_);
    log_start_ = std::max(log_start_, offset);
    producers_.OnLogStart(log_start_);
    old = TakeBelowLogStart();
  }
  RemoveFiles(old);
  WakeReaders();
  return offset;
}

Result<int> PartitionImpl::ApplyRetention(int64_t now_ms) {
  std::vector<SegmentPtr> old;
  {
    std::lock_guard lock(mutex_);
    if (deleted_ || closed_ || must_roll_back_) return 0;
    producers_.Expire(now_ms - options_.producer_id_expiration_ms);
    uint64_t total = 0;
    for (const SegmentPtr& segment : segments_) total += segment->size();
    for (;;) {
      Segment& oldest = *segments_.front();
      bool growing = segments_.size() == 1;
      if (oldest.size() == 0) break;
      // Only what is on disk and visible: the rest is in nobody's past yet.
      int64_t next_base = growing ? end_offset_ : segments_[1]->base();
      if (next_base > visible_.offset) break;
      TRY(oldest.EnsureIndexes(options_.index_interval_bytes));
      bool expired = options_.retention_ms >= 0 && oldest.max_timestamp_ms() >= 0 &&
                     oldest.max_timestamp_ms() < now_ms - options_.retention_ms;
      bool too_much = !growing && options_.retention_bytes >= 0 &&
                      total - oldest.size() >= static_cast<uint64_t>(options_.retention_bytes);
      if (!expired && !too_much) break;
      if (growing) TRY(Roll());
      total -= oldest.size();
      old.push_back(segments_.front());
      segments_.erase(segments_.begin());
      log_start_ = std::max(log_start_, segments_.front()->base());
    }
    KeepPositionsInside();
    producers_.OnLogStart(log_start_);
  }
  if (old.empty()) return 0;
  RemoveFiles(old);
  WakeReaders();
  return static_cast<int>(old.size());
}

Status PartitionImpl::Close() {
  {
    std::lock_guard lock(mutex_);
    if (closed_ || deleted_) return Ok();
    closed_ = true;
    if (end_offset_ == checkpointed_offset_ && flushed_.offset == end_offset_) return active().ReleaseReservation();
  }
  flusher_.RequestCheckpoint(shared_from_this());
  flusher_.Drain(shared_from_this());
  std::lock_guard lock(mutex_);
  if (must_roll_back_ || flushed_.offset != end_offset_)
    return Error(ErrorCode::kIo, directory_ + ": its last records could not be synced");
  return active().ReleaseReservation();
}

Status PartitionImpl::Delete() {
  std::deque<FlushWaiter> waiters;
  {
    std::lock_guard lock(mutex_);
    if (deleted_) return Ok();
    deleted_ = true;
    unwritten_.clear();
    waiters.swap(flush_waiters_);
  }
  for (FlushWaiter& waiter : waiters) waiter.done(NotFound("partition " + directory_ + " was deleted"));
  WakeReaders();
  flusher_.Drain(shared_from_this());
  return io::RemoveTree(directory_);
}

}  // namespace tailrace::log
