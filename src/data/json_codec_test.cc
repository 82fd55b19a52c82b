#include <gtest/gtest.h>

#include <dirent.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/random.h"
#include "base/test_corpus.h"
#include "data/codec.h"
#include "data/value_text.h"

namespace tailrace::data {
namespace {

struct Decoded {
  Batch batch;
  std::vector<DecodeFailure> failures;
  // What the views point at.
  std::vector<std::string> texts;
};

struct Codec {
  Schema schema;
  std::unique_ptr<Decoder> decoder;
  std::unique_ptr<Encoder> encoder;

  explicit Codec(Schema s, std::vector<int> columns = {}, bool fail_on_missing = false) : schema(s) {
    FormatOptions options;
    options.schema = schema;
    options.columns = std::move(columns);
    options.fail_on_missing_field = fail_on_missing;
    if (options.columns.empty())
      for (size_t i = 0; i < schema.size(); i++) options.columns.push_back(static_cast<int>(i));
    decoder = MakeDecoder("json", options).value();
    encoder = MakeEncoder("json", options).value();
  }
  std::unique_ptr<Decoded> Decode(std::vector<std::string> texts) {
    auto out = std::make_unique<Decoded>();
    out->texts = std::move(texts);
    std::vector<RecordView> records;
    for (size_t i = 0; i < out->texts.size(); i++)
      records.push_back({.offset = static_cast<int64_t>(i), .timestamp_ms = 7, .value = out->texts[i]});
    uint32_t taken = decoder->Decode({"t", 1}, records, &out->batch, &out->failures);
    EXPECT_EQ(taken, records.size());
    return out;
  }
  std::string Reason(const std::string& text) {
    auto decoded = Decode({text});
    return decoded->failures.empty() ? "" : decoded->failures[0].reason;
  }
  std::string RoundTrip(const std::string& text) {
    auto decoded = Decode({text});
    if (!decoded->failures.empty()) return "FAILED " + decoded->failures[0].reason;
    std::vector<BytesView> values;
    EXPECT_TRUE(encoder->Encode(decoded->batch, &values).ok());
    return std::string(values.at(0));
  }
};

Codec OneColumn(Type type) { return Codec({{"c", std::move(type)}}); }

TEST(Json, ScalarsOfEveryType) {
  auto round = [](Type type, const std::string& value) {
    std::string text = OneColumn(std::move(type)).RoundTrip("{\"c\":" + value + "}");
    if (text.substr(0, 5) != "{\"c\":") return text;
    return text.substr(5, text.size() - 6);
  };
  EXPECT_EQ(round(TypeId::kBoolean, "true"), "true");
  EXPECT_EQ(round(TypeId::kTinyInt, "-128"), "-128");
  EXPECT_EQ(round(TypeId::kInteger, "2147483647"), "2147483647");
  EXPECT_EQ(round(TypeId::kInteger, "1.0"), "1");
  EXPECT_EQ(round(TypeId::kInteger, "\"12\""), "12");
  EXPECT_EQ(round(TypeId::kBigInt, "-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(round(TypeId::kHugeInt, "170141183460469231731687303715884105727"),
            "170141183460469231731687303715884105727");
  EXPECT_EQ(round(TypeId::kDouble, "0.1"), "0.1");
  EXPECT_EQ(round(TypeId::kDouble, "1"), "1.0");
  EXPECT_EQ(round(TypeId::kDouble, "1e-400"), "0.0");
  EXPECT_EQ(round(TypeId::kDouble, "5e-324"), "5e-324");
  EXPECT_EQ(round(TypeId::kDouble, "\"NaN\""), "\"NaN\"");
  EXPECT_EQ(round(TypeId::kFloat, "0.1"), "0.1");
  EXPECT_EQ(round(Type::Decimal(10, 2), "12.345"), "12.35");
  EXPECT_EQ(round(Type::Decimal(10, 2), "-0.005"), "-0.01");
  EXPECT_EQ(round(Type::Decimal(38, 10), "1234567890123456789012345678.0123456789"),
            "1234567890123456789012345678.0123456789");
  EXPECT_EQ(round(Type::Decimal(4, 1), "1e2"), "100.0");
  EXPECT_EQ(round(TypeId::kVarchar, "\"a\\u00e9\\n\\ud83d\\ude00\""), "\"a\xC3\xA9\\n\xF0\x9F\x98\x80\"");
  EXPECT_EQ(round(TypeId::kVarchar, "12.50"), "\"12.50\"");
  EXPECT_EQ(round(TypeId::kVarchar, "{\"a\": [1, 2]}"), "\"{\\\"a\\\": [1, 2]}\"");
  EXPECT_EQ(round(TypeId::kVarchar, "[]"), "\"[]\"");
  EXPECT_EQ(round(TypeId::kBlob, "\"AAEC/w==\""), "\"AAEC/w==\"");
  EXPECT_EQ(round(TypeId::kDate, "\"2024-02-29\""), "\"2024-02-29\"");
  EXPECT_EQ(round(TypeId::kTime, "\"10:30:00.5\""), "\"10:30:00.500\"");
  EXPECT_EQ(round(TypeId::kTimestamp, "\"2024-01-15 10:30:00.123\""), "\"2024-01-15T10:30:00.123Z\"");
  EXPECT_EQ(round(TypeId::kTimestamp, "\"2024-01-15T10:30:00.123456+02:00\""), "\"2024-01-15T08:30:00.123456Z\"");
  EXPECT_EQ(round(TypeId::kTimestampTz, "\"1969-12-31T23:59:59.999Z\""), "\"1969-12-31T23:59:59.999Z\"");
  EXPECT_EQ(round(TypeId::kUuid, "\"550e8400-e29b-41d4-a716-446655440000\""),
            "\"550e8400-e29b-41d4-a716-446655440000\"");
  EXPECT_EQ(round(TypeId::kInterval, "\"1 day 02:00:00\""), "\"1 days 7200000000 us\"");
  EXPECT_EQ(round(TypeId::kInteger, "null"), "null");
}

TEST(Json, NestedRowsArraysMaps) {
  Schema schema = {{"r", Type::Struct({{"a", TypeId::kInteger}, {"b", Type::List(TypeId::kVarchar)}})},
                   {"l", Type::List(Type::Struct({{"x", TypeId::kDouble}, {"y", Type::List(TypeId::kBigInt)}}))},
                   {"m", Type::Map(TypeId::kVarchar, Type::List(TypeId::kInteger))}};
  Codec codec(schema);
  std::string text =
      R"({"r":{"a":1,"b":["p","a long string of over twelve bytes"]},"l":[{"x":1.5,"y":[1,2,3]},{"x":null,"y":[]},null],"m":{"k":[1],"k2":[2,3]}})";
  EXPECT_EQ(codec.RoundTrip(text),
            text.substr(0, text.find(",null],\"m\"")) + ",null],\"m\":{\"k\":[1],\"k2\":[2,3]}}");
  EXPECT_EQ(codec.RoundTrip("{}"), R"({"r":null,"l":null,"m":null})");
  EXPECT_EQ(codec.Reason(R"({"r":{"a":1,"b":["p",{}, 3]},"l":[{"x":"no"}]})"),
            "field l[0].x: expected DOUBLE, found a string \"no\" at byte 39");

  // A record that fails gives back its elements; the next takes their place.
  auto decoded = codec.Decode({R"({"l":[{"x":1,"y":[1]}]})", R"({"l":[{"x":2,"y":[7,8,9]},{"x":3,"y":["bad"]}]})",
                               R"({"l":[{"x":4,"y":[5]}]})"});
  ASSERT_EQ(decoded->failures.size(), 1u);
  EXPECT_EQ(decoded->batch.rows, 2u);
  EXPECT_EQ(decoded->batch.columns[1].list_size, 2u);
  EXPECT_EQ(decoded->batch.columns[1].children[0].children[1].list_size, 2u);
  EXPECT_EQ(decoded->batch.origins[1].offset, 2);
}

TEST(Json, ManyListElementsGrow) {
  Codec codec({{"l", Type::List(Type::Struct({{"x", TypeId::kInteger}, {"s", TypeId::kVarchar}}))}});
  std::string text = "{\"l\":[";
  for (int i = 0; i < 5000; i++)
    text += (i ? "," : "") + std::string("{\"x\":") + (i % 7 ? std::to_string(i) : "null") + ",\"s\":\"value number " +
            std::to_string(i) + "\"}";
  text += "]}";
  EXPECT_EQ(codec.RoundTrip(text), text);
}

TEST(Json, FailuresNameFieldExpectationAndFinding) {
  Codec codec({{"id", TypeId::kInteger}, {"ts", TypeId::kTimestamp}, {"name", TypeId::kVarchar}});
  EXPECT_EQ(codec.Reason(R"({"id":"x"})"), "field id: expected INTEGER, found a string \"x\" at byte 6");
  EXPECT_EQ(codec.Reason(R"({"id":2147483648})"), "field id: expected INTEGER, found a number 2147483648 at byte 6");
  EXPECT_EQ(codec.Reason(R"({"id":1.5})"), "field id: expected INTEGER, found a number 1.5 at byte 6");
  EXPECT_EQ(codec.Reason(R"({"id":01})"), "field id: expected INTEGER, found '01' at byte 6");
  EXPECT_EQ(codec.Reason(R"({"id":true})"), "field id: expected INTEGER, found true at byte 6");
  EXPECT_EQ(codec.Reason(R"({"id":{}})"), "field id: expected INTEGER, found an object at byte 6");
  EXPECT_EQ(codec.Reason(R"({"ts":1705314600})"), "field ts: expected TIMESTAMP, found a number 1705314600 at byte 6");
  EXPECT_EQ(codec.Reason(R"({"ts":"2024-02-30 00:00:00"})"),
            "field ts: expected TIMESTAMP, found a string \"2024-02-30 00:00:00\" at byte 6");
  EXPECT_EQ(codec.Reason(R"({"id":1,"id":2})"), "field id: appears twice");
  EXPECT_EQ(codec.Reason(R"({"id":1} x)"), "expected the end of the record, found 'x' at byte 9");
  EXPECT_EQ(codec.Reason(R"({"id":1)"), "expected ',' or '}', found the end of the record");
  EXPECT_EQ(codec.Reason(R"({"id":1,)"), "expected a field name, found the end of the record");
  EXPECT_EQ(codec.Reason(R"({"id":1,"na)"), "a string is not closed: the record is cut off");
  EXPECT_EQ(codec.Reason(R"([1])"), "expected a JSON object, found an array at byte 0");
  EXPECT_EQ(codec.Reason("not json"), "expected a JSON object, found 'not' at byte 0");
  EXPECT_EQ(codec.Reason(""), "the record is empty");
  EXPECT_EQ(codec.Reason("{\"other\":\"\xff\"}"), "the record is not valid UTF-8");
  EXPECT_EQ(codec.Reason("{\"name\":\"a\nb\"}"), "a string has a control character that is not escaped");
  EXPECT_EQ(codec.Reason(R"({"name":"\ud800"})"), "field name: a string has half a surrogate pair: not a character");
  // Fields nobody asked for must be JSON all the same.
  EXPECT_EQ(codec.Reason(R"({"other":[1 2],"id":1})"), "field other: expected ',' or ']', found a number 2 at byte 12");
  EXPECT_EQ(codec.Reason(R"({"other":tru})"), "field other: expected a value, found 'tru' at byte 9");
  EXPECT_EQ(codec.Reason(R"({"other":{"a":{"b":[1,{"c":null}]}}})"), "");
  EXPECT_NE(codec.Reason("{\"other\":" + std::string(100, '[') + std::string(100, ']') + "}"), "");
  EXPECT_NE(codec.Reason("{\"other\":" + std::string(100'000, '[')), "");
  EXPECT_EQ(Codec({{"a", TypeId::kInteger}}, {}, true).Reason("{}"), "field a: is missing");
}

TEST(Json, AFailedRecordLeavesNoNullsBehind) {
  Codec codec({{"a", TypeId::kInteger},
               {"r", Type::Struct({{"x", TypeId::kVarchar}, {"y", TypeId::kInteger}})},
               {"b", TypeId::kInteger}});
  auto decoded = codec.Decode({R"({"a":null,"r":null,"b":"no number"})", R"({"r":{"y":null},"b":"nor this"})",
                               R"({"a":1,"r":{"x":"s","y":2},"b":3})"});
  EXPECT_EQ(decoded->failures.size(), 2u);
  std::vector<BytesView> values;
  ASSERT_TRUE(codec.encoder->Encode(decoded->batch, &values).ok());
  ASSERT_EQ(values.size(), 1u);
  EXPECT_EQ(values[0], R"({"a":1,"r":{"x":"s","y":2},"b":3})");
}

TEST(Json, OnlyTheColumnsWantedInTheOrderWanted) {
  Codec codec({{"a", TypeId::kInteger}, {"b", TypeId::kVarchar}, {"c", TypeId::kInteger}}, {2, 0});
  auto decoded = codec.Decode({R"({"a":1,"b":5,"c":3})", R"({"c":30,"a":10})", R"({"\u0061":7,"c":8})"});
  ASSERT_EQ(decoded->batch.columns.size(), 2u);
  EXPECT_EQ(decoded->batch.columns[0].Values<int32_t>()[0], 3);
  EXPECT_EQ(decoded->batch.columns[1].Values<int32_t>()[0], 1);
  EXPECT_EQ(decoded->batch.columns[0].Values<int32_t>()[1], 30);
  EXPECT_EQ(decoded->batch.columns[1].Values<int32_t>()[2], 7);
}

TEST(Json, BatchesEndAtTheirLimitAndTombstonesAreNoRows) {
  Codec codec({{"a", TypeId::kInteger}});
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; i++) texts.push_back("{\"a\":" + std::to_string(i) + "}");
  std::vector<RecordView> records;
  for (auto& t : texts) records.push_back({.value = t});
  records[10].value = BytesView();
  Batch batch;
  std::vector<DecodeFailure> failures;
  uint32_t taken = codec.decoder->Decode({"t", 0}, records, &batch, &failures);
  EXPECT_EQ(taken, kBatchRows + 1);
  EXPECT_EQ(batch.rows, kBatchRows);
  EXPECT_EQ(batch.columns[0].Values<int32_t>()[10], 11);
}

// https://github.com/nst/JSONTestSuite: y_ must be taken, n_ must not, i_ may be either. Wrapped as a field's value,
// wanted and unwanted, because records are objects.
TEST(Json, TestSuite) {
  std::string folder = TestCorpus("json_test_suite");
  std::string open_arrays(100'000, '['), open_both;
  for (int i = 0; i < 50'000; i++) open_both += "[{\"\":";
  std::vector<std::pair<std::string, std::string>> files = {{"n_100000_opening_arrays", open_arrays},
                                                            {"n_open_array_object", open_both}};
  DIR* dir = opendir(folder.c_str());
  ASSERT_NE(dir, nullptr) << folder;
  while (dirent* entry = readdir(dir)) {
    std::string name = entry->d_name;
    if (name.size() < 5 || name.substr(name.size() - 5) != ".json") continue;
    std::ifstream in(folder + name, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    files.emplace_back(name, text.str());
  }
  closedir(dir);
  ASSERT_EQ(files.size(), 318u);
  int checked = 0;
  for (bool wanted : {false, true}) {
    Codec codec({{"v", TypeId::kVarchar}, {"w", TypeId::kInteger}}, {wanted ? 0 : 1});
    for (auto& [name, text] : files) {
      std::string reason = codec.Reason("{\"v\":" + text + "}");
      if (name[0] == 'y') { EXPECT_EQ(reason, "") << name; }
      // These two are bad only as whole texts.
      if (name[0] == 'n' && name.find("n_structure_no_data") == std::string::npos) {
        EXPECT_NE(reason, "") << name << wanted;
      }
      checked++;
    }
  }
  EXPECT_GE(checked, 16);
}

std::string RandomString(Random& random) {
  static const char* kPieces[] = {"a",
                                  "Z",
                                  "\"",
                                  "\\",
                                  "\n",
                                  "\x01",
                                  "\xC3\xA9",
                                  "\xE4\xB8\xAD",
                                  "\xF0\x9F\x98\x80",
                                  "/",
                                  " ",
                                  "plain text of some length"};
  std::string s;
  for (uint64_t n = random.Below(8); n > 0; n--) s += kPieces[random.Below(12)];
  return s;
}

TEST(Json, RandomRowsComeBackTheSame) {
  Schema schema = {{"i", TypeId::kBigInt},
                   {"d", TypeId::kDouble},
                   {"s", TypeId::kVarchar},
                   {"t", TypeId::kTimestamp},
                   {"b", TypeId::kBoolean},
                   {"n", Type::Decimal(18, 4)},
                   {"l", Type::List(TypeId::kVarchar)}};
  Codec codec(schema);
  for (uint64_t seed = 1; seed <= 50; seed++) {
    Random random(seed);
    auto arena = std::make_shared<Arena>();
    Batch in;
    in.rows = 100;
    for (auto& f : schema) in.columns.push_back(AllocateColumn(*arena, f.type, in.rows));
    AllocateChild(*arena, in.columns[6], 300);
    std::vector<std::string> strings;
    strings.reserve(1000);
    for (uint32_t r = 0; r < in.rows; r++) {
      in.columns[0].Values<int64_t>()[r] = static_cast<int64_t>(random.Next() >> random.Below(64));
      double d;
      do {
        uint64_t bits = random.Next();
        memcpy(&d, &bits, 8);
      } while (!std::isfinite(d));
      in.columns[1].Values<double>()[r] = d;
      strings.push_back(RandomString(random));
      in.columns[2].Values<StringRef>()[r] = StringRef(strings.back());
      in.columns[3].Values<int64_t>()[r] = static_cast<int64_t>(random.Below(253'402'300'800'000'000ull));
      in.columns[4].Values<uint8_t>()[r] = random.Below(2);
      in.columns[5].Values<int64_t>()[r] =
          static_cast<int64_t>(random.Below(1'000'000'000'000'000'000ull)) * (random.Below(2) ? 1 : -1);
      in.columns[6].Values<ListEntry>()[r] = {r * 3, random.Below(4)};
      for (int k = 0; k < 3; k++) {
        strings.push_back(RandomString(random));
        in.columns[6].children[0].Values<StringRef>()[r * 3 + k] = StringRef(strings.back());
      }
      for (auto& c : in.columns)
        if (random.Below(10) == 0) c.SetNull(r);
    }
    std::vector<BytesView> values;
    ASSERT_TRUE(codec.encoder->Encode(in, &values).ok());
    std::vector<std::string> texts(values.begin(), values.end());
    auto decoded = codec.Decode(texts);
    for (auto& f : decoded->failures) ADD_FAILURE() << f.reason << " " << texts[f.record];
    values.clear();
    ASSERT_TRUE(codec.encoder->Encode(decoded->batch, &values).ok());
    for (size_t i = 0; i < texts.size(); i++) EXPECT_EQ(values[i], texts[i]);
    for (uint32_t r = 0; r < in.rows; r++) {
      for (int c : {0, 1, 3, 5})
        if (in.columns[c].IsValid(r)) {
          EXPECT_EQ(in.columns[c].Values<int64_t>()[r], decoded->batch.columns[c].Values<int64_t>()[r]);
        }
      if (in.columns[2].IsValid(r)) {
        EXPECT_EQ(in.columns[2].Values<StringRef>()[r].view(), decoded->batch.columns[2].Values<StringRef>()[r].view());
      }
    }
  }
}

// Bytes changed, dropped and doubled at random: a row or a reason, never a crash (run under asan), and whatever is
// taken encodes to something that is taken again.
TEST(Json, MutatedRecordsNeverCrash) {
  Schema schema = {{"id", TypeId::kInteger},
                   {"r", Type::Struct({{"a", TypeId::kVarchar}, {"l", Type::List(TypeId::kDouble)}})},
                   {"ts", TypeId::kTimestamp},
                   {"m", Type::Map(TypeId::kVarchar, TypeId::kBigInt)},
                   {"raw", TypeId::kVarchar}};
  Codec codec(schema), again(schema);
  const std::string good =
      R"({"id":12,"skip":{"x":[1,2,{"y":"\u00e9"}]},"r":{"a":"te\"xt","l":[1.5,2,-3e5]},"ts":"2024-01-15T10:30:00Z","m":{"k":1,"j":2},"raw":{"deep":[[],{}]}})";
  ASSERT_EQ(codec.Reason(good), "");
  int taken = 0;
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    Random random(seed);
    std::string text = good;
    for (uint64_t n = random.Below(4) + 1; n > 0 && !text.empty(); n--) {
      size_t at = random.Below(text.size());
      switch (random.Below(5)) {
        case 0: text[at] = static_cast<char>(random.Next()); break;
        case 1: text.erase(at, random.Below(8)); break;
        case 2: text.insert(at, text.substr(random.Below(text.size()), random.Below(16))); break;
        case 3: text[at] = "{}[],:\"\\0-e.tn"[random.Below(14)]; break;
        default: text.resize(at);
      }
    }
    // In a heap block of exactly its size: reading past the end is seen by asan.
    std::unique_ptr<char[]> exact(new char[text.size()]);
    memcpy(exact.get(), text.data(), text.size());
    RecordView record{.value = BytesView(exact.get(), text.size())};
    Batch batch;
    std::vector<DecodeFailure> failures;
    codec.decoder->Decode({"t", 0}, {&record, 1}, &batch, &failures);
    ASSERT_EQ(batch.rows + failures.size(), 1u);
    if (!batch.rows) continue;
    taken++;
    std::vector<BytesView> values;
    ASSERT_TRUE(codec.encoder->Encode(batch, &values).ok());
    EXPECT_EQ(again.Reason(std::string(values[0])), "") << text;
  }
  EXPECT_GT(taken, 100);
}

TEST(Json, NaughtyStringsComeBack) {
  std::ifstream in(TestCorpus("naughty_strings") + "blns.txt", std::ios::binary);
  ASSERT_TRUE(in.good());
  std::vector<std::string> lines = {"",        "undefined",           "\xE2\x80\xAE", "'; DROP TABLE users",
                                    "\\u0000", std::string("a\0b", 3)};
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  Codec codec({{"c", TypeId::kVarchar}});
  auto arena = std::make_shared<Arena>();
  for (auto& line : lines) {
    Batch batch;
    batch.rows = 1;
    batch.columns.push_back(AllocateColumn(*arena, TypeId::kVarchar, 1));
    batch.columns[0].Values<StringRef>()[0] = StringRef(line);
    std::vector<BytesView> values;
    ASSERT_TRUE(codec.encoder->Encode(batch, &values).ok());
    auto decoded = codec.Decode({std::string(values[0])});
    if (!IsUtf8(line)) continue;
    ASSERT_TRUE(decoded->failures.empty()) << line;
    EXPECT_EQ(decoded->batch.columns[0].Values<StringRef>()[0].view(), line);
  }
}

}  // namespace
}  // namespace tailrace::data
