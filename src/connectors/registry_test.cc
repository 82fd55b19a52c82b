#include "connectors/registry.h"

#include "base/clock.h"
#include "connectors/test_support.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

namespace tailrace::connectors {
namespace {

std::string Complaint(const std::string& ddl) {
  auto factory = MakeConnectors({});
  auto script = Parse(ddl);
  Status status = factory->Validate(script->tables.at(0));
  return status.ok() ? "" : status.error().ToString();
}

TEST(Registry, ComplaintsHavePlaceAndRemedy) {
  EXPECT_EQ(Complaint("CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'topic' = 'x', 'format' = 'json');"), "");
  std::string unknown =
      Complaint("CREATE TABLE t (a INT) WITH (\n  'connector' = 'kafka',\n  'topik' = 'x', 'format' = 'json');");
  EXPECT_NE(unknown.find("test.sql:3:"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("did you mean 'topic'?"), std::string::npos) << unknown;
  std::string connector = Complaint("CREATE TABLE t (a INT) WITH ('connector' = 'kafak');");
  EXPECT_NE(connector.find("kafka"), std::string::npos) << connector;
  EXPECT_NE(Complaint("CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'format' = 'json');")
                .find("needs the option 'topic'"),
            std::string::npos);
  EXPECT_NE(Complaint("CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'topic' = 'x', 'format' = 'xml');")
                .find("one of json|csv|raw"),
            std::string::npos);
  EXPECT_NE(Complaint("CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'rows-per-second' = 'many');")
                .find("an integer"),
            std::string::npos);
  EXPECT_NE(
      Complaint("CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'fields.b.min' = '1');").find("no column 'b'"),
      std::string::npos);
  EXPECT_NE(Complaint("CREATE TABLE t (a INT) WITH ('connector' = 'upsert-kafka', 'topic' = 'x', 'format' = 'json');")
                .find("PRIMARY KEY"),
            std::string::npos);
  EXPECT_NE(Complaint("CREATE TABLE t (a INT) WITH ('connector' = 'duckdb', 'path' = 'x', 'table' = 'a.b.c');")
                .find("SCHEMA.TABLE"),
            std::string::npos);
  EXPECT_EQ(Complaint("CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'topic' = 'x', 'value.format' = 'json', "
                      "'value.json.fail-on-missing-field' = 'true', 'properties.security.protocol' = 'ssl');"),
            "");
}

TEST(Registry, ListsEveryConnectorWithDocs) {
  auto all = AllConnectors();
  EXPECT_GE(all.size(), 7u);
  for (const auto& c : all) {
    EXPECT_TRUE(c.source || c.sink) << c.name;
    for (const auto& o : c.options) EXPECT_NE(std::string(o.doc), "") << c.name << " " << o.name;
  }
}

// The reference is written from the tables that options are checked against: TAILRACE_WRITE_DOCS=1 writes it anew.
TEST(Registry, ReferenceSaysWhatIsThere) {
  std::string text =
      "# Connectors\n\nThe `WITH` options of tables. Written by `registry_test.cc` from the tables that options are "
      "checked "
      "against.\n";
  for (const auto& c : AllConnectors()) {
    text += "\n## " + std::string(c.name) + "\n\n" + c.doc + ". " +
            (c.source && c.sink ? "Source and sink."
             : c.source         ? "Source."
                                : "Sink.") +
            "\n";
    if (c.options.empty()) continue;
    text += "\n| option | default | what |\n|---|---|---|\n";
    for (const auto& o : c.options) {
      std::string choices = o.choices;
      for (size_t at = 0; (at = choices.find('|', at)) != std::string::npos; at += 3) choices.replace(at, 1, " | ");
      for (size_t at = 0; (at = choices.find('|', at)) != std::string::npos; at += 2) choices.replace(at, 1, "\\|");
      std::string otherwise = o.otherwise;
      text += "| `" + std::string(o.name) + "`" + (o.required ? " (required)" : "") + " | " +
              (otherwise.empty() ? "" : "`" + otherwise + "`") + " | " + o.doc +
              (choices.empty() ? "" : " (" + choices + ")") + " |\n";
    }
  }
  std::string path =
      access("docs", F_OK) == 0 ? "docs/connectors.md" : "../docs/connectors.md";  // from the root or build/
  if (getenv("TAILRACE_WRITE_DOCS")) std::ofstream(path) << text;
  std::ifstream in(path);
  ASSERT_TRUE(in.good()) << path;
  std::string written((std::istreambuf_iterator<char>(in)), {});
  EXPECT_TRUE(written == text) << "docs/connectors.md is out of date: run TAILRACE_WRITE_DOCS=1 build/connectors_test "
                                  "--gtest_filter=Registry.ReferenceSaysWhatIsThere";
}

TEST(Registry, SourcesAndSinksAreNotConfused) {
  TestJob job(
      "CREATE TABLE p (a INT) WITH ('connector' = 'print'); CREATE TABLE g (a INT) WITH ('connector' = 'datagen');", {},
      "");
  EXPECT_FALSE(job.connectors->MakeSource({&job.table("p"), {0}}, job.context).ok());
  EXPECT_FALSE(job.connectors->MakeSink(job.table("g"), job.context).ok());
  auto none = job.connectors->MakeCommitPoint(job.context);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(*none, nullptr);
}

TEST(Datagen, SameSeedSameRowsWhereverItResumes) {
  std::string ddl =
      R"(CREATE TABLE g (id BIGINT, n INT, x DOUBLE, s VARCHAR, d DECIMAL(8, 2), u UUID, b BOOLEAN, ts TIMESTAMP(3), l ARRAY<INT>)
    WITH ('connector' = 'datagen', 'rows-per-second' = '0', 'number-of-rows' = '5000', 'fields.id.kind' = 'sequence',
          'fields.id.start' = '10', 'fields.n.min' = '-5', 'fields.n.max' = '5', 'fields.s.length' = '20',
          'fields.x.null-rate' = '0.25', 'fields.ts.kind' = 'sequence', 'fields.ts.start' = '2024-01-01 00:00:00', 'fields.ts.step' = '1 s');)";
  TestJob job(ddl, {}, "");
  auto schema = job.table("g").physical_schema();
  auto whole = job.Source("g");
  ASSERT_TRUE(whole->Open("").ok());
  EXPECT_TRUE(whole->bounded());
  auto all = Rows(schema, Drain(*whole));
  ASSERT_EQ(all.size(), 5000u);
  EXPECT_EQ(all[0].substr(0, 9), "{\"id\":10,");
  EXPECT_NE(all[1].find("2024-01-01T00:00:01.000Z"), std::string::npos) << all[1];
  EXPECT_NE(std::set<std::string>(all.begin(), all.end()).size(), 1u);

  auto first = job.Source("g");
  ASSERT_TRUE(first->Open("").ok());
  stream::Polled polled;
  ASSERT_TRUE(first->Poll(&polled).ok());
  auto resumed = job.Source("g");
  ASSERT_TRUE(resumed->Open(first->Position()).ok());
  auto rows = Rows(schema, polled.batches);
  auto rest = Rows(schema, Drain(*resumed));
  rows.insert(rows.end(), rest.begin(), rest.end());
  EXPECT_EQ(rows, all);
}

TEST(Datagen, KeepsItsRate) {
  TestJob job("CREATE TABLE g (a INT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000');", {}, "");
  auto source = job.Source("g");
  ASSERT_TRUE(source->Open("").ok());
  EXPECT_FALSE(source->bounded());
  uint64_t rows = 0;
  int64_t start = Clock::System().MonotonicMs();
  while (Clock::System().MonotonicMs() - start < 300) {
    stream::Polled polled;
    ASSERT_TRUE(source->Poll(&polled).ok());
    for (auto& b : polled.batches) rows += b.rows;
    usleep(1000);
  }
  EXPECT_GT(rows, 200u);
  EXPECT_LT(rows, 400u);
}

TEST(Print, OneObjectARowWithItsKindFirst) {
  TestJob job("CREATE TABLE p (a INT, s VARCHAR) WITH ('connector' = 'print');", {}, "");
  auto sink = job.Sink("p");
  ASSERT_TRUE(sink->Open().ok());
  auto batch = MakeBatch(job.table("p").physical_schema(), {R"({"a":1,"s":"x"})", R"({"a":2})"},
                         {data::RowKind::kInsert, data::RowKind::kUpdateAfter});
  testing::internal::CaptureStdout();
  fflush(stdout);
  ASSERT_TRUE(sink->Write(batch).ok());
  ASSERT_TRUE(sink->Prepare(1).ok());
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "{\"op\":\"+I\",\"a\":1,\"s\":\"x\"}\n{\"op\":\"+U\",\"a\":2,\"s\":null}\n");
}

TEST(BadRecords, WithoutALogGoToAFile) {
  TempDir dir;
  Services services;
  services.data_dir = dir.path();
  TestJob job("CREATE TABLE p (a INT) WITH ('connector' = 'print');", services, dir.path(), "myjob");
  stream::BadRecord bad{"field a: expected INTEGER", "decode", {"topic", 3}, 17, 1705314600123, "key", "{\"a\":\xff}"};
  ASSERT_TRUE(job.connectors->WriteBadRecords({bad}, job.context).ok());
  std::ifstream in(dir / "errors/myjob.jsonl");
  std::string line;
  ASSERT_TRUE(std::getline(in, line));
  EXPECT_NE(line.find("\"job\":\"myjob\",\"stage\":\"decode\",\"reason\":\"field a: expected "
                      "INTEGER\",\"topic\":\"topic\",\"partition\":3,"
                      "\"offset\":17,\"timestamp\":\"2024-01-15T10:30:00.123Z\",\"key\":\"key\",\"original_base64\":"
                      "\"eyJhIjr/fQ==\""),
            std::string::npos)
      << line;
}

}  // namespace
}  // namespace tailrace::connectors
