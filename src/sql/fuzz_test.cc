// Scripts cut, doubled and mixed up at random: whatever a file says, there is an answer and no crash.

#include <gtest/gtest.h>

#include "base/random.h"
#include "sql/planner.h"
#include "sql/tokenizer.h"

namespace tailrace::sql {
namespace {

const char kScript[] = R"sql(
SET 'pipeline.name' = 'x';
CREATE TABLE t (a INT NOT NULL, b STRING, c DECIMAL(10, 2), r ROW<x INT, y ARRAY<STRING>>, m MAP<STRING, INT>, ts TIMESTAMP(3),
  d AS a + 1, k BIGINT METADATA FROM 'offset' VIRTUAL, CONSTRAINT small CHECK (a < 10), PRIMARY KEY (a) NOT ENFORCED,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) COMMENT 'c' PARTITIONED BY (b) WITH ('connector' = 'kafka', 'topic' = 't');
CREATE TABLE o (p TIMESTAMP(3), q STRING, n BIGINT) WITH ('connector' = 'print');
CREATE VIEW v AS WITH w AS (SELECT a, b, ts, r.x AS x FROM t WHERE b LIKE 'z%') SELECT * FROM w UNION ALL SELECT d, b, ts, 7 FROM t;
EXECUTE STATEMENT SET BEGIN
INSERT INTO o SELECT window_start, b, count(DISTINCT x) FILTER (WHERE x > 1) FROM TABLE(HOP(TABLE v, DESCRIPTOR(ts), INTERVAL '5' SECOND,
  INTERVAL '10' SECOND)) GROUP BY window_start, window_end, b HAVING count(*) > 1;
INSERT INTO o (q, n) SELECT CASE WHEN a > 1 THEN upper(b) ELSE DATE_FORMAT(ts, 'yyyy') END, TIMESTAMPDIFF(DAY, ts, CURRENT_TIMESTAMP) FROM t;
INSERT INTO o SELECT ts, b, 1 FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, b ORDER BY ts DESC) AS n
  FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))) WHERE n = 1;
END;
)sql";

std::vector<std::string> Words() {
  const SourceText source({"f", 1, 1}, kScript);
  std::vector<std::string> words;
  const auto tokens = Tokenize(source);
  for (const Token& token : *tokens)
    words.push_back(std::string(source.text().substr(token.begin, token.end - token.begin)));
  return words;
}

std::string Mix(Random& random, std::vector<std::string> words) {
  const uint64_t changes = 1 + random.Below(3);
  for (uint64_t i = 0; i < changes; i++) {
    const size_t at = random.Below(words.size());
    switch (random.Below(4)) {
      case 0: words.erase(words.begin() + static_cast<long>(at)); break;
      case 1: words[at] = words[random.Below(words.size())]; break;
      case 2: words.insert(words.begin() + static_cast<long>(at), words[random.Below(words.size())]); break;
      case 3: std::swap(words[at], words[random.Below(words.size())]); break;
    }
  }
  std::string text;
  for (const std::string& word : words) text += word + " ";
  return text;
}

TEST(Fuzz, ScriptsOfMixedWords) {
  Random random(20261121);
  const std::vector<std::string> words = Words();
  size_t planned = 0;
  for (int i = 0; i < 400; i++) {
    const std::string text = Mix(random, words);
    Result<Script> script = ParseScript("f.sql", text);
    if (!script.ok()) {
      EXPECT_FALSE(script.error().message().empty());
      EXPECT_TRUE(script.error().where().has_value()) << script.error().ToString() << "\n" << text;
      continue;
    }
    Result<Plan> plan = MakePlan(std::make_shared<const Script>(std::move(script).value()));
    if (plan.ok()) {
      planned++;
      EXPECT_FALSE(Explain(*plan).empty());
    } else {
      EXPECT_TRUE(plan.error().where().has_value()) << plan.error().ToString() << "\n" << text;
      EXPECT_NE(plan.error().code(), ErrorCode::kInternal) << plan.error().ToString() << "\n" << text;
    }
  }
  EXPECT_GT(planned, 0u);
}

TEST(Fuzz, CutAndDamagedText) {
  Random random(7);
  const std::string whole = kScript;
  for (int i = 0; i < 3000; i++) {
    std::string text = whole.substr(0, random.Below(whole.size()));
    for (int flips = 0; flips < 3 && !text.empty(); flips++)
      text[random.Below(text.size())] = static_cast<char>(random.Below(256));
    (void)ParseScript("f.sql", text).ok();
    (void)SubstituteVariables("f.sql", text, {}).ok();
  }
}

TEST(Fuzz, DeepNesting) {
  for (const char* open : {"(", "ARRAY<", "CASE WHEN ", "NOT ", "-", "r.", "["}) {
    std::string deep;
    for (int i = 0; i < 20'000; i++) deep += open;
    const std::string text =
        "CREATE TABLE t (a INT) WITH ('connector' = 'kafka'); CREATE TABLE o (a INT) WITH ('connector' = 'print');"
        "INSERT INTO o SELECT " +
        deep + " a FROM t;";
    Result<Script> script = ParseScript("f.sql", text);
    ASSERT_TRUE(script.ok());
    EXPECT_FALSE(MakePlan(std::make_shared<const Script>(std::move(script).value())).ok());
  }
}

}  // namespace
}  // namespace tailrace::sql
