#include "data/batch.h"

#include <gtest/gtest.h>

#include "data/value_text.h"

namespace tailrace::data {
namespace {

TEST(Arena, GivesAlignedMemoryAndForgets) {
  Arena arena;
  for (int round = 0; round < 3; round++) {
    for (size_t n : {1, 15, 16, 17, 100'000, 3, 9'000'000}) {
      auto* p = static_cast<char*>(arena.Allocate(n));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 16, 0u);
      memset(p, 0x5a, n);
    }
    EXPECT_EQ(arena.Copy("short").view(), "short");
    EXPECT_EQ(arena.Copy("a string that is longer than twelve").view(), "a string that is longer than twelve");
    arena.Reset();
    EXPECT_EQ(arena.used(), 0u);
  }
}

TEST(Batch, GatherTakesRowsInTheOrderGiven) {
  auto arena = std::make_shared<Arena>();
  Batch in;
  in.rows = 4;
  in.columns.push_back(AllocateColumn(*arena, TypeId::kInteger, 4));
  in.columns.push_back(AllocateColumn(*arena, Type::Struct({{"s", TypeId::kVarchar}}), 4));
  in.columns.push_back(AllocateColumn(*arena, Type::List(TypeId::kInteger), 4));
  AllocateChild(*arena, in.columns[2], 4);
  RowKind kinds[] = {RowKind::kInsert, RowKind::kDelete, RowKind::kUpdateAfter, RowKind::kInsert};
  in.kinds = kinds;
  for (int i = 0; i < 4; i++) {
    in.columns[0].Values<int32_t>()[i] = i * 10;
    in.columns[1].children[0].Values<StringRef>()[i] = arena->Copy("string number " + std::to_string(i));
    in.columns[2].children[0].Values<int32_t>()[i] = i;
    in.columns[2].Values<ListEntry>()[i] = {static_cast<uint64_t>(i), 1};
  }
  in.columns[0].SetNull(2);
  uint32_t selection[] = {3, 2, 2, 1};
  Batch out = Gather(in, selection, 4, arena);
  EXPECT_EQ(out.rows, 4u);
  EXPECT_EQ(out.columns[0].Values<int32_t>()[0], 30);
  EXPECT_TRUE(out.columns[0].IsValid(0));
  EXPECT_FALSE(out.columns[0].IsValid(1));
  EXPECT_EQ(out.columns[1].children[0].Values<StringRef>()[3].view(), "string number 1");
  EXPECT_EQ(out.columns[2].children[0].Values<int32_t>()[out.columns[2].Values<ListEntry>()[0].offset], 3);
  EXPECT_EQ(out.KindOf(3), RowKind::kDelete);
}

TEST(Types, PrintAsSql) {
  EXPECT_EQ(Type::Map(TypeId::kVarchar, Type::List(Type::Decimal(10, 2))).ToString(),
            "MAP<VARCHAR, ARRAY<DECIMAL(10,2)>>");
  EXPECT_EQ(Type::Struct({{"a", TypeId::kInteger}, {"b", TypeId::kTimestampTz}}).ToString(),
            "ROW<a INTEGER, b TIMESTAMP_LTZ>");
}

TEST(ValueText, TimesOfEveryForm) {
  int64_t t;
  auto ts = [&](const char* s) { return ParseTimestamp(s, &t) ? t : -1; };
  EXPECT_EQ(ts("1970-01-01 00:00:01"), 1'000'000);
  EXPECT_EQ(ts("1970-01-01T00:00:01.5Z"), 1'500'000);
  EXPECT_EQ(ts("1970-01-01T00:00:01.123456789Z"), 1'123'456);
  EXPECT_EQ(ts("1970-01-01T01:00:00+01:00"), 0);
  EXPECT_EQ(ts("1969-12-31T19:00:00-0500"), 0);
  EXPECT_EQ(ts("1970-01-02"), 86'400'000'000);
  EXPECT_EQ(ts("1970-01-01 00:01"), 60'000'000);
  EXPECT_EQ(ts("1970-01-01 00:00:00 UTC"), 0);
  for (const char* bad : {"1970-13-01 00:00:00", "1970-01-01T", "1970-01-01 24:00:00", "1970-01-01 00:00:00x",
                          "19700101", "1970-01-01 00:00:60"})
    EXPECT_FALSE(ParseTimestamp(bad, &t)) << bad;
  // Every 100 days over eight centuries, there and back.
  for (int64_t day = -150'000; day < 150'000; day += 100) {
    char text[kValueTextMax];
    char* end = WriteTimestamp(text, day * 86'400'000'000 + 123'456, TimestampFormat::kIso8601, true);
    ASSERT_TRUE(ParseTimestamp({text, static_cast<size_t>(end - text)}, &t)) << text;
    EXPECT_EQ(t, day * 86'400'000'000 + 123'456);
  }
}

TEST(ValueText, NumbersAtTheirLimits) {
  __int128 v;
  EXPECT_TRUE(ParseDecimal("99999999999999999999999999999999999999", 38, 0, &v));
  EXPECT_FALSE(ParseDecimal("100000000000000000000000000000000000000", 38, 0, &v));
  EXPECT_FALSE(ParseDecimal("99.995", 4, 2, &v));
  EXPECT_TRUE(ParseDecimal("99.994", 4, 2, &v));
  EXPECT_EQ(static_cast<int>(v), 9999);
  EXPECT_TRUE(ParseDecimal("0.00000000000000000000000000000000000000000000000001", 4, 2, &v));
  EXPECT_EQ(static_cast<int>(v), 0);
  EXPECT_TRUE(ParseDecimal(".5", 4, 2, &v));
  EXPECT_FALSE(ParseDecimal("", 4, 2, &v));
  EXPECT_FALSE(ParseDecimal("1e999999999999", 4, 2, &v));
  int64_t i;
  EXPECT_TRUE(ParseInt64("9223372036854775807", &i));
  EXPECT_FALSE(ParseInt64("9223372036854775808", &i));
  EXPECT_TRUE(ParseInt64("-9223372036854775808", &i));
  EXPECT_FALSE(ParseInt64("-", &i));
  double d;
  EXPECT_FALSE(ParseDouble("1e400", &d));
  EXPECT_TRUE(ParseDouble("-1e-400", &d));
  EXPECT_FALSE(ParseDouble("0x10", &d));
  char text[kValueTextMax];
  EXPECT_EQ(std::string(text, WriteDecimal(text, -5, 3)), "-0.005");
  EXPECT_EQ(std::string(text, WriteDecimal(text, 12345, 2)), "123.45");
  EXPECT_EQ(std::string(text, WriteDouble(text, 1e300)), "1e+300");
  Interval interval;
  EXPECT_TRUE(ParseInterval("2 years 1 month -3 days 01:02:03", &interval));
  EXPECT_EQ(interval.months, 25);
  EXPECT_EQ(interval.days, -3);
  EXPECT_EQ(interval.micros, 3'723'000'000);
  EXPECT_FALSE(ParseInterval("5 parsecs", &interval));
  EXPECT_FALSE(ParseInterval("1000000000000 hours", &interval));
  EXPECT_FALSE(ParseInterval("9000000000000 seconds 9000000000000 seconds", &interval));
  EXPECT_FALSE(ParseInteger("1e+-3", -1, 1, &v));
}

}  // namespace
}  // namespace tailrace::data
