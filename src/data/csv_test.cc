#include <gtest/gtest.h>

#include <cstring>

#include "base/random.h"
#include "data/codec.h"

namespace tailrace::data {
namespace {

FormatOptions Options(Schema schema, bool header = false) {
  FormatOptions options;
  options.schema = std::move(schema);
  options.header = header;
  for (size_t i = 0; i < options.schema.size(); i++) options.columns.push_back(static_cast<int>(i));
  return options;
}

TEST(Csv, QuotesNullsNewlinesAndHeader) {
  FormatOptions options = Options({{"b", TypeId::kInteger}, {"a", TypeId::kVarchar}}, true);
  auto decoder = MakeDecoder("csv", options).value();
  std::vector<std::string> lines = {"a,x,b",
                                    "\"say \"\"hi\"\", ok\",,1",
                                    ",2,",
                                    "\"\",2,3",
                                    "\"two\nlines\",z,4\r\n",
                                    "open,\"x",
                                    "a,b",
                                    "\"q\"x,1,1",
                                    "v,1,nine"};
  std::vector<RecordView> records;
  for (auto& l : lines) records.push_back({.value = l});
  Batch batch;
  std::vector<DecodeFailure> failures;
  EXPECT_EQ(decoder->Decode({"f", 0}, records, &batch, &failures), lines.size());
  ASSERT_EQ(batch.rows, 4u);
  const Column& a = batch.columns[1];
  EXPECT_EQ(a.Values<StringRef>()[0].view(), "say \"hi\", ok");
  EXPECT_FALSE(a.IsValid(1));
  EXPECT_FALSE(batch.columns[0].IsValid(1));
  EXPECT_TRUE(a.IsValid(2));
  EXPECT_EQ(a.Values<StringRef>()[2].view(), "");
  EXPECT_EQ(a.Values<StringRef>()[3].view(), "two\nlines");
  ASSERT_EQ(failures.size(), 4u);
  EXPECT_EQ(failures[0].reason, "a quoted field is not closed: the record is cut off");
  EXPECT_EQ(failures[1].reason, "expected 3 fields, found 2");
  EXPECT_EQ(failures[3].reason, "field b: expected INTEGER, found \"nine\"");

  auto encoder = MakeEncoder("csv", options).value();
  std::vector<BytesView> values;
  ASSERT_TRUE(encoder->Encode(batch, &values).ok());
  EXPECT_EQ(values[0], "1,\"say \"\"hi\"\", ok\"");
  EXPECT_EQ(values[1], ",");
  EXPECT_EQ(values[2], "3,\"\"");
}

TEST(Csv, AFailedRecordLeavesNoNullsBehind) {
  auto decoder = MakeDecoder("csv", Options({{"a", TypeId::kVarchar}, {"b", TypeId::kInteger}})).value();
  std::vector<RecordView> records = {{.value = ",x"}, {.value = "a,1"}};
  Batch batch;
  std::vector<DecodeFailure> failures;
  decoder->Decode({"f", 0}, records, &batch, &failures);
  EXPECT_EQ(failures.size(), 1u);
  ASSERT_EQ(batch.rows, 1u);
  EXPECT_TRUE(batch.columns[0].IsValid(0));
}

TEST(Csv, RandomRowsComeBackTheSame) {
  FormatOptions options =
      Options({{"i", TypeId::kBigInt}, {"s", TypeId::kVarchar}, {"d", TypeId::kDouble}, {"t", TypeId::kTimestamp}});
  auto decoder = MakeDecoder("csv", options).value();
  auto encoder = MakeEncoder("csv", options).value();
  static const char* kPieces[] = {"a", ",", "\"", "\n", "\r\n", " ", "\xC3\xA9", "text"};
  for (uint64_t seed = 1; seed <= 50; seed++) {
    Random random(seed);
    auto arena = std::make_shared<Arena>();
    Batch in;
    in.rows = 100;
    for (auto& f : options.schema) in.columns.push_back(AllocateColumn(*arena, f.type, in.rows));
    for (uint32_t r = 0; r < in.rows; r++) {
      in.columns[0].Values<int64_t>()[r] = static_cast<int64_t>(random.Next() >> random.Below(64));
      std::string s;
      for (uint64_t n = random.Below(6); n > 0; n--) s += kPieces[random.Below(8)];
      in.columns[1].Values<StringRef>()[r] = arena->Copy(s);
      in.columns[2].Values<double>()[r] = random.Unit() * 1e6;
      in.columns[3].Values<int64_t>()[r] = static_cast<int64_t>(random.Below(4'000'000'000'000'000));
      for (auto& c : in.columns)
        if (random.Below(8) == 0) c.SetNull(r);
    }
    std::vector<BytesView> values;
    ASSERT_TRUE(encoder->Encode(in, &values).ok());
    std::vector<std::string> texts(values.begin(), values.end());
    std::vector<RecordView> records;
    for (auto& t : texts) records.push_back({.value = t});
    Batch out;
    std::vector<DecodeFailure> failures;
    decoder->Decode({"t", 0}, records, &out, &failures);
    for (auto& f : failures) ADD_FAILURE() << f.reason << ": " << texts[f.record];
    values.clear();
    ASSERT_TRUE(encoder->Encode(out, &values).ok());
    for (size_t i = 0; i < texts.size(); i++) EXPECT_EQ(values[i], texts[i]);

    // Changed at random: a row or a reason.
    for (int k = 0; k < 200; k++) {
      std::string text = texts[random.Below(texts.size())];
      for (int n = 0; n < 3 && !text.empty(); n++) {
        if (random.Below(2)) text[random.Below(text.size())] = static_cast<char>(random.Next());
        else text.insert(random.Below(text.size()), 1, ",\"\n"[random.Below(3)]);
      }
      std::unique_ptr<char[]> exact(new char[text.size()]);
      memcpy(exact.get(), text.data(), text.size());
      RecordView record{.value = BytesView(exact.get(), text.size())};
      failures.clear();
      decoder->Decode({"t", 0}, {&record, 1}, &out, &failures);
      EXPECT_EQ(out.rows + failures.size(), 1u);
    }
  }
}

TEST(Csv, NestedTypesAreRefused) {
  EXPECT_EQ(MakeDecoder("csv", Options({{"l", Type::List(TypeId::kInteger)}})).error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(MakeDecoder("xml", Options({})).error().code(), ErrorCode::kInvalidArgument);
}

TEST(Raw, OneColumnOfBytes) {
  auto decoder = MakeDecoder("raw", Options({{"v", TypeId::kVarchar}})).value();
  std::vector<RecordView> records = {{.value = "anything {"}, {.value = "\xff"}};
  Batch batch;
  std::vector<DecodeFailure> failures;
  decoder->Decode({"t", 0}, records, &batch, &failures);
  EXPECT_EQ(batch.rows, 1u);
  EXPECT_EQ(batch.columns[0].Values<StringRef>()[0].view(), "anything {");
  EXPECT_EQ(failures.size(), 1u);
  EXPECT_FALSE(MakeDecoder("raw", Options({{"a", TypeId::kInteger}})).ok());
}

}  // namespace
}  // namespace tailrace::data
