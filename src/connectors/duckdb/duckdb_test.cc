#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/random.h"
#include "connectors/duckdb/store.h"
#include "connectors/test_support.h"
#include "data/batch_bytes.h"

namespace tailrace::connectors {
namespace {

using data::RowKind;

std::string One(const std::string& path, const std::string& sql) {
  auto store = Store::Open(path);
  if (!store.ok()) return store.error().ToString();
  auto result = (*store)->Query(sql, {});
  if (!result.ok()) return result.error().ToString();
  std::string text;
  for (auto& row : result->json) text += row + "\n";
  return text;
}

TEST(Store, TypesLimitsErrors) {
  TempDir dir;
  auto store = Store::Open(dir / "s.duckdb").value();
  EXPECT_EQ(Store::Open(dir / "./s.duckdb").value(), store);
  auto result = store->Query(
      "CREATE TABLE t AS SELECT range::INTEGER AS i FROM range(10); "
      "SELECT 1::UTINYINT AS a, 'x' AS b, 1.50::DECIMAL(5,2) AS c, DATE '2024-01-15' AS d, TIMESTAMP '2024-01-15 "
      "10:30:00.5' AS e, "
      "[1,2] AS f, {'x': 1, 'y': [NULL, 'z']} AS g, MAP {'k': 1} AS h, NULL AS i, 'b'::ENUM('a','b') AS j, "
      "'550e8400-e29b-41d4-a716-446655440000'::UUID AS k, 18446744073709551615::UBIGINT AS l",
      {});
  ASSERT_TRUE(result.ok()) << result.error().ToString();
  ASSERT_EQ(result->json.size(), 1u);
  EXPECT_EQ(
      result->json[0],
      R"({"a":1,"b":"x","c":1.50,"d":"2024-01-15","e":"2024-01-15T10:30:00.500Z","f":[1,2],"g":{"x":1,"y":[null,"z"]},)"
      R"("h":{"k":1},"i":null,"j":"b","k":"550e8400-e29b-41d4-a716-446655440000","l":18446744073709551615})");
  EXPECT_EQ(*result->rows[0][6], R"({"x":1,"y":[null,"z"]})");
  EXPECT_FALSE(result->rows[0][8].has_value());

  QueryOptions few;
  few.row_limit = 7;
  result = store->Query("SELECT * FROM range(1000000000)", few);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->rows.size(), 7u);
  EXPECT_TRUE(result->truncated);

  QueryOptions quick;
  quick.timeout_ms = 100;
  result = store->Query("SELECT count(*) FROM range(100000000000) t(i) WHERE i % 7 = 3", quick);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), ErrorCode::kTimeout);

  EXPECT_EQ(store->Query("INSERT INTO t VALUES (10), (11)", {}).value().rows_changed, 2u);
  EXPECT_FALSE(store->Query("SELECT nothing FROM t", {}).ok());
  EXPECT_FALSE(store->Query("", {}).ok());
}

TEST(Store, OpensAndClosesFromManyThreads) {
  TempDir dir;
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < 4; t++)
    threads.emplace_back([&] {
      for (int i = 0; i < 10; i++) {
        auto store = Store::Open(dir / "s.duckdb");
        if (!store.ok() || !(*store)->Query("SELECT 1", {}).ok()) failures++;
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(failures, 0);
}

const char* kAppend =
    "CREATE TABLE t (id BIGINT, s VARCHAR, l ARRAY<INT>) WITH ('connector' = 'duckdb', 'path' = 'd/s.duckdb', 'table' "
    "= 'app.t');";
const char* kUpsert =
    "CREATE TABLE t (k VARCHAR, v INT, r ROW<a INT, b VARCHAR>, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = "
    "'duckdb', 'path' = 's.duckdb');";

TEST(DuckdbSink, AppendsOnceHoweverOftenCommitted) {
  TempDir dir;
  {
    TestJob job(kAppend, {}, dir.path());
    auto schema = job.table("t").physical_schema();
    auto sink = job.Sink("t");
    Status opened = sink->Open();
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    ASSERT_TRUE(sink->Discard(0).ok());
    ASSERT_TRUE(sink->Write(MakeBatch(schema, {R"({"id":1,"s":"a","l":[1,2]})", R"({"id":2,"s":null,"l":[]})"})).ok());
    ASSERT_TRUE(sink->Write(MakeBatch(schema, {R"({"id":3,"s":"long enough to be a pointer","l":[3]})"})).ok());
    std::string prepared = sink->Prepare(5).value();
    EXPECT_EQ(One(dir / "d/s.duckdb", "SELECT count(*) AS n FROM app.t"), "{\"n\":0}\n");
    Status committed = sink->Commit(5, prepared);
    ASSERT_TRUE(committed.ok()) << committed.error().ToString();
    ASSERT_TRUE(sink->Commit(5, prepared).ok());
    auto again = job.connectors->MakeSink(job.table("t"), job.context);  // "t.2": another sink of the same job
    ASSERT_TRUE(again.ok());
    auto next_life = TestJob(kAppend, {}, dir.path());
    auto reborn = next_life.Sink("t");
    ASSERT_TRUE(reborn->Open().ok());
    ASSERT_TRUE(reborn->Commit(5, prepared).ok());
    EXPECT_EQ(One(dir / "d/s.duckdb", "SELECT * FROM app.t ORDER BY id"),
              "{\"id\":1,\"s\":\"a\",\"l\":[1,2]}\n{\"id\":2,\"s\":null,\"l\":[]}\n{\"id\":3,\"s\":\"long enough to be "
              "a pointer\",\"l\":[3]}\n");
    // A row that takes another back has no place here.
    Status refused = reborn->Write(MakeBatch(schema, {R"({"id":1})"}, {RowKind::kDelete}));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kUnsupported);
    // Broken bytes are noticed, not applied.
    prepared[prepared.size() / 2] ^= 1;
    EXPECT_EQ(reborn->Commit(6, prepared).error().code(), ErrorCode::kCorrupt);
    // A new life of the job from the start counts from one again.
    ASSERT_TRUE(reborn->Discard(0).ok());
    ASSERT_TRUE(reborn->Write(MakeBatch(schema, {R"({"id":4})"})).ok());
    ASSERT_TRUE(reborn->Commit(1, reborn->Prepare(1).value()).ok());
  }
  EXPECT_EQ(One(dir / "d/s.duckdb", "SELECT count(*) AS n FROM app.t"), "{\"n\":4}\n");
}

TEST(DuckdbSink, UpsertsTheLastChangeOfEachKey) {
  TempDir dir;
  TestJob job(kUpsert, {}, dir.path());
  auto schema = job.table("t").physical_schema();
  auto sink = job.Sink("t");
  ASSERT_TRUE(sink->Open().ok());
  auto commit = [&](uint64_t epoch) {
    Status s = sink->Commit(epoch, sink->Prepare(epoch).value());
    EXPECT_TRUE(s.ok()) << s.error().ToString();
  };
  ASSERT_TRUE(sink->Write(MakeBatch(schema, {R"({"k":"a","v":1,"r":{"a":1,"b":"x"}})", R"({"k":"b","v":1})",
                                             R"({"k":"a","v":2})", R"({"k":null,"v":9})"}))
                  .ok());
  commit(1);
  EXPECT_EQ(One(dir / "s.duckdb", "SELECT k, v FROM t ORDER BY k"), "{\"k\":\"a\",\"v\":2}\n{\"k\":\"b\",\"v\":1}\n");
  ASSERT_TRUE(sink->Write(MakeBatch(schema,
                                    {R"({"k":"a","v":2})", R"({"k":"a","v":3})", R"({"k":"b","v":1})",
                                     R"({"k":"c","v":1})", R"({"k":"c","v":1})", R"({"k":"c","v":5,"r":{"a":7}})"},
                                    {RowKind::kUpdateBefore, RowKind::kUpdateAfter, RowKind::kDelete, RowKind::kInsert,
                                     RowKind::kDelete, RowKind::kInsert}))
                  .ok());
  commit(2);
  EXPECT_EQ(One(dir / "s.duckdb", "SELECT k, v, r.a AS a FROM t ORDER BY k"),
            "{\"k\":\"a\",\"v\":3,\"a\":null}\n{\"k\":\"c\",\"v\":5,\"a\":7}\n");
}

TEST(DuckdbSink, FillsAnExistingTableThatHasMore) {
  TempDir dir;
  auto store = Store::Open(dir / "s.duckdb").value();
  ASSERT_TRUE(
      store->Execute("CREATE TABLE t (id UUID, created_at TIMESTAMP DEFAULT current_timestamp, n INTEGER)").ok());
  TestJob job(
      "CREATE TABLE t (n INT, id VARCHAR) WITH ('connector' = 'duckdb', 'path' = 's.duckdb');"
      "CREATE TABLE w (missing INT) WITH ('connector' = 'duckdb', 'path' = 's.duckdb', 'table' = 't');",
      {}, dir.path());
  auto sink = job.Sink("t");
  Status opened = sink->Open();
  ASSERT_TRUE(opened.ok()) << opened.error().ToString();
  ASSERT_TRUE(sink->Write(MakeBatch(job.table("t").physical_schema(),
                                    {R"({"n":1,"id":"550e8400-e29b-41d4-a716-446655440000"})"}))
                  .ok());
  Status committed = sink->Commit(1, sink->Prepare(1).value());
  ASSERT_TRUE(committed.ok()) << committed.error().ToString();
  EXPECT_EQ(One(dir / "s.duckdb", "SELECT id, n, created_at IS NOT NULL AS c FROM t"),
            "{\"id\":\"550e8400-e29b-41d4-a716-446655440000\",\"n\":1,\"c\":true}\n");
  Status wrong = job.Sink("w")->Open();
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().ToString().find("test.sql:1:"), std::string::npos) << wrong.error().ToString();
}

TEST(DuckdbSink, RowsTheTableRefusesDoNotStopTheJob) {
  TempDir dir;
  auto store = Store::Open(dir / "s.duckdb").value();
  ASSERT_TRUE(store->Execute("CREATE TABLE t (id UUID, n INTEGER NOT NULL CHECK (n < 100))").ok());
  TestJob job("CREATE TABLE t (n INT, id VARCHAR) WITH ('connector' = 'duckdb', 'path' = 's.duckdb');", {}, dir.path());
  auto sink = job.Sink("t");
  ASSERT_TRUE(sink->Open().ok());
  std::vector<std::string> rows;
  for (int i = 0; i < 90; i++)
    rows.push_back("{\"n\":" + std::to_string(i) + ",\"id\":\"550e8400-e29b-41d4-a716-446655440000\"}");
  rows[17] = R"({"n":100,"id":null})";
  rows[40] = R"({"n":null,"id":null})";
  rows[41] = R"({"n":41,"id":"not a uuid"})";
  ASSERT_TRUE(sink->Write(MakeBatch(job.table("t").physical_schema(), rows)).ok());
  Status committed = sink->Commit(1, sink->Prepare(1).value());
  ASSERT_TRUE(committed.ok()) << committed.error().ToString();
  EXPECT_EQ(One(dir / "s.duckdb", "SELECT count(*) AS n FROM t"), "{\"n\":87}\n");
  std::ifstream errors(dir / "errors/job.jsonl");
  std::vector<std::string> originals;
  for (std::string line; std::getline(errors, line);) originals.push_back(nlohmann::json::parse(line)["original"]);
  EXPECT_EQ(originals, (std::vector<std::string>{R"({"n":100,"id":null})", R"({"n":null,"id":null})",
                                                 R"({"n":41,"id":"not a uuid"})"}));
}

TEST(DuckdbSink, KilledAtAnyMomentEachRowIsThereOnce) {
  TempDir dir;
  KillPlan plan;
  KillAndResume(kAppend, dir.path(), plan,
                [](int64_t n) { return "{\"id\":" + std::to_string(n) + ",\"s\":\"row\",\"l\":[1]}"; });
  EXPECT_EQ(One(dir / "d/s.duckdb", "SELECT count(*) AS n, count(DISTINCT id) AS d, max(id) AS m FROM app.t"),
            "{\"n\":20000,\"d\":20000,\"m\":19999}\n");
}

TEST(DuckdbSink, KilledAtAnyMomentUpsertsAreTheLast) {
  TempDir dir;
  KillPlan plan;
  plan.seed = 2;
  plan.kills = 8;
  KillAndResume(kUpsert, dir.path(), plan, [](int64_t n) {
    return "{\"k\":\"" + std::to_string(n % 500) + "\",\"v\":" + std::to_string(n) + "}";
  });
  EXPECT_EQ(One(dir / "s.duckdb", "SELECT count(*) AS n, min(v) AS a, max(v) AS b FROM t"),
            "{\"n\":500,\"a\":19500,\"b\":19999}\n");
}

TEST(BatchBytes, RandomBatchesComeBackAndBrokenOnesDoNot) {
  data::Schema schema = {
      {"a", data::TypeId::kInteger},
      {"s", data::TypeId::kVarchar},
      {"r", data::Type::Struct({{"x", data::TypeId::kDouble}, {"l", data::Type::List(data::TypeId::kVarchar)}})},
      {"m", data::Type::Map(data::TypeId::kVarchar, data::TypeId::kBigInt)},
      {"d", data::Type::Decimal(30, 3)}};
  std::vector<data::Type> types;
  for (auto& f : schema) types.push_back(f.type);
  for (uint64_t seed = 1; seed <= 30; seed++) {
    Random random(seed);
    std::vector<std::string> rows;
    std::vector<RowKind> kinds;
    for (uint64_t i = 0, n = random.Below(200) + 1; i < n; i++) {
      std::string row = "{\"a\":" + (random.Below(4) ? std::to_string(random.Below(1000)) : "null") + ",\"s\":\"" +
                        std::string(random.Below(30), 'x') + "\"";
      if (random.Below(3))
        row +=
            R"(,"r":{"x":1.5,"l":["p",null,"a longer one than twelve"]},"m":{"k":1,"j":null},"d":123456789012345678901.123)";
      rows.push_back(row + "}");
      kinds.push_back(static_cast<RowKind>(random.Below(4)));
    }
    auto batch = MakeBatch(schema, rows, kinds);
    std::string bytes;
    data::AppendBatchBytes(batch, &bytes);
    data::AppendBatchBytes(batch, &bytes);
    BytesView rest = bytes;
    auto first = data::ReadBatchBytes(&rest, types);
    ASSERT_TRUE(first.ok()) << first.error().ToString();
    auto second = data::ReadBatchBytes(&rest, types);
    ASSERT_TRUE(second.ok());
    EXPECT_TRUE(rest.empty());
    EXPECT_EQ(Rows(schema, {*second}), Rows(schema, {batch}));
    for (uint32_t r = 0; r < batch.rows; r++) EXPECT_EQ(second->KindOf(r), kinds[r]);
    for (int k = 0; k < 50; k++) {
      std::string broken = bytes.substr(0, bytes.size() / 2);
      if (random.Below(2)) broken.resize(random.Below(broken.size()));
      else broken[random.Below(broken.size())] ^= static_cast<char>(1 + random.Below(255));
      BytesView view = broken;
      EXPECT_FALSE(data::ReadBatchBytes(&view, types).ok());
    }
  }
}

}  // namespace
}  // namespace tailrace::connectors
