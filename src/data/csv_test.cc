#include <gtest/gtest.h>

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
