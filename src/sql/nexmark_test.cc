// The Nexmark queries of the supported class, as published (https://github.com/nexmark/nexmark, Apache-2.0), must bind
// and plan unchanged; Flink's functions must give what Flink's documentation says.

#include <gtest/gtest.h>

#include "sql/planner.h"

namespace tailrace::sql {
namespace {

const char kTables[] = R"sql(
CREATE TABLE kafka (
    event_type int,
    person ROW<id BIGINT, name VARCHAR, emailAddress VARCHAR, creditCard VARCHAR, city VARCHAR, state VARCHAR, `dateTime` TIMESTAMP(3), extra VARCHAR>,
    auction ROW<id BIGINT, itemName VARCHAR, description VARCHAR, initialBid BIGINT, reserve BIGINT, `dateTime` TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra VARCHAR>,
    bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` TIMESTAMP(3), extra VARCHAR>,
    `dateTime` AS
        CASE
            WHEN event_type = 0 THEN person.`dateTime`
            WHEN event_type = 1 THEN auction.`dateTime`
            ELSE bid.`dateTime`
        END,
    WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'nexmark', 'format' = 'json');
CREATE VIEW bid AS
SELECT bid.auction, bid.bidder, bid.price, bid.channel, bid.url, `dateTime`, bid.extra FROM kafka WHERE event_type = 2;
)sql";

Result<Plan> PlanOf(const std::string& text) {
  Script script = TRY(ParseScript("q.sql", text));
  return MakePlan(std::make_shared<const Script>(std::move(script)));
}

std::string Explained(const std::string& query) {
  const Result<Plan> plan = PlanOf(kTables + query);
  return plan.ok() ? Explain(*plan) : plan.error().ToString();
}

TEST(Nexmark, Q0PassThrough) {
  EXPECT_EQ(Explained(R"sql(
CREATE TABLE nexmark_q0 (auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` TIMESTAMP(3), extra VARCHAR) WITH ('connector' = 'blackhole');
INSERT INTO nexmark_q0 SELECT auction, bidder, price, `dateTime`, extra FROM bid;)sql"),
            R"(Sink nexmark_q0 (blackhole): auction, bidder, price, dateTime, extra
  Project struct_extract(bid, 'auction') AS auction, struct_extract(bid, 'bidder') AS bidder, struct_extract(bid, 'price') AS price, dateTime, struct_extract(bid, 'extra') AS extra
    Filter (event_type = 2)
      Project event_type, bid, CASE  WHEN ((event_type = 0)) THEN (struct_extract(person, 'dateTime')) WHEN ((event_type = 1)) THEN (struct_extract(auction, 'dateTime')) ELSE struct_extract(bid, 'dateTime') END AS dateTime
        Scan kafka (kafka): event_type, person, auction, bid
)");
}

TEST(Nexmark, FieldsThatNobodyReadsAreNotDecoded) {
  const Result<Plan> plan =
      PlanOf(std::string(kTables) +
             "CREATE TABLE nexmark_q2 (auction BIGINT, price BIGINT) WITH ('connector' = 'blackhole');"
             "INSERT INTO nexmark_q2 SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0;");
  ASSERT_TRUE(plan.ok());
  NodePtr node = plan->sinks[0];
  while (!node->inputs.empty()) node = node->inputs[0];
  std::string types;
  for (const data::Field& field : node->output) types += field.name + " " + field.type.ToString() + "; ";
  EXPECT_EQ(types, "event_type INTEGER; bid ROW<auction BIGINT, price BIGINT>; ");
  EXPECT_EQ(plan->script->FindTable("kafka")->columns[3].type.ToString(), "ROW<auction BIGINT, price BIGINT>");
}

TEST(Nexmark, StatelessQueriesAndTumbleBind) {
  for (
      const char* query : {
          R"sql(CREATE TABLE nexmark_q1 (auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), `dateTime` TIMESTAMP(3), extra VARCHAR) WITH ('connector' = 'blackhole');
INSERT INTO nexmark_q1 SELECT auction, bidder, 0.908 * price as price, `dateTime`, extra FROM bid;)sql",
          R"sql(CREATE TABLE nexmark_q2 (auction BIGINT, price BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO nexmark_q2 SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0;)sql",
          R"sql(CREATE FUNCTION count_char AS 'com.github.nexmark.flink.udf.CountChar';
CREATE TABLE nexmark_q14 (auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), bidTimeType VARCHAR, `dateTime` TIMESTAMP(3), extra VARCHAR, c_counts BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO nexmark_q14 SELECT auction, bidder, 0.908 * price as price,
    CASE WHEN HOUR(`dateTime`) >= 8 AND HOUR(`dateTime`) <= 18 THEN 'dayTime'
         WHEN HOUR(`dateTime`) <= 6 OR HOUR(`dateTime`) >= 20 THEN 'nightTime'
         ELSE 'otherTime' END AS bidTimeType,
    `dateTime`, extra, count_char(extra, 'c') AS c_counts
FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000;)sql",
          R"sql(CREATE TABLE nexmark_q21 (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, channel_id VARCHAR) WITH ('connector' = 'blackhole');
INSERT INTO nexmark_q21 SELECT auction, bidder, price, channel,
    CASE WHEN lower(channel) = 'apple' THEN '0' WHEN lower(channel) = 'google' THEN '1' WHEN lower(channel) = 'facebook' THEN '2'
         WHEN lower(channel) = 'baidu' THEN '3' ELSE REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id
FROM bid where REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) is not null or lower(channel) in ('apple', 'google', 'facebook', 'baidu');)sql",
          R"sql(CREATE TABLE nexmark_q22 (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, dir1 VARCHAR, dir2 VARCHAR, dir3 VARCHAR) WITH ('connector' = 'blackhole');
INSERT INTO nexmark_q22 SELECT auction, bidder, price, channel, SPLIT_INDEX(url, '/', 3) as dir1, SPLIT_INDEX(url, '/', 4) as dir2, SPLIT_INDEX(url, '/', 5) as dir3 FROM bid;)sql",
          R"sql(CREATE TABLE counts (window_start TIMESTAMP(3), window_end TIMESTAMP(3), auction BIGINT, num BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO counts SELECT window_start, window_end, auction, count(*) AS num FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
GROUP BY auction, window_start, window_end;)sql",
          R"sql(CREATE TABLE hops (auction BIGINT, num BIGINT, starttime TIMESTAMP(3), endtime TIMESTAMP(3)) WITH ('connector' = 'blackhole');
INSERT INTO hops SELECT auction, count(*) AS num, window_start AS starttime, window_end AS endtime
FROM TABLE(HOP(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end;)sql",
          R"sql(CREATE TABLE dedup (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` TIMESTAMP(3), extra VARCHAR,
PRIMARY KEY (bidder, auction) NOT ENFORCED) WITH ('connector' = 'blackhole');
INSERT INTO dedup SELECT auction, bidder, price, channel, url, `dateTime`, extra
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY `dateTime` DESC) AS rank_number FROM bid) WHERE rank_number <= 1;)sql"}) {
    const Result<Plan> plan = PlanOf(std::string(kTables) + query);
    EXPECT_TRUE(plan.ok()) << query << "\n" << (plan.ok() ? "" : plan.error().ToString());
  }
}

/// Values of `SELECT list FROM one row (i = 7, s = 'a/b/c', ts = 2024-03-05 14:07:09.123)`, as text.
std::vector<std::string> Values(const std::string& list) {
  std::string script =
      "CREATE TABLE t (i INT, s STRING, ts TIMESTAMP(3)) WITH ('connector' = 'datagen');\n"
      "CREATE TABLE o WITH ('connector' = 'print') AS SELECT ";
  std::string item;
  int depth = 0, count = 0;
  bool quoted = false;
  for (size_t at = 0; at <= list.size(); at++) {
    const char c = at < list.size() ? list[at] : ',';
    if (c == '\'') quoted = !quoted;
    if (!quoted && c == '(') depth++;
    if (!quoted && c == ')') depth--;
    if (c == ',' && depth == 0 && !quoted) {
      script += (count ? ", CAST(" : "CAST(") + item + " AS STRING) AS c" + std::to_string(count);
      count++;
      item.clear();
    } else {
      item += c;
    }
  }
  const Result<Plan> plan = PlanOf(script + " FROM t;");
  if (!plan.ok()) return {plan.error().ToString()};
  std::vector<NodePtr> steps;
  NodePtr scan = plan->sinks[0]->inputs[0];
  for (; !scan->inputs.empty(); scan = scan->inputs[0]) steps.insert(steps.begin(), scan);
  auto arena = std::make_shared<data::Arena>();
  data::Batch batch;
  batch.rows = 1;
  for (const data::Field& field : scan->output) {
    data::Column column = data::AllocateColumn(*arena, field.type, 1);
    if (field.name == "i") column.Values<int32_t>()[0] = 7;
    if (field.name == "s") column.Values<data::StringRef>()[0] = data::StringRef(std::string_view("a/b/c"));
    if (field.name == "ts") column.Values<int64_t>()[0] = 1709647629123000;
    batch.columns.push_back(column);
  }
  for (const NodePtr& step : steps) {
    data::Batch out;
    std::vector<Expressions::Failure> failed;
    auto expressions = step->expressions->Clone();
    const Status status = expressions->Evaluate(batch, &out, &failed);
    if (!status.ok()) return {status.error().ToString()};
    if (!failed.empty()) return {failed[0].reason};
    out.owners.push_back(arena);
    batch = out;
  }
  std::vector<std::string> texts;
  for (const data::Column& column : batch.columns)
    texts.push_back(column.IsValid(0) ? std::string(column.Values<data::StringRef>()[0].view()) : "NULL");
  return texts;
}

using Texts = std::vector<std::string>;

TEST(FlinkFunctions, Strings) {
  EXPECT_EQ(Values("SPLIT_INDEX(s, '/', 1), SPLIT_INDEX(s, '/', 9), CHAR_LENGTH(s), LOCATE('b', s), REGEXP_REPLACE(s, "
                   "'/', '-'), INITCAP('ab cd')"),
            (Texts{"b", "NULL", "5", "3", "a-b-c", "Ab Cd"}));
  EXPECT_EQ(Values("REGEXP_EXTRACT(s, '([a-z])/c', 1), REGEXP_EXTRACT(s, 'x', 0), IFNULL(NULLIF(s, s), 'none'), "
                   "COALESCE(s, 'x'), IF(i > 3, 'big', 'small')"),
            (Texts{"b", "NULL", "none", "a/b/c", "big"}));
  EXPECT_EQ(Values("JSON_VALUE('{\"a\": {\"b\": 5}}', '$.a.b'), JSON_QUERY('{\"a\":[1]}', '$.a'), IS_DIGIT('12'), "
                   "count_char(s, '/')"),
            (Texts{"5", "[1]", "true", "2"}));
}

TEST(FlinkFunctions, Times) {
  EXPECT_EQ(Values("DATE_FORMAT(ts, 'yyyy-MM-dd''T''HH:mm:ss.SSS'), TO_TIMESTAMP('2024-01-02 03:04:05'), "
                   "TO_TIMESTAMP('05.02.2024 07', 'dd.MM.yyyy HH'), "
                   "TO_DATE('02/2024/01', 'MM/yyyy/dd'), FLOOR(ts TO HOUR)"),
            (Texts{"2024-03-05T14:07:09.123", "2024-01-02 03:04:05", "2024-02-05 07:00:00", "2024-02-01",
                   "2024-03-05 14:00:00"}));
  EXPECT_EQ(Values("TIMESTAMPDIFF(MINUTE, TIMESTAMP '2024-03-05 14:00:00', ts), TIMESTAMPADD(DAY, 2, ts), "
                   "TO_TIMESTAMP_LTZ(1700000000123, 3), "
                   "FROM_UNIXTIME(1700000000), HOUR(ts), EXTRACT(DAY FROM ts), CAST(ts AS TIMESTAMP(3)), "
                   "CAST('2024-01-01 00:00:00' AS TIMESTAMP_LTZ(3))"),
            (Texts{"7", "2024-03-07 14:07:09.123", "2023-11-14 22:13:20.123+00", "2023-11-14 22:13:20", "14", "5",
                   "2024-03-05 14:07:09.123", "2024-01-01 00:00:00+00"}));
}

TEST(FlinkFunctions, Numbers) {
  EXPECT_EQ(
      Values("i / 2, MOD(i, 4), TRUNCATE(3.789, 1), ELEMENT(ARRAY[5]), ARRAY_CONTAINS(ARRAY[1, 2], i), POWER(i, 2)"),
      (Texts{"3", "3", "3.7", "5", "false", "49.0"}));
}

}  // namespace
}  // namespace tailrace::sql
