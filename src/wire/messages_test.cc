// Every message at every version: what was encoded decodes to the same; any prefix of it is an error, never a crash.

#include "wire/messages/random_fill.h"

#include <gtest/gtest.h>

#include "wire/header.h"
#include "wire/hex.h"

namespace tailrace::wire {
namespace {

constexpr int kRounds = 20;

template <typename Message>
std::string Encoded(const Message& message, int16_t version) {
  Encoder to;
  message.Encode(to, version);
  return std::move(to).Finish().Flatten();
}

template <typename Message>
void RoundTrip(const char* name) {
  for (int16_t version = Message::kMinVersion; version <= Message::kMaxVersion; version++) {
    for (int round = 0; round < kRounds; round++) {
      SCOPED_TRACE(std::string(name) + " v" + std::to_string(version) + " round " + std::to_string(round));
      RandomContent random(static_cast<uint64_t>(round * 100 + version));
      Message message;
      Fill(message, random, version);
      const std::string bytes = Encoded(message, version);
      Decoder from(bytes);
      Message back;
      back.DecodeFrom(from, version);
      ASSERT_TRUE(from.ok()) << from.ToError(name, version).ToString();
      ASSERT_EQ(from.remaining(), 0u);
      ASSERT_TRUE(back == message);
      ASSERT_TRUE(Encoded(back, version) == bytes);
    }
  }
}

template <typename Message>
void Truncations(const char* name) {
  for (int16_t version = Message::kMinVersion; version <= Message::kMaxVersion; version++) {
    for (int round = 0; round < 3; round++) {
      RandomContent random(static_cast<uint64_t>(round * 7 + version));
      Message message;
      Fill(message, random, version);
      const std::string bytes = Encoded(message, version);
      for (size_t n = 0; n < bytes.size(); n++) {
        // A heap copy of exact size, so that the address sanitizer sees a read past its end.
        std::vector<char> prefix(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
        auto decoded = Message::Decode({prefix.data(), prefix.size()}, version);
        ASSERT_FALSE(decoded.ok()) << name << " v" << version << " cut at " << n << " of " << bytes.size();
        ASSERT_EQ(decoded.error().code(), ErrorCode::kCorrupt);
      }
    }
  }
}

template <typename Message>
void RandomDamage(const char* name) {
  Random random(42);
  for (int16_t version = Message::kMinVersion; version <= Message::kMaxVersion; version++) {
    for (int round = 0; round < 60; round++) {
      RandomContent content(static_cast<uint64_t>(round + version));
      Message message;
      Fill(message, content, version);
      std::string bytes = Encoded(message, version);
      for (uint64_t k = random.Below(4); k <= 4 && !bytes.empty(); k++) {
        bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(3) ? random.Next() : 0xff);
      }
      std::vector<char> damaged(bytes.begin(), bytes.end());
      auto decoded = Message::Decode({damaged.data(), damaged.size()}, version);  // any answer, no crash
      ASSERT_TRUE(decoded.ok() || !decoded.error().message().empty()) << name;
    }
  }
}

#define X(Message)                                                       \
  TEST(Messages, Message##RoundTrip) { RoundTrip<Message>(#Message); }   \
  TEST(Messages, Message##Truncated) { Truncations<Message>(#Message); } \
  TEST(Messages, Message##Damaged) { RandomDamage<Message>(#Message); }
TAILRACE_KAFKA_MESSAGES(X)
#undef X

TEST(Messages, VersionOutsideTheRange) {
  auto decoded = MetadataRequest::Decode("", 99);
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code(), ErrorCode::kUnsupported);
}

TEST(Messages, HugeCountAllocatesNothing) {
  // Metadata v1: two thousand million topics announced, four bytes sent.
  auto decoded = MetadataRequest::Decode(std::string_view("\x7f\xff\xff\xff", 4), 1);
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().message(), "Metadata request v1: topics: more elements than bytes left (byte 4)");
}

TEST(Messages, TooManyElements) {
  std::string bytes("\x00\x20\x00\x00", 4);  // 2,097,152 topics with empty names
  bytes.append(2 * 0x200000, '\0');
  auto decoded = MetadataRequest::Decode(bytes, 1);
  ASSERT_FALSE(decoded.ok());
  EXPECT_NE(decoded.error().message().find("topics: more array elements"), std::string::npos);
}

TEST(Messages, UnknownTaggedFieldsAreSkipped) {
  HeartbeatRequest request{.group_id = "g", .generation_id = 3, .member_id = "m"};
  std::string bytes = Encoded(request, 4);
  ASSERT_EQ(bytes.back(), '\0');
  bytes.pop_back();
  bytes += std::string("\x02\x05\x03xyz\x63\x00", 8);  // tags 5 and 99
  auto decoded = HeartbeatRequest::Decode(bytes, 4);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  EXPECT_TRUE(*decoded == request);
}

TEST(Messages, NullWhereAVersionAllowsNone) {
  auto decoded = MetadataRequest::Decode(std::string_view("\xff\xff\xff\xff", 4), 0);
  ASSERT_FALSE(decoded.ok());
  EXPECT_NE(decoded.error().message().find("topics: null is not allowed"), std::string::npos);
}

TEST(Messages, AnyNegativeCountIsNull) {
  auto decoded = MetadataRequest::Decode(std::string_view("\xff\xff\xff\xf9", 4), 1);
  ASSERT_TRUE(decoded.ok());
  EXPECT_FALSE(decoded->topics.has_value());
}

TEST(Messages, RecordsAreSlicesOfTheFrame) {
  ProduceRequest request;
  request.topics.emplace_back().name = "t";
  auto& partition = request.topics[0].partitions.emplace_back();
  partition.records.chain = {SharedBytes::Own(std::string(2000, 'x')), SharedBytes::Own("tail")};
  Encoder to;
  request.Encode(to, 9);
  ByteChain chain = std::move(to).Finish();
  int pieces = 0;
  chain.ForEach([&](BytesView) { pieces++; });
  EXPECT_EQ(pieces, 3);  // before, the shared 2000 bytes, after
  const std::string frame = chain.Flatten();
  auto decoded = ProduceRequest::Decode(frame, 9);
  ASSERT_TRUE(decoded.ok());
  BytesView records = decoded->topics[0].partitions[0].records.view;
  EXPECT_EQ(records.size(), 2004u);
  EXPECT_GE(records.data(), frame.data());
  EXPECT_LT(records.data(), frame.data() + frame.size());
}

// First request of each client after it connects: ApiVersions with header v2, whose client id keeps its old form.
TEST(Header, FirstRequestsOfRealClients) {
  struct {
    const char* hex;
    const char *client_id, *name, *version;
    int16_t api_version;
  } const kCaptured[] = {
      {"0012000300000001000772646b61666b610017636f6e666c75656e742d6b61666b612d707974686f6e16322e31362e312d72646b61666b6"
       "12d"
       "322e31362e3000",
       "rdkafka", "confluent-kafka-python", "2.16.1-rdkafka-2.16.0", 3},
      {"001200040000000100136b61666b612d707974686f6e2d332e302e3132000d6b61666b612d707974686f6e07332e302e313200",
       "kafka-python-3.0.12", "kafka-python", "3.0.12", 4},
      {"0012000400000000000d61646d696e636c69656e742d3100126170616368652d6b61666b612d6a61766106342e332e3100",
       "adminclient-1", "apache-kafka-java", "4.3.1", 4},
  };
  for (const auto& c : kCaptured) {
    const std::string frame = FromHex(c.hex);
    Decoder from(frame);
    const RequestHeader header = RequestHeader::DecodeFrom(from);
    ASSERT_TRUE(from.ok());
    EXPECT_EQ(header.api_key, 18);
    EXPECT_EQ(header.api_version, c.api_version);
    EXPECT_EQ(header.client_id, c.client_id);
    auto request = ApiVersionsRequest::Decode(from.rest(), header.api_version);
    ASSERT_TRUE(request.ok()) << request.error().ToString();
    EXPECT_EQ(request->client_software_name, c.name);
    EXPECT_EQ(request->client_software_version, c.version);
    EXPECT_EQ(
        EncodeRequestFrame(*request, header.api_version, header.correlation_id, header.client_id).Flatten().substr(4),
        frame);
  }
}

TEST(Header, RoundTripAndForms) {
  for (const ApiVersionRange& api : kApis) {
    for (int16_t version = api.min; version <= api.max; version++) {
      RequestHeader header{static_cast<int16_t>(api.key), version, 77, "me"};
      Encoder to;
      header.Encode(to);
      const std::string bytes = std::move(to).Finish().Flatten();
      EXPECT_EQ(bytes.size(), 12u + (api.Flexible(version) ? 1 : 0));
      Decoder from(bytes);
      EXPECT_TRUE(RequestHeader::DecodeFrom(from) == header);
      EXPECT_EQ(from.remaining(), 0u);
      Encoder answer;
      EncodeResponseHeader(api.key, version, 77, answer);
      const std::string answer_bytes = std::move(answer).Finish().Flatten();
      EXPECT_EQ(answer_bytes.size(), api.key != ApiKey::kApiVersions && api.Flexible(version) ? 5u : 4u);
      Decoder back(answer_bytes);
      EXPECT_EQ(DecodeResponseHeader(api.key, version, back), 77);
    }
  }
}

TEST(Header, FrameSize) {
  HeartbeatResponse response{.throttle_time_ms = 1, .error_code = 27};
  const std::string frame = EncodeResponseFrame(response, 4, 9).Flatten();
  EXPECT_EQ(LoadBe32(frame.data()), frame.size() - 4);
  EXPECT_EQ(LoadBe32(frame.data() + 4), 9u);
}

}  // namespace
}  // namespace tailrace::wire
