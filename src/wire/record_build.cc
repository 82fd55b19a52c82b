#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "wire/record_batch.h"
#include "wire/varint.h"

namespace tailrace::wire {
namespace {

int64_t NullableSize(BytesView bytes) {
  const auto n = static_cast<int64_t>(bytes.size());
  return bytes.data() ? VarlongSize(n) + n : 1;
}

char* WriteNullable(char* p, BytesView bytes) {
  if (!bytes.data()) return WriteVarlong(p, -1);
  p = WriteVarlong(p, static_cast<int64_t>(bytes.size()));
  std::memcpy(p, bytes.data(), bytes.size());
  return p + bytes.size();
}

char* WriteHeaders(char* p, std::span<const HeaderView> headers) {
  p = WriteVarlong(p, static_cast<int64_t>(headers.size()));
  for (const HeaderView& h : headers) {
    p = WriteVarlong(p, static_cast<int64_t>(h.key.size()));
    if (!h.key.empty()) std::memcpy(p, h.key.data(), h.key.size());
    p = WriteNullable(p + h.key.size(), h.value);
  }
  return p;
}

int64_t HeadersSize(std::span<const HeaderView> headers) {
  int64_t n = VarlongSize(static_cast<int64_t>(headers.size()));
  for (const HeaderView& h : headers) {
    n += VarlongSize(static_cast<int64_t>(h.key.size())) + static_cast<int64_t>(h.key.size()) + NullableSize(h.value);
  }
  return n;
}

struct BatchHeader {
  int64_t base_offset, base_timestamp, max_timestamp;
  int32_t partition_leader_epoch, count;
  int16_t attributes;
};

void WriteBatchHeader(std::string* batch, const BatchHeader& h, const BatchOptions& options) {
  char* p = batch->data();
  StoreBe64(p, static_cast<uint64_t>(h.base_offset));
  StoreBe32(p + 8, static_cast<uint32_t>(batch->size() - kBatchPrefixBytes));
  StoreBe32(p + 12, static_cast<uint32_t>(h.partition_leader_epoch));
  p[16] = kBatchMagic;
  StoreBe16(p + 21, static_cast<uint16_t>(h.attributes));
  StoreBe32(p + 23, static_cast<uint32_t>(h.count - 1));
  StoreBe64(p + 27, static_cast<uint64_t>(h.base_timestamp));
  StoreBe64(p + 35, static_cast<uint64_t>(h.max_timestamp));
  StoreBe64(p + 43, static_cast<uint64_t>(options.producer_id));
  StoreBe16(p + 51, static_cast<uint16_t>(options.producer_epoch));
  StoreBe32(p + 53, static_cast<uint32_t>(options.base_sequence));
  StoreBe32(p + 57, static_cast<uint32_t>(h.count));
  StoreBe32(p + 17, Crc32c(BytesView(*batch).substr(kBatchCrcFrom)));
}

}  // namespace

void RecordBatchBuilder::Reset(const BatchOptions& options) {
  options_ = options;
  buffer_.resize(kBatchHeaderBytes);
  deflated_.clear();
  finished_ = nullptr;
  count_ = 0;
}

size_t RecordBatchBuilder::RecordBound(BytesView key, BytesView value, std::span<const HeaderView> headers) {
  return static_cast<size_t>(NullableSize(key) + NullableSize(value) + HeadersSize(headers)) + 1 + 10 + 5 + 5;
}

void RecordBatchBuilder::Append(BytesView key, BytesView value, int64_t timestamp_ms,
                                std::span<const HeaderView> headers) {
  CHECK(!finished_);
  if (count_ == 0) {
    if (buffer_.size() < kBatchHeaderBytes) buffer_.resize(kBatchHeaderBytes);
    base_timestamp_ = max_timestamp_ = timestamp_ms;
  }
  if (timestamp_ms > max_timestamp_) max_timestamp_ = timestamp_ms;
  // Wraps for absurd timestamps; the reader's sum wraps back.
  const auto timestamp_delta =
      static_cast<int64_t>(static_cast<uint64_t>(timestamp_ms) - static_cast<uint64_t>(base_timestamp_));
  const int64_t length = 1 + VarlongSize(timestamp_delta) + VarlongSize(count_) + NullableSize(key) +
                         NullableSize(value) + (headers.empty() ? 1 : HeadersSize(headers));
  const size_t at = buffer_.size(), needed = at + static_cast<size_t>(VarlongSize(length) + length);
  if (needed > buffer_.capacity()) buffer_.reserve(std::max(needed, buffer_.capacity() * 2));
  buffer_.resize(needed);
  char* p = WriteVarlong(buffer_.data() + at, length);
  *p++ = 0;  // attributes, none defined
  p = WriteVarlong(p, timestamp_delta);
  p = WriteVarlong(p, count_);
  p = WriteNullable(p, key);
  p = WriteNullable(p, value);
  if (headers.empty()) {
    *p++ = 0;
  } else {
    p = WriteHeaders(p, headers);
  }
  count_++;
}

BytesView RecordBatchBuilder::Finish(int64_t base_offset, int32_t partition_leader_epoch) {
  CHECK(count_ > 0 && !finished_);
  std::string* batch = &buffer_;
  Compression codec = options_.compression;
  if (codec != Compression::kNone) {
    deflated_.assign(kBatchHeaderBytes, '\0');
    Deflate(codec, BytesView(buffer_).substr(kBatchHeaderBytes), options_.compression_level, &deflated_);
    batch = &deflated_;
  }
  const auto attributes =
      static_cast<int16_t>(static_cast<int16_t>(codec) | (options_.transactional ? kAttributeTransactional : 0));
  WriteBatchHeader(batch, {base_offset, base_timestamp_, max_timestamp_, partition_leader_epoch, count_, attributes},
                   options_);
  finished_ = batch;
  return *batch;
}

std::string BuildControlBatch(ControlRecord record, int64_t producer_id, int16_t producer_epoch, int64_t timestamp_ms,
                              int64_t base_offset, int32_t partition_leader_epoch) {
  char key[4], value[6];
  StoreBe16(key, 0);
  StoreBe16(key + 2, static_cast<uint16_t>(record.type));
  StoreBe16(value, 0);
  StoreBe32(value + 2, static_cast<uint32_t>(record.coordinator_epoch));
  const BytesView key_view(key, 4), value_view(value, 6);
  std::string batch(kBatchHeaderBytes, '\0');
  char bytes[32];
  char* p = WriteVarlong(bytes, 1 + 1 + 1 + NullableSize(key_view) + NullableSize(value_view) + 1);
  *p++ = 0;                // attributes
  p = WriteVarlong(p, 0);  // timestamp delta
  p = WriteVarlong(p, 0);  // offset delta
  p = WriteNullable(p, key_view);
  p = WriteNullable(p, value_view);
  p = WriteVarlong(p, 0);  // headers
  batch.append(bytes, static_cast<size_t>(p - bytes));
  BatchOptions options;
  options.producer_id = producer_id;
  options.producer_epoch = producer_epoch;
  WriteBatchHeader(&batch,
                   {base_offset, timestamp_ms, timestamp_ms, partition_leader_epoch, 1,
                    static_cast<int16_t>(kAttributeControl | kAttributeTransactional)},
                   options);
  return batch;
}

}  // namespace tailrace::wire
