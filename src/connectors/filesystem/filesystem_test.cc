#include <gtest/gtest.h>

#include <dirent.h>
#include <sys/stat.h>
#include <zlib.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <set>

#include "base/test_corpus.h"
#include "connectors/filesystem/line_reader.h"
#include "connectors/test_support.h"

namespace tailrace::connectors {
namespace {

void WriteFile(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

void WriteGz(const std::string& path, const std::string& text) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
}

std::vector<std::string> List(const std::string& dir) {
  std::vector<std::string> names;
  DIR* d = opendir(dir.c_str());
  while (dirent* e = readdir(d))
    if (e->d_name[0] != '.' || e->d_name[1] == 'p') names.emplace_back(e->d_name);
  closedir(d);
  std::sort(names.begin(), names.end());
  return names;
}

const char* kCsv =
    "CREATE TABLE f (id INT, s VARCHAR) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'csv', "
    "'csv.header' = 'true');";

TEST(FilesystemSource, FilesInOrderWithQuotedNewlinesAndGzip) {
  TempDir dir;
  mkdir((dir / "in").c_str(), 0777);
  WriteFile(dir / "in/b.csv", "s,id\r\n\"two\r\nlines\",3\r\nlast,4");
  WriteGz(dir / "in/a.csv.gz", "\xEF\xBB\xBFid,s\n1,one\n\n2,\"say \"\"hi\"\"\"\nx,bad\n");
  WriteFile(dir / "in/.hidden", "9,9\n");
  TestJob job(kCsv, {}, dir.path());
  auto source = job.Source("f");
  ASSERT_TRUE(source->Open("").ok());
  EXPECT_TRUE(source->bounded());
  std::vector<stream::BadRecord> bad;
  auto rows = Rows(job.table("f").physical_schema(), Drain(*source, UINT64_MAX, &bad));
  EXPECT_EQ(rows, (std::vector<std::string>{R"({"id":1,"s":"one"})", R"({"id":2,"s":"say \"hi\""})",
                                            R"({"id":3,"s":"two\r\nlines"})", R"({"id":4,"s":"last"})"}));
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].from.topic, dir / "in/a.csv.gz");
  EXPECT_EQ(bad[0].offset, 4);
  EXPECT_EQ(bad[0].original, "x,bad");
}

// https://github.com/maxogden/csv-spectrum; run where the shared test data is.
TEST(FilesystemSource, CsvSpectrum) {
  std::string folder = TestCorpus("csv_spectrum");
  DIR* listing = opendir((folder + "csvs").c_str());
  ASSERT_NE(listing, nullptr) << folder;
  int files = 0;
  while (dirent* entry = readdir(listing)) {
    std::string name = entry->d_name;
    if (name.size() < 5 || name.substr(name.size() - 4) != ".csv") continue;
    // Of these two the CSV and the JSON differ in the suite itself (a phone number; CRLF lost in the CSV).
    if (name == "location_coordinates.csv" || name == "newlines_crlf.csv") continue;
    std::ifstream in(folder + "json/" + name.substr(0, name.size() - 4) + ".json");
    auto expected = nlohmann::ordered_json::parse(in);
    if (expected.is_object()) expected = nlohmann::ordered_json::array({expected});
    std::string columns;
    for (auto& [key, value] : expected[0].items()) columns += (columns.empty() ? "`" : ", `") + key + "` VARCHAR";
    TestJob job("CREATE TABLE f (" + columns + ") WITH ('connector' = 'filesystem', 'path' = '" + folder + "csvs/" +
                    name + "', 'format' = 'csv', 'csv.header' = 'true');",
                {}, "");
    auto source = job.Source("f");
    ASSERT_TRUE(source->Open("").ok());
    std::vector<stream::BadRecord> bad;
    auto rows = Rows(job.table("f").physical_schema(), Drain(*source, UINT64_MAX, &bad));
    EXPECT_TRUE(bad.empty()) << name << ": " << bad[0].reason;
    ASSERT_EQ(rows.size(), expected.size()) << name;
    for (size_t i = 0; i < rows.size(); i++) {
      auto row = nlohmann::ordered_json::parse(rows[i]);
      for (auto& value : row)
        if (value.is_null()) value = "";  // an empty field is NULL here
      EXPECT_EQ(row, expected[i]) << name;
    }
    files++;
  }
  closedir(listing);
  EXPECT_GE(files, 10);
}

TEST(FilesystemSource, ResumesBehindEveryPoll) {
  TempDir dir;
  mkdir((dir / "in").c_str(), 0777);
  std::vector<std::string> expected;
  for (int f = 0; f < 3; f++) {
    std::string text = "id,s\n";
    for (int i = 0; i < 20'000; i++) {
      int id = f * 20'000 + i;
      text += std::to_string(id) + ",\"value\nof " + std::to_string(id) + "\"\n";
      expected.push_back("{\"id\":" + std::to_string(id) + ",\"s\":\"value\\nof " + std::to_string(id) + "\"}");
    }
    if (f == 1) WriteGz(dir / ("in/" + std::to_string(f) + ".csv.gz"), text);
    else WriteFile(dir / ("in/" + std::to_string(f) + ".csv"), text);
  }
  TestJob job(kCsv, {}, dir.path());
  auto schema = job.table("f").physical_schema();
  std::vector<std::string> rows;
  std::string position;
  for (int polls = 0; polls < 1000; polls++) {
    auto source = job.Source("f");  // a new life for every poll
    ASSERT_TRUE(source->Open(position).ok());
    stream::Polled polled;
    auto state = source->Poll(&polled);
    ASSERT_TRUE(state.ok());
    auto more = Rows(schema, polled.batches);
    rows.insert(rows.end(), more.begin(), more.end());
    EXPECT_TRUE(polled.bad.empty()) << polled.bad[0].reason << polled.bad[0].original;
    position = source->Position();
    if (*state == stream::PollState::kEnd) break;
  }
  EXPECT_EQ(rows.size(), expected.size());
  EXPECT_TRUE(rows == expected);
}

TEST(FilesystemSource, ALineOverTheLimitIsBadAndTheRestGoesOn) {
  TempDir dir;
  std::string text = "{\"a\":1}\n{\"a\":\"" + std::string(20 << 20, 'x') + "\"}\n{\"a\":3}\n";
  WriteFile(dir / "big.json", text);
  TestJob job("CREATE TABLE f (a VARCHAR) WITH ('connector' = 'filesystem', 'path' = 'big.json', 'format' = 'json');",
              {}, dir.path());
  auto source = job.Source("f");
  ASSERT_TRUE(source->Open("").ok());
  std::vector<stream::BadRecord> bad;
  auto rows = Rows(job.table("f").physical_schema(), Drain(*source, UINT64_MAX, &bad));
  EXPECT_EQ(rows, (std::vector<std::string>{R"({"a":"1"})", R"({"a":"3"})"}));
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].offset, 1);
}

TEST(FilesystemSource, MissingFilesAndBrokenGzipAreErrors) {
  TempDir dir;
  TestJob job(
      "CREATE TABLE f (a INT) WITH ('connector' = 'filesystem', 'path' = 'none/*.json', 'format' = 'json');"
      "CREATE TABLE z (a INT) WITH ('connector' = 'filesystem', 'path' = 'z.json.gz', 'format' = 'json');",
      {}, dir.path());
  Status missing = job.Source("f")->Open("");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().ToString().find("test.sql:1:"), std::string::npos) << missing.error().ToString();
  WriteGz(dir / "z.json.gz", std::string(100'000, '\n') + "{\"a\":1}\n{\"a\":2}\n{\"a\":345345345}\n");
  std::ifstream in(dir / "z.json.gz", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  WriteFile(dir / "z.json.gz", bytes.substr(0, bytes.size() / 2));
  auto source = job.Source("z");
  ASSERT_TRUE(source->Open("").ok());
  bool failed = false;
  for (int i = 0; i < 20 && !failed; i++) {
    stream::Polled polled;
    auto state = source->Poll(&polled);
    failed = !state.ok();
    if (state.ok() && *state == stream::PollState::kEnd) break;
  }
  EXPECT_TRUE(failed);
}

const char* kSink =
    "CREATE TABLE t (id BIGINT, s VARCHAR) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'json');";

TEST(FilesystemSink, NothingShowsBeforeItsEpochStands) {
  TempDir dir;
  TestJob job(kSink, {}, dir.path());
  auto schema = job.table("t").physical_schema();
  auto sink = job.Sink("t");
  ASSERT_TRUE(sink->Open().ok());
  ASSERT_TRUE(sink->Discard(0).ok());
  ASSERT_TRUE(sink->Write(MakeBatch(schema, {R"({"id":1,"s":"a"})", R"({"id":2})"})).ok());
  for (auto& name : List(dir / "out")) EXPECT_EQ(name[0], '.') << name;
  std::string prepared = sink->Prepare(1).value();
  for (auto& name : List(dir / "out")) EXPECT_EQ(name[0], '.') << name;
  ASSERT_TRUE(sink->Commit(1, prepared).ok());
  ASSERT_TRUE(sink->Commit(1, prepared).ok());  // again, as after a crash
  auto names = List(dir / "out");
  ASSERT_EQ(names.size(), 1u);
  std::ifstream in(dir / ("out/" + names[0]));
  std::string text((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(text, "{\"id\":1,\"s\":\"a\"}\n{\"id\":2,\"s\":null}\n");
  EXPECT_EQ(sink->Prepare(2).value(), "");
  // What does not stand goes.
  ASSERT_TRUE(sink->Write(MakeBatch(schema, {R"({"id":3})"})).ok());
  std::string lost = sink->Prepare(3).value();
  TestJob next_life(kSink, {}, dir.path());
  auto next = next_life.Sink("t");
  ASSERT_TRUE(next->Open().ok());
  ASSERT_TRUE(next->Discard(2).ok());
  EXPECT_EQ(List(dir / "out"), names);
}

TEST(FilesystemSink, KilledAtAnyMomentEachRowIsThereOnce) {
  TempDir dir;
  KillPlan plan;
  plan.rows_an_epoch = 8;
  KillAndResume(kSink, dir.path(), plan, [](int64_t n) { return "{\"id\":" + std::to_string(n) + ",\"s\":\"row\"}"; });
  std::set<int64_t> seen;
  size_t rows = 0;
  for (auto& name : List(dir / "out")) {
    EXPECT_NE(name[0], '.') << name;
    std::ifstream in(dir / ("out/" + name));
    for (std::string line; std::getline(in, line); rows++)
      seen.insert(nlohmann::json::parse(line)["id"].get<int64_t>());
  }
  EXPECT_EQ(rows, 20'000u);
  EXPECT_EQ(seen.size(), 20'000u);
}

}  // namespace
}  // namespace tailrace::connectors
