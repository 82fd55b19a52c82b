// TUMBLE and HOP over random data in random batches, restarted from snapshots now and then, against DuckDB's answer to
// the same question over all the data at once.

#include <duckdb.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/clock.h"
#include "base/random.h"
#include "stream/operators/operators.h"
#include "stream/testing.h"

namespace tailrace::stream {
namespace {

using data::TypeId;
using sql::AggregateKind;

/// A DuckDB in memory, through its C interface.
class Reference {
 public:
  Reference() {
    EXPECT_EQ(duckdb_open(nullptr, &db_), DuckDBSuccess);
    EXPECT_EQ(duckdb_connect(db_, &connection_), DuckDBSuccess);
    Run("SET threads = 1");
  }
  ~Reference() {
    duckdb_disconnect(&connection_);
    duckdb_close(&db_);
  }
  void Run(const std::string& sql) {
    duckdb_result result;
    if (duckdb_query(connection_, sql.c_str(), &result) != DuckDBSuccess)
      ADD_FAILURE() << duckdb_result_error(&result) << "\n" << sql;
    duckdb_destroy_result(&result);
  }
  /// Every row's columns as batches of ours.
  std::vector<data::Batch> Fetch(const std::string& sql) {
    duckdb_result result;
    std::vector<data::Batch> out;
    if (duckdb_query(connection_, sql.c_str(), &result) != DuckDBSuccess) {
      ADD_FAILURE() << duckdb_result_error(&result) << "\n" << sql;
      duckdb_destroy_result(&result);
      return out;
    }
    while (duckdb_data_chunk chunk = duckdb_fetch_chunk(result)) {
      data::Batch batch;
      auto arena = std::make_shared<data::Arena>();
      batch.rows = static_cast<uint32_t>(duckdb_data_chunk_get_size(chunk));
      for (idx_t c = 0; c < duckdb_data_chunk_get_column_count(chunk); c++) {
        batch.columns.push_back(Copy(duckdb_data_chunk_get_vector(chunk, c), batch.rows, *arena));
      }
      batch.owners.push_back(arena);
      out.push_back(std::move(batch));
      duckdb_destroy_data_chunk(&chunk);
    }
    duckdb_destroy_result(&result);
    return out;
  }

 private:
  static data::Type TypeOf(duckdb_logical_type type) {
    switch (duckdb_get_type_id(type)) {
      case DUCKDB_TYPE_BOOLEAN: return TypeId::kBoolean;
      case DUCKDB_TYPE_TINYINT: return TypeId::kTinyInt;
      case DUCKDB_TYPE_SMALLINT: return TypeId::kSmallInt;
      case DUCKDB_TYPE_INTEGER: return TypeId::kInteger;
      case DUCKDB_TYPE_BIGINT: return TypeId::kBigInt;
      case DUCKDB_TYPE_HUGEINT: return TypeId::kHugeInt;
      case DUCKDB_TYPE_FLOAT: return TypeId::kFloat;
      case DUCKDB_TYPE_DOUBLE: return TypeId::kDouble;
      case DUCKDB_TYPE_VARCHAR: return TypeId::kVarchar;
      case DUCKDB_TYPE_DATE: return TypeId::kDate;
      case DUCKDB_TYPE_TIMESTAMP: return TypeId::kTimestamp;
      case DUCKDB_TYPE_DECIMAL: return data::Type::Decimal(duckdb_decimal_width(type), duckdb_decimal_scale(type));
      case DUCKDB_TYPE_LIST: {
        duckdb_logical_type child = duckdb_list_type_child_type(type);
        data::Type out = data::Type::List(TypeOf(child));
        duckdb_destroy_logical_type(&child);
        return out;
      }
      case DUCKDB_TYPE_STRUCT: {
        std::vector<data::Field> fields;
        for (idx_t i = 0; i < duckdb_struct_type_child_count(type); i++) {
          duckdb_logical_type child = duckdb_struct_type_child_type(type, i);
          fields.push_back({fmt::format("f{}", i), TypeOf(child)});
          duckdb_destroy_logical_type(&child);
        }
        return data::Type::Struct(std::move(fields));
      }
      default: ADD_FAILURE() << "no such type here: " << duckdb_get_type_id(type); return TypeId::kBoolean;
    }
  }
  static data::Column Copy(duckdb_vector vector, uint64_t rows, data::Arena& arena) {
    duckdb_logical_type logical = duckdb_vector_get_column_type(vector);
    data::Column out = data::AllocateColumn(arena, TypeOf(logical), static_cast<uint32_t>(rows));
    duckdb_destroy_logical_type(&logical);
    uint64_t* validity = duckdb_vector_get_validity(vector);
    for (uint64_t r = 0; validity && r < rows; r++) {
      if (!(validity[r >> 6] >> (r & 63) & 1)) out.SetNull(r);
    }
    if (out.type.id == TypeId::kStruct) {
      for (size_t i = 0; i < out.children.size(); i++)
        out.children[i] = Copy(duckdb_struct_vector_get_child(vector, i), rows, arena);
      return out;
    }
    if (rows) std::memcpy(out.data, duckdb_vector_get_data(vector), rows * out.type.ValueSize());
    if (out.type.id == TypeId::kVarchar) {
      for (uint64_t r = 0; r < rows; r++) {
        if (out.IsValid(r)) out.Values<data::StringRef>()[r] = arena.Copy(out.Values<data::StringRef>()[r].view());
      }
    } else if (out.type.id == TypeId::kList) {
      out.list_size = duckdb_list_vector_get_size(vector);
      out.children[0] = Copy(duckdb_list_vector_get_child(vector), out.list_size, arena);
    }
    return out;
  }

  duckdb_database db_;
  duckdb_connection connection_;
};

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kDisorderUs = 5 * kSecondUs;

/// Columns of the table: ts first, then keys, then what is aggregated.
const char* kTable =
    "CREATE OR REPLACE TABLE t (ts TIMESTAMP, k BIGINT, s VARCHAR, i INTEGER, b BIGINT, h HUGEINT, d DOUBLE, f FLOAT, "
    "n DECIMAL(10,2), w DECIMAL(30,4), x VARCHAR, o BOOLEAN, a DATE, u TIMESTAMP, y TINYINT, p BOOLEAN)";
enum Col { kTs, kK, kS, kI, kB, kH, kD, kF, kN, kW, kX, kO, kA, kU, kY, kP };

std::string RandomRows(Random& random, int rows) {
  std::string out;
  int64_t now = 1'700'000'000 * kSecondUs + static_cast<int64_t>(random.Below(1000)) * kSecondUs;
  auto maybe_null = [&](std::string text) { return random.Below(12) == 0 ? "NULL" : text; };
  auto number = [&](int64_t range) { return static_cast<int64_t>(random.Below(2 * range)) - range; };
  const char* words[] = {"",
                         "a",
                         "abc",
                         "twelve bytes",
                         "thirteen byte",
                         "a rather long string that lies behind a pointer",
                         "a rather long string that lies behind another",
                         "ä"};
  for (int r = 0; r < rows; r++) {
    now += static_cast<int64_t>(random.Below(300'000));
    int64_t ts = now - static_cast<int64_t>(random.Below(kDisorderUs));
    out += fmt::format("{}(make_timestamp({}),{},{}", r ? "," : "", ts, maybe_null(std::to_string(number(4))),
                       maybe_null(fmt::format("'{}'", words[random.Below(8)])));
    out += fmt::format(",{},{},{}", maybe_null(std::to_string(number(1000))),
                       maybe_null(std::to_string(number(int64_t{1} << 55))),
                       maybe_null(fmt::format("{}::HUGEINT*1000000000000", number(int64_t{1} << 50))));
    out += fmt::format(",{},{}", maybe_null(fmt::format("{}", static_cast<double>(number(1 << 20)) / 64)),
                       maybe_null(fmt::format("{}", static_cast<double>(number(1 << 10)) / 4)));
    out += fmt::format(",{},{}", maybe_null(fmt::format("{}/100.0", number(100'000))),
                       maybe_null(fmt::format("{}::DECIMAL(30,4)/10", number(int64_t{1} << 40))));
    out += fmt::format(",{},{}", maybe_null(fmt::format("'{}'", words[random.Below(8)])),
                       maybe_null(random.Below(2) ? "true" : "false"));
    out += fmt::format(",{},{},{},{})", maybe_null(fmt::format("DATE '2024-01-01' + {}", number(5000))),
                       maybe_null(fmt::format("make_timestamp({})", now + number(int64_t{1} << 40))),
                       maybe_null(std::to_string(number(100))), maybe_null(random.Below(3) ? "true" : "false"));
  }
  return out;
}

struct Asked {
  std::string sql;
  AggregateKind kind;
  std::vector<int> arguments;
  int filter = -1;
  bool distinct = false;
  double quantile = 0;
  std::string separator = {};
  bool by_arrival = false;  // DuckDB answers by row order
};

std::vector<Asked> EveryAggregate() {
  std::vector<Asked> all = {
      {"count(*)", AggregateKind::kCountStar, {}},
      {"count(*) FILTER (WHERE p)", AggregateKind::kCountStar, {}, kP},
      {"count(x)", AggregateKind::kCount, {kX}},
      {"count(DISTINCT x)", AggregateKind::kCountDistinct, {kX}},
      {"count(DISTINCT k)", AggregateKind::kCountDistinct, {kK}, -1, true},
      {"sum(DISTINCT y)", AggregateKind::kSum, {kY}, -1, true},
      {"sum(i) FILTER (WHERE p)", AggregateKind::kSum, {kI}, kP},
      {"string_agg(x, ', ')", AggregateKind::kStringAgg, {kX}, -1, false, 0, ", ", true},
      {"bool_and(o)", AggregateKind::kBoolAnd, {kO}},
      {"bool_or(o)", AggregateKind::kBoolOr, {kO}},
      {"arg_min(x, b)", AggregateKind::kArgMin, {kX, kB}},
      {"arg_max(b, d)", AggregateKind::kArgMax, {kB, kD}, -1, false, 0, "", true},
      {"arg_max(i, x)", AggregateKind::kArgMax, {kI, kX}, -1, false, 0, "", true},
      {"quantile_disc(x, 0.5)", AggregateKind::kQuantileDisc, {kX}, -1, false, 0.5},
  };
  struct Typed {
    const char* name;
    int column;
    bool number;
  };
  for (Typed c : {Typed{"i", kI, true},
                  {"b", kB, true},
                  {"h", kH, true},
                  {"d", kD, true},
                  {"f", kF, true},
                  {"n", kN, true},
                  {"w", kW, true},
                  {"y", kY, true},
                  {"a", kA, false},
                  {"u", kU, false},
                  {"x", kX, false},
                  {"o", kO, false}}) {
    auto add = [&](const char* function, AggregateKind kind, double q = 0, bool by_arrival = false) {
      std::string more = q > 0 ? fmt::format(", {}", q) : "";
      all.push_back({fmt::format("{}({}{})", function, c.name, more), kind, {c.column}, -1, false, q, "", by_arrival});
    };
    add("min", AggregateKind::kMin);
    add("max", AggregateKind::kMax);
    add("first", AggregateKind::kFirst, 0, true);
    add("last", AggregateKind::kLast, 0, true);
    add("list", AggregateKind::kList, 0, true);
    add("mode", AggregateKind::kMode, 0, true);
    if (!c.number) continue;
    add("sum", AggregateKind::kSum);
    add("avg", AggregateKind::kAvg);
    add("median", AggregateKind::kMedian);
    add("stddev_samp", AggregateKind::kStddevSamp);
    add("var_samp", AggregateKind::kVarSamp);
    add("quantile_cont", AggregateKind::kQuantileCont, 0.9);
    add("quantile_disc", AggregateKind::kQuantileDisc, 0.9);
    add("quantile_disc", AggregateKind::kQuantileDisc, 0.1);
  }
  all.push_back({"quantile_cont(u, 0.25)", AggregateKind::kQuantileCont, {kU}, -1, false, 0.25});
  all.push_back({"quantile_cont(a, 0.75)", AggregateKind::kQuantileCont, {kA}, -1, false, 0.75});
  return all;
}

bool SameText(const std::string& ours, const std::string& theirs, bool floating) {
  if (ours == theirs) return true;
  if (!floating || ours == "NULL" || theirs == "NULL") return false;
  double a = std::stod(ours), b = std::stod(theirs);
  return std::abs(a - b) <= 1e-12 * std::max(std::abs(a), std::abs(b));
}

struct Harness {
  Harness() {
    context.clock = &clock;
    context.counters = &counters;
    context.bad = &bad;
  }
  ManualClock clock;
  JobCounters counters;
  std::vector<BadRecord> bad;
  OperatorContext context;
};

void CheckSeed(Reference& duckdb, uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  int rows = 1 + static_cast<int>(random.Below(500));
  duckdb.Run(kTable);
  duckdb.Run("INSERT INTO t VALUES " + RandomRows(random, rows));

  sql::WindowSpec spec;
  spec.kind = random.Below(2) ? sql::WindowKind::kHop : sql::WindowKind::kTumble;
  spec.time_column = kTs;
  spec.slide_us = static_cast<int64_t>(1 + random.Below(10)) * kSecondUs;
  // A HOP's size need not be a multiple of its slide, nor even larger.
  spec.size_us =
      spec.kind == sql::WindowKind::kTumble ? spec.slide_us : static_cast<int64_t>(1 + random.Below(25)) * kSecondUs;
  spec.offset_us = static_cast<int64_t>(random.Below(3)) * 700'000;
  std::vector<int> keys;
  for (int column : {kK, kS, kN, kO, kD, kH}) {
    if (random.Below(3) == 0) keys.push_back(column);
  }
  std::vector<Asked> asked;
  for (Asked& a : EveryAggregate()) {
    if (random.Below(3) == 0) asked.push_back(std::move(a));
  }

  // The reference.
  const char* names[] = {"ts", "k", "s", "i", "b", "h", "d", "f", "n", "w", "x", "o", "a", "u", "y", "p"};
  std::string select = "SELECT ws", group = " GROUP BY ws";
  for (int key : keys) select += fmt::format(", {}", names[key]), group += fmt::format(", {}", names[key]);
  for (const Asked& a : asked) { select += ", " + a.sql; }
  std::string windows = fmt::format(
      "SELECT t.*, make_timestamp(ws_us) AS ws FROM (SELECT *, rowid AS r FROM t) t, "
      "LATERAL (SELECT unnest(generate_series((((epoch_us(ts) - {0}) // {1}) * {1}) + {0} - {2}, "
      "(((epoch_us(ts) - {0}) // {1}) * {1}) + {0}, {1})) AS ws_us) "
      "WHERE epoch_us(ts) >= ws_us AND epoch_us(ts) < ws_us + {3} ORDER BY r",
      spec.offset_us, spec.slide_us, spec.size_us / spec.slide_us * spec.slide_us, spec.size_us);
  std::vector<data::Batch> expected = duckdb.Fetch(select + " FROM (" + windows + ")" + group);
  std::vector<data::Batch> input = duckdb.Fetch("SELECT * FROM t ORDER BY rowid");
  ASSERT_FALSE(input.empty());

  // Ours.
  auto scan = std::make_shared<sql::Node>();
  for (size_t c = 0; c < input[0].columns.size(); c++) scan->output.push_back({names[c], input[0].columns[c].type});
  for (const char* name : {"window_start", "window_end", "window_time"})
    scan->output.push_back({name, TypeId::kTimestamp});
  sql::Node node;
  node.kind = sql::Node::Kind::kWindowAggregate;
  node.inputs = {scan};
  node.window_start = kP + 1;
  node.window_end = kP + 2;
  node.keys = {node.window_start};
  for (int key : keys) node.keys.push_back(key);
  for (int key : node.keys) node.output.push_back(scan->output[key]);
  bool any_expected = !expected.empty();
  for (size_t a = 0; a < asked.size(); a++) {
    sql::Aggregate aggregate;
    aggregate.kind = asked[a].kind;
    aggregate.arguments = asked[a].arguments;
    aggregate.filter = asked[a].filter;
    aggregate.distinct = asked[a].distinct;
    aggregate.quantile = asked[a].quantile;
    aggregate.separator = asked[a].separator;
    if (any_expected) aggregate.result = expected[0].columns[1 + keys.size() + a].type;
    else aggregate.result = data::Type(TypeId::kDouble);
    node.output.push_back({asked[a].sql, aggregate.result});
    node.aggregates.push_back(aggregate);
  }
  if (!any_expected) return;  // no row fell into any window

  Harness harness;
  harness.context.key_groups = 1 + static_cast<uint32_t>(random.Below(128));
  std::unique_ptr<Operator> assign, aggregate;
  testing::Collector collector(&harness.context);
  auto build = [&] {
    assign = MakeWindowAssign("window-1", &harness.context, spec);
    auto made = MakeWindowAggregate("aggregate-2", &harness.context, node);
    ASSERT_TRUE(made.ok()) << made.error().ToString();
    aggregate = std::move(*made);
    assign->AddOutput(aggregate.get(), 0);
    aggregate->AddOutput(&collector, 0);
  };
  build();
  ASSERT_TRUE(aggregate);
  int64_t highest = kNoWatermark;
  for (const data::Batch& chunk : input) {
    for (uint32_t row = 0; row < chunk.rows;) {
      uint32_t count = std::min(chunk.rows - row, 1 + static_cast<uint32_t>(random.Below(random.Below(2) ? 10 : 400)));
      std::vector<uint32_t> selection(count);
      for (uint32_t i = 0; i < count; i++) selection[i] = row + i;
      data::Batch part = data::Gather(chunk, selection.data(), count, std::make_shared<data::Arena>());
      ASSERT_TRUE(assign->Process(0, part).ok());
      for (uint32_t i = 0; i < count; i++) highest = std::max(highest, chunk.columns[kTs].Values<int64_t>()[row + i]);
      ASSERT_TRUE(assign->OnWatermark(0, highest - kDisorderUs - 1).ok());
      row += count;
      if (random.Below(10) == 0) {  // another process goes on, with keys cut into other groups
        OperatorState window_state, aggregate_state;
        assign->Snapshot(&window_state);
        aggregate->Snapshot(&aggregate_state);
        harness.context.key_groups = 1 + static_cast<uint32_t>(random.Below(128));
        build();
        ASSERT_TRUE(assign->Restore(window_state).ok());
        ASSERT_TRUE(aggregate->Restore(aggregate_state).ok());
      }
    }
  }
  ASSERT_TRUE(assign->OnWatermark(0, kEndOfTime).ok());
  EXPECT_EQ(harness.counters.late_records.load(), 0u);
  EXPECT_EQ(aggregate->state_bytes(), 0u);

  auto split = [](const std::string& row) {
    std::vector<std::string> out;
    for (size_t at = 3;;) {
      size_t end = row.find('|', at);
      out.push_back(row.substr(at, end - at));
      if (end == std::string::npos) return out;
      at = end + 1;
    }
  };
  std::vector<std::vector<std::string>> ours, theirs;
  for (const std::string& row : collector.rows) ours.push_back(split(row));
  for (const data::Batch& batch : expected) {
    for (uint32_t row = 0; row < batch.rows; row++) theirs.push_back(split(testing::RowText(batch, row)));
  }
  auto by_key = [&](const auto& a, const auto& b) {
    return std::lexicographical_compare(a.begin(), a.begin() + 1 + keys.size(), b.begin(), b.begin() + 1 + keys.size());
  };
  std::sort(ours.begin(), ours.end(), by_key);
  std::sort(theirs.begin(), theirs.end(), by_key);
  ASSERT_EQ(ours.size(), theirs.size());
  for (size_t r = 0; r < ours.size(); r++) {
    for (size_t c = 0; c < node.output.size(); c++) {
      TypeId id = node.output[c].type.id;
      bool floating = id == TypeId::kDouble || id == TypeId::kFloat;
      EXPECT_TRUE(SameText(ours[r][c], theirs[r][c], floating))
          << node.output[c].name << " of window " << ours[r][0] << ": " << ours[r][c] << ", DuckDB says "
          << theirs[r][c];
    }
  }
}

TEST(WindowedResults, EqualDuckDbOverRandomDataAndBatches) {
  Reference duckdb;
  for (uint64_t seed = 1; seed <= 100 && !HasFailure(); seed++) CheckSeed(duckdb, seed);
}

}  // namespace
}  // namespace tailrace::stream
