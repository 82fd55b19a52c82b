// The kafka connector over both implementations of the log: the embedded broker in process, and librdkafka talking to
// the embedded broker's port or, where TAILRACE_TEST_KAFKA=HOST:PORT is set, to an Apache Kafka.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/random.h"
#include "broker/broker.h"
#include "connectors/kafka/job_log.h"
#include "connectors/kafka/log_client.h"
#include "connectors/test_support.h"

namespace tailrace::connectors {
namespace {

enum class Where { kEmbedded, kOwnPort, kApache };

class KafkaTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    Random random = Random::FromSystem();
    run_ = MakeUuid(random).substr(0, 8);
    if (GetParam() == Where::kApache) {
      bootstrap_ = getenv("TAILRACE_TEST_KAFKA");
    } else {
      StartBroker(0);
      services_.embedded = &broker_->client();
      if (GetParam() == Where::kEmbedded) {
        client_ = services_.embedded;
        return;
      }
    }
    auto client = OpenKafkaClient(bootstrap_, {});
    ASSERT_TRUE(client.ok()) << client.error().ToString();
    own_client_ = std::move(*client);
    client_ = own_client_.get();
    services_.default_bootstrap = bootstrap_;
  }
  void StartBroker(uint16_t port) {
    broker::BrokerOptions options;
    options.data_dir = dir_ / "broker";
    options.auto_create_topics = false;
    options.flush_before_ack = false;
    auto opened = broker::Broker::Open(options, Clock::System());
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    broker_ = std::move(*opened);
    if (GetParam() == Where::kEmbedded) return;
    auto bound = broker_->Listen("127.0.0.1", port);
    ASSERT_TRUE(bound.ok()) << bound.error().ToString();
    port_ = static_cast<uint16_t>(*bound);
    bootstrap_ = "127.0.0.1:" + std::to_string(port_);
  }
  void TearDown() override {
    own_client_.reset();
    if (broker_) { EXPECT_TRUE(broker_->Close().ok()); }
  }

  std::string Topic(const std::string& name) const { return name + "-" + run_; }
  std::string MakeTopic(const std::string& name, int32_t partitions = 1) {
    Status made = client_->CreateTopic({.name = Topic(name), .partitions = partitions});
    EXPECT_TRUE(made.ok()) << made.error().ToString();
    return Topic(name);
  }
  void Send(const std::string& topic, const std::vector<std::string>& values, int32_t partition = -1,
            const std::string& key = "", std::span<const HeaderView> headers = {}) {
    auto writer = client_->OpenWriter().value();
    std::vector<log::RecordToWrite> records;
    for (auto& v : values) {
      log::RecordToWrite r;
      r.value = v;
      if (!key.empty()) r.key = key;
      r.timestamp_ms = 1'705'314'600'123;
      r.headers = headers;
      records.push_back(r);
    }
    Status sent = writer->Append(topic, partition, records);
    ASSERT_TRUE(sent.ok()) << sent.error().ToString();
    Status flushed = writer->Flush();
    ASSERT_TRUE(flushed.ok()) << flushed.error().ToString();
  }
  struct Got {
    std::string key, value;
    bool null_value;
    std::vector<std::pair<std::string, std::string>> headers;
  };
  std::vector<Got> Read(const std::string& topic, size_t count, int32_t partition = 0,
                        log::Isolation isolation = log::Isolation::kReadCommitted, int64_t timeout_ms = 10'000) {
    Waker waker;
    auto reader = client_->OpenReader({topic, partition}, -1, isolation, &waker);
    EXPECT_TRUE(reader.ok()) << reader.error().ToString();
    std::vector<Got> got;
    int64_t deadline = Clock::System().MonotonicMs() + timeout_ms;
    while (got.size() < count && Clock::System().MonotonicMs() < deadline) {
      RecordSet set;
      Status polled = (*reader)->Poll(1 << 20, &set);
      EXPECT_TRUE(polled.ok()) << polled.error().ToString();
      for (auto& r : set.records) {
        Got g{std::string(r.key), std::string(r.value), r.value.data() == nullptr, {}};
        for (uint32_t h = 0; h < r.header_count; h++) g.headers.emplace_back(r.headers[h].key, r.headers[h].value);
        got.push_back(g);
      }
      if (set.records.empty()) waker.Sleep(20);
    }
    return got;
  }
  std::unique_ptr<TestJob> Job(const std::string& sql, const std::string& name = "job") {
    return std::make_unique<TestJob>(sql, services_, dir_.path(), name + "-" + run_);
  }

  TempDir dir_;
  std::string run_;
  std::string bootstrap_;
  uint16_t port_ = 0;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<log::Client> own_client_;
  log::Client* client_ = nullptr;
  Services services_;
};

TEST_P(KafkaTest, ClientCreatesListsReadsSeeksDeletes) {
  std::string topic = MakeTopic("plain", 3);
  EXPECT_EQ(client_->DescribeTopic(topic).value().partitions, 3);
  EXPECT_EQ(client_->DescribeTopic(Topic("none")).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(client_->CreateTopic({.name = topic}).error().code(), ErrorCode::kAlreadyExists);
  bool listed = false;
  auto topics = client_->ListTopics().value();
  for (auto& t : topics) listed |= t.name == topic;
  EXPECT_TRUE(listed);
  HeaderView headers[] = {{"h1", "v1"}, {"h2", ""}};
  Send(topic, {"a", "b", "c"}, 1, "k", headers);
  EXPECT_EQ(client_->Offsets({topic, 1}).value(), (std::pair<int64_t, int64_t>(0, 3)));
  EXPECT_EQ(client_->OffsetForTime({topic, 1}, 1'705'314'600'000).value(), 0);
  EXPECT_EQ(client_->OffsetForTime({topic, 1}, 1'805'314'600'000).value(), 3);
  auto got = Read(topic, 3, 1);
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[2].value, "c");
  EXPECT_EQ(got[0].key, "k");
  EXPECT_EQ(got[0].headers, (std::vector<std::pair<std::string, std::string>>{{"h1", "v1"}, {"h2", ""}}));

  Waker waker;
  auto reader = client_->OpenReader({topic, 1}, 2, log::Isolation::kReadUncommitted, &waker).value();
  auto second = client_->OpenReader({topic, 1}, -2, log::Isolation::kReadUncommitted, &waker).value();
  auto next = [&](log::Reader& r) {
    for (int i = 0; i < 500; i++) {
      RecordSet set;
      EXPECT_TRUE(r.Poll(1000, &set).ok());
      if (!set.records.empty()) return std::string(set.records[0].value);
      waker.Sleep(20);
    }
    return std::string("nothing");
  };
  EXPECT_EQ(next(*reader), "c");
  EXPECT_EQ(reader->position(), 3);
  reader->Seek(1);
  EXPECT_EQ(next(*reader), "b");
  EXPECT_EQ(second->position(), 3);
  Send(topic, {"d"}, 1);
  EXPECT_EQ(next(*second), "d");
  EXPECT_EQ(second->EndOffset().value(), 4);
  reader.reset();
  second.reset();
  EXPECT_TRUE(client_->DeleteTopic(topic).ok());
  EXPECT_EQ(client_->DeleteTopic(Topic("none")).error().code(), ErrorCode::kNotFound);
}

/// What a reader gives until `values` came or it failed.
Status ReadOn(log::Reader& reader, Waker& waker, size_t count, std::vector<std::string>* values) {
  for (int64_t deadline = Clock::System().MonotonicMs() + 10'000; Clock::System().MonotonicMs() < deadline;) {
    RecordSet set;
    TRY(reader.Poll(1 << 20, &set));
    for (auto& r : set.records) values->emplace_back(r.value);
    if (values->size() >= count) return {};
    waker.Sleep(20);
  }
  return Error(ErrorCode::kTimeout, "read " + std::to_string(values->size()));
}

TEST_P(KafkaTest, ReadersSayWhatIsNotThere) {
  std::string topic = MakeTopic("gone");
  Send(topic, {"a", "b"});
  Waker waker;
  std::vector<std::string> values;
  auto reader = client_->OpenReader({topic, 0}, 50, log::Isolation::kReadCommitted, &waker).value();
  EXPECT_EQ(ReadOn(*reader, waker, 1, &values).error().code(), ErrorCode::kInvalidArgument);
  reader->Seek(1);
  ASSERT_TRUE(ReadOn(*reader, waker, 1, &values).ok());
  EXPECT_EQ(values, std::vector<std::string>{"b"});
  EXPECT_EQ(reader->EndOffset().value(), 2);
  ASSERT_TRUE(client_->DeleteTopic(topic).ok());
  EXPECT_EQ(ReadOn(*reader, waker, 9, &values).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(client_->OpenReader({Topic("none"), 0}, 0, log::Isolation::kReadCommitted, &waker).error().code(),
            ErrorCode::kNotFound);
}

TEST_P(KafkaTest, AReaderOutlivesItsBroker) {
  if (GetParam() != Where::kOwnPort) return;  // the others' brokers are not ours to stop
  std::string topic = MakeTopic("events", 2);
  Waker waker;
  std::vector<std::unique_ptr<log::Reader>> readers;
  std::vector<std::string> values;
  for (int32_t p = 0; p < 2; p++) {
    readers.push_back(client_->OpenReader({topic, p}, 0, log::Isolation::kReadCommitted, &waker).value());
    Send(topic, {"before"}, p);
    ASSERT_TRUE(ReadOn(*readers.back(), waker, static_cast<size_t>(p) + 1, &values).ok());
  }
  own_client_.reset();  // readers may outlive their client too
  ASSERT_TRUE(broker_->Close().ok());
  broker_.reset();
  RecordSet nothing;
  for (int i = 0; i < 20; i++, usleep(10'000)) EXPECT_TRUE(readers[0]->Poll(1000, &nothing).ok());
  StartBroker(port_);
  own_client_ = OpenKafkaClient(bootstrap_, {}).value();
  client_ = own_client_.get();
  for (int32_t p = 0; p < 2; p++) {
    Send(topic, {"after"}, p);
    Status read = ReadOn(*readers[static_cast<size_t>(p)], waker, 3 + static_cast<size_t>(p), &values);
    EXPECT_TRUE(read.ok()) << read.error().ToString();
  }
  EXPECT_EQ(values, (std::vector<std::string>{"before", "before", "after", "after"}));
}

TEST_P(KafkaTest, LibrdkafkaReadsWhereMoreIsAsked) {
  if (GetParam() == Where::kEmbedded) return;
  std::string topic = MakeTopic("by-librdkafka");
  Send(topic, {"a", "b", "c"});
  auto client = OpenKafkaClient(bootstrap_, {{"check.crcs", "true"}}).value();
  Waker waker;
  std::vector<std::string> values;
  auto reader = client->OpenReader({topic, 0}, 1, log::Isolation::kReadCommitted, &waker).value();
  ASSERT_TRUE(ReadOn(*reader, waker, 2, &values).ok());
  reader->Seek(0);
  ASSERT_TRUE(ReadOn(*reader, waker, 3, &values).ok());
  EXPECT_EQ(values, (std::vector<std::string>{"b", "c", "a", "b", "c"}));
  EXPECT_EQ(reader->EndOffset().value(), 3);
}

TEST_P(KafkaTest, ManyReadersOfOnePartitionAndOfMany) {
  std::string topic = MakeTopic("many", 6);
  std::vector<std::string> expected;
  for (int32_t p = 0; p < 6; p++) {
    std::vector<std::string> values;
    for (int i = 0; i < 3000; i++)
      values.push_back(std::to_string(p) + ":" + std::to_string(i) + std::string(900, 'x'));
    Send(topic, values, p);
    expected.insert(expected.end(), values.begin(), values.end());
  }
  Waker waker;
  for (auto isolation : {log::Isolation::kReadCommitted, log::Isolation::kReadUncommitted}) {
    std::vector<std::unique_ptr<log::Reader>> readers;
    for (int32_t p = 0; p < 6; p++) {
      readers.push_back(client_->OpenReader({topic, p}, 0, isolation, &waker).value());
      readers.push_back(client_->OpenReader({topic, p}, 0, isolation, &waker).value());
    }
    std::vector<std::string> first, second;
    for (size_t i = 0; i < readers.size(); i += 2) {
      ASSERT_TRUE(ReadOn(*readers[i], waker, first.size() + 3000, &first).ok());
      ASSERT_TRUE(ReadOn(*readers[i + 1], waker, second.size() + 3000, &second).ok());
    }
    EXPECT_TRUE(first == expected);
    EXPECT_TRUE(second == expected);
  }
}

TEST_P(KafkaTest, TransactionsCommitRecordsAndOffsetsWithMetadataOrNothing) {
  std::string in = MakeTopic("in"), out = MakeTopic("out");
  std::string group = "g-" + run_, id = "t-" + run_;
  auto writer = client_->OpenTransactionalWriter(id);
  ASSERT_TRUE(writer.ok()) << writer.error().ToString();
  auto append = [&](log::Writer& w, const std::string& value) {
    log::RecordToWrite r;
    r.value = value;
    Status s = w.Append(out, 0, {&r, 1});
    EXPECT_TRUE(s.ok()) << s.error().ToString();
  };
  ASSERT_TRUE((*writer)->Begin().ok());
  append(**writer, "one");
  log::OffsetToCommit offset{{in, 0}, 17, "epoch 1 of x"};
  Status committed = (*writer)->Commit(group, {&offset, 1});
  ASSERT_TRUE(committed.ok()) << committed.error().ToString();
  auto found = client_->Committed(group, {in, 0});
  ASSERT_TRUE(found.ok()) << found.error().ToString();
  EXPECT_EQ(found->offset, 17);
  EXPECT_EQ(found->metadata, "epoch 1 of x");

  ASSERT_TRUE((*writer)->Begin().ok());
  append(**writer, "aborted");
  ASSERT_TRUE((*writer)->Flush().ok());
  ASSERT_TRUE((*writer)->Abort().ok());

  // A newer writer of the same id fences this one and aborts what it left open.
  ASSERT_TRUE((*writer)->Begin().ok());
  append(**writer, "left open");
  ASSERT_TRUE((*writer)->Flush().ok());
  auto newer = client_->OpenTransactionalWriter(id);
  ASSERT_TRUE(newer.ok()) << newer.error().ToString();
  offset.offset = 99;
  offset.metadata = "epoch 99 of x";
  Status fenced = (*writer)->Commit(group, {&offset, 1});
  ASSERT_FALSE(fenced.ok());
  EXPECT_EQ(fenced.error().code(), ErrorCode::kConflict) << fenced.error().ToString();
  EXPECT_EQ(client_->Committed(group, {in, 0}).value().offset, 17);

  ASSERT_TRUE((*newer)->Begin().ok());
  append(**newer, "two");
  offset.offset = 18;
  offset.metadata = "epoch 2 of x";
  ASSERT_TRUE((*newer)->Commit(group, {&offset, 1}).ok());
  EXPECT_EQ(client_->Committed(group, {in, 0}).value().metadata, "epoch 2 of x");
  auto got = Read(out, 3, 0, log::Isolation::kReadCommitted, 1500);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].value, "one");
  EXPECT_EQ(got[1].value, "two");
  EXPECT_EQ(Read(out, 4, 0, log::Isolation::kReadUncommitted, 3000).size(), 4u);
  EXPECT_EQ(client_->Committed("nobody-" + run_, {in, 0}).value().offset, -1);
  log::OffsetToCommit plain{{in, 0}, 5, "by hand"};
  Status by_hand = client_->CommitOffsets("plain-" + run_, {&plain, 1});
  ASSERT_TRUE(by_hand.ok()) << by_hand.error().ToString();
  EXPECT_EQ(client_->Committed("plain-" + run_, {in, 0}).value().metadata, "by hand");
}

TEST_P(KafkaTest, SourceReadsAllPartitionsWithMetadataAndResumes) {
  std::string topic = MakeTopic("events", 2);
  HeaderView headers[] = {{"source", "web"}};
  Send(topic, {R"({"id":1,"name":"a"})", "broken", R"({"id":2,"name":"b"})"}, 0, "k1", headers);
  Send(topic, {R"({"id":3,"name":"c"})"}, 1);
  auto job =
      Job("CREATE TABLE t (id INT, name VARCHAR, p INT METADATA FROM 'partition', o BIGINT METADATA FROM 'offset', "
          "ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', k VARCHAR METADATA FROM 'key', "
          "h MAP<VARCHAR, VARCHAR> METADATA FROM 'headers', tp VARCHAR METADATA FROM 'topic') "
          "WITH ('connector' = 'kafka', 'topic' = '" +
          topic + "', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset');");
  auto source = job->Source("t", {2, 3, 0, 5, 6, 4});
  ASSERT_NE(source, nullptr);
  Status opened = source->Open("");
  ASSERT_TRUE(opened.ok()) << opened.error().ToString();
  std::vector<stream::BadRecord> bad;
  auto batches = Drain(*source, 3, &bad);
  auto schema = job->table("t").physical_schema();
  auto rows = Rows({schema[2], schema[3], schema[0], schema[5], schema[6], schema[4]}, batches);
  std::sort(rows.begin(), rows.end());
  EXPECT_EQ(rows, (std::vector<std::string>{
                      R"({"p":0,"o":0,"id":1,"k":"k1","h":{"source":"web"},"ts":"2024-01-15T10:30:00.123Z"})",
                      R"({"p":0,"o":2,"id":2,"k":"k1","h":{"source":"web"},"ts":"2024-01-15T10:30:00.123Z"})",
                      R"({"p":1,"o":0,"id":3,"k":null,"h":{},"ts":"2024-01-15T10:30:00.123Z"})"}));
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].offset, 1);
  EXPECT_EQ(bad[0].original, "broken");
  EXPECT_EQ(source->Lag(), 0);
  auto offsets = source->LogOffsets();
  EXPECT_EQ(offsets.size(), 2u);

  std::string position = source->Position();
  source.reset();
  Send(topic, {R"({"id":4,"name":"d"})"}, 1);
  auto resumed = job->Source("t", {0});
  ASSERT_TRUE(resumed->Open(position).ok());
  EXPECT_EQ(Rows({schema[0]}, Drain(*resumed, 1)), std::vector<std::string>{R"({"id":4})"});

  auto bounded =
      Job("CREATE TABLE t (id INT) WITH ('connector' = 'kafka', 'topic' = '" + topic +
          "', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset');");
  auto ends = bounded->Source("t");
  ASSERT_TRUE(ends->Open("").ok());
  EXPECT_TRUE(ends->bounded());
  Send(topic, {R"({"id":5})"}, 0);  // behind the end that was taken at Open
  EXPECT_EQ(Rows({schema[0]}, Drain(*ends)).size(), 4u);
  int64_t positions = 0;
  for (auto& [from, offset] : ends->LogOffsets()) positions += offset;
  EXPECT_EQ(positions, 5);  // three and two: what came later is not taken for read

  auto missing = Job("CREATE TABLE t (id INT) WITH ('connector' = 'kafka', 'topic' = '" + Topic("none") +
                     "', 'format' = 'json');");
  Status unknown = missing->Source("t")->Open("");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().ToString().find("test.sql:1:"), std::string::npos) << unknown.error().ToString();
}

TEST_P(KafkaTest, EpochsStandAsAWholeWithErrorsAndOffsets) {
  std::string in = MakeTopic("in"), out = Topic("made-by-the-sink");
  Send(in, {R"({"id":1})", R"({"id":2})", "junk"});
  std::string sql = "SET 'errors.topic' = '" + Topic("errors") +
                    "';"
                    "CREATE TABLE i (id INT) WITH ('connector' = 'kafka', 'topic' = '" +
                    in +
                    "', 'format' = 'json');"
                    "CREATE TABLE o (id INT) WITH ('connector' = 'kafka', 'topic' = '" +
                    out + "', 'format' = 'json');";
  auto start = [&](uint64_t expected_epoch, std::unique_ptr<stream::Source>* source,
                   std::unique_ptr<stream::Sink>* sink, std::unique_ptr<stream::CommitPoint>* point) {
    auto job = Job(sql);
    *source = job->Source("i");
    *sink = job->Sink("o");
    auto made = job->connectors->MakeCommitPoint(job->context);
    EXPECT_TRUE(made.ok()) << made.error().ToString();
    *point = std::move(*made);
    EXPECT_NE(*point, nullptr);
    auto epoch = (*point)->Recover();
    EXPECT_TRUE(epoch.ok()) << epoch.error().ToString();
    if (epoch.ok()) { EXPECT_EQ(*epoch, expected_epoch); }
    EXPECT_TRUE((*sink)->Open().ok());
    return job;
  };
  std::unique_ptr<stream::Source> source;
  std::unique_ptr<stream::Sink> sink;
  std::unique_ptr<stream::CommitPoint> point;
  std::string position;
  {
    auto job = start(0, &source, &sink, &point);
    ASSERT_TRUE(source->Open("").ok());
    std::vector<stream::BadRecord> bad;
    auto batches = Drain(*source, 2, &bad);
    for (int i = 0; i < 100 && bad.empty(); i++, usleep(5000)) {
      stream::Polled polled;
      ASSERT_TRUE(source->Poll(&polled).ok());
      for (auto& b : polled.bad) bad.push_back(b);
    }
    ASSERT_EQ(bad.size(), 1u);
    Status begun = point->Begin(1);
    ASSERT_TRUE(begun.ok()) << begun.error().ToString();
    for (auto& b : batches) ASSERT_TRUE(sink->Write(b).ok());
    Status errors = job->connectors->WriteBadRecords(bad, job->context);
    ASSERT_TRUE(errors.ok()) << errors.error().ToString();
    EXPECT_EQ(sink->Prepare(1).value(), "");
    Status committed = point->Commit(1, source->LogOffsets());
    ASSERT_TRUE(committed.ok()) << committed.error().ToString();
    position = source->Position();
    // An epoch that never stands: its rows are not seen.
    ASSERT_TRUE(point->Begin(2).ok());
    ASSERT_TRUE(sink->Write(MakeBatch(job->table("o").physical_schema(), {R"({"id":666})"})).ok());
    sink.reset();
    source.reset();
    point.reset();
  }
  auto errors = Read(Topic("errors"), 1);
  ASSERT_EQ(errors.size(), 1u);
  auto error = nlohmann::json::parse(errors[0].value);
  EXPECT_EQ(error["topic"], in);
  EXPECT_EQ(error["offset"], 2);
  EXPECT_EQ(error["original"], "junk");
  EXPECT_EQ(error["stage"], "decode");
  ASSERT_GE(errors[0].headers.size(), 3u);
  EXPECT_EQ(errors[0].headers[0], (std::pair<std::string, std::string>("__connect.errors.topic", in)));
  {
    auto job = start(1, &source, &sink, &point);
    ASSERT_TRUE(source->Open(position).ok());
    Send(in, {R"({"id":3})"});
    auto batches = Drain(*source, 1);
    ASSERT_TRUE(point->Begin(2).ok());
    for (auto& b : batches) ASSERT_TRUE(sink->Write(b).ok());
    ASSERT_TRUE(sink->Prepare(2).ok());
    ASSERT_TRUE(point->Commit(2, source->LogOffsets()).ok());
    auto got = Read(out, 3);
    ASSERT_EQ(got.size(), 3u);
    EXPECT_EQ(got[2].value, R"({"id":3})");
    EXPECT_EQ(client_->Committed("tailrace-" + job->context.job, {in, 0}).value().offset, 4);
    // A third life fences the second.
    std::unique_ptr<stream::Source> source3;
    std::unique_ptr<stream::Sink> sink3;
    std::unique_ptr<stream::CommitPoint> point3;
    ASSERT_TRUE(point->Begin(3).ok());
    ASSERT_TRUE(sink->Write(MakeBatch(job->table("o").physical_schema(), {R"({"id":667})"})).ok());
    auto third = start(2, &source3, &sink3, &point3);
    Status fenced = point->Commit(3, {});
    ASSERT_FALSE(fenced.ok());
    EXPECT_EQ(fenced.error().code(), ErrorCode::kConflict) << fenced.error().ToString();
    source3.reset();
    sink3.reset();
    point3.reset();
    sink.reset();
    source.reset();
    point.reset();
  }
}

TEST_P(KafkaTest, KeysUpsertsAndJobsWithoutSourcesOnTheLog) {
  std::string out = Topic("upserts");
  auto job =
      Job("CREATE TABLE o (id INT, name VARCHAR, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'upsert-kafka', "
          "'topic' = '" +
          out +
          "', 'value.format' = 'json', 'key.format' = 'json');"
          "CREATE TABLE k (id VARCHAR, n INT) WITH ('connector' = 'kafka', 'topic' = '" +
          Topic("keyed") + "', 'format' = 'json', 'key.fields' = 'id', 'value.fields-include' = 'EXCEPT_KEY');");
  auto sink = job->Sink("o");
  auto keyed = job->Sink("k");
  auto point = job->connectors->MakeCommitPoint(job->context).value();
  ASSERT_EQ(point->Recover().value(), 0u);
  ASSERT_TRUE(sink->Open().ok());
  ASSERT_TRUE(keyed->Open().ok());
  ASSERT_TRUE(point->Begin(7).ok());
  Status written = sink->Write(MakeBatch(
      job->table("o").physical_schema(),
      {R"({"id":1,"name":"a"})", R"({"id":1,"name":"a"})", R"({"id":1,"name":"b"})", R"({"id":2,"name":"x"})"},
      {data::RowKind::kInsert, data::RowKind::kUpdateBefore, data::RowKind::kUpdateAfter, data::RowKind::kDelete}));
  ASSERT_TRUE(written.ok()) << written.error().ToString();
  ASSERT_TRUE(keyed->Write(MakeBatch(job->table("k").physical_schema(), {R"({"id":"me","n":3})"})).ok());
  EXPECT_FALSE(
      keyed->Write(MakeBatch(job->table("k").physical_schema(), {R"({"id":"me","n":3})"}, {data::RowKind::kDelete}))
          .ok());
  Status committed = point->Commit(7, {});
  ASSERT_TRUE(committed.ok()) << committed.error().ToString();
  auto got = Read(out, 3);
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[0].key, R"({"id":1})");
  EXPECT_EQ(got[1].value, R"({"id":1,"name":"b"})");
  EXPECT_TRUE(got[2].null_value);
  auto k = Read(Topic("keyed"), 1);
  ASSERT_EQ(k.size(), 1u);
  EXPECT_EQ(k[0].key, "me");
  EXPECT_EQ(k[0].value, R"({"n":3})");
  sink.reset();
  keyed.reset();
  point.reset();
  auto next = Job("CREATE TABLE o (id INT) WITH ('connector' = 'kafka', 'topic' = '" + out + "', 'format' = 'json');");
  auto again = next->Sink("o");
  auto recovered = next->connectors->MakeCommitPoint(next->context).value();
  EXPECT_EQ(recovered->Recover().value(), 7u);
  // On an empty topic, so that nothing of the job's seems to be read and to lag behind.
  std::string group = "tailrace-" + next->context.job;
  EXPECT_EQ(client_->Committed(group, {out, 0}).value().offset, -1);
  EXPECT_EQ(client_->Committed(group, {"__tailrace_epochs", 0}).value().offset, 0);
  EXPECT_EQ(client_->Offsets({"__tailrace_epochs", 0}).value().second, 0);
  // Earlier versions kept it with the sink's topic.
  log::OffsetToCommit earlier{{out, 0}, 0, EpochMetadata(next->context.job, 9)};
  ASSERT_TRUE(client_->CommitOffsets(group, {&earlier, 1}).ok());
  EXPECT_EQ(recovered->Recover().value(), 9u);
}

TEST_P(KafkaTest, TimesThatARecordOrAColumnCannotHave) {
  std::string topic = MakeTopic("times");
  std::string columns =
      " (n INT, ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp') WITH ('connector' = 'kafka', 'topic' = '" + topic +
      "', 'format' = 'json', ";
  auto job = Job("CREATE TABLE o" + columns + "'sink.delivery-guarantee' = 'at-least-once');" + "CREATE TABLE t" +
                 columns + "'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset');");
  auto schema = job->table("t").physical_schema();
  auto sink = job->Sink("o");
  ASSERT_TRUE(sink->Open().ok());
  ASSERT_TRUE(sink->Write(MakeBatch(schema, {R"({"n":1,"ts":"1969-12-31T00:00:00Z"})"})).ok());
  ASSERT_TRUE(sink->Prepare(1).ok());
  if (GetParam() == Where::kEmbedded) {  // brokers refuse times far in the future from clients
    log::RecordToWrite r;
    r.value = R"({"n":2})";
    r.timestamp_ms = INT64_MAX - 1;
    auto writer = client_->OpenWriter().value();
    ASSERT_TRUE(writer->Append(topic, 0, {&r, 1}).ok());
    ASSERT_TRUE(writer->Flush().ok());
  }
  auto source = job->Source("t");
  ASSERT_TRUE(source->Open("").ok());
  auto rows = Rows(schema, Drain(*source));
  ASSERT_GE(rows.size(), 1u);
  EXPECT_GT(rows[0], R"({"n":1,"ts":"2024)") << "a time before 1970 is the time of writing";
  if (rows.size() > 1) { EXPECT_EQ(rows[1], R"({"n":2,"ts":null})"); }
}

TEST_P(KafkaTest, ColumnsOfTheKey) {
  std::string topic = MakeTopic("keyed-in");
  Send(topic, {R"({"n":1})"}, 0, R"({"a":"x","b":7})");
  Send(topic, {R"({"n":2})"}, 0, "not json");
  Send(topic, {R"({"n":3})"}, 0);
  Send(topic, {R"({"n":4})"}, 0, R"({"b":8,"a":"y"})");
  auto job =
      Job("CREATE TABLE t (a VARCHAR, n INT, b BIGINT, o BIGINT METADATA FROM 'offset') WITH ('connector' = 'kafka', "
          "'topic' = '" +
          topic +
          "', 'format' = 'json', 'key.format' = 'json', 'key.fields' = 'a;b', 'value.fields-include' = 'EXCEPT_KEY', "
          "'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset');");
  auto source = job->Source("t", {3, 2, 1, 0});
  ASSERT_TRUE(source->Open("").ok());
  std::vector<stream::BadRecord> bad;
  auto schema = job->table("t").physical_schema();
  EXPECT_EQ(Rows({schema[3], schema[2], schema[1], schema[0]}, Drain(*source, UINT64_MAX, &bad)),
            (std::vector<std::string>{R"({"o":0,"b":7,"n":1,"a":"x"})", R"({"o":3,"b":8,"n":4,"a":"y"})"}));
  ASSERT_EQ(bad.size(), 2u);
  EXPECT_EQ(bad[0].offset + bad[1].offset, 3);
}

TEST_P(KafkaTest, WhatIsTooLargeGoesToTheErrorTopicCut) {
  std::string out = Topic("out");
  auto job = Job("SET 'errors.topic' = '" + Topic("errors") +
                 "';"
                 "CREATE TABLE o (s VARCHAR) WITH ('connector' = 'kafka', 'topic' = '" +
                 out + "', 'format' = 'json');");
  auto sink = job->Sink("o");
  auto point = job->connectors->MakeCommitPoint(job->context).value();
  ASSERT_TRUE(point->Recover().ok());
  ASSERT_TRUE(sink->Open().ok());
  ASSERT_TRUE(point->Begin(1).ok());
  Status written =
      sink->Write(MakeBatch(job->table("o").physical_schema(),
                            {R"({"s":"a"})", "{\"s\":\"" + std::string(3 << 20, 'x') + "\"}", R"({"s":"b"})"}));
  ASSERT_TRUE(written.ok()) << written.error().ToString();
  stream::BadRecord bad{"too large", "decode", {"t", 0}, 1, 1, "", std::string(20 << 20, '\x01')};
  Status errors = job->connectors->WriteBadRecords({bad}, job->context);
  ASSERT_TRUE(errors.ok()) << errors.error().ToString();
  Status committed = point->Commit(1, {});
  ASSERT_TRUE(committed.ok()) << committed.error().ToString();
  auto rows = Read(out, 2);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].value, R"({"s":"b"})");
  auto refused = Read(Topic("errors"), 2);
  ASSERT_EQ(refused.size(), 2u);
  EXPECT_EQ(nlohmann::json::parse(refused[0].value)["stage"], "sink");
  EXPECT_EQ(nlohmann::json::parse(refused[0].value)["original_size"], (3 << 20) + 8);
  EXPECT_EQ(nlohmann::json::parse(refused[1].value)["original_size"], 20 << 20);
}

// tests/engines starts Apache Kafka and runs these against it.
std::vector<Where> Wheres() {
  if (getenv("TAILRACE_TEST_KAFKA")) return {Where::kEmbedded, Where::kOwnPort, Where::kApache};
  return {Where::kEmbedded, Where::kOwnPort};
}
INSTANTIATE_TEST_SUITE_P(Logs, KafkaTest, testing::ValuesIn(Wheres()), [](const auto& info) {
  return info.param == Where::kEmbedded ? "Embedded" : info.param == Where::kOwnPort ? "OwnPort" : "ApacheKafka";
});

}  // namespace
}  // namespace tailrace::connectors
