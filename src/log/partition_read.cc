// Reads by offset and by time, and who waits for more.

#include "log/partition_impl.h"

#include <algorithm>

#include "base/check.h"

namespace tailrace::log {

size_t PartitionImpl::SegmentIndexFor(int64_t offset) const {
  auto after = std::upper_bound(segments_.begin(), segments_.end(), offset,
                                [](int64_t o, const SegmentPtr& s) { return o < s->base(); });
  return after == segments_.begin() ? 0 : static_cast<size_t>(after - segments_.begin() - 1);
}

Result<PartitionImpl::Located> PartitionImpl::Locate(int64_t offset, uint32_t max_bytes, bool at_least_one,
                                                     Isolation isolation) {
  int64_t search = offset;  // grows past `offset` only over a gap between segments
  bool index_lies = false;
  for (;;) {
    Located at;
    uint64_t hint, jump, segment_end;
    int64_t limit, next_base = -1;
    {
      std::lock_guard lock(mutex_);
      if (deleted_)
        return NotFound("partition " + name_.topic + "-" + std::to_string(name_.partition) + " was deleted");
      at.ends = EndsLocked();
      if (offset < log_start_ || offset > end_offset_)
        return InvalidArgument("offset " + std::to_string(offset) + " of " + name_.topic + "-" +
                               std::to_string(name_.partition) + " is out of range [" + std::to_string(log_start_) +
                               ", " + std::to_string(end_offset_) + "]");
      limit = isolation == Isolation::kReadCommitted ? at.ends.last_stable_offset : at.ends.high_watermark;
      at.end_offset = offset;
      if (search >= limit) return at;
      size_t index = SegmentIndexFor(search);
      at.segment = segments_[index];
      if (index + 1 < segments_.size()) next_base = segments_[index + 1]->base();
      TRY(at.segment->EnsureIndexes(options_.index_interval_bytes));
      at.mapping = TRY(at.segment->Map());
      at.file = at.segment->file();
      segment_end = at.segment->base() == visible_.segment_base ? visible_.bytes : at.segment->size();
      hint = at.segment->offsets().Lookup(offset);
      jump = at.segment->offsets().LookupPosition(hint + max_bytes, limit);
    }
    const std::string& path = at.file->path();
    // What the index says is held against the batches it points to, so that bit rot in it neither hides records nor
    // fails reads. Once: after it was made anew only the batches can be wrong.
    auto lies = [&](uint64_t pointed, int64_t from, int64_t below) {
      if (pointed == 0 || index_lies) return false;
      auto batch = wire::BatchView::Parse({at.mapping->data() + pointed, segment_end - pointed});
      return !batch.ok() || batch->base_offset() < from || batch->last_offset() >= below;
    };
    if (lies(hint, at.segment->base(), offset + 1)) {
      index_lies = true;
      TRY(MakeIndexesAnew(at.segment));
      continue;
    }
    // A batch's offset is not covered by its CRC. Offsets rise, and what stands before the high watermark can't begin
    // beyond it.
    int64_t expected = at.segment->base();
    auto check_offset = [&](const wire::BatchView& batch, uint64_t where) -> Status {
      bool fits = batch.base_offset() < at.ends.high_watermark && batch.base_offset() >= expected;
      expected = batch.next_offset();
      if (fits) return Ok();
      return Corrupt("damaged batch at byte " + std::to_string(where) + ": offset " +
                     std::to_string(batch.base_offset()) + " can't stand there")
          .At({path, 0, 0});
    };
    uint64_t position = hint;
    bool found = false;
    while (position < segment_end) {
      auto batch = TRY(BatchAt(*at.mapping, position, segment_end, path));
      TRY(check_offset(batch, position));
      if (batch.last_offset() >= offset) {
        if (batch.base_offset() >= limit) return at;
        if (!at_least_one && batch.size() > max_bytes) return at;
        at.begin = position;
        at.end = position + batch.size();
        at.end_offset = batch.next_offset();
        found = true;
        break;
      }
      position += batch.size();
    }
    if (!found) {
      if (next_base < 0) return at;
      search = next_base;
      index_lies = false;
      continue;
    }
    // The index spares the walk over what surely fits.
    if (jump > at.end && lies(jump, at.end_offset, limit)) {
      index_lies = true;
      TRY(MakeIndexesAnew(at.segment));
      continue;
    }
    position = std::max(at.end, jump);
    while (position < segment_end) {
      auto batch = TRY(BatchAt(*at.mapping, position, segment_end, path));
      TRY(check_offset(batch, position));
      at.end = position;
      at.end_offset = batch.base_offset();
      if (batch.base_offset() >= limit || position + batch.size() - at.begin > max_bytes) break;
      position += batch.size();
      at.end = position;
      at.end_offset = batch.next_offset();
    }
    return at;
  }
}

Result<ReadResult> PartitionImpl::ReadRange(int64_t offset, uint32_t max_bytes, bool at_least_one,
                                            Isolation isolation) {
  Located at = TRY(Locate(offset, max_bytes, at_least_one, isolation));
  ReadResult result;
  result.ends = at.ends;
  if (at.end == at.begin) return result;
  result.range = {std::move(at.file), at.begin, static_cast<uint32_t>(at.end - at.begin)};
  if (isolation == Isolation::kReadCommitted) {
    std::lock_guard lock(mutex_);
    if (producers_.HasAborted()) result.aborted = producers_.AbortedIn(offset, at.end_offset);
  }
  return result;
}

Result<ReadResult> PartitionImpl::ReadBytes(int64_t offset, uint32_t max_bytes, Isolation isolation) {
  Located at = TRY(Locate(offset, max_bytes, true, isolation));
  ReadResult result;
  result.ends = at.ends;
  if (at.end == at.begin) return result;
  BytesView view(at.mapping->data() + at.begin, at.end - at.begin);
  result.bytes = {std::move(at.mapping), view};
  if (isolation == Isolation::kReadCommitted) {
    std::lock_guard lock(mutex_);
    if (producers_.HasAborted()) result.aborted = producers_.AbortedIn(offset, at.end_offset);
  }
  return result;
}

Result<TimestampOffset> PartitionImpl::FindTime(const SegmentPtr& segment, int64_t timestamp_ms, int64_t limit) {
  std::shared_ptr<const io::Mapping> mapping;
  uint64_t position, segment_end;
  {
    std::lock_guard lock(mutex_);
    TRY(segment->EnsureIndexes(options_.index_interval_bytes));
    mapping = TRY(segment->Map());
    segment_end = segment->base() == visible_.segment_base ? visible_.bytes : segment->size();
    if (segment->base() > visible_.segment_base) segment_end = 0;
    position = segment->offsets().Lookup(segment->times().Lookup(timestamp_ms) + 1);
  }
  int64_t log_start = Ends().log_start_offset;
  RecordSet set;
  while (position < segment_end) {
    auto batch = TRY(BatchAt(*mapping, position, segment_end, segment->path()));
    if (batch.base_offset() >= limit) break;
    if (batch.max_timestamp() >= timestamp_ms && !batch.control() && batch.last_offset() >= log_start) {
      set.Clear();
      TRY(wire::DecodeRecords(batch, {.from_offset = log_start}, &set));
      for (const RecordView& record : set.records)
        if (record.timestamp_ms >= timestamp_ms) return TimestampOffset{record.timestamp_ms, record.offset};
    }
    position += batch.size();
  }
  return TimestampOffset{};
}

Result<TimestampOffset> PartitionImpl::OffsetForTime(int64_t timestamp_ms, Isolation isolation) {
  std::vector<SegmentPtr> candidates;
  int64_t limit;
  {
    std::lock_guard lock(mutex_);
    if (deleted_) return NotFound("partition " + directory_ + " was deleted");
    PartitionEnds ends = EndsLocked();
    limit = isolation == Isolation::kReadCommitted ? ends.last_stable_offset : ends.high_watermark;
    for (const SegmentPtr& segment : segments_) {
      TRY(segment->EnsureIndexes(options_.index_interval_bytes));
      if (segment->max_timestamp_ms() >= timestamp_ms) candidates.push_back(segment);
    }
  }
  for (const SegmentPtr& segment : candidates) {
    TimestampOffset found = TRY(FindTime(segment, timestamp_ms, limit));
    if (found.offset >= 0) return found;
  }
  return TimestampOffset{};
}

Result<TimestampOffset> PartitionImpl::MaxTimestamp(Isolation isolation) {
  int64_t largest = -1;
  {
    std::lock_guard lock(mutex_);
    if (deleted_) return NotFound("partition " + directory_ + " was deleted");
    for (const SegmentPtr& segment : segments_) {
      TRY(segment->EnsureIndexes(options_.index_interval_bytes));
      largest = std::max(largest, segment->max_timestamp_ms());
    }
  }
  if (largest < 0) return TimestampOffset{};
  return OffsetForTime(largest, isolation);
}

int64_t PartitionImpl::VisibleEnd(Isolation isolation) const {
  std::lock_guard lock(mutex_);
  PartitionEnds ends = EndsLocked();
  return isolation == Isolation::kReadCommitted ? ends.last_stable_offset : ends.high_watermark;
}

uint64_t PartitionImpl::AddWaiter(int64_t offset, Isolation isolation, std::function<void()> wake) {
  std::lock_guard waiters(waiters_mutex_);
  // Counted before the ends are read: whoever moves them later sees the count and comes through waiters_mutex_.
  read_waiter_count_.fetch_add(1);
  bool ready;
  {
    std::lock_guard lock(mutex_);
    PartitionEnds ends = EndsLocked();
    int64_t end = isolation == Isolation::kReadCommitted ? ends.last_stable_offset : ends.high_watermark;
    ready = deleted_ || end > offset || ends.log_start_offset > offset;
  }
  if (ready) {
    read_waiter_count_.fetch_sub(1);
    wake();
    return 0;
  }
  uint64_t id = next_waiter_++;
  read_waiters_.emplace(id, ReadWaiter{offset, isolation, std::move(wake)});
  return id;
}

void PartitionImpl::RemoveWaiter(uint64_t id) {
  std::lock_guard waiters(waiters_mutex_);
  if (read_waiters_.erase(id)) read_waiter_count_.fetch_sub(1);
}

void PartitionImpl::WakeReaders() {
  if (read_waiter_count_.load() == 0) return;
  std::lock_guard waiters(waiters_mutex_);
  PartitionEnds ends;
  bool all;
  {
    std::lock_guard lock(mutex_);
    ends = EndsLocked();
    all = deleted_;
  }
  for (auto at = read_waiters_.begin(); at != read_waiters_.end();) {
    const ReadWaiter& waiter = at->second;
    int64_t end = waiter.isolation == Isolation::kReadCommitted ? ends.last_stable_offset : ends.high_watermark;
    if (all || end > waiter.offset || ends.log_start_offset > waiter.offset) {
      waiter.wake();
      at = read_waiters_.erase(at);
      read_waiter_count_.fetch_sub(1);
    } else {
      ++at;
    }
  }
}

}  // namespace tailrace::log
