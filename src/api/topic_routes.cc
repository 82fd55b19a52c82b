#include <algorithm>

#include "api/json_body.h"
#include "api/routes.h"
#include "api/status.h"
#include "api/to_json.h"
#include "log/client.h"

namespace tailrace::api {

using http::Request;
using http::Response;

namespace {

constexpr size_t kValueBytesShown = 64 << 10;
constexpr uint32_t kPollBytes = 1 << 20;
constexpr size_t kAnswerBytesMax = 8 << 20;

struct Message {
  int32_t partition;
  int64_t offset, timestamp_ms;
  std::optional<std::string> key, value;
  size_t value_bytes;
  std::vector<std::pair<std::string, std::string>> headers;
};

std::optional<std::string> Copy(BytesView bytes) {
  if (!bytes.data()) return std::nullopt;
  return std::string(bytes.substr(0, kValueBytesShown));
}

void Write(http::JsonWriter& json, const Message& m) {
  json.BeginObject().Field("partition", m.partition).Field("offset", m.offset).Field("timestamp_ms", m.timestamp_ms);
  json.Field("key", m.key).Field("value", m.value).Field("value_bytes", m.value_bytes).Key("headers").BeginObject();
  for (const auto& [name, value] : m.headers) json.Field(name, value);
  json.EndObject().EndObject();
}

/// Up to `count` messages of the partition from `from` on (before `end`).
Result<std::vector<Message>> Read(log::Client& client, const TopicPartition& partition, int64_t from, int64_t end,
                                  size_t count) {
  std::vector<Message> out;
  if (from >= end) return out;
  auto reader = TRY(client.OpenReader(partition, from, log::Isolation::kReadCommitted, nullptr));
  size_t bytes = 0;
  // Compacted and control records leave holes: the reader's position ends the loop, and a poll that gives nothing does.
  while (out.size() < count && reader->position() < end && bytes < kAnswerBytesMax) {
    RecordSet set;
    const int64_t before = reader->position();
    TRY(reader->Poll(kPollBytes, &set));
    for (const RecordView& record : set.records) {
      if (out.size() >= count) break;
      if (record.offset < from) continue;
      Message m{partition.partition,
                record.offset,
                record.timestamp_ms,
                Copy(record.key),
                Copy(record.value),
                record.value.size(),
                {}};
      for (uint32_t h = 0; h < record.header_count; ++h)
        m.headers.emplace_back(std::string(record.headers[h].key),
                               std::string(record.headers[h].value.substr(0, 1024)));
      bytes += std::min(record.value.size(), kValueBytesShown);
      out.push_back(std::move(m));
    }
    if (reader->position() == before) break;
  }
  return out;
}

Response Messages(log::Client& client, const Request& r) {
  const std::string& topic = r.Param("topic");
  const auto description = TRY_HTTP(client.DescribeTopic(topic));
  const int64_t limit = TRY_HTTP(QueryInt(r, "limit", 1, 1000, 20));
  const int64_t only = TRY_HTTP(QueryInt(r, "partition", 0, description.partitions - 1, -1));
  const int64_t offset = TRY_HTTP(QueryInt(r, "offset", 0, INT64_MAX, -1));
  if (offset >= 0 && only < 0)
    return ErrorToResponse(InvalidArgument("an offset needs a partition").Remedy("add partition=0"));
  std::vector<Message> all;
  for (int32_t p = 0; p < description.partitions; ++p) {
    if (only >= 0 && p != only) continue;
    const auto [first, end] = TRY_HTTP(client.Offsets({topic, p}));
    const int64_t from = offset >= 0 ? std::max(offset, first) : std::max(first, end - limit);
    auto read = TRY_HTTP(Read(client, {topic, p}, from, end, static_cast<size_t>(limit)));
    all.insert(all.end(), std::make_move_iterator(read.begin()), std::make_move_iterator(read.end()));
  }
  if (offset < 0) {
    std::stable_sort(all.begin(), all.end(), [](const Message& a, const Message& b) {
      return a.timestamp_ms != b.timestamp_ms ? a.timestamp_ms > b.timestamp_ms : a.offset > b.offset;
    });
    if (all.size() > static_cast<size_t>(limit)) all.resize(static_cast<size_t>(limit));
  }
  http::JsonWriter json;
  json.BeginArray();
  for (const Message& m : all) Write(json, m);
  json.EndArray();
  return Response::Json(200, json.Take() + "\n");
}

Error NoLog() { return Error(ErrorCode::kConflict, "this process has no log").Remedy("see 'tailrace doctor'"); }

}  // namespace

void AddTopicRoutes(http::Router& router, const Services& services, StatusService& status) {
  auto one = [&services, &status](const std::string& topic, int code) -> Response {
    TRY_HTTP(services.log->DescribeTopic(topic));
    http::JsonWriter json;
    status.WriteTopics(json, topic, true);
    std::string list = json.Take();
    return Response::Json(code, list.substr(1, list.size() - 2) + "\n");  // of a list of one
  };
  router.Add("GET", "/api/v1/topics", [&status](const Request&) {
    http::JsonWriter json;
    status.WriteTopics(json, "", false);
    return Response::Json(200, json.Take() + "\n");
  });
  router.Add("POST", "/api/v1/topics", [&services, one](const Request& r) -> Response {
    if (!services.log) return ErrorToResponse(NoLog());
    const JsonBody body = TRY_HTTP(JsonBody::Parse(r, {"name", "partitions", "configs"}));
    log::TopicSpec spec;
    spec.name = TRY_HTTP(body.RequiredText("name"));
    const int64_t partitions = TRY_HTTP(body.Int("partitions")).value_or(1);
    if (partitions < 1 || partitions > 10'000)
      return ErrorToResponse(InvalidArgument("partitions must be from 1 to 10000"));
    spec.partitions = static_cast<int32_t>(partitions);
    spec.configs = TRY_HTTP(body.TextMap("configs"));
    TRY_HTTP(services.log->CreateTopic(spec));
    return one(spec.name, 201);
  });
  router.Add("GET", "/api/v1/topics/{topic}", [&services, one](const Request& r) -> Response {
    if (!services.log) return ErrorToResponse(NoLog());
    return one(r.Param("topic"), 200);
  });
  router.Add("DELETE", "/api/v1/topics/{topic}", [&services](const Request& r) -> Response {
    if (!services.log) return ErrorToResponse(NoLog());
    TRY_HTTP(services.log->DeleteTopic(r.Param("topic")));
    return Response{204, "application/json", "", {}, nullptr};
  });
  router.Add("GET", "/api/v1/topics/{topic}/messages", [&services](const Request& r) -> Response {
    if (!services.log) return ErrorToResponse(NoLog());
    return Messages(*services.log, r);
  });
  router.Add("GET", "/api/v1/groups", [&services](const Request&) {
    return JsonListResponse(services.broker ? services.broker->Stats().groups : std::vector<broker::GroupStats>());
  });
  router.Add("GET", "/api/v1/groups/{group}", [&services](const Request& r) -> Response {
    if (services.broker)
      for (const auto& group : services.broker->Stats().groups)
        if (group.group == r.Param("group")) return JsonResponse(200, group);
    return ErrorToResponse(
        NotFound("there is no group '" + r.Param("group") + "'").Remedy("see 'tailrace group list'"));
  });
}

}  // namespace tailrace::api
