#include <gtest/gtest.h>

#include "sql/planner.h"

namespace tailrace::sql {
namespace {

std::string ErrorOf(const std::string& text) {
  Result<Script> script = ParseScript("t.sql", text);
  return script.ok() ? "no error" : script.error().ToString();
}

Script Parsed(const std::string& text) {
  Result<Script> script = ParseScript("t.sql", text);
  EXPECT_TRUE(script.ok()) << script.error().ToString();
  return script.ok() ? std::move(script).value() : Script{};
}

std::string TypeOf(const std::string& type) {
  const Script script = Parsed("CREATE TABLE t (c " + type + ") WITH ('connector' = 'print');");
  return script.tables.empty() ? "?" : script.tables[0].columns[0].type.ToString();
}

TEST(DdlParser, ATableWithEverything) {
  const Script script = Parsed(R"sql(
-- clicks as they come
CREATE TEMPORARY TABLE IF NOT EXISTS `raw events` (
  `timestamp` TIMESTAMP_LTZ(3) NOT NULL COMMENT 'when',
  "user" STRING NOT NULL,
  age INT CHECK (age BETWEEN 0 AND 150),
  nested ROW<a INT, b ARRAY<ROW<c STRING>>>, /* two
  lines */
  received TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL,
  `offset` BIGINT METADATA,
  lowered AS lower("user") COMMENT 'computed, with a comment',
  CONSTRAINT short_name CHECK (length("user") < 100),
  PRIMARY KEY (`user`) NOT ENFORCED,
  WATERMARK FOR received AS received - INTERVAL '5' SECOND
) COMMENT 'x' PARTITIONED BY (age) WITH ('connector' = 'kafka', 'topic' = 'it''s');
)sql");
  ASSERT_EQ(script.tables.size(), 1u);
  const Table& table = script.tables[0];
  EXPECT_EQ(table.name, "raw events");
  EXPECT_EQ(table.where.line, 3);
  ASSERT_EQ(table.columns.size(), 7u);
  EXPECT_TRUE(table.columns[0].not_null);
  EXPECT_EQ(table.columns[3].type.ToString(), "ROW<a INTEGER, b ARRAY<ROW<c VARCHAR>>>");
  EXPECT_EQ(table.columns[4].metadata, "timestamp");
  EXPECT_TRUE(table.columns[4].read_only);
  EXPECT_EQ(table.columns[5].metadata, "offset");
  EXPECT_FALSE(table.columns[5].read_only);
  EXPECT_EQ(table.columns[6].computed->text, "lower(\"user\")");
  EXPECT_EQ(table.columns[6].computed->where.line, 11);
  EXPECT_EQ(table.columns[6].computed->where.column, 14);
  ASSERT_EQ(table.checks.size(), 2u);
  EXPECT_EQ(table.checks[0].name, "check 1");
  EXPECT_EQ(table.checks[0].condition.text, "age BETWEEN 0 AND 150");
  EXPECT_EQ(table.checks[1].name, "short_name");
  EXPECT_EQ(table.watermark->expression.text, "received - INTERVAL '5' SECOND");
  EXPECT_EQ(table.primary_key, std::vector<std::string>{"user"});
  EXPECT_EQ(table.partitioned_by, std::vector<std::string>{"age"});
  EXPECT_EQ(table.Get("topic"), "it's");
  EXPECT_EQ(table.Get("nothing", "x"), "x");
  EXPECT_EQ(table.physical_schema().size(), 6u);
  EXPECT_EQ(table.schema().size(), 7u);
}

TEST(DdlParser, Types) {
  EXPECT_EQ(TypeOf("DECIMAL"), "DECIMAL(10,0)");
  EXPECT_EQ(TypeOf("NUMERIC(20, 4)"), "DECIMAL(20,4)");
  EXPECT_EQ(TypeOf("TIMESTAMP(3) WITH LOCAL TIME ZONE"), "TIMESTAMP_LTZ");
  EXPECT_EQ(TypeOf("TIMESTAMP WITHOUT TIME ZONE"), "TIMESTAMP");
  EXPECT_EQ(TypeOf("MAP<STRING, ARRAY<INT NOT NULL>>"), "MAP<VARCHAR, ARRAY<INTEGER>>");
  EXPECT_EQ(TypeOf("STRUCT(a INT, b DOUBLE PRECISION)"), "ROW<a INTEGER, b DOUBLE>");
  EXPECT_EQ(TypeOf("INT[]"), "ARRAY<INTEGER>");
  EXPECT_EQ(TypeOf("VARCHAR(20) ARRAY"), "ARRAY<VARCHAR>");
  EXPECT_EQ(TypeOf("UUID"), "UUID");
  EXPECT_EQ(TypeOf("BYTES"), "BLOB");
  EXPECT_EQ(TypeOf("INTERVAL DAY(3) TO SECOND(3)"), "INTERVAL");
}

TEST(DdlParser, StatementsAndSettings) {
  const Script script = Parsed(R"sql(
SET 'pipeline.name' = 'clicks';
SET execution.parallelism = 2;
CREATE TABLE a (x INT) WITH ('connector' = 'datagen');
CREATE TABLE b (x INT, y STRING) WITH ('connector' = 'print');
CREATE VIEW v (n) AS SELECT x + 1 FROM a;
CREATE TABLE c WITH ('connector' = 'blackhole') AS SELECT n FROM v;
EXECUTE STATEMENT SET BEGIN
INSERT INTO b (x) SELECT n FROM v;
INSERT INTO b SELECT x, ';' FROM a WHERE x > 1;
END;
BEGIN STATEMENT SET;
INSERT INTO b SELECT 1, 'a' FROM a;
END
)sql");
  EXPECT_EQ(script.settings.at("pipeline.name").value, "clicks");
  EXPECT_EQ(script.settings.at("execution.parallelism").value, "2");
  ASSERT_EQ(script.inserts.size(), 4u);
  EXPECT_EQ(script.inserts[0].target, "c");
  EXPECT_EQ(script.inserts[1].columns, std::vector<std::string>{"x"});
  EXPECT_EQ(script.inserts[2].query.text, "SELECT x, ';' FROM a WHERE x > 1");
  EXPECT_EQ(script.inserts[2].query.where.line, 10);
  EXPECT_EQ(script.inserts[2].query.where.column, 15);
  ASSERT_EQ(script.views.size(), 1u);
  EXPECT_EQ(script.views[0].columns, std::vector<std::string>{"n"});
  EXPECT_NE(script.FindTable("c"), nullptr);
  EXPECT_EQ(script.FindTable("v"), nullptr);
}

TEST(DdlParser, ErrorsSayWhereAndWhat) {
  EXPECT_EQ(ErrorOf("CREATE TABLE t (a INT b INT) WITH ('connector'='print')"),
            "t.sql:1:23: expected ',' or ')' after column a, found 'b'");
  EXPECT_EQ(ErrorOf("CREATE TABLE t (\n  a INTT\n) WITH ('connector'='print')").substr(0, 28),
            "t.sql:2:5: unknown type INTT");
  EXPECT_EQ(ErrorOf("CREATE TABLE t (a UBIGINT) WITH ('connector'='print')"),
            "t.sql:1:19: type UBIGINT is not supported; use DECIMAL(20, 0)");
  EXPECT_EQ(ErrorOf("CREATE TABLE t (a INT)"),
            "t.sql:1:23: expected WITH ('connector' = '...') for table t, found the end of the file");
  EXPECT_EQ(ErrorOf("CREATE TABLE t (a INT) WITH ('topic'='print')"),
            "t.sql:1:14: table t has no 'connector' option; add WITH ('connector' = 'kafka', ...)");
  EXPECT_EQ(ErrorOf("CREATE TABLE t (a INT, PRIMARY KEY (b) NOT ENFORCED) WITH ('connector'='print')"),
            "t.sql:1:24: PRIMARY KEY: column \"b\" does not exist in t (has: a)");
  EXPECT_EQ(ErrorOf("CREATE TABLE t (a INT, PRIMARY KEY (a)) WITH ('connector'='print')"),
            "t.sql:1:39: expected NOT ENFORCED: keys are not checked, sinks upsert by them, found ')'");
  EXPECT_EQ(ErrorOf("INSERT INTO nowhere SELECT 1"),
            "t.sql:1:13: table \"nowhere\" does not exist (the file creates none before this line)");
  EXPECT_EQ(ErrorOf("SELECT 1").substr(0, 61), "t.sql:1:1: a query alone has no place to send its rows; write");
  EXPECT_EQ(ErrorOf("DROP TABLE t").substr(0, 53), "t.sql:1:1: DROP is not a statement of a streaming job");
  EXPECT_EQ(ErrorOf("SELEKT 1"), "t.sql:1:1: expected CREATE, INSERT, SET or EXECUTE STATEMENT SET, found 'SELEKT'");
  EXPECT_EQ(ErrorOf("CREATE VIEW v AS SELECT 'open"),
            "t.sql:1:25: the string that starts here is not closed; close it with '");
  EXPECT_EQ(ErrorOf("\n /* open"), "t.sql:2:2: the comment that starts here is not closed; close it with */");
  EXPECT_EQ(ErrorOf("CREATE TABLE t (a INT, A INT) WITH ('connector'='print')"),
            "t.sql:1:24: column A is there already, from line 1; rename one of them");
  EXPECT_EQ(ErrorOf("CREATE TABLE t (a INT) WITH ('connector'='print', 'connector'='x')"),
            "t.sql:1:51: option 'connector' is there twice; remove one of them");
  EXPECT_EQ(ErrorOf("EXECUTE STATEMENT SET BEGIN END;"),
            "t.sql:1:1: the statement set is empty; put an INSERT INTO between BEGIN and END");
}

TEST(DdlParser, LimitsOnDepthAndSize) {
  std::string deep;
  for (int i = 0; i < 100; i++) deep += "ARRAY<";
  EXPECT_NE(ErrorOf("CREATE TABLE t (a " + deep + "INT) WITH ('connector'='print')").find("nest at most 32 deep"),
            std::string::npos);
  EXPECT_NE(ErrorOf(std::string(5 << 20, ' ')).find("bytes; at most"), std::string::npos);
}

TEST(SubstituteVariables, ReplacesOutsideComments) {
  const std::map<std::string, std::string> variables{{"TOPIC", "clicks"}};
  const auto text =
      SubstituteVariables("t.sql", "-- ${NOT_SET} it's\n'topic' = '${TOPIC}-${X:-dev}' /* ${Y} */", variables);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "-- ${NOT_SET} it's\n'topic' = 'clicks-dev' /* ${Y} */");
  const auto missing = SubstituteVariables("t.sql", "a\n ${NOPE}", variables);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().ToString(), "t.sql:2:2: variable NOPE is not set; set NOPE, or write ${NOPE:-default}");
}

}  // namespace
}  // namespace tailrace::sql
