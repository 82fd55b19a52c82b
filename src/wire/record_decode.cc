// From batches to RecordViews. The loop below is on the way of every event: no allocation and no call per record.

#include <fmt/format.h>

#include <algorithm>

#include "wire/record_batch.h"
#include "wire/varint.h"

namespace tailrace::wire {
namespace {

constexpr int64_t kMinRecordBytes = 7;
constexpr size_t kHeadersAtOnce = 256;

/// Headers of a batch's records, in blocks that the RecordSet owns.
class HeaderArena {
 public:
  HeaderView* Take(size_t n) {
    if (n > left_) {
      const size_t block = std::max(n, kHeadersAtOnce);
      auto memory = std::make_shared<HeaderView[]>(block);
      at_ = memory.get();
      left_ = block;
      blocks_.push_back(std::move(memory));
    }
    HeaderView* taken = at_;
    at_ += n;
    left_ -= n;
    return taken;
  }
  void HandOver(RecordSet* out) {
    for (auto& block : blocks_) out->owners.push_back(std::move(block));
  }

 private:
  std::vector<std::shared_ptr<HeaderView[]>> blocks_;
  HeaderView* at_ = nullptr;
  size_t left_ = 0;
};

/// Fills `to[0..count)`; returns how many were filled before the first failure and sets `reason` then.
int32_t Decode(BytesView payload, const BatchView& batch, RecordView* to, int32_t count, HeaderArena* headers,
               const char** reason) {
  const char* p = payload.data();
  const char* const end = p + payload.size();
  const int64_t base_offset = batch.base_offset();
  const int64_t base_timestamp = batch.base_timestamp();
  const int64_t append_time = batch.max_timestamp();
  const bool log_append_time = batch.log_append_time();
  const int32_t last_delta = batch.last_offset_delta();
  for (int32_t i = 0; i < count; i++) {
    RecordView& r = to[i];
    int32_t length, offset_delta, key_length, value_length, header_count;
    int64_t timestamp_delta;
    p = ReadVarint(p, end, &length);
    if (!p || length < 1 || length > end - p) {
      *reason = "its length does not fit";
      return i;
    }
    const char* const record_end = p + length;
    p = ReadVarlong(p + 1, record_end, &timestamp_delta);  // + 1: attributes, none defined
    if (p) p = ReadVarint(p, record_end, &offset_delta);
    if (p) p = ReadVarint(p, record_end, &key_length);
    if (!p || key_length > record_end - p || offset_delta < 0 || offset_delta > last_delta) {
      *reason = "its offset or key does not fit";
      return i;
    }
    r.offset = base_offset + offset_delta;
    // Unsigned, since the numbers are anybody's.
    r.timestamp_ms =
        log_append_time
            ? append_time
            : static_cast<int64_t>(static_cast<uint64_t>(base_timestamp) + static_cast<uint64_t>(timestamp_delta));
    r.key = {};
    r.value = {};
    r.headers = nullptr;
    r.header_count = 0;
    if (key_length >= 0) {
      r.key = {p, static_cast<size_t>(key_length)};
      p += key_length;
    }
    p = ReadVarint(p, record_end, &value_length);
    if (!p || value_length > record_end - p) {
      *reason = "its value does not fit";
      return i;
    }
    if (value_length >= 0) {
      r.value = {p, static_cast<size_t>(value_length)};
      p += value_length;
    }
    p = ReadVarint(p, record_end, &header_count);
    if (!p || header_count < 0 || header_count > (record_end - p) / 2) {
      *reason = "its header count does not fit";
      return i;
    }
    if (__builtin_expect(header_count > 0, 0)) {
      HeaderView* h = headers->Take(static_cast<size_t>(header_count));
      r.headers = h;
      r.header_count = static_cast<uint32_t>(header_count);
      for (; header_count > 0; header_count--, h++) {
        int32_t n;
        p = ReadVarint(p, record_end, &n);
        if (!p || n < 0 || n > record_end - p) break;
        h->key = {p, static_cast<size_t>(n)};
        p = ReadVarint(p + n, record_end, &n);
        if (!p || n > record_end - p) {
          p = nullptr;
          break;
        }
        h->value = {};
        if (n >= 0) {
          h->value = {p, static_cast<size_t>(n)};
          p += n;
        }
      }
      if (!p || header_count > 0) {
        *reason = "a header does not fit";
        return i;
      }
    }
    // Later versions of the format may add bytes at a record's end; none does so far.
    p = record_end;
  }
  return count;
}

}  // namespace

Status DecodeRecords(const BatchView& batch, const DecodeOptions& options, RecordSet* out) {
  auto damaged = [&](std::string_view why) {
    return Corrupt(fmt::format("record batch at offset {}: {}", batch.base_offset(), why));
  };
  if (options.check_crc && !batch.CrcMatches()) return damaged("its CRC-32C does not match");
  if (batch.control() || batch.record_count() == 0 || batch.last_offset() < options.from_offset) {
    out->next_offset = batch.next_offset();
    return Ok();
  }
  BytesView payload = batch.payload();
  SharedBytes inflated;
  if (batch.compression() != Compression::kNone) {
    InflateBuffer buffer;
    Status status = Inflate(batch.compression(), payload, options.max_inflated_bytes, &buffer);
    if (!status.ok()) {
      return std::move(status).error().Context(fmt::format("record batch at offset {}", batch.base_offset()));
    }
    inflated = buffer.Share();
    payload = inflated.view;
  }
  const int32_t count = batch.record_count();
  if (count * kMinRecordBytes > static_cast<int64_t>(payload.size())) {
    return damaged(fmt::format("{} records announced in {} bytes", count, payload.size()));
  }
  const size_t before = out->records.size();
  out->records.resize(before + static_cast<size_t>(count));
  HeaderArena headers;
  const char* reason = nullptr;
  const int32_t done = Decode(payload, batch, out->records.data() + before, count, &headers, &reason);
  if (done < count) {
    out->records.resize(before);
    return damaged(fmt::format("record {} of {}: {}", done, count, reason));
  }
  if (batch.base_offset() < options.from_offset) {
    auto first = out->records.begin() + static_cast<std::ptrdiff_t>(before);
    auto wanted =
        std::find_if(first, out->records.end(), [&](const RecordView& r) { return r.offset >= options.from_offset; });
    out->records.erase(first, wanted);
  }
  if (inflated.owner) out->owners.push_back(std::move(inflated.owner));
  headers.HandOver(out);
  out->next_offset = batch.next_offset();
  return Ok();
}

Status DecodeAllRecords(BytesView bytes, const DecodeOptions& options, RecordSet* out) {
  const size_t records_before = out->records.size(), owners_before = out->owners.size();
  const int64_t next_before = out->next_offset;
  bytes = CompleteBatches(bytes);
  while (!bytes.empty()) {
    auto batch = BatchView::Parse(bytes);
    Status status = batch.ok() ? DecodeRecords(*batch, options, out) : Status(std::move(batch).error());
    if (!status.ok()) {
      out->records.resize(records_before);
      out->owners.resize(owners_before);
      out->next_offset = next_before;
      return status;
    }
    bytes.remove_prefix(batch->size());
  }
  return Ok();
}

Result<ControlRecord> DecodeControl(const BatchView& batch) {
  RecordView record;
  HeaderArena headers;
  const char* reason = nullptr;
  if (!batch.control() || batch.record_count() != 1 || batch.compression() != Compression::kNone ||
      Decode(batch.payload(), batch, &record, 1, &headers, &reason) != 1 || record.key.size() < 4) {
    return Corrupt(fmt::format("the batch at offset {} is no control batch", batch.base_offset()));
  }
  // Key: version, type. Value: version, coordinator epoch. Later versions only append.
  ControlRecord control;
  const auto type = static_cast<int16_t>(LoadBe16(record.key.data() + 2));
  if (type != ControlRecord::kAbort && type != ControlRecord::kCommit) {
    return Unsupported(fmt::format("control record of type {} at offset {}", type, batch.base_offset()));
  }
  control.type = static_cast<ControlRecord::Type>(type);
  if (record.value.size() >= 6) control.coordinator_epoch = static_cast<int32_t>(LoadBe32(record.value.data() + 2));
  return control;
}

}  // namespace tailrace::wire
