// Batches made by Apache Kafka 4.3's Java library and by kafka-python 3.0 are read; ours are checked against what those
// produced; damage is refused with Kafka's error codes.

#include "wire/record_batch.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "wire/hex.h"
#include "wire/varint.h"

namespace tailrace::wire {
namespace {

struct Captured {
  const char* codec;
  const char* hex;
};
// MemoryRecordsBuilder: base offset 100, leader epoch 5; producer 77 epoch 3 sequence 9 for gzip and snappy.
const Captured kJava[] = {
    {"none",
     "0000000000000064000000b90000000502c8fb35170000000000030000018bcfe568000000018bcfe56be8ffffffffffffffffffffffff"
     "ffff0000000422000000046b311276616c75652d6f6e6500b00100f4030201a00161616161616161616161616161616161616161616161"
     "61616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161"
     "616161002600cf0f04046b330104046831047631046832010e00d00f06000000"},
    {"gzip",
     "0000000000000064000000800000000502643fdb600001000000030000018bcfe568000000018bcfe56be8000000000000004d00030000"
     "0009000000041f8b08000000000000ff5362606060c936142a4bcc294dd5cdcf4b65d8c0c8f0859989710163229501831ac3797e16966c"
     "634616960c43963243960c23463e860bfc6c403700001e8432ca88000000"},
    {"snappy",
     "000000000000006400000088000000050263c663970012000000030000018bcfe568000000018bcfe56be8000000000000004d00030000"
     "00090000000482534e415050590000000001000000010000004388016c22000000046b311276616c75652d6f6e6500b00100f4030201a0"
     "0161fe01003a010070002600cf0f04046b330104046831047631046832010e00d00f06000000"},
    {"lz4",
     "0000000000000064000000800000000502a492ea880003000000030000018bcfe568000000018bcfe56be8ffffffffffffffffffffffff"
     "ffff0000000404224d1860408240000000ff0d22000000046b311276616c75652d6f6e6500b00100f4030201a0016101003cf00e002600"
     "cf0f04046b330104046831047631046832010e00d00f0600000000000000"},
    {"zstd",
     "00000000000000640000007d0000000502bf0ff4290004000000030000018bcfe568000000018bcfe56be8ffffffffffffffffffffffff"
     "ffff0000000428b52ffd0058040200940322000000046b311276616c75652d6f6e6500b00100f4030201a00161002600cf0f04046b3301"
     "04046831047631046832010e00d00f060000000100300a9c010000"},
};
// DefaultRecordBatchBuilder.
const Captured kPython[] = {
    {"none",
     "00000000000000000000008d000000000232a96e260000000000010000018bcfe568000000018bcfe56807ffffffffffffffffffffffff"
     "ffff000000029a01000000026b82016b61666b612d707974686f6e206b61666b612d707974686f6e206b61666b612d707974686f6e206b"
     "61666b612d707974686f6e206b61666b612d707974686f6e20020268027618000e02010c7365636f6e6400"},
    {"gzip",
     "00000000000000000000006f00000000027dbeda630001000000010000018bcfe568000000018bcfe56807ffffffffffffffffffffffff"
     "ffff000000021f8b08009a91016b02ff9bc5c8c0c0c094ddc4989d98969da85b505992919fa7400e87892983a94c82818f8991a7383539"
     "3f2f8501003b297b5a5c000000"},
    {"snappy",
     "0000000000000000000000730000000002655e4e6f0002000000010000018bcfe568000000018bcfe56807ffffffffffffffffffffffff"
     "ffff0000000282534e415050590000000001000000010000002e5c549a01000000026b82016b61666b612d707974686f6e20ce0d004402"
     "0268027618000e02010c7365636f6e6400"},
    {"lz4",
     "0000000000000000000000770000000002149c028f0003000000010000018bcfe568000000018bcfe56807ffffffffffffffffffffffff"
     "ffff0000000204224d1868405c000000000000003d2f000000ff079a01000000026b82016b61666b612d707974686f6e200d0021f00302"
     "0268027618000e02010c7365636f6e640000000000"},
    {"zstd",
     "00000000000000000000006a00000000023ffd2e750004000000010000018bcfe568000000018bcfe56807ffffffffffffffffffffffff"
     "ffff0000000228b52ffd205c85010084029a01000000026b82016b61666b612d707974686f6e20020268027618000e02010c7365636f6e"
     "6400010002e76c02"},
};
// MemoryRecords.withEndTransactionMarker: offset 42, leader epoch 7, producer 1234 epoch 5, coordinator epoch 11.
const char kJavaCommit[] =
    "000000000000002a000000420000000702128285e60030000000000000018bcfe568000000018bcfe5680000000000000004d20005ffff"
    "ffff000000012000000008000000010c00000000000b00";

std::string Build(Compression codec, int records, int value_size) {
  RecordBatchBuilder builder;
  BatchOptions options;
  options.compression = codec;
  builder.Reset(options);
  for (int i = 0; i < records; i++) {
    builder.Append("key" + std::to_string(i),
                   std::string(static_cast<size_t>(value_size), static_cast<char>('a' + i % 26)),
                   1'700'000'000'000 + i);
  }
  builder.Finish();
  return builder.TakeBytes();
}

void Seal(std::string* batch) {  // length and CRC after a change
  StoreBe32(batch->data() + 8, static_cast<uint32_t>(batch->size() - kBatchPrefixBytes));
  StoreBe32(batch->data() + 17, Crc32c(BytesView(*batch).substr(kBatchCrcFrom)));
}

KafkaError Check(const std::string& batch, ProduceLimits limits = {}) {
  InflateBuffer scratch;
  return CheckProduce(batch, limits, &scratch).error;
}

TEST(RecordBatch, ReadsJava) {
  for (const Captured& c : kJava) {
    SCOPED_TRACE(c.codec);
    const std::string bytes = FromHex(c.hex);
    auto batch = BatchView::Parse(bytes);
    ASSERT_TRUE(batch.ok()) << batch.error().ToString();
    EXPECT_TRUE(batch->CrcMatches());
    EXPECT_EQ(CompressionName(batch->compression()), c.codec);
    EXPECT_EQ(batch->base_offset(), 100);
    EXPECT_EQ(batch->next_offset(), 104);
    EXPECT_EQ(batch->partition_leader_epoch(), 5);
    EXPECT_EQ(batch->max_timestamp(), 1700000001000);
    if (batch->has_producer_id()) {
      EXPECT_EQ(batch->producer_id(), 77);
      EXPECT_EQ(batch->producer_epoch(), 3);
      EXPECT_EQ(batch->base_sequence(), 9);
      EXPECT_EQ(batch->last_sequence(), 12);
    }
    EXPECT_EQ(batch->transactional(), batch->compression() == Compression::kSnappy);
    RecordSet set;
    ASSERT_TRUE(DecodeRecords(*batch, {.check_crc = true}, &set).ok());
    ASSERT_EQ(set.records.size(), 4u);
    EXPECT_EQ(set.next_offset, 104);
    EXPECT_EQ(set.records[0].offset, 100);
    EXPECT_EQ(set.records[0].timestamp_ms, 1700000000000);
    EXPECT_EQ(set.records[0].key, "k1");
    EXPECT_EQ(set.records[0].value, "value-one");
    EXPECT_EQ(set.records[1].key.data(), nullptr);
    EXPECT_EQ(set.records[1].value, std::string(80, 'a'));
    EXPECT_EQ(set.records[2].timestamp_ms, 1699999999000);
    EXPECT_EQ(set.records[2].value.data(), nullptr);
    ASSERT_EQ(set.records[2].header_count, 2u);
    EXPECT_EQ(set.records[2].headers[0].key, "h1");
    EXPECT_EQ(set.records[2].headers[0].value, "v1");
    EXPECT_EQ(set.records[2].headers[1].key, "h2");
    EXPECT_EQ(set.records[2].headers[1].value.data(), nullptr);
    EXPECT_NE(set.records[3].key.data(), nullptr);
    EXPECT_EQ(set.records[3].key.size(), 0u);
    EXPECT_EQ(set.records[3].offset, 103);
  }
}

TEST(RecordBatch, BuildsWhatJavaBuilds) {
  RecordBatchBuilder builder;
  builder.Reset({});
  builder.Append("k1", "value-one", 1700000000000);
  builder.Append({}, std::string(80, 'a'), 1700000000250);
  const HeaderView headers[] = {{"h1", "v1"}, {"h2", {}}};
  builder.Append("k3", {}, 1699999999000, headers);
  builder.Append("", "", 1700000001000);
  EXPECT_EQ(builder.count(), 4);
  EXPECT_EQ(builder.Finish(100, 5), FromHex(kJava[0].hex));
}

TEST(RecordBatch, ReadsKafkaPython) {
  for (const Captured& c : kPython) {
    SCOPED_TRACE(c.codec);
    const std::string bytes = FromHex(c.hex);
    InflateBuffer scratch;
    ProduceCheck check = CheckProduce(bytes, {}, &scratch);
    ASSERT_EQ(check.error, KafkaError::kNone) << check.reason;
    EXPECT_EQ(check.max_timestamp_ms, 1700000000007);
    RecordSet set;
    ASSERT_TRUE(DecodeRecords(check.batch, {}, &set).ok());
    ASSERT_EQ(set.records.size(), 2u);
    EXPECT_EQ(set.records[0].value, "kafka-python kafka-python kafka-python kafka-python kafka-python ");
    EXPECT_EQ(set.records[0].header_count, 1u);
    EXPECT_EQ(set.records[1].value, "second");
  }
}

TEST(RecordBatch, ControlBatches) {
  const std::string java = FromHex(kJavaCommit);
  auto batch = BatchView::Parse(java);
  ASSERT_TRUE(batch.ok());
  EXPECT_TRUE(batch->control());
  EXPECT_TRUE(batch->CrcMatches());
  auto control = DecodeControl(*batch);
  ASSERT_TRUE(control.ok());
  EXPECT_EQ(control->type, ControlRecord::kCommit);
  EXPECT_EQ(control->coordinator_epoch, 11);
  EXPECT_EQ(BuildControlBatch({ControlRecord::kCommit, 11}, 1234, 5, 1700000000000, 42, 7), java);
  RecordSet set;
  ASSERT_TRUE(DecodeRecords(*batch, {}, &set).ok());
  EXPECT_TRUE(set.records.empty());
  EXPECT_EQ(set.next_offset, 43);
  EXPECT_EQ(Check(java), KafkaError::kInvalidRecord);  // clients may not write them
  EXPECT_FALSE(DecodeControl(*BatchView::Parse(FromHex(kJava[0].hex))).ok());
}

TEST(RecordBatch, RoundTripOfAllCodecs) {
  for (int c = 0; c <= 4; c++) {
    for (int records : {1, 3, 2000}) {
      SCOPED_TRACE(std::string(CompressionName(static_cast<Compression>(c))) + " " + std::to_string(records));
      std::string bytes = Build(static_cast<Compression>(c), records, 100);
      ASSERT_EQ(Check(bytes), KafkaError::kNone);
      SetBaseOffset(bytes.data(), 5'000'000'000);
      SetPartitionLeaderEpoch(bytes.data(), 9);
      auto batch = BatchView::Parse(bytes);
      ASSERT_TRUE(batch.ok());
      EXPECT_TRUE(batch->CrcMatches());
      RecordSet set;
      ASSERT_TRUE(DecodeRecords(*batch, {}, &set).ok());
      ASSERT_EQ(set.records.size(), static_cast<size_t>(records));
      for (int i = 0; i < records; i++) {
        const RecordView& r = set.records[static_cast<size_t>(i)];
        ASSERT_EQ(r.offset, 5'000'000'000 + i);
        ASSERT_EQ(r.timestamp_ms, 1'700'000'000'000 + i);
        ASSERT_EQ(r.key, "key" + std::to_string(i));
        ASSERT_EQ(r.value, std::string(100, static_cast<char>('a' + i % 26)));
      }
      // From the middle.
      RecordSet tail;
      ASSERT_TRUE(DecodeRecords(*batch, {.from_offset = 5'000'000'000 + records / 2}, &tail).ok());
      ASSERT_EQ(tail.records.size(), static_cast<size_t>(records - records / 2));
      EXPECT_EQ(tail.records[0].offset, 5'000'000'000 + records / 2);
    }
  }
}

TEST(RecordBatch, SeveralBatchesAndACutTail) {
  std::string bytes = Build(Compression::kNone, 3, 10);
  const size_t one = bytes.size();
  std::string second = Build(Compression::kLz4, 4, 10);
  SetBaseOffset(second.data(), 3);
  bytes += second;
  bytes += second.substr(0, 40);
  EXPECT_EQ(BatchSize(bytes), one);
  EXPECT_EQ(CompleteBatches(bytes).size(), one + second.size());
  RecordSet set;
  ASSERT_TRUE(DecodeAllRecords(bytes, {}, &set).ok());
  EXPECT_EQ(set.records.size(), 7u);
  EXPECT_EQ(set.next_offset, 7);
}

TEST(RecordBatch, LogAppendTime) {
  std::string bytes = Build(Compression::kNone, 3, 10);
  SetLogAppendTime(bytes.data(), 1'800'000'000'000);
  auto batch = BatchView::Parse(bytes);
  ASSERT_TRUE(batch.ok());
  EXPECT_TRUE(batch->CrcMatches());
  RecordSet set;
  ASSERT_TRUE(DecodeRecords(*batch, {}, &set).ok());
  for (const RecordView& r : set.records) EXPECT_EQ(r.timestamp_ms, 1'800'000'000'000);
}

TEST(RecordBatch, EmptyAfterCompaction) {
  std::string bytes = Build(Compression::kNone, 5, 10);
  bytes.resize(kBatchHeaderBytes);
  StoreBe32(bytes.data() + 57, 0);
  Seal(&bytes);
  auto batch = BatchView::Parse(bytes);
  ASSERT_TRUE(batch.ok());
  RecordSet set;
  ASSERT_TRUE(DecodeRecords(*batch, {}, &set).ok());
  EXPECT_EQ(set.next_offset, 5);
  EXPECT_EQ(Check(bytes), KafkaError::kInvalidRecord);  // but not from a client
}

TEST(RecordBatch, RefusedWithKafkasCodes) {
  const std::string good = Build(Compression::kNone, 3, 10);
  EXPECT_EQ(Check(good), KafkaError::kNone);
  EXPECT_EQ(Check(""), KafkaError::kInvalidRecord);
  EXPECT_EQ(Check(good.substr(0, good.size() - 1)), KafkaError::kInvalidRecord);
  EXPECT_EQ(Check(good + good), KafkaError::kInvalidRecord);
  EXPECT_EQ(Check(good, {.max_batch_bytes = 50}), KafkaError::kMessageTooLarge);
  EXPECT_EQ(Check(good.substr(0, 5)), KafkaError::kCorruptMessage);

  auto changed = [&](size_t at, char value, bool seal = true) {
    std::string bytes = good;
    bytes[at] = value;
    if (seal) StoreBe32(bytes.data() + 17, Crc32c(BytesView(bytes).substr(kBatchCrcFrom)));
    return bytes;
  };
  EXPECT_EQ(Check(changed(good.size() - 3, 'X', false)), KafkaError::kCorruptMessage);  // CRC
  EXPECT_EQ(Check(changed(16, 1)), KafkaError::kInvalidRecord);                         // old magic
  EXPECT_EQ(Check(changed(16, 3)), KafkaError::kCorruptMessage);                        // unknown magic
  EXPECT_EQ(Check(changed(22, 5)), KafkaError::kUnsupportedCompressionType);
  EXPECT_EQ(Check(changed(22, kAttributeControl)), KafkaError::kInvalidRecord);
  EXPECT_EQ(Check(changed(22, kAttributeTransactional)), KafkaError::kInvalidRecord);  // without producer id
  EXPECT_EQ(Check(changed(26, 7)), KafkaError::kInvalidRecord);                        // last offset delta
  EXPECT_EQ(Check(changed(60, 2)), KafkaError::kInvalidRecord);                        // record count
  EXPECT_EQ(Check(changed(60, 99)), KafkaError::kInvalidRecord);
  EXPECT_EQ(Check(changed(61, 0x7e)), KafkaError::kInvalidRecord);  // a record's length
  EXPECT_EQ(Check(changed(64, 4)), KafkaError::kInvalidRecord);     // a record's offset
  EXPECT_EQ(Check(changed(50, 1)), KafkaError::kNone);              // still no producer id
  std::string idempotent = good;
  StoreBe64(idempotent.data() + 43, 12);
  Seal(&idempotent);
  EXPECT_EQ(Check(idempotent), KafkaError::kInvalidRecord);  // no sequence, no epoch
  StoreBe16(idempotent.data() + 51, 0);
  StoreBe32(idempotent.data() + 53, 0);
  Seal(&idempotent);
  EXPECT_EQ(Check(idempotent), KafkaError::kNone);
  EXPECT_EQ(Check(Build(Compression::kZstd, 3, 10), {.allow_zstd = false}), KafkaError::kUnsupportedCompressionType);

  RecordBatchBuilder builder;
  builder.Reset({});
  builder.Append({}, "v", 1);
  const std::string keyless(builder.Finish());
  EXPECT_EQ(Check(keyless), KafkaError::kNone);
  EXPECT_EQ(Check(keyless, {.require_keys = true}), KafkaError::kInvalidRecord);
}

TEST(RecordBatch, TruncatedAndDamagedNeverCrash) {
  Random random(7);
  for (int c = 0; c <= 4; c++) {
    RecordBatchBuilder builder;
    BatchOptions options;
    options.compression = static_cast<Compression>(c);
    builder.Reset(options);
    const HeaderView headers[] = {{"h", "v"}};
    for (int i = 0; i < 5; i++) builder.Append("key", "some value some value some value", i, headers);
    const std::string good(builder.Finish());
    for (size_t n = 0; n < good.size(); n++) {
      std::vector<char> cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n));
      EXPECT_FALSE(BatchView::Parse({cut.data(), cut.size()}).ok());
      EXPECT_NE(Check(std::string(cut.data(), cut.size())), KafkaError::kNone);
    }
    for (int round = 0; round < 3000; round++) {
      std::string bytes = good;
      for (uint64_t k = random.Below(3); k <= 3; k++) {
        bytes[kBatchCrcFrom + random.Below(bytes.size() - kBatchCrcFrom)] = static_cast<char>(random.Next());
      }
      if (random.Below(4) == 0) bytes.resize(kBatchHeaderBytes + random.Below(bytes.size() - kBatchHeaderBytes));
      Seal(&bytes);
      std::vector<char> exact(bytes.begin(), bytes.end());
      BytesView view(exact.data(), exact.size());
      InflateBuffer scratch;
      ProduceLimits limits;
      limits.max_inflated_bytes = 1 << 20;
      const ProduceCheck check = CheckProduce(view, limits, &scratch);
      auto batch = BatchView::Parse(view);
      if (!batch.ok()) continue;
      RecordSet set;
      Status status = DecodeRecords(*batch, {.max_inflated_bytes = 1 << 20}, &set);
      EXPECT_TRUE(check.error != KafkaError::kNone || status.ok());
      EXPECT_TRUE(status.ok() || (set.records.empty() && set.owners.empty()));
    }
  }
}

TEST(RecordBatch, Bombs) {
  // 64 MB of zeros in each codec, announced as one record: refused at 1 MB.
  const std::string zeros(64 << 20, '\0');
  for (int c = 1; c <= 4; c++) {
    const auto codec = static_cast<Compression>(c);
    SCOPED_TRACE(std::string(CompressionName(codec)));
    std::string bytes(kBatchHeaderBytes, '\0');
    Deflate(codec, zeros, 0, &bytes);
    const std::string header = Build(Compression::kNone, 1, 1).substr(0, kBatchHeaderBytes);
    bytes.replace(0, kBatchHeaderBytes, header);
    StoreBe16(bytes.data() + 21, static_cast<uint16_t>(c));
    Seal(&bytes);
    ProduceLimits limits;
    limits.max_batch_bytes = SIZE_MAX;
    limits.max_inflated_bytes = 1 << 20;
    InflateBuffer scratch;
    const ProduceCheck check = CheckProduce(bytes, limits, &scratch);
    EXPECT_EQ(check.error, KafkaError::kMessageTooLarge) << check.reason;
    RecordSet set;
    Status status = DecodeRecords(*BatchView::Parse(bytes), {.max_inflated_bytes = 1 << 20}, &set);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code(), ErrorCode::kLimitExceeded);
    EXPECT_LE(scratch.view().size(), size_t{(1 << 20) + 1});
  }
}

TEST(Compression, ExactlyTheLimit) {
  const std::string data(100'000, 'q');
  for (int c = 0; c <= 4; c++) {
    const auto codec = static_cast<Compression>(c);
    std::string small;
    Deflate(codec, data, 0, &small);
    InflateBuffer out;
    ASSERT_TRUE(Inflate(codec, small, data.size(), &out).ok()) << c;
    EXPECT_EQ(out.view(), data);
    Status status = Inflate(codec, small, data.size() - 1, &out);
    ASSERT_FALSE(status.ok()) << c;
    EXPECT_EQ(status.error().code(), ErrorCode::kLimitExceeded);
  }
}

TEST(Compression, RawSnappyAndGzipMembers) {
  // librdkafka sends raw snappy, without xerial's framing: length 5, literal of 5 bytes.
  InflateBuffer out;
  ASSERT_TRUE(Inflate(Compression::kSnappy, std::string_view("\x05\x10hello", 7), 100, &out).ok());
  EXPECT_EQ(out.view(), "hello");
  EXPECT_FALSE(
      Inflate(Compression::kSnappy, std::string_view("\xff\xff\xff\xff\x0f\x10hello", 11), SIZE_MAX / 2, &out).ok());
  std::string two;
  Deflate(Compression::kGzip, "one", 0, &two);
  Deflate(Compression::kGzip, "two", 0, &two);
  ASSERT_TRUE(Inflate(Compression::kGzip, two, 100, &out).ok());
  EXPECT_EQ(out.view(), "onetwo");
  SharedBytes kept = out.Share();
  EXPECT_EQ(kept.view, "onetwo");
  EXPECT_EQ(out.view().size(), 0u);
}

TEST(Varint, RoundTripAndSize) {
  char bytes[16];
  for (int64_t v : {0ll, -1ll, 1ll, 63ll, -64ll, 64ll, 8191ll, -8193ll, 2147483647ll, -2147483648ll, INT64_MAX + 0ll,
                    INT64_MIN + 0ll}) {
    char* end = WriteVarlong(bytes, v);
    EXPECT_EQ(end - bytes, VarlongSize(v));
    int64_t back;
    EXPECT_EQ(ReadVarlong(bytes, end, &back), end);
    EXPECT_EQ(back, v);
    for (char* cut = bytes; cut < end; cut++) EXPECT_EQ(ReadVarlong(bytes, cut, &back), nullptr);
    int32_t narrow;
    EXPECT_EQ(ReadVarint(bytes, end, &narrow) != nullptr, v >= INT32_MIN && v <= INT32_MAX);
  }
}

}  // namespace
}  // namespace tailrace::wire
