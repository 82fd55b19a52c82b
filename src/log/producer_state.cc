#include "log/producer_state.h"

#include <algorithm>

#include "wire/record_batch.h"

namespace tailrace::log {
namespace {

void Put(std::string* out, uint64_t value, size_t bytes) {
  char text[8];
  StoreLe64(text, value);
  out->append(text, bytes);
}

// Little-endian integers off the front; false at the end of the bytes.
template <typename T>
bool Take(BytesView* bytes, T* value) {
  if (bytes->size() < sizeof(T)) return false;
  uint64_t raw = 0;
  __builtin_memcpy(&raw, bytes->data(), sizeof(T));
  *value = static_cast<T>(raw);
  bytes->remove_prefix(sizeof(T));
  return true;
}

bool Follows(int32_t next, int32_t last) { return next == last + 1ll || (next == 0 && last == INT32_MAX); }

}  // namespace

AppendCode ProducerState::Check(const wire::BatchView& batch, int64_t* original_offset, int64_t* original_end) const {
  auto found = producers_.find(batch.producer_id());
  // Nothing known (all of it expired or deleted): any sequence may begin.
  if (found == producers_.end()) return AppendCode::kNone;
  const Entry& entry = found->second;
  if (batch.producer_epoch() < entry.epoch) return AppendCode::kInvalidProducerEpoch;
  if (batch.producer_epoch() > entry.epoch)
    return batch.base_sequence() == 0 ? AppendCode::kNone : AppendCode::kOutOfOrderSequence;
  for (size_t i = 0; i < entry.batch_count; i++) {
    const Batch& kept = entry.batches[i];
    if (kept.first_sequence == batch.base_sequence() && kept.last_sequence == batch.last_sequence()) {
      *original_offset = kept.last_offset - kept.offset_delta;
      *original_end = kept.last_offset + 1;
      return AppendCode::kDuplicateSequence;
    }
  }
  int32_t last = entry.batch_count ? entry.batches[entry.batch_count - 1].last_sequence : -1;
  if (!Follows(batch.base_sequence(), last)) return AppendCode::kOutOfOrderSequence;
  if (entry.transaction_first >= 0 && !batch.transactional()) return AppendCode::kInvalidTxnState;
  return AppendCode::kNone;
}

void ProducerState::Update(const wire::BatchView& batch, int64_t now_ms) {
  Entry& entry = producers_[batch.producer_id()];
  if (entry.epoch != batch.producer_epoch()) entry.batch_count = 0;
  entry.epoch = batch.producer_epoch();
  entry.ended = false;
  entry.last_append_ms = now_ms;
  if (entry.batch_count == kBatchesKept) {
    std::move(entry.batches.begin() + 1, entry.batches.end(), entry.batches.begin());
    entry.batch_count--;
  }
  entry.batches[entry.batch_count++] = {batch.base_sequence(), batch.last_sequence(), batch.last_offset(),
                                        batch.last_offset_delta()};
  if (batch.transactional() && entry.transaction_first < 0) {
    entry.transaction_first = batch.base_offset();
    open_.emplace(batch.base_offset(), batch.producer_id());
  }
}

bool ProducerState::MarkerIsThere(int64_t producer_id, int16_t epoch) const {
  auto found = producers_.find(producer_id);
  return found != producers_.end() && found->second.epoch == epoch && found->second.ended;
}

AppendCode ProducerState::CheckMarker(int64_t producer_id, int16_t epoch) const {
  auto found = producers_.find(producer_id);
  return found != producers_.end() && epoch < found->second.epoch ? AppendCode::kInvalidProducerEpoch
                                                                  : AppendCode::kNone;
}

void ProducerState::UpdateMarker(int64_t producer_id, int16_t epoch, int32_t coordinator_epoch, bool commit,
                                 int64_t offset, int64_t now_ms) {
  Entry& entry = producers_[producer_id];
  if (entry.epoch != epoch) entry.batch_count = 0;
  entry.epoch = epoch;
  entry.coordinator_epoch = coordinator_epoch;
  entry.ended = true;
  entry.last_append_ms = now_ms;
  if (entry.transaction_first < 0) return;
  int64_t first = entry.transaction_first;
  entry.transaction_first = -1;
  open_.erase(first);
  ended_.push_back({first, offset});
  if (!commit) {
    int64_t stable = open_.empty() ? offset + 1 : open_.begin()->first;
    aborted_.push_back({{producer_id, first, offset}, stable});
  }
}

int64_t ProducerState::FirstUnstable() const {
  int64_t first = open_.empty() ? INT64_MAX : open_.begin()->first;
  for (const Ended& ended : ended_) first = std::min(first, ended.first_offset);
  return first;
}

void ProducerState::OnHighWatermark(int64_t offset) {
  while (!ended_.empty() && ended_.front().marker_offset < offset) ended_.pop_front();
}

std::vector<AbortedTransaction> ProducerState::AbortedIn(int64_t from, int64_t to) const {
  std::vector<AbortedTransaction> found;
  auto at = std::lower_bound(aborted_.begin(), aborted_.end(), from,
                             [](const Aborted& a, int64_t offset) { return a.transaction.last_offset < offset; });
  for (; at != aborted_.end(); ++at) {
    if (at->transaction.first_offset < to) found.push_back(at->transaction);
    if (at->last_stable_offset >= to) break;
  }
  return found;
}

void ProducerState::OnLogStart(int64_t offset) {
  auto keep = std::lower_bound(aborted_.begin(), aborted_.end(), offset,
                               [](const Aborted& a, int64_t o) { return a.transaction.last_offset < o; });
  aborted_.erase(aborted_.begin(), keep);
}

void ProducerState::Expire(int64_t before_ms) {
  std::erase_if(producers_, [&](const auto& item) {
    return item.second.transaction_first < 0 && item.second.last_append_ms < before_ms;
  });
}

std::vector<ProducerInfo> ProducerState::List() const {
  std::vector<ProducerInfo> list;
  for (const auto& [id, entry] : producers_) {
    int32_t last = entry.batch_count ? entry.batches[entry.batch_count - 1].last_sequence : -1;
    list.push_back({id, entry.epoch, entry.coordinator_epoch, last, entry.last_append_ms, entry.transaction_first});
  }
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.producer_id < b.producer_id; });
  return list;
}

void ProducerState::EncodeTo(std::string* out) const {
  Put(out, producers_.size(), 4);
  for (const auto& [id, entry] : producers_) {
    Put(out, static_cast<uint64_t>(id), 8);
    Put(out, static_cast<uint16_t>(entry.epoch), 2);
    Put(out, entry.ended, 1);
    Put(out, entry.batch_count, 1);
    Put(out, static_cast<uint32_t>(entry.coordinator_epoch), 4);
    Put(out, static_cast<uint64_t>(entry.transaction_first), 8);
    Put(out, static_cast<uint64_t>(entry.last_append_ms), 8);
    for (size_t i = 0; i < entry.batch_count; i++) {
      Put(out, static_cast<uint32_t>(entry.batches[i].first_sequence), 4);
      Put(out, static_cast<uint32_t>(entry.batches[i].last_sequence), 4);
      Put(out, static_cast<uint64_t>(entry.batches[i].last_offset), 8);
      Put(out, static_cast<uint32_t>(entry.batches[i].offset_delta), 4);
    }
  }
  Put(out, aborted_.size(), 4);
  for (const Aborted& aborted : aborted_) {
    Put(out, static_cast<uint64_t>(aborted.transaction.producer_id), 8);
    Put(out, static_cast<uint64_t>(aborted.transaction.first_offset), 8);
    Put(out, static_cast<uint64_t>(aborted.transaction.last_offset), 8);
    Put(out, static_cast<uint64_t>(aborted.last_stable_offset), 8);
  }
}

Result<ProducerState> ProducerState::Decode(BytesView* bytes) {
  ProducerState state;
  uint32_t count = 0;
  bool whole = Take(bytes, &count);
  for (; whole && count > 0; count--) {
    int64_t id = 0;
    Entry entry;
    uint8_t ended = 0;
    whole = Take(bytes, &id) && Take(bytes, &entry.epoch) && Take(bytes, &ended) && Take(bytes, &entry.batch_count) &&
            Take(bytes, &entry.coordinator_epoch) && Take(bytes, &entry.transaction_first) &&
            Take(bytes, &entry.last_append_ms) && entry.batch_count <= kBatchesKept;
    entry.ended = ended != 0;
    for (size_t i = 0; whole && i < entry.batch_count; i++) {
      Batch& b = entry.batches[i];
      whole = Take(bytes, &b.first_sequence) && Take(bytes, &b.last_sequence) && Take(bytes, &b.last_offset) &&
              Take(bytes, &b.offset_delta);
    }
    if (!whole) break;
    if (entry.transaction_first >= 0) state.open_.emplace(entry.transaction_first, id);
    state.producers_.emplace(id, entry);
  }
  whole = whole && Take(bytes, &count);
  for (; whole && count > 0; count--) {
    Aborted a{};
    whole = Take(bytes, &a.transaction.producer_id) && Take(bytes, &a.transaction.first_offset) &&
            Take(bytes, &a.transaction.last_offset) && Take(bytes, &a.last_stable_offset);
    if (whole) state.aborted_.push_back(a);
  }
  if (!whole) return Corrupt("producer snapshot ends too early");
  return state;
}

}  // namespace tailrace::log
