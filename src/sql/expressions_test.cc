// Expressions over our batches against the same SQL in DuckDB over a real table with the same rows.

#include "sql/expressions.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "base/random.h"
#include "duckdb.hpp"
#include "sql/planner.h"

namespace tailrace::sql {
namespace {

using data::Batch;
using data::TypeId;

const char kSource[] = R"sql(
CREATE TABLE t (b BOOLEAN, i INT, n BIGINT, d DOUBLE, c DECIMAL(12, 2), h DECIMAL(30, 4), s STRING, l STRING, day DATE, ts TIMESTAMP(6),
  tz TIMESTAMP_LTZ(6), r ROW<x INT, y STRING, z ROW<w DOUBLE>>, a ARRAY<INT>, m MAP<STRING, INT>, u UUID, bytes BYTES)
WITH ('connector' = 'datagen');
)sql";

/// The expressions of the only projection (or filter) of `INSERT INTO o SELECT <list> FROM t`.
struct Bound {
  Plan plan;
  NodePtr node;
  NodePtr scan;
  std::shared_ptr<Expressions> expressions;
};

Bound Bind(const std::string& query) {
  Bound bound;
  Result<Script> script =
      ParseScript("t.sql", std::string(kSource) + "CREATE TABLE o WITH ('connector' = 'print') AS " + query + ";");
  EXPECT_TRUE(script.ok()) << script.error().ToString();
  Result<Plan> plan = MakePlan(std::make_shared<const Script>(std::move(script).value()));
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().ToString());
  if (!plan.ok()) return bound;
  bound.plan = std::move(plan).value();
  bound.node = bound.plan.sinks[0]->inputs[0];
  bound.scan = bound.node;
  while (!bound.scan->inputs.empty()) bound.scan = bound.scan->inputs[0];
  bound.expressions = bound.node->expressions;
  return bound;
}

/// All projections from the scan to the sink, one after the other, as a pipeline runs them.
class Chain {
 public:
  explicit Chain(const Bound& bound) {
    for (NodePtr node = bound.node; !node->inputs.empty(); node = node->inputs[0]) {
      EXPECT_EQ(node->kind, Node::Kind::kProject);
      steps_.insert(steps_.begin(), node->expressions->Clone());
    }
  }
  Status Evaluate(const Batch& in, Batch* out, std::vector<Expressions::Failure>* failed) {
    Batch last = in;
    for (auto& step : steps_) {
      *out = {};
      TRY(step->Evaluate(last, out, failed));
      last = *out;
    }
    return {};
  }
  const data::Schema& output() const { return steps_.back()->output(); }

 private:
  std::vector<std::unique_ptr<Expressions>> steps_;
};

/// A batch of all of t's columns with random values and nulls, and the same as SQL literals.
class RandomRows {
 public:
  RandomRows(uint64_t seed, uint32_t rows, const data::Schema& schema) : random_(seed), rows_(rows) {
    arena_ = std::make_shared<data::Arena>();
    batch.rows = rows;
    literals.resize(rows);
    for (const data::Field& field : schema) {
      batch.columns.push_back(data::AllocateColumn(*arena_, field.type, rows));
      std::vector<std::string> text(rows);
      Fill(batch.columns.back(), rows, &text);
      for (uint32_t row = 0; row < rows; row++) literals[row].push_back(text[row]);
    }
    batch.owners.push_back(arena_);
  }
  Batch batch;
  std::vector<std::vector<std::string>> literals;

 private:
  std::string Word() {
    static const char* const kWords[] = {"",
                                         "a",
                                         "click",
                                         "page_view",
                                         "über",
                                         "it's",
                                         "a rather long string, more than twelve",
                                         "/shop/item/12345678901234"};
    std::string word = kWords[random_.Below(8)];
    if (random_.Below(3) == 0) word += std::to_string(random_.Below(1000));
    return word;
  }

  void Fill(data::Column& column, uint64_t rows, std::vector<std::string>* text) {
    const data::Type& type = column.type;
    std::vector<std::vector<std::string>> fields;
    if (type.id == TypeId::kStruct)
      for (data::Column& child : column.children) {
        fields.emplace_back(rows);
        Fill(child, rows, &fields.back());
      }
    std::vector<std::string> elements;
    if (type.id == TypeId::kList || type.id == TypeId::kMap) {
      uint64_t total = 0;
      auto* entries = column.Values<data::ListEntry>();
      for (uint64_t row = 0; row < rows; row++) {
        entries[row] = {total, type.id == TypeId::kMap ? random_.Below(2) : random_.Below(4)};
        total += entries[row].length;
      }
      data::AllocateChild(*arena_, column, total);
      elements.resize(total);
      no_null_ = type.id == TypeId::kMap;
      Fill(column.children[0], total, &elements);
      no_null_ = false;
    }
    for (uint64_t row = 0; row < rows; row++) {
      if (!no_null_ && random_.Below(5) == 0) {
        column.SetNull(row);
        (*text)[row] = "NULL";
        continue;
      }
      std::string& out = (*text)[row];
      const int64_t small = static_cast<int64_t>(random_.Below(2000)) - 1000;
      switch (type.id) {
        case TypeId::kBoolean:
          column.Values<uint8_t>()[row] = small > 0;
          out = small > 0 ? "true" : "false";
          break;
        case TypeId::kInteger:
          column.Values<int32_t>()[row] = static_cast<int32_t>(small);
          out = std::to_string(small);
          break;
        case TypeId::kBigInt:
          column.Values<int64_t>()[row] = small * 1'000'000'007;
          out = std::to_string(small * 1'000'000'007);
          break;
        case TypeId::kDouble:
          column.Values<double>()[row] = static_cast<double>(small) / 8;
          out = std::to_string(static_cast<double>(small) / 8);
          break;
        case TypeId::kDecimal: {
          const int64_t scale = type.scale == 2 ? 100 : 10000;
          const int64_t whole = small * scale;
          if (type.width > 18) column.Values<__int128>()[row] = whole;
          else column.Values<int64_t>()[row] = whole;
          out = std::to_string(small) + "." + std::string(type.scale, '0');
          break;
        }
        case TypeId::kVarchar: {
          const std::string word = Word();
          column.Values<data::StringRef>()[row] = arena_->Copy(word);
          for (char c : word) out += c == '\'' ? "''" : std::string(1, c);
          out = "'" + out + "'";
          break;
        }
        case TypeId::kBlob:
          column.Values<data::StringRef>()[row] = arena_->Copy(std::string("\x01z", 2));
          out = "'\\x01z'";
          break;
        case TypeId::kDate:
          column.Values<int32_t>()[row] = static_cast<int32_t>(small + 18000);
          out = "DATE '1970-01-01' + " + std::to_string(small + 18000);
          break;
        case TypeId::kTimestamp:
        case TypeId::kTimestampTz: {
          const int64_t us = (1'700'000'000 + small * 3601) * 1'000'000 + small;
          column.Values<int64_t>()[row] = us;
          out = (type.id == TypeId::kTimestamp ? "make_timestamp(" : "make_timestamptz(") + std::to_string(us) + ")";
          break;
        }
        case TypeId::kUuid: {
          const uint64_t low = static_cast<uint64_t>(small + 1000);
          std::memcpy(column.Values<char>() + row * 16, &low, 8);
          const uint64_t high = uint64_t{1} << 63;
          std::memcpy(column.Values<char>() + row * 16 + 8, &high, 8);
          char text[40];
          snprintf(text, sizeof text, "'00000000-0000-0000-0000-%012llx'", static_cast<unsigned long long>(low));
          out = text;
          break;
        }
        case TypeId::kStruct:
          for (size_t i = 0; i < fields.size(); i++)
            out += (i ? ", '" : "{'") + type.children[i].name + "': " + fields[i][row];
          out += "}";
          break;
        case TypeId::kList: {
          const auto entry = column.Values<data::ListEntry>()[row];
          for (uint64_t i = 0; i < entry.length; i++) out += (i ? ", " : "") + elements[entry.offset + i];
          out = "[" + out + "]";
          break;
        }
        case TypeId::kMap: {
          const auto entry = column.Values<data::ListEntry>()[row];
          if (entry.length == 0) {
            out = "MAP {}";
          } else {
            out = "map_from_entries([" + elements[entry.offset] + "])";
          }
          break;
        }
        default: FAIL() << type.ToString();
      }
    }
  }

  Random random_;
  uint32_t rows_;
  std::shared_ptr<data::Arena> arena_;
  bool no_null_ = false;
};

duckdb::Value ToValue(const data::Column& column, uint64_t row) {
  if (!column.IsValid(row)) return duckdb::Value();
  switch (column.type.id) {
    case TypeId::kBoolean: return duckdb::Value::BOOLEAN(column.Values<uint8_t>()[row]);
    case TypeId::kTinyInt: return duckdb::Value::TINYINT(column.Values<int8_t>()[row]);
    case TypeId::kSmallInt: return duckdb::Value::SMALLINT(column.Values<int16_t>()[row]);
    case TypeId::kInteger: return duckdb::Value::INTEGER(column.Values<int32_t>()[row]);
    case TypeId::kBigInt: return duckdb::Value::BIGINT(column.Values<int64_t>()[row]);
    case TypeId::kHugeInt: return duckdb::Value::HUGEINT(column.Values<duckdb::hugeint_t>()[row]);
    case TypeId::kFloat: return duckdb::Value::FLOAT(column.Values<float>()[row]);
    case TypeId::kDouble: return duckdb::Value::DOUBLE(column.Values<double>()[row]);
    case TypeId::kDecimal:
      switch (column.type.ValueSize()) {
        case 2: return duckdb::Value::DECIMAL(column.Values<int16_t>()[row], column.type.width, column.type.scale);
        case 4: return duckdb::Value::DECIMAL(column.Values<int32_t>()[row], column.type.width, column.type.scale);
        case 8: return duckdb::Value::DECIMAL(column.Values<int64_t>()[row], column.type.width, column.type.scale);
        default:
          return duckdb::Value::DECIMAL(column.Values<duckdb::hugeint_t>()[row], column.type.width, column.type.scale);
      }
    case TypeId::kVarchar: return duckdb::Value(std::string(column.Values<data::StringRef>()[row].view()));
    case TypeId::kBlob: {
      const auto view = column.Values<data::StringRef>()[row].view();
      return duckdb::Value::BLOB(reinterpret_cast<duckdb::const_data_ptr_t>(view.data()), view.size());
    }
    case TypeId::kDate: return duckdb::Value::DATE(duckdb::date_t(column.Values<int32_t>()[row]));
    case TypeId::kTime: return duckdb::Value::TIME(duckdb::dtime_t(column.Values<int64_t>()[row]));
    case TypeId::kTimestamp: return duckdb::Value::TIMESTAMP(duckdb::timestamp_t(column.Values<int64_t>()[row]));
    case TypeId::kTimestampTz: return duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(column.Values<int64_t>()[row]));
    case TypeId::kInterval: return duckdb::Value::INTERVAL(column.Values<duckdb::interval_t>()[row]);
    case TypeId::kUuid: return duckdb::Value::UUID(column.Values<duckdb::hugeint_t>()[row]);
    default: return duckdb::Value();
  }
}

/// One value as DuckDB writes it.
std::string Text(const data::Column& column, uint64_t row) {
  if (!column.IsValid(row)) return "NULL";
  std::string out;
  if (column.type.id == TypeId::kStruct) {
    for (size_t i = 0; i < column.children.size(); i++) out += (i ? ", " : "") + Text(column.children[i], row);
    return "{" + out + "}";
  }
  if (column.type.id == TypeId::kList || column.type.id == TypeId::kMap) {
    const auto entry = column.Values<data::ListEntry>()[row];
    for (uint64_t i = 0; i < entry.length; i++) out += (i ? ", " : "") + Text(column.children[0], entry.offset + i);
    return "[" + out + "]";
  }
  return ToValue(column, row).ToString();
}

std::string Text(const duckdb::Value& value) {
  if (value.IsNull()) return "NULL";
  std::string out;
  const auto physical = value.type().InternalType();
  if (physical == duckdb::PhysicalType::STRUCT) {
    const auto& children = duckdb::StructValue::GetChildren(value);
    for (size_t i = 0; i < children.size(); i++) out += (i ? ", " : "") + Text(children[i]);
    return "{" + out + "}";
  }
  if (physical == duckdb::PhysicalType::LIST) {
    const auto& children = duckdb::ListValue::GetChildren(value);
    for (size_t i = 0; i < children.size(); i++) out += (i ? ", " : "") + Text(children[i]);
    return "[" + out + "]";
  }
  return value.ToString();
}

class ExpressionsTest : public testing::Test {
 protected:
  ExpressionsTest() {
    connection_ = std::make_unique<duckdb::Connection>(database_);
    Sql("SET TimeZone = 'UTC'");
    Sql("SET integer_division = true");
    Sql("CREATE TABLE t (b BOOLEAN, i INT, n BIGINT, d DOUBLE, c DECIMAL(12, 2), h DECIMAL(30, 4), s VARCHAR, l "
        "VARCHAR, day DATE, "
        "ts TIMESTAMP, tz TIMESTAMPTZ, r STRUCT(x INT, y VARCHAR, z STRUCT(w DOUBLE)), a INT[], m MAP(VARCHAR, INT), u "
        "UUID, bytes BLOB)");
  }
  duckdb::unique_ptr<duckdb::MaterializedQueryResult> Sql(const std::string& text) {
    auto result = connection_->Query(text);
    EXPECT_FALSE(result->HasError()) << result->GetError();
    return result;
  }
  static data::Schema AllColumns() { return ParseScript("t.sql", kSource)->tables[0].schema(); }
  /// Only the columns and fields that the scan reads.
  static Batch Narrow(const Batch& all, const Node& scan) {
    Batch batch = all;
    batch.columns.clear();
    for (size_t i = 0; i < scan.columns.size(); i++)
      batch.columns.push_back(Narrow(all.columns[static_cast<size_t>(scan.columns[i])], scan.output[i].type));
    return batch;
  }
  static data::Column Narrow(const data::Column& column, const data::Type& type) {
    data::Column narrow = column;
    narrow.type = type;
    if (type.id != TypeId::kStruct) return narrow;
    narrow.children.clear();
    for (const data::Field& field : type.children) {
      const int at = data::FindField(column.type.children, field.name);
      narrow.children.push_back(Narrow(column.children[static_cast<size_t>(at)], field.type));
    }
    return narrow;
  }
  /// DuckDB's answers, by row and column.
  std::vector<std::vector<std::string>> Expect(const RandomRows& rows, const std::string& query) {
    Sql("DELETE FROM t");
    std::string insert = "INSERT INTO t VALUES ";
    for (size_t row = 0; row < rows.literals.size(); row++) {
      insert += row ? ", (" : "(";
      for (size_t i = 0; i < rows.literals[row].size(); i++) insert += (i ? ", " : "") + rows.literals[row][i];
      insert += ")";
    }
    Sql(insert);
    auto result = Sql(query);
    std::vector<std::vector<std::string>> out;
    for (size_t row = 0; row < result->RowCount(); row++) {
      out.emplace_back();
      for (size_t column = 0; column < result->ColumnCount(); column++)
        out.back().push_back(Text(result->GetValue(column, row)));
    }
    return out;
  }

  duckdb::DuckDB database_{nullptr};
  std::unique_ptr<duckdb::Connection> connection_;
};

constexpr const char* kProjections[] = {
    "i + 1, n / 7, n % 7, -d, abs(i), c * 2, c + h, h - 1.5, d / 3, round(d, 1), i::DOUBLE / 3",
    "s || l, upper(s), length(l), substr(l, 3, 5), s LIKE '%a%', regexp_matches(l, '[0-9]+'), concat(s, '-', i), "
    "replace(s, 'a', 'bb')",
    "CASE WHEN i > 0 THEN s WHEN i < -500 THEN l ELSE 'x' END, coalesce(s, l, 'none'), nullif(i, 5), i IN (1, 2, 3, "
    "500), i BETWEEN 0 AND 9",
    "b AND i > 0, b OR d > 1, NOT b, s IS NULL, i IS DISTINCT FROM 3, s = l, s < l, greatest(i, 3), least(n, 8)",
    "day + INTERVAL '1' DAY, ts - INTERVAL '5' SECOND, date_trunc('hour', ts), extract(minute FROM tz), ts::DATE, "
    "strftime(ts, '%Y-%m'), "
    "tz + INTERVAL '2' HOUR, epoch_ms(tz), tz::TIMESTAMP, CAST(ts AS TIMESTAMPTZ), date_trunc('day', tz)",
    "r.x, r.y, r.z.w, r.z, r, r.x + 1, upper(r.y), {'p': i, 'q': s}, struct_pack(k := r, v := upper(l))",
    "a, a[1], len(a), list_sum(a), list_transform(a, lambda e: e + 1), [i, i + 1], list_concat(a, [1]), m, m['a'], "
    "map_keys(m), cardinality(m)",
    "u, u::VARCHAR, bytes, octet_length(bytes), CAST(i AS VARCHAR), CAST(n AS DECIMAL(20, 3)), TRY_CAST(s AS INT), "
    "TRY_CAST(l AS DATE)",
    "md5(s), to_json({'a': i, 'b': s, 'c': a}), json_extract_string(json_object('k', s), '$.k'), hash(i) IS NULL, 5, "
    "'constant', NULL, NULL::DATE",
    "i, i, s, s, c, ts",
    "sqrt(abs(d)), power(i, 2), floor(d), ceil(c), sign(h), bit_count(n), xor(i, 3), trunc(d)",
    "split_part(l, '/', 2), string_split(l, ' '), array_to_string(a, ','), contains(l, 'item'), trim(s), "
    "lower(upper(trim(l))), reverse(l)",
};

TEST_F(ExpressionsTest, EqualDuckDbOverATable) {
  const data::Schema all = AllColumns();
  for (const char* list : kProjections) {
    const Bound bound = Bind("SELECT " + std::string([&] {
                               // Unnamed columns get names, so that a table can be made of them.
                               std::string named, item;
                               int depth = 0, count = 0;
                               for (const char* c = list;; c++) {
                                 if (*c == '(' || *c == '{' || *c == '[') depth++;
                                 if (*c == ')' || *c == '}' || *c == ']') depth--;
                                 if (!*c || (*c == ',' && depth == 0)) {
                                   named += (count ? ", " : "") + item + " AS c" + std::to_string(count);
                                   count++;
                                   item.clear();
                                   if (!*c) break;
                                   continue;
                                 }
                                 item += *c;
                               }
                               return named;
                             }()) +
                             " FROM t");
    ASSERT_NE(bound.expressions, nullptr);
    Chain expressions(bound);
    for (uint32_t rows : {1u, 64u, 100u, 2048u}) {
      if (rows == 2048 && list != kProjections[0]) continue;
      RandomRows random(rows * 31 + 7, rows, all);
      std::vector<Expressions::Failure> failed;
      // Twice: the second time everything is used again, while the first result still lives.
      Batch first;
      ASSERT_TRUE(expressions.Evaluate(Narrow(random.batch, *bound.scan), &first, &failed).ok());
      RandomRows other(rows * 77, rows, all);
      Batch second;
      ASSERT_TRUE(expressions.Evaluate(Narrow(other.batch, *bound.scan), &second, &failed).ok());
      EXPECT_TRUE(failed.empty()) << list << ": " << failed[0].reason;
      for (auto& [source, result] : {std::pair(&random, &first), std::pair(&other, &second)}) {
        const auto expected = Expect(*source, "SELECT " + std::string(list) + " FROM t");
        ASSERT_EQ(result->rows, rows);
        ASSERT_EQ(result->columns.size(), expected[0].size());
        for (uint32_t row = 0; row < rows; row++)
          for (size_t c = 0; c < result->columns.size(); c++) {
            ASSERT_EQ(result->columns[c].type, expressions.output()[c].type);
            ASSERT_EQ(Text(result->columns[c], row), expected[row][c]) << list << " column " << c << " row " << row;
          }
      }
    }
  }
}

TEST_F(ExpressionsTest, SelectsTheSameRows) {
  const data::Schema all = AllColumns();
  for (const char* condition : {"i > 100", "b", "s LIKE '%a%' AND d < 10", "i % 7 = 0 OR l IS NULL", "r.x > 5",
                                "len(a) = 2 AND NOT b", "c > 10.5 AND ts > TIMESTAMP '2023-11-01'"}) {
    const Bound bound = Bind(std::string("SELECT i FROM t WHERE ") + condition);
    NodePtr filter = bound.node;
    while (filter->kind != Node::Kind::kFilter) filter = filter->inputs[0];
    auto expressions = filter->expressions->Clone();
    RandomRows random(5, 1000, all);
    Batch in = Narrow(random.batch, *bound.scan);
    std::vector<uint32_t> selection(in.rows);
    std::vector<Expressions::Failure> failed;
    const auto count = expressions->Select(in, selection.data(), &failed);
    ASSERT_TRUE(count.ok());
    const auto expected = Expect(random, std::string("SELECT coalesce(") + condition + ", false) FROM t");
    std::vector<std::string> chosen(in.rows, "false");
    for (uint32_t i = 0; i < *count; i++) {
      ASSERT_TRUE(i == 0 || selection[i] > selection[i - 1]);
      chosen[selection[i]] = "true";
    }
    for (uint32_t row = 0; row < in.rows; row++)
      ASSERT_EQ(chosen[row], expected[row][0]) << condition << " row " << row;
  }
}

TEST_F(ExpressionsTest, RowsThatThrowFailAlone) {
  const Bound bound = Bind("SELECT i, CAST(s AS INT) AS n, s FROM t");
  auto expressions = bound.expressions->Clone();
  auto arena = std::make_shared<data::Arena>();
  Batch in;
  in.rows = 2048;
  for (const data::Field& field : bound.node->inputs[0]->output)
    in.columns.push_back(data::AllocateColumn(*arena, field.type, in.rows));
  const int s_at = data::FindField(bound.node->inputs[0]->output, "s"),
            i_at = data::FindField(bound.node->inputs[0]->output, "i");
  std::vector<uint32_t> bad{0, 5, 6, 700, 2047};
  for (uint32_t row = 0; row < in.rows; row++) {
    const bool is_bad = std::find(bad.begin(), bad.end(), row) != bad.end();
    in.columns[static_cast<size_t>(s_at)].Values<data::StringRef>()[row] =
        arena->Copy(is_bad ? "x" + std::to_string(row) : std::to_string(row * 2));
    in.columns[static_cast<size_t>(i_at)].Values<int32_t>()[row] = static_cast<int32_t>(row);
  }
  in.owners.push_back(arena);
  Batch out;
  std::vector<Expressions::Failure> failed;
  ASSERT_TRUE(expressions->Evaluate(in, &out, &failed).ok());
  ASSERT_EQ(failed.size(), bad.size());
  for (size_t i = 0; i < bad.size(); i++) EXPECT_EQ(failed[i].row, bad[i]);
  EXPECT_EQ(failed[1].reason, "Could not convert string 'x5' to INT32 when casting from source column s");
  ASSERT_EQ(out.rows, 2043u);
  for (uint32_t row = 0; row < out.rows; row++) {
    ASSERT_EQ(out.columns[1].Values<int32_t>()[row], out.columns[0].Values<int32_t>()[row] * 2);
    ASSERT_EQ(out.columns[2].Values<data::StringRef>()[row].view(),
              std::to_string(out.columns[1].Values<int32_t>()[row]));
  }
}

TEST_F(ExpressionsTest, ShiftedTimesNearAndFar) {
  const Bound bound = Bind(
      "SELECT ts - INTERVAL '5' SECOND AS a, INTERVAL '1' MINUTE + ts AS b, ts + INTERVAL '1' HOUR AS c, tz - INTERVAL "
      "'3' SECOND AS d FROM t");
  auto expressions = bound.expressions->Clone();
  auto arena = std::make_shared<data::Arena>();
  for (int64_t us :
       {int64_t{0}, int64_t{1'700'000'000'000'000}, int64_t{-62'135'596'800'000'000}, INT64_MAX, -INT64_MAX}) {
    Batch in, out;
    in.rows = 3;
    for (const data::Field& field : bound.scan->output)
      in.columns.push_back(data::AllocateColumn(*arena, field.type, in.rows));
    for (data::Column& column : in.columns) {
      for (uint32_t row = 0; row < 3; row++) column.Values<int64_t>()[row] = us;
      column.SetNull(1);
    }
    std::vector<Expressions::Failure> failed;
    ASSERT_TRUE(expressions->Evaluate(in, &out, &failed).ok());
    ASSERT_TRUE(failed.empty());
    const std::string ts = "make_timestamp(" + std::to_string(us) + ")",
                      tz = "make_timestamptz(" + std::to_string(us) + ")";
    const std::string inf = us > 0 ? "'infinity'::TIMESTAMP" : "'-infinity'::TIMESTAMP";
    const bool infinite = us == INT64_MAX || us == -INT64_MAX;
    auto expected =
        Sql("SELECT x - INTERVAL '5' SECOND, INTERVAL '1' MINUTE + x, x + INTERVAL '1' HOUR, y - INTERVAL '3' SECOND "
            "FROM (SELECT " +
            (infinite ? inf + " AS x, " + inf + "::TIMESTAMPTZ AS y)" : ts + " AS x, " + tz + " AS y)"));
    for (size_t c = 0; c < 4; c++) {
      EXPECT_EQ(Text(out.columns[c], 0), Text(expected->GetValue(c, 0))) << us << " column " << c;
      EXPECT_EQ(Text(out.columns[c], 1), "NULL");
    }
  }
}

TEST_F(ExpressionsTest, PlainColumnsAreNotCopiedAndUnreadFieldsNotDecoded) {
  const Bound bound = Bind("SELECT s AS a, r.y AS b, i + 1 AS c FROM t");
  auto expressions = bound.expressions->Clone();
  RandomRows random(3, 100, AllColumns());
  Batch in = Narrow(random.batch, *bound.scan), out;
  std::vector<Expressions::Failure> failed;
  ASSERT_TRUE(expressions->Evaluate(in, &out, &failed).ok());
  const data::Schema& schema = bound.scan->output;
  EXPECT_EQ(schema[static_cast<size_t>(data::FindField(schema, "r"))].type.ToString(), "ROW<y VARCHAR>");
  EXPECT_EQ(out.columns[0].data, in.columns[static_cast<size_t>(data::FindField(schema, "s"))].data);
  EXPECT_EQ(out.columns[1].data, in.columns[static_cast<size_t>(data::FindField(schema, "r"))].children.at(0).data);
}

TEST_F(ExpressionsTest, TimeOfEvaluationMovesOn) {
  const Bound bound = Bind(
      "SELECT i, CURRENT_TIMESTAMP AS a, now() AS b, localtimestamp AS c, proctime() AS d, current_date AS e, "
      "unix_timestamp() AS f FROM t");
  auto expressions = bound.expressions->Clone();
  RandomRows random(3, 10, AllColumns());
  Batch in = Narrow(random.batch, *bound.scan), first, second;
  std::vector<Expressions::Failure> failed;
  ASSERT_TRUE(expressions->Evaluate(in, &first, &failed).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  ASSERT_TRUE(expressions->Evaluate(in, &second, &failed).ok());
  for (size_t c : {1u, 2u, 3u, 4u}) {
    EXPECT_GT(second.columns[c].Values<int64_t>()[0], first.columns[c].Values<int64_t>()[0]);
    EXPECT_GT(first.columns[c].Values<int64_t>()[9], 1'700'000'000'000'000);
  }
}

TEST_F(ExpressionsTest, RandomDiffersByRowAndUuidToo) {
  const Bound bound = Bind("SELECT random() AS a, uuid() AS b, i FROM t");
  auto expressions = bound.expressions->Clone();
  RandomRows random(3, 100, AllColumns());
  Batch in = Narrow(random.batch, *bound.scan), out;
  std::vector<Expressions::Failure> failed;
  ASSERT_TRUE(expressions->Evaluate(in, &out, &failed).ok());
  EXPECT_NE(out.columns[0].Values<double>()[0], out.columns[0].Values<double>()[1]);
  EXPECT_NE(Text(out.columns[1], 0), Text(out.columns[1], 1));
}

TEST_F(ExpressionsTest, ClonesWorkOnThreadsOfTheirOwn) {
  const Bound bound =
      Bind("SELECT upper(s) AS a, i * 2 AS b, json_extract_string(json_object('k', l), '$.k') AS c FROM t");
  RandomRows random(11, 2048, AllColumns());
  const Batch in = Narrow(random.batch, *bound.scan);
  auto run = [&](std::vector<std::string>* texts) {
    auto mine = bound.expressions->Clone();
    for (int round = 0; round < 20; round++) {
      Batch out;
      std::vector<Expressions::Failure> failed;
      ASSERT_TRUE(mine->Evaluate(in, &out, &failed).ok());
      texts->clear();
      for (uint32_t row = 0; row < out.rows; row++)
        texts->push_back(Text(out.columns[0], row) + Text(out.columns[1], row) + Text(out.columns[2], row));
    }
  };
  std::vector<std::string> a, b;
  std::thread one([&] { run(&a); }), two([&] { run(&b); });
  one.join();
  two.join();
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.size(), 2048u);
}

}  // namespace
}  // namespace tailrace::sql
