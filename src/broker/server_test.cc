// The broker over its real socket, with requests encoded by the same messages a client would send.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/clock.h"
#include "base/random.h"
#include "broker/broker.h"
#include "gtest/gtest.h"
#include "io/file.h"
#include "log/client.h"
#include "wire/header.h"
#include "wire/messages/api_versions.h"
#include "wire/messages/create_topics.h"
#include "wire/messages/delete_records.h"
#include "wire/messages/delete_topics.h"
#include "wire/messages/describe_configs.h"
#include "wire/messages/fetch.h"
#include "wire/messages/incremental_alter_configs.h"
#include "wire/messages/init_producer_id.h"
#include "wire/messages/list_offsets.h"
#include "wire/messages/metadata.h"
#include "wire/messages/offset_commit.h"
#include "wire/messages/offset_fetch.h"
#include "wire/messages/produce.h"
#include "wire/record_batch.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;

class RawClient {
 public:
  explicit RawClient(uint16_t port) {
    socket_ = socket(AF_INET, SOCK_STREAM, 0);
    timeval timeout{10, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  }
  ~RawClient() { close(socket_); }
  RawClient(const RawClient&) = delete;

  template <typename Request>
  void Send(const Request& request, int16_t version) {
    std::string bytes = wire::EncodeRequestFrame(request, version, ++correlation_, "test").Flatten();
    Write(bytes);
  }
  void Write(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  /// Empty where the broker has hung up.
  std::string ReadFrame() {
    std::string head = ReadExactly(4);
    if (head.size() < 4) return "";
    frame_ = ReadExactly(LoadBe32(head.data()));
    return frame_;
  }
  bool HungUp() { return ReadExactly(1).empty(); }
  template <typename Response>
  Response Receive(int16_t version) {
    ReadFrame();
    wire::Decoder from(frame_);
    EXPECT_FALSE(frame_.empty());
    wire::DecodeResponseHeader(Response::kApi, version, from);
    auto response = Response::Decode(from.rest(), version);
    EXPECT_TRUE(response.ok()) << response.error().ToString();
    return response.ok() ? *response : Response{};
  }
  template <typename Response, typename Request>
  Response Call(const Request& request, int16_t version) {
    Send(request, version);
    return Receive<Response>(version);
  }

 private:
  std::string ReadExactly(size_t n) {
    std::string out(n, 0);
    size_t got = 0;
    while (got < n) {
      ssize_t r = recv(socket_, out.data() + got, n - got, 0);
      if (r <= 0) break;
      got += static_cast<size_t>(r);
    }
    out.resize(got);
    return out;
  }
  int socket_;
  int32_t correlation_ = 0;
  std::string frame_;  // records in a response are views into it
};

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/tailrace-broker-XXXXXX";
    options_.data_dir = mkdtemp(path);
    options_.max_decompressed_bytes = 4 << 20;
    Start();
  }
  void Start() {
    auto broker = Broker::Open(options_, Clock::System());
    ASSERT_TRUE(broker.ok()) << broker.error().ToString();
    broker_ = std::move(broker).value();
    auto port = broker_->Listen("127.0.0.1", 0);
    ASSERT_TRUE(port.ok());
    port_ = *port;
    client_ = std::make_unique<RawClient>(port_);
  }
  void Stop() {
    client_.reset();
    ASSERT_TRUE(broker_->Close().ok());
    broker_.reset();
  }
  void TearDown() override {
    Stop();
    (void)io::RemoveTree(options_.data_dir);
  }

  KafkaError Create(const std::string& name, int32_t partitions,
                    std::vector<std::pair<std::string, std::string>> configs = {}) {
    wire::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.num_partitions = partitions;
    topic.replication_factor = 1;
    for (auto& [key, value] : configs) topic.configs.push_back({key, value});
    auto response = client_->Call<wire::CreateTopicsResponse>(request, 7);
    return static_cast<KafkaError>(response.topics[0].error_code);
  }
  static std::string Batch(std::vector<std::string> values, wire::BatchOptions options = {}) {
    wire::RecordBatchBuilder builder;
    builder.Reset(options);
    int64_t now_ms = Clock::System().NowMs();
    for (auto& v : values) builder.Append({}, v, now_ms);
    return std::string(builder.Finish());
  }
  static wire::ProduceRequest ProduceOf(const std::string& topic, int32_t partition, const std::string& batch,
                                        int16_t acks = -1) {
    wire::ProduceRequest request;
    request.acks = acks;
    request.timeout_ms = 10'000;
    auto& t = request.topics.emplace_back();
    t.name = topic;
    auto& p = t.partitions.emplace_back();
    p.index = partition;
    p.records.chain.push_back(SharedBytes::Own(batch));
    return request;
  }
  wire::ProduceResponse::Topic::Partition Produce(const std::string& topic, int32_t partition, const std::string& batch,
                                                  int16_t version = 9) {
    auto response = client_->Call<wire::ProduceResponse>(ProduceOf(topic, partition, batch), version);
    return response.topics[0].partitions[0];
  }
  static wire::FetchRequest FetchOf(const std::string& topic, std::vector<std::pair<int32_t, int64_t>> partitions,
                                    int32_t max_wait_ms = 0) {
    wire::FetchRequest request;
    request.max_wait_ms = max_wait_ms;
    request.min_bytes = 1;
    request.session_epoch = -1;
    auto& t = request.topics.emplace_back();
    t.topic = topic;
    for (auto [index, offset] : partitions) {
      auto& p = t.partitions.emplace_back();
      p.partition = index;
      p.fetch_offset = offset;
      p.partition_max_bytes = 1 << 20;
    }
    return request;
  }
  static std::vector<std::string> Values(BytesView batches) {
    RecordSet set;
    EXPECT_TRUE(wire::DecodeAllRecords(batches, {}, &set).ok());
    std::vector<std::string> values;
    for (auto& r : set.records) values.emplace_back(r.value);
    return values;
  }

  BrokerOptions options_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<RawClient> client_;
  uint16_t port_ = 0;
};

TEST_F(ServerTest, EveryVersionOfProduceAndFetchWorks) {
  ASSERT_EQ(Create("t", 1), KafkaError::kNone);
  auto metadata = wire::MetadataRequest{};
  auto topic_id = client_->Call<wire::MetadataResponse>(metadata, 12).topics[0].topic_id;
  int64_t offset = 0;
  for (int16_t version = 3; version <= 13; ++version) {
    auto batch = Batch({"v" + std::to_string(version)});
    auto request = ProduceOf("t", 0, batch);
    if (version >= 13) request.topics[0].topic_id = topic_id;
    auto response = client_->Call<wire::ProduceResponse>(request, version);
    EXPECT_EQ(response.topics[0].partitions[0].error_code, 0) << version;
    EXPECT_EQ(response.topics[0].partitions[0].base_offset, offset++);
  }
  for (int16_t version = 4; version <= 18; ++version) {
    auto request = FetchOf("t", {{0, 0}});
    if (version >= 13) request.topics[0].topic_id = topic_id;
    auto response = client_->Call<wire::FetchResponse>(request, version);
    ASSERT_EQ(response.topics.size(), 1u) << version;
    EXPECT_EQ(response.topics[0].partitions[0].high_watermark, offset);
    EXPECT_EQ(Values(response.topics[0].partitions[0].records.view).size(), static_cast<size_t>(offset)) << version;
  }
}

TEST_F(ServerTest, ProduceAnswersWithKafkasErrors) {
  ASSERT_EQ(Create("t", 1, {{"max.message.bytes", "2000"}}), KafkaError::kNone);
  auto code = [&](const std::string& batch) { return static_cast<KafkaError>(Produce("t", 0, batch).error_code); };
  EXPECT_EQ(code(Batch({"fine"})), KafkaError::kNone);
  EXPECT_EQ(code(Batch({std::string(3000, 'x')})), KafkaError::kMessageTooLarge);
  std::string damaged = Batch({"damaged on the way"});
  damaged[70] ^= 1;
  EXPECT_EQ(code(damaged), KafkaError::kCorruptMessage);
  std::string codec = Batch({"codec 7"});
  codec[22] |= 7;
  StoreBe32(codec.data() + 17, Crc32c(BytesView(codec).substr(21)));
  EXPECT_NE(code(codec), KafkaError::kNone);
  EXPECT_NE(code(""), KafkaError::kNone);
  EXPECT_EQ(static_cast<KafkaError>(Produce("t", 5, Batch({"x"})).error_code), KafkaError::kUnknownTopicOrPartition);
  EXPECT_EQ(static_cast<KafkaError>(Produce("none", 0, Batch({"x"})).error_code), KafkaError::kUnknownTopicOrPartition);
  auto acks = ProduceOf("t", 0, Batch({"x"}), 2);
  EXPECT_EQ(static_cast<KafkaError>(client_->Call<wire::ProduceResponse>(acks, 9).topics[0].partitions[0].error_code),
            KafkaError::kInvalidRequiredAcks);
  // The future, by more than message.timestamp.after.max.ms.
  wire::RecordBatchBuilder builder;
  builder.Reset({});
  builder.Append({}, "tomorrow", Clock::System().NowMs() + 86'400'000);
  EXPECT_EQ(code(std::string(builder.Finish())), KafkaError::kInvalidTimestamp);
  ASSERT_EQ(Create("compacted", 1, {{"cleanup.policy", "compact"}}), KafkaError::kNone);
  EXPECT_EQ(static_cast<KafkaError>(Produce("compacted", 0, Batch({"no key"})).error_code), KafkaError::kInvalidRecord);
  EXPECT_EQ(code(Batch({"still here"})), KafkaError::kNone);
}

TEST_F(ServerTest, ABatchThatInflatesWithoutEndIsRefused) {
  EXPECT_LE(BrokerOptions().max_decompressed_bytes, 32 << 20);  // the loop has others to serve
  ASSERT_EQ(Create("t", 1), KafkaError::kNone);
  ASSERT_EQ(Create("large", 1, {{"max.message.bytes", "10000000"}}), KafkaError::kNone);
  std::vector<std::string> zeros(64, std::string(1 << 17, 0));  // 8 MB, twice the limit, in a few KB
  for (auto codec :
       {wire::Compression::kGzip, wire::Compression::kZstd, wire::Compression::kLz4, wire::Compression::kSnappy}) {
    wire::BatchOptions options;
    options.compression = codec;
    auto bomb = Batch(zeros, options);
    ASSERT_LT(bomb.size(), 1'000'000u);
    EXPECT_NE(Produce("t", 0, bomb).error_code, 0) << wire::CompressionName(codec);
    // A topic that takes batches of this size takes them compressed too.
    EXPECT_EQ(Produce("large", 0, bomb).error_code, 0) << wire::CompressionName(codec);
    EXPECT_EQ(Produce("t", 0, Batch({"small"}, options)).error_code, 0) << wire::CompressionName(codec);
  }
}

TEST_F(ServerTest, IdempotentProducersAreHeldToTheirSequence) {
  ASSERT_EQ(Create("t", 1), KafkaError::kNone);
  auto producer = client_->Call<wire::InitProducerIdResponse>(wire::InitProducerIdRequest{}, 4);
  ASSERT_EQ(producer.error_code, 0);
  wire::BatchOptions options;
  options.producer_id = producer.producer_id;
  options.producer_epoch = producer.producer_epoch;
  options.base_sequence = 0;
  std::string first = Batch({"a", "b"}, options);
  EXPECT_EQ(Produce("t", 0, first).base_offset, 0);
  EXPECT_EQ(Produce("t", 0, first).base_offset, 0);  // sent again
  options.base_sequence = 2;
  EXPECT_EQ(Produce("t", 0, Batch({"c"}, options)).base_offset, 2);
  options.base_sequence = 7;
  EXPECT_EQ(static_cast<KafkaError>(Produce("t", 0, Batch({"gap"}, options)).error_code),
            KafkaError::kOutOfOrderSequenceNumber);
}

TEST_F(ServerTest, AFetchWaitsForRecordsAndEndsWhenItsTimeIsOver) {
  ASSERT_EQ(Create("t", 2), KafkaError::kNone);
  auto started = Clock::System().MonotonicMs();
  auto empty = client_->Call<wire::FetchResponse>(FetchOf("t", {{0, 0}, {1, 0}}, 200), 12);
  EXPECT_GE(Clock::System().MonotonicMs() - started, 190);
  EXPECT_TRUE(empty.topics[0].partitions[0].records.view.empty());
  RawClient waiting(port_);
  waiting.Send(FetchOf("t", {{0, 0}, {1, 0}}, 10'000), 12);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  started = Clock::System().MonotonicMs();
  Produce("t", 1, Batch({"news"}));
  auto woken = waiting.Receive<wire::FetchResponse>(12);
  EXPECT_LT(Clock::System().MonotonicMs() - started, 2000);
  EXPECT_EQ(Values(woken.topics[0].partitions[1].records.view), std::vector<std::string>{"news"});
  // The topic goes while somebody waits for it.
  waiting.Send(FetchOf("t", {{0, 0}}, 10'000), 12);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  wire::DeleteTopicsRequest remove;
  remove.topic_names = {"t"};
  EXPECT_EQ(client_->Call<wire::DeleteTopicsResponse>(remove, 5).topics[0].error_code, 0);
  auto gone = waiting.Receive<wire::FetchResponse>(12);
  EXPECT_EQ(static_cast<KafkaError>(gone.topics[0].partitions[0].error_code), KafkaError::kUnknownTopicOrPartition);
}

TEST_F(ServerTest, FetchSessionsSendOnlyWhatChanged) {
  ASSERT_EQ(Create("t", 3), KafkaError::kNone);
  auto request = FetchOf("t", {{0, 0}, {1, 0}, {2, 0}});
  request.session_epoch = 0;
  auto full = client_->Call<wire::FetchResponse>(request, 12);
  ASSERT_GT(full.session_id, 0);
  EXPECT_EQ(full.topics[0].partitions.size(), 3u);
  wire::FetchRequest next;
  next.session_id = full.session_id;
  next.session_epoch = 1;
  next.min_bytes = 1;
  EXPECT_TRUE(client_->Call<wire::FetchResponse>(next, 12).topics.empty());
  Produce("t", 2, Batch({"x"}));
  next.session_epoch = 2;
  auto changed = client_->Call<wire::FetchResponse>(next, 12);
  ASSERT_EQ(changed.topics.size(), 1u);
  ASSERT_EQ(changed.topics[0].partitions.size(), 1u);
  EXPECT_EQ(changed.topics[0].partitions[0].partition, 2);
  // The same again, since the offset didn't move; then without that partition.
  next.session_epoch = 3;
  EXPECT_EQ(client_->Call<wire::FetchResponse>(next, 12).topics.size(), 1u);
  next.session_epoch = 4;
  next.forgotten_topics.push_back({"t", {}, {2}});
  EXPECT_TRUE(client_->Call<wire::FetchResponse>(next, 12).topics.empty());
  next.forgotten_topics.clear();
  next.session_epoch = 9;
  EXPECT_EQ(static_cast<KafkaError>(client_->Call<wire::FetchResponse>(next, 12).error_code),
            KafkaError::kInvalidFetchSessionEpoch);
  next.session_id = 12345;
  EXPECT_EQ(static_cast<KafkaError>(client_->Call<wire::FetchResponse>(next, 12).error_code),
            KafkaError::kFetchSessionIdNotFound);
}

TEST_F(ServerTest, AFetchOfAClientThatLeftIsGivenUp) {
  ASSERT_EQ(Create("t", 1), KafkaError::kNone);
  auto request = FetchOf("t", {{0, 0}}, 60'000);
  request.min_bytes = 0;
  request.session_epoch = 0;
  auto leaves = std::make_unique<RawClient>(port_);
  auto full = leaves->Call<wire::FetchResponse>(request, 12);
  ASSERT_GT(full.session_id, 0);
  wire::FetchRequest next;
  next.session_id = full.session_id;
  next.session_epoch = 1;
  next.min_bytes = 1;
  next.max_wait_ms = 60'000;
  leaves->Send(next, 12);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  leaves.reset();
  // Its session is free again, not in the hands of a poll that nobody waits for.
  next.session_epoch = 2;
  next.max_wait_ms = 0;
  auto error = KafkaError::kInvalidFetchSessionEpoch;
  for (int i = 0; i < 100 && error != KafkaError::kNone; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    error = static_cast<KafkaError>(client_->Call<wire::FetchResponse>(next, 12).error_code);
  }
  EXPECT_EQ(error, KafkaError::kNone);
}

TEST_F(ServerTest, RecordsSentWithoutAcknowledgementSurviveTheClientsDeparture) {
  ASSERT_EQ(Create("t", 1), KafkaError::kNone);
  constexpr int kBatches = 500;
  auto leaves = std::make_unique<RawClient>(port_);
  for (int i = 0; i < kBatches; ++i) leaves->Send(ProduceOf("t", 0, Batch({std::to_string(i)}), 0), 9);
  leaves.reset();
  // Readers see only what is on disk, so this also shows that it was synced without anybody waiting for it.
  int64_t seen = 0;
  for (int i = 0; i < 500 && seen < kBatches; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    seen = client_->Call<wire::FetchResponse>(FetchOf("t", {{0, 0}}), 12).topics[0].partitions[0].high_watermark;
  }
  EXPECT_EQ(seen, kBatches);
}

TEST_F(ServerTest, LargeRangesAndManyPartitionsComeInOneAnswer) {
  ASSERT_EQ(Create("t", 4), KafkaError::kNone);
  std::string large(200'000, 'L');
  for (int32_t p = 0; p < 4; ++p) {
    for (int i = 0; i < 3; ++i) Produce("t", p, Batch({large, std::to_string(p)}));
  }
  auto all = client_->Call<wire::FetchResponse>(FetchOf("t", {{0, 0}, {1, 1}, {2, 5}, {3, 6}}), 12);
  auto& partitions = all.topics[0].partitions;
  ASSERT_EQ(partitions.size(), 4u);
  EXPECT_EQ(Values(partitions[0].records.view).size(), 6u);
  EXPECT_EQ(Values(partitions[2].records.view).size(), 2u);  // from its batch on
  EXPECT_TRUE(partitions[3].records.view.empty());
  auto limited = FetchOf("t", {{0, 0}, {1, 0}});
  limited.max_bytes = 1;  // the first batch comes all the same, or the consumer would be stuck
  auto one = client_->Call<wire::FetchResponse>(limited, 12);
  EXPECT_EQ(Values(one.topics[0].partitions[0].records.view).size(), 2u);
  EXPECT_TRUE(one.topics[0].partitions[1].records.view.empty());
  auto beyond = client_->Call<wire::FetchResponse>(FetchOf("t", {{0, 100}}), 12);
  EXPECT_EQ(static_cast<KafkaError>(beyond.topics[0].partitions[0].error_code), KafkaError::kOffsetOutOfRange);
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  ASSERT_EQ(Create("t", 1), KafkaError::kNone);
  for (int i = 0; i < 50; ++i) client_->Send(ProduceOf("t", 0, Batch({std::to_string(i)})), 9);
  client_->Send(FetchOf("t", {{0, 0}}), 12);
  client_->Send(wire::MetadataRequest{}, 9);
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(client_->Receive<wire::ProduceResponse>(9).topics[0].partitions[0].base_offset, i);
  // The fetch began when all before it were answered, so it sees them.
  auto fetched = client_->Receive<wire::FetchResponse>(12);
  EXPECT_EQ(Values(fetched.topics[0].partitions[0].records.view).size(), 50u);
  EXPECT_EQ(client_->Receive<wire::MetadataResponse>(9).topics.size(), 1u);
}

TEST_F(ServerTest, AcksZeroHasNoAnswerAndAnErrorClosesTheConnection) {
  ASSERT_EQ(Create("t", 1), KafkaError::kNone);
  client_->Send(ProduceOf("t", 0, Batch({"unanswered"}), 0), 9);
  EXPECT_EQ(client_->Call<wire::MetadataResponse>(wire::MetadataRequest{}, 9).topics.size(), 1u);
  auto fetched = client_->Call<wire::FetchResponse>(FetchOf("t", {{0, 0}}, 5000), 12);
  EXPECT_EQ(Values(fetched.topics[0].partitions[0].records.view), std::vector<std::string>{"unanswered"});
  client_->Send(ProduceOf("none", 0, Batch({"unanswered"}), 0), 9);
  EXPECT_TRUE(client_->HungUp());
}

TEST_F(ServerTest, MalformedRequestsCloseTheirConnectionOnly) {
  auto frame = [](std::string body) {
    std::string out(4, 0);
    StoreBe32(out.data(), static_cast<uint32_t>(body.size()));
    return out + body;
  };
  std::vector<std::string> bad = {
      frame("\xff\xff\xff\xff"),                                           // a header cut off
      frame(std::string("\x03\xe7\x00\x00\x00\x00\x00\x01\xff\xff", 10)),  // API 999
      frame(std::string("\x00\x03\x00\x63\x00\x00\x00\x01\xff\xff", 10)),  // Metadata version 99
      frame(std::string("\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff", 10)),  // Produce version 1: advertised, refused
      frame(std::string("\x00\x01\x00\x0b\x00\x00\x00\x01\xff\xff\xff\xff", 12)),  // Fetch without a body
      frame(
          std::string("\x00\x03\x00\x01\x00\x00\x00\x01\xff\xff\x7f\xff\xff\xff", 14)),  // two thousand million topics
      "\x7f\xff\xff\xff",                                                                // a frame of 2 GB
  };
  for (auto& bytes : bad) {
    RawClient victim(port_);
    victim.Write(bytes);
    EXPECT_TRUE(victim.HungUp());
  }
  Random random(7);
  for (int i = 0; i < 300; ++i) {  // random bodies behind sound headers, and sound requests with damage
    RawClient victim(port_);
    std::string body(10 + random.Below(200), 0);
    for (char& c : body) c = static_cast<char>(random.Next());
    StoreBe16(body.data(), static_cast<uint16_t>(random.Below(76)));
    StoreBe16(body.data() + 2, static_cast<uint16_t>(random.Below(6)));
    if (LoadBe16(body.data()) == 20) continue;  // DeleteTopics might find one
    victim.Write(frame(body));
  }
  EXPECT_EQ(client_->Call<wire::ApiVersionsResponse>(wire::ApiVersionsRequest{}, 3).error_code, 0);
}

TEST_F(ServerTest, AVersionOfApiVersionsFromTheFutureIsToldOurs) {
  wire::RequestHeader header{18, 99, 5, "future"};
  wire::Encoder to;
  to.BeginFrame();
  header.Encode(to);
  client_->Write(std::move(to).FinishFrame().Flatten());
  auto response = client_->Receive<wire::ApiVersionsResponse>(0);
  EXPECT_EQ(static_cast<KafkaError>(response.error_code), KafkaError::kUnsupportedVersion);
  EXPECT_GT(response.api_keys.size(), 30u);
}

TEST_F(ServerTest, TopicsAreCheckedCreatedAlteredAndKept) {
  EXPECT_EQ(Create("t", 3, {{"retention.ms", "1000"}}), KafkaError::kNone);
  EXPECT_EQ(Create("t", 3), KafkaError::kTopicAlreadyExists);
  EXPECT_EQ(Create("no spaces", 1), KafkaError::kInvalidTopicException);
  EXPECT_EQ(Create("zero", 0), KafkaError::kInvalidPartitions);
  EXPECT_EQ(Create("bad", 1, {{"retention.ms", "soon"}}), KafkaError::kInvalidConfig);
  EXPECT_EQ(Create("bad", 1, {{"no.such.config", "1"}}), KafkaError::kInvalidConfig);
  wire::IncrementalAlterConfigsRequest alter;
  alter.resources.push_back(
      {2, "t", {{"segment.bytes", 0, "1048576"}, {"retention.ms", 1, std::nullopt}, {"cleanup.policy", 2, "compact"}}});
  EXPECT_EQ(client_->Call<wire::IncrementalAlterConfigsResponse>(alter, 1).resources[0].error_code, 0);
  for (int restart = 0; restart < 2; ++restart) {
    wire::DescribeConfigsRequest describe;
    describe.resources.push_back({2, "t", {{"segment.bytes", "retention.ms", "cleanup.policy"}}});
    auto configs = client_->Call<wire::DescribeConfigsResponse>(describe, 4).resources[0].configs;
    ASSERT_EQ(configs.size(), 3u);
    EXPECT_EQ(configs[0].value, "delete,compact");
    EXPECT_EQ(configs[1].value, "604800000");
    EXPECT_EQ(configs[2].value, "1048576");
    EXPECT_EQ(configs[2].config_source, 1);
    std::string cluster = broker_->cluster_id();
    Stop();
    Start();
    EXPECT_EQ(broker_->cluster_id(), cluster);
  }
  EXPECT_EQ(client_->Call<wire::MetadataResponse>(wire::MetadataRequest{}, 12).topics[0].partitions.size(), 3u);
}

TEST_F(ServerTest, OffsetsAreCommittedAndFetched) {
  ASSERT_EQ(Create("t", 1), KafkaError::kNone);
  wire::OffsetCommitRequest commit;
  commit.group_id = "g";
  auto& topic = commit.topics.emplace_back();
  topic.name = "t";
  topic.partitions.push_back({0, 42, -1, "why"});
  topic.partitions.push_back({9, 42, -1, ""});
  auto committed = client_->Call<wire::OffsetCommitResponse>(commit, 8);
  EXPECT_EQ(committed.topics[0].partitions[0].error_code, 0);
  EXPECT_EQ(static_cast<KafkaError>(committed.topics[0].partitions[1].error_code),
            KafkaError::kUnknownTopicOrPartition);
  for (int restart = 0; restart < 2; ++restart) {
    wire::OffsetFetchRequest fetch;
    auto& group = fetch.groups.emplace_back();
    group.group_id = "g";
    group.topics.emplace();
    auto answer = client_->Call<wire::OffsetFetchResponse>(fetch, 8);
    ASSERT_EQ(answer.groups[0].topics.size(), 0u);  // an empty list asks for nothing
    fetch.groups[0].topics.reset();
    answer = client_->Call<wire::OffsetFetchResponse>(fetch, 8);
    ASSERT_EQ(answer.groups[0].topics.size(), 1u);
    EXPECT_EQ(answer.groups[0].topics[0].partitions[0].committed_offset, 42);
    EXPECT_EQ(answer.groups[0].topics[0].partitions[0].metadata, "why");
    Stop();
    Start();
  }
}

TEST_F(ServerTest, ListOffsetsAndDeleteRecords) {
  ASSERT_EQ(Create("t", 1), KafkaError::kNone);
  for (int i = 0; i < 5; ++i) Produce("t", 0, Batch({std::to_string(i)}));
  auto list = [&](int64_t timestamp) {
    wire::ListOffsetsRequest request;
    request.replica_id = -1;
    auto& t = request.topics.emplace_back();
    t.name = "t";
    t.partitions.push_back({0, -1, timestamp});
    return client_->Call<wire::ListOffsetsResponse>(request, 8).topics[0].partitions[0].offset;
  };
  EXPECT_EQ(list(-1), 5);
  EXPECT_EQ(list(-2), 0);
  EXPECT_GE(list(-3), 0);
  EXPECT_EQ(list(0), 0);
  EXPECT_EQ(list(Clock::System().NowMs() + 100'000), -1);
  wire::DeleteRecordsRequest remove;
  auto& t = remove.topics.emplace_back();
  t.name = "t";
  t.partitions.push_back({0, 3});
  EXPECT_EQ(client_->Call<wire::DeleteRecordsResponse>(remove, 2).topics[0].partitions[0].low_watermark, 3);
  EXPECT_EQ(list(-2), 3);
}

TEST_F(ServerTest, ASecondBrokerOnTheSameDirectoryIsRefused) {
  auto second = Broker::Open(options_, Clock::System());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
}

TEST_F(ServerTest, StatsCountWhatHappened) {
  ASSERT_EQ(Create("t", 1), KafkaError::kNone);
  Produce("t", 0, Batch({"a", "b"}));
  Produce("none", 0, Batch({"a"}));
  BrokerStats stats = broker_->Stats();
  EXPECT_EQ(stats.messages_in, 2u);
  EXPECT_EQ(stats.connections, 1u);
  ASSERT_EQ(stats.partitions.size(), 1u);
  EXPECT_EQ(stats.partitions[0].high_watermark, 2);
  for (auto& api : stats.apis) {
    if (api.api != "Produce") continue;
    EXPECT_EQ(api.requests, 2u);
    EXPECT_EQ(api.errors, 1u);
    uint64_t in_buckets = 0;
    for (uint64_t b : api.time_us_buckets) in_buckets += b;
    EXPECT_EQ(in_buckets, 2u);
  }
}

}  // namespace
}  // namespace tailrace::broker
