#include "sql/planner.h"

#include <gtest/gtest.h>

namespace tailrace::sql {
namespace {

std::string PlanText(const std::string& text) {
  Result<Script> script = ParseScript("t.sql", text);
  if (!script.ok()) return script.error().ToString();
  Result<Plan> plan = MakePlan(std::make_shared<const Script>(std::move(script).value()));
  return plan.ok() ? Explain(*plan) : plan.error().ToString();
}

const char kTables[] = R"sql(
CREATE TABLE clicks (
  user_id STRING NOT NULL, page STRING, price DECIMAL(10, 2), n BIGINT, nested ROW<a INT, b STRING>, ms BIGINT,
  ts TIMESTAMP(3), seen AS TO_TIMESTAMP_LTZ(ms, 3),
  CHECK (n >= 0),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'kafka');
CREATE TABLE out1 (user_id STRING, n BIGINT) WITH ('connector' = 'print');
CREATE TABLE out2 (ws TIMESTAMP(3), user_id STRING, n BIGINT) WITH ('connector' = 'print');
)sql";

std::string Query(const std::string& query) { return PlanText(std::string(kTables) + query); }

TEST(Planner, FilterAndProjection) {
  EXPECT_EQ(Query("INSERT INTO out1 SELECT user_id, CASE WHEN n > 10 THEN 1 ELSE n + 1 END FROM clicks WHERE page LIKE "
                  "'%cart%';"),
            R"(Sink out1 (print): user_id, n
  Project user_id, CASE  WHEN ((n > 10)) THEN (1) ELSE (n + 1) END AS n
    Filter contains(page, 'cart')
      Constraint (user_id IS NOT NULL), (n >= 0)
        Scan clicks (kafka): user_id, page, n
)");
}

TEST(Planner, TumbleReadsOnlyWhatItNeeds) {
  EXPECT_EQ(
      Query("INSERT INTO out2 SELECT window_start, user_id, count(*) FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), "
            "INTERVAL '10' SECOND)) GROUP BY window_start, window_end, user_id;"),
      R"(Sink out2 (print): ws, user_id, n
  Project window_start AS ws, user_id, count_star() AS n
    WindowAggregate by window_start, window_end, user_id: count(*)
      Window TUMBLE ts, size 10 s
        Watermark (ts - '00:00:05'::INTERVAL)
          Constraint (user_id IS NOT NULL), (n >= 0)
            Scan clicks (kafka): user_id, n, ts
)");
}

TEST(Planner, HopOverACteWithNamedArgumentsAndOneEndOfTheWindow) {
  EXPECT_EQ(
      Query("INSERT INTO out2 WITH big AS (SELECT upper(user_id) AS u, price, ts FROM clicks WHERE n > 5) "
            "SELECT window_end, u, count(DISTINCT price) FILTER (WHERE price > 1) FROM TABLE(HOP(DATA => TABLE big, "
            "TIMECOL => DESCRIPTOR(ts), SLIDE => INTERVAL '1' MINUTE, SIZE => INTERVAL '1' HOUR, OFFSET => INTERVAL "
            "'5' MINUTE)) "
            "GROUP BY window_end, u HAVING count(*) > 3;"),
      R"(Sink out2 (print): ws, user_id, n
  Project window_end AS ws, u AS user_id, count(DISTINCT price) FILTER (WHERE (price > 1.00)) AS n
    Filter (count_star() > 3)
      Project window_end, u, count_star(), count(DISTINCT price) FILTER (WHERE (price > 1.00))
        WindowAggregate by window_end, u, window_start: count(*), count distinct(price) filter (price > 1.00)
          Project window_end, u, window_start, price, (price > 1.00)
            Window HOP ts, size 1 h, slide 1 min, offset 5 min
              Project upper(user_id) AS u, price, ts
                Filter (n > 5)
                  Watermark (ts - '00:00:05'::INTERVAL)
                    Constraint (user_id IS NOT NULL), (n >= 0)
                      Scan clicks (kafka): user_id, price, n, ts
)");
}

TEST(Planner, InsertsShareViewAndScan) {
  EXPECT_EQ(Query("CREATE VIEW v AS SELECT user_id AS u, n * 2 AS twice FROM clicks;"
                  "INSERT INTO out1 SELECT u, twice FROM v; INSERT INTO out1 SELECT u, twice FROM v WHERE twice > 7;"
                  "INSERT INTO out1 (n) SELECT nested.a FROM clicks;"),
            R"(Sink out1 (print): user_id, n
  Project u AS user_id, twice AS n
    #1 Project user_id AS u, (n * 2) AS twice
      #2 Constraint (user_id IS NOT NULL), (n >= 0)
        Scan clicks (kafka): user_id, n, nested
Sink out1 (print): user_id, n
  Project u AS user_id, twice AS n
    Filter (twice > 7)
      (shared #1)
Sink out1 (print): user_id, n
  Project NULL AS user_id, CAST(struct_extract(nested, 'a') AS BIGINT) AS n
    (shared #2)
)");
}

TEST(Planner, DeduplicatesFirstAndLast) {
  EXPECT_EQ(Query("INSERT INTO out2 SELECT window_start, user_id, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY "
                  "window_start, window_end, "
                  "user_id ORDER BY ts DESC) AS r FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' "
                  "MINUTE))) WHERE r = 1;"),
            R"(Sink out2 (print): ws, user_id, n
  Project window_start AS ws, user_id, n
    Deduplicate last by window_start, window_end, user_id, ordered by ts
      Project user_id, n, ts, window_start, window_end
        Window TUMBLE ts, size 1 min
          Watermark (ts - '00:00:05'::INTERVAL)
            Constraint (user_id IS NOT NULL), (n >= 0)
              Scan clicks (kafka): user_id, n, ts
)");
  EXPECT_EQ(Query("INSERT INTO out1 SELECT user_id, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY "
                  "ts) AS r "
                  "FROM clicks) WHERE r <= 1;"),
            R"(Sink out1 (print): user_id, n
  Project user_id, n
    Deduplicate first by user_id, ordered by ts
      Constraint (user_id IS NOT NULL), (n >= 0)
        Scan clicks (kafka): user_id, n, ts
)");
}

TEST(Planner, UnionCtasSinkConstraintsAndComputedColumns) {
  EXPECT_EQ(Query("CREATE TABLE made WITH ('connector' = 'blackhole') AS SELECT seen, price FROM clicks UNION ALL "
                  "SELECT ts, 1.5 FROM clicks;"
                  "CREATE TABLE strict (a BIGINT NOT NULL, CHECK (a < 100)) WITH ('connector' = 'print');"
                  "INSERT INTO strict SELECT ms FROM clicks;"),
            R"(Sink made (blackhole): seen, price
  UnionAll
    Project seen, price
      #1 Project price, ms, ts, make_timestamptz((ms * 1000)) AS seen
        Constraint (user_id IS NOT NULL), (n >= 0)
          Scan clicks (kafka): user_id, price, n, ms, ts
    Project CAST(ts AS TIMESTAMP WITH TIME ZONE) AS ts, 1.50
      (shared #1)
Sink strict (print): a
  Constraint (a IS NOT NULL), (a < 100)
    Project ms AS a
      (shared #1)
)");
}

TEST(Planner, AggregatesWithTheirParameters) {
  const std::string text = Query(
      "CREATE TABLE wide (a DOUBLE, b DOUBLE, c STRING, d DOUBLE, e STRING, f STRING, g BIGINT, h STRING) WITH "
      "('connector' = 'print');"
      "INSERT INTO wide SELECT quantile_cont(n, 0.99), percentile_cont(0.25) WITHIN GROUP (ORDER BY ms DESC), "
      "string_agg(page, ';'), "
      "approx_quantile(n, 0.5), any_value(page), arg_max(page, ts), sum(DISTINCT n), last(page) FROM "
      "TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), "
      "INTERVAL '1' DAY)) GROUP BY window_start, window_end;");
  EXPECT_NE(text.find("quantile_cont(n, 0.99), quantile_cont(ms, 0.75), string_agg(page), quantile_cont(n, 0.5), "
                      "first(page) filter "
                      "(page IS NOT NULL), arg_max(page, ts), sum(distinct n), last(page)"),
            std::string::npos)
      << text;
}

TEST(Planner, ErrorsSayWhereAndWhat) {
  const std::string tables =
      "CREATE TABLE t (a INT, b STRING, ts TIMESTAMP(3)) WITH ('connector' = 'kafka');\n"
      "CREATE TABLE o (x INT) WITH ('connector' = 'print');\n";
  auto error = [&](const std::string& query) { return PlanText(tables + query); };
  EXPECT_EQ(error("INSERT INTO o SELECT\n  nope FROM t"),
            "t.sql:4:3: column \"nope\" does not exist in t (has: a, b, ts)");
  EXPECT_EQ(error("INSERT INTO o SELECT `a b`, 1 FROM t"),
            "t.sql:3:22: column \"a b\" does not exist in t (has: a, b, ts)");
  EXPECT_EQ(error("INSERT INTO o SELECT a FROM nowhere"),
            "t.sql:3:29: table \"nowhere\" does not exist (there are: o, t)");
  EXPECT_EQ(error("INSERT INTO o SELECT a FROM t WHERE WHERE"), "t.sql:3:37: syntax error at \"WHERE\"");
  EXPECT_EQ(error("INSERT INTO o SELECT lenght(b) FROM t").substr(0, 44),
            "t.sql:3:22: function lenght does not exist; ");
  EXPECT_EQ(error("INSERT INTO o SELECT upper(a, b) FROM t"),
            "t.sql:3:22: no function upper(INTEGER, VARCHAR); use upper(VARCHAR) -> VARCHAR, or CAST an argument");
  EXPECT_EQ(error("INSERT INTO o SELECT a, b FROM t"),
            "t.sql:3:15: INSERT INTO o takes 1 columns (x), the query gives 2 (a, b)");
  EXPECT_EQ(error("INSERT INTO o SELECT b FROM t"),
            "t.sql:3:15: column x of o is INTEGER, and the query's column 1 (b) is VARCHAR; write CAST(b AS INTEGER)");
  EXPECT_EQ(error("INSERT INTO o SELECT count(*) FROM t\n GROUP BY b").substr(0, 80),
            "t.sql:4:2: an aggregate without a window is not supported: a stream has no end t");
  EXPECT_EQ(error("INSERT INTO o SELECT x.a FROM t x JOIN t y ON x.a = y.a").substr(0, 46),
            "t.sql:3:35: joins and subqueries in expression");
  EXPECT_EQ(error("INSERT INTO o SELECT a FROM t ORDER BY a").substr(0, 40),
            "t.sql:3:31: ORDER BY is not supported: a");
  EXPECT_EQ(error("INSERT INTO o SELECT a FROM t LIMIT 5"),
            "t.sql:3:31: LIMIT is not supported on a stream; leave it out");
  EXPECT_EQ(error("INSERT INTO o SELECT 1").substr(0, 61),
            "t.sql:3:15: a query without FROM a table is not supported on ");
  EXPECT_EQ(error("INSERT INTO o SELECT a FROM t WHERE 1 = 2").substr(0, 42),
            "t.sql:3:31: the condition is never true, s");
  EXPECT_EQ(error("INSERT INTO o SELECT sum(a) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP "
                  "BY window_start"),
            "t.sql:3:40: windows over t would never close: its table declares no watermark; add WATERMARK FOR ts AS ts "
            "- INTERVAL '5' "
            "SECOND to the table");
  EXPECT_EQ(
      error("INSERT INTO o SELECT a FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(b), INTERVAL '1' SECOND))").substr(0, 58),
      "t.sql:3:62: a window needs a TIMESTAMP or TIMESTAMP_LTZ co");
  EXPECT_EQ(
      error("INSERT INTO o SELECT a FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MONTH))").substr(0, 51),
      "t.sql:3:80: a window can't be measured in 'month'; ");
  EXPECT_EQ(
      error("INSERT INTO o SELECT a FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '3' SECOND))")
          .substr(0, 62),
      "t.sql:3:85: the size of a HOP window is a multiple of its slid");
  EXPECT_EQ(error("INSERT INTO o SELECT a FROM TABLE(SESSION(TABLE t, DESCRIPTOR(ts), INTERVAL '2' SECOND))"),
            "t.sql:3:35: SESSION windows are not supported; use TUMBLE or HOP");
  EXPECT_EQ(error("CREATE VIEW v AS SELECT a + missing FROM t; INSERT INTO o SELECT 1 FROM v"),
            "t.sql:3:29: column \"missing\" does not exist in t (has: a, b, ts)");
  EXPECT_EQ(PlanText("CREATE TABLE t (a INT, CHECK (\n b > 1)) WITH ('connector' = 'kafka');\n"
                     "CREATE TABLE o (x INT) WITH ('connector' = 'print'); INSERT INTO o SELECT a FROM t"),
            "t.sql:2:2: column \"b\" does not exist in t (has: a)");
  EXPECT_EQ(PlanText("CREATE TABLE t (a INT, WATERMARK FOR a AS a) WITH ('connector' = 'kafka');\n"
                     "CREATE TABLE o (x INT) WITH ('connector' = 'print'); INSERT INTO o SELECT a FROM t")
                .substr(0, 62),
            "t.sql:1:43: WATERMARK FOR a: the column is INTEGER, not TIMEST");
  EXPECT_EQ(PlanText("CREATE TABLE o (x INT NOT NULL, y INT) WITH ('connector' = 'print'); CREATE TABLE t (a INT) WITH "
                     "('connector' = 'kafka');"
                     "INSERT INTO o (y) SELECT a FROM t"),
            "t.sql:1:140: column x of o is NOT NULL, and the query gives nothing for it");
  EXPECT_EQ(error("INSERT INTO o SELECT a FROM read_csv('/etc/passwd')").find("t.sql:3:"), 0u);
}

}  // namespace
}  // namespace tailrace::sql
