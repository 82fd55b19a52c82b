#include "wire/record_batch.h"

#include <fmt/format.h>

#include "wire/varint.h"

namespace tailrace::wire {
namespace {

constexpr int64_t kMinRecordBytes = 7;  // length, attributes, timestamp, offset, key, value, headers: a byte each

/// What the records of a batch say, without keeping any of it. Empty = fine, else the reason.
struct Walk {
  int64_t max_timestamp_delta = INT64_MIN;
  bool key_missing = false;
};
std::string WalkRecords(BytesView payload, int32_t count, Walk* walk) {
  const char* p = payload.data();
  const char* const end = p + payload.size();
  if (static_cast<int64_t>(payload.size()) < count * kMinRecordBytes) {
    return fmt::format("{} records announced in {} bytes", count, payload.size());
  }
  for (int32_t i = 0; i < count; i++) {
    auto bad = [&](const char* what) { return fmt::format("record {} of {}: {}", i, count, what); };
    int32_t length, offset_delta, key_length, value_length, headers;
    int64_t timestamp_delta;
    p = ReadVarint(p, end, &length);
    if (!p || length < 1 || length > end - p) return bad("its length does not fit");
    const char* const record_end = p + length;
    p = ReadVarlong(p + 1, record_end, &timestamp_delta);
    if (p) p = ReadVarint(p, record_end, &offset_delta);
    if (p) p = ReadVarint(p, record_end, &key_length);
    if (!p) return bad("it ends before its key");
    if (offset_delta != i) return bad("its offset does not follow");
    if (key_length < -1 || key_length > record_end - p) return bad("its key does not fit");
    if (key_length >= 0) {
      p += key_length;
    } else {
      walk->key_missing = true;
    }
    p = ReadVarint(p, record_end, &value_length);
    if (!p || value_length < -1 || value_length > record_end - p) return bad("its value does not fit");
    if (value_length > 0) p += value_length;
    p = ReadVarint(p, record_end, &headers);
    if (!p || headers < 0 || headers > record_end - p) return bad("its header count does not fit");
    for (; headers > 0; headers--) {
      int32_t n;
      p = ReadVarint(p, record_end, &n);
      if (!p || n < 0 || n > record_end - p) return bad("a header's key does not fit");
      p = ReadVarint(p + n, record_end, &n);
      if (!p || n < -1 || n > record_end - p) return bad("a header's value does not fit");
      if (n > 0) p += n;
    }
    if (p != record_end) return bad("bytes are left over");
    if (timestamp_delta > walk->max_timestamp_delta) walk->max_timestamp_delta = timestamp_delta;
  }
  if (p != end) return "bytes are left over after the last record";
  return {};
}

void RefreshCrc(char* batch) {
  const size_t size = kBatchPrefixBytes + LoadBe32(batch + 8);
  StoreBe32(batch + 17, Crc32c({batch + kBatchCrcFrom, size - kBatchCrcFrom}));
}

}  // namespace

Result<BatchView> BatchView::Parse(BytesView bytes) {
  if (bytes.size() < kBatchHeaderBytes) {
    return Corrupt(
        fmt::format("a record batch needs {} bytes of header, there are {}", kBatchHeaderBytes, bytes.size()));
  }
  const auto length = static_cast<int32_t>(LoadBe32(bytes.data() + 8));
  if (length < static_cast<int32_t>(kBatchHeaderBytes - kBatchPrefixBytes)) {
    return Corrupt(fmt::format("record batch with the impossible length {}", length));
  }
  const size_t size = kBatchPrefixBytes + static_cast<size_t>(length);
  if (size > bytes.size()) return Corrupt(fmt::format("record batch of {} bytes cut off at {}", size, bytes.size()));
  BatchView batch(bytes.substr(0, size));
  if (bytes[16] != kBatchMagic) {
    return Corrupt(fmt::format("record batch with magic {}, only 2 is known", static_cast<int>(bytes[16])));
  }
  // After compaction a batch may hold fewer records than offsets, even none.
  if (batch.last_offset_delta() < 0 || batch.record_count() < 0 ||
      batch.record_count() > static_cast<int64_t>(batch.last_offset_delta()) + 1) {
    return Corrupt(fmt::format("record batch with {} records and last offset delta {}", batch.record_count(),
                               batch.last_offset_delta()));
  }
  if (batch.base_offset() < 0 || batch.base_offset() > INT64_MAX - batch.last_offset_delta() - 1) {
    return Corrupt(fmt::format("record batch with base offset {}", batch.base_offset()));
  }
  return batch;
}

int32_t BatchView::last_sequence() const {
  if (base_sequence() < 0) return -1;
  return static_cast<int32_t>((static_cast<int64_t>(base_sequence()) + last_offset_delta()) & INT32_MAX);
}

size_t BatchSize(BytesView bytes) {
  if (bytes.size() < kBatchPrefixBytes) return 0;
  const auto length = static_cast<int32_t>(LoadBe32(bytes.data() + 8));
  if (length < static_cast<int32_t>(kBatchHeaderBytes - kBatchPrefixBytes)) return 0;
  return kBatchPrefixBytes + static_cast<size_t>(length);
}

BytesView CompleteBatches(BytesView bytes) {
  size_t at = 0;
  for (;;) {
    size_t size = BatchSize(bytes.substr(at));
    if (size == 0 || size > bytes.size() - at) return bytes.substr(0, at);
    at += size;
  }
}

void SetLogAppendTime(char* batch, int64_t now_ms) {
  StoreBe16(batch + 21, LoadBe16(batch + 21) | kAttributeLogAppendTime);
  SetMaxTimestamp(batch, now_ms);
}

void SetMaxTimestamp(char* batch, int64_t timestamp_ms) {
  StoreBe64(batch + 35, static_cast<uint64_t>(timestamp_ms));
  RefreshCrc(batch);
}

ProduceCheck CheckProduce(BytesView records, const ProduceLimits& limits, InflateBuffer* scratch) {
  auto refuse = [](KafkaError error, std::string reason) { return ProduceCheck{error, std::move(reason), {}, -1}; };
  const size_t size = BatchSize(records);
  if (records.empty() || size > records.size()) {
    return refuse(KafkaError::kInvalidRecord, "a partition's records must be exactly one whole batch");
  }
  if (size == 0) return refuse(KafkaError::kCorruptMessage, "no record batch has this length");
  if (records[16] != kBatchMagic) {
    return refuse(records[16] == 0 || records[16] == 1 ? KafkaError::kInvalidRecord : KafkaError::kCorruptMessage,
                  fmt::format("records have magic {}, only 2 is accepted", static_cast<int>(records[16])));
  }
  if (size < records.size()) {
    return refuse(KafkaError::kInvalidRecord, "a partition's records must be exactly one batch, more bytes follow");
  }
  if (size > limits.max_batch_bytes) {
    return refuse(KafkaError::kMessageTooLarge,
                  fmt::format("the batch has {} bytes, max.message.bytes is {}", size, limits.max_batch_bytes));
  }
  // The CRC comes before any other field is believed.
  const uint32_t crc = Crc32c(records.substr(kBatchCrcFrom));
  if (crc != LoadBe32(records.data() + 17)) {
    return refuse(KafkaError::kCorruptMessage,
                  fmt::format("CRC-32C is {:08x}, the batch says {:08x}", crc, LoadBe32(records.data() + 17)));
  }
  auto parsed = BatchView::Parse(records);
  if (!parsed.ok()) return refuse(KafkaError::kInvalidRecord, parsed.error().message());
  const BatchView batch = *parsed;
  if (batch.record_count() < 1 || batch.record_count() != batch.last_offset_delta() + 1) {
    return refuse(KafkaError::kInvalidRecord,
                  fmt::format("{} records with last offset delta {}", batch.record_count(), batch.last_offset_delta()));
  }
  if (batch.control()) return refuse(KafkaError::kInvalidRecord, "clients may not write control batches");
  if (batch.has_producer_id() && (batch.base_sequence() < 0 || batch.producer_epoch() < 0)) {
    return refuse(KafkaError::kInvalidRecord, "a producer id without sequence or epoch");
  }
  if (batch.transactional() && !batch.has_producer_id()) {
    return refuse(KafkaError::kInvalidRecord, "a transactional batch without producer id");
  }
  if (batch.compression() > Compression::kZstd || (batch.compression() == Compression::kZstd && !limits.allow_zstd)) {
    return refuse(KafkaError::kUnsupportedCompressionType,
                  fmt::format("compression type {} is not allowed here", static_cast<int>(batch.compression())));
  }
  BytesView payload = batch.payload();
  if (batch.compression() != Compression::kNone) {
    Status inflated = Inflate(batch.compression(), payload, limits.max_inflated_bytes, scratch);
    if (!inflated.ok()) {
      const bool bomb = inflated.error().code() == ErrorCode::kLimitExceeded;
      return refuse(bomb ? KafkaError::kMessageTooLarge : KafkaError::kInvalidRecord, inflated.error().message());
    }
    payload = scratch->view();
  }
  Walk walk;
  if (std::string reason = WalkRecords(payload, batch.record_count(), &walk); !reason.empty()) {
    return refuse(KafkaError::kInvalidRecord, std::move(reason));
  }
  if (walk.key_missing && limits.require_keys) {
    return refuse(KafkaError::kInvalidRecord, "a compacted topic takes no record without key");
  }
  ProduceCheck fine;
  fine.batch = batch;
  fine.max_timestamp_ms = batch.log_append_time()
                              ? batch.max_timestamp()
                              : static_cast<int64_t>(static_cast<uint64_t>(batch.base_timestamp()) +
                                                     static_cast<uint64_t>(walk.max_timestamp_delta));
  return fine;
}

}  // namespace tailrace::wire
