#include <unistd.h>

#include <iostream>

#include "app/cli/command.h"
#include "app/cli/kafka.h"
#include "app/cli/output.h"
#include "app/stop_signal.h"
#include "base/clock.h"
#include "http/json_writer.h"

namespace tailrace::app {
namespace {

struct TopicOptions {
  std::string topic, key, value, separator, from = "earliest", group;
  std::vector<std::string> configs, headers, properties;
  int partitions = 1, replication = 1, partition = -1;
  int64_t count = -1;
  bool all = false, follow = false, tombstone = false, if_not_exists = false, uncommitted = false;
};

Result<std::map<std::string, std::string>> Pairs(const std::vector<std::string>& list, const char* option) {
  std::map<std::string, std::string> out;
  for (const std::string& item : list) {
    const size_t equals = item.find('=');
    if (equals == std::string::npos || equals == 0)
      return InvalidArgument("'" + item + "' is not possible for " + option)
          .Remedy(std::string("write it as ") + option + " NAME=VALUE");
    out[item.substr(0, equals)] = item.substr(equals + 1);
  }
  return out;
}

void WriteTopic(http::JsonWriter& json, const KafkaTopic& topic, const std::map<std::string, std::string>* configs) {
  int64_t messages = 0;
  for (const auto& p : topic.partitions) messages += p.end - p.first;
  json.BeginObject().Field("name", topic.name).Field("partitions", topic.partitions.size()).Field("messages", messages);
  if (configs) {
    json.Key("partition_list").BeginArray();
    for (const auto& p : topic.partitions)
      json.BeginObject()
          .Field("partition", p.id)
          .Field("leader", p.leader)
          .Field("replicas", p.replicas)
          .Field("in_sync", p.in_sync)
          .Field("start_offset", p.first)
          .Field("end_offset", p.end)
          .EndObject();
    json.EndArray().Key("configs").BeginObject();
    for (const auto& [name, value] : *configs) json.Field(name, value);
    json.EndObject();
  }
  json.EndObject();
}

Result<int> List(const Invocation& i, const TopicOptions& o) {
  auto kafka = TRY(Kafka::Connect(KafkaBootstrap(i)));
  http::JsonWriter json;
  json.BeginArray();
  for (KafkaTopic& topic : TRY(kafka->Topics())) {
    if (topic.name.starts_with("__") && !o.all) continue;
    TRY(kafka->Offsets(&topic));
    WriteTopic(json, topic, nullptr);
  }
  json.EndArray();
  PrintRecords(i.output, json.Take(),
               {{"TOPIC", "name"}, {"PARTITIONS", "partitions", Show::kCount}, {"MESSAGES", "messages", Show::kCount}},
               "no topics yet: tailrace topic create NAME");
  return 0;
}

Result<int> Describe(const Invocation& i, const TopicOptions& o) {
  auto kafka = TRY(Kafka::Connect(KafkaBootstrap(i)));
  KafkaTopic topic = TRY(kafka->Topic(o.topic));
  TRY(kafka->Offsets(&topic));
  const auto configs = TRY(kafka->TopicConfigs(o.topic));
  http::JsonWriter json;
  WriteTopic(json, topic, &configs);
  const std::string text = json.Take();
  if (i.output != "table") return PrintJson(i.output, text), 0;
  TextTable partitions({"PARTITION", "LEADER", "REPLICAS", "IN SYNC", "FIRST OFFSET", "END OFFSET"},
                       {true, true, true, true, true, true});
  for (const auto& p : topic.partitions)
    partitions.Row({std::to_string(p.id), std::to_string(p.leader), std::to_string(p.replicas),
                    std::to_string(p.in_sync), FormatCount(double(p.first)), FormatCount(double(p.end))});
  TextTable table({"CONFIG", "VALUE"});
  for (const auto& [name, value] : configs) table.Row({name, value});
  std::printf("%s\n\n%s\n%s", topic.name.c_str(), partitions.ToString().c_str(), table.ToString().c_str());
  return 0;
}

Result<int> Create(const Invocation& i, const TopicOptions& o) {
  auto kafka = TRY(Kafka::Connect(KafkaBootstrap(i)));
  const Status made = kafka->CreateTopic(o.topic, o.partitions, o.replication, TRY(Pairs(o.configs, "--config")));
  const bool there = !made.ok() && made.error().code() == ErrorCode::kAlreadyExists;
  if (!made.ok() && !(there && o.if_not_exists))
    return there ? Error(made.error())
                       .Remedy("see it with 'tailrace topic describe " + o.topic + "', or add --if-not-exists")
                 : made.error();
  http::JsonWriter json;
  json.BeginObject()
      .Field("name", o.topic)
      .Field("partitions", o.partitions)
      .Field("status", there ? "already there" : "created")
      .EndObject();
  PrintRecords(i.output, json.Take(), {{"TOPIC", "name"}, {"STATUS", "status"}}, "");
  return 0;
}

Result<int> Delete(const Invocation& i, const TopicOptions& o) {
  auto kafka = TRY(Kafka::Connect(KafkaBootstrap(i)));
  TRY(kafka->Topic(o.topic));
  TRY(kafka->DeleteTopic(o.topic));
  http::JsonWriter json;
  json.BeginObject().Field("name", o.topic).Field("status", "deleted").EndObject();
  PrintRecords(i.output, json.Take(), {{"TOPIC", "name"}, {"STATUS", "status"}}, "");
  return 0;
}

Result<int> Produce(const Invocation& i, const TopicOptions& o) {
  const std::string bootstrap = KafkaBootstrap(i);
  TRY(Kafka::Connect(bootstrap));  // says so at once where nobody listens
  int64_t acknowledged = 0, failed = 0;
  std::string first_error;
  auto properties = TRY(Pairs(o.properties, "-X"));
  properties.try_emplace("linger.ms", "5");
  properties.try_emplace("message.timeout.ms", "30000");
  auto producer = TRY(KafkaProducer::Open(bootstrap, properties, [&](int64_t, const std::string& error) {
    if (error.empty()) ++acknowledged;
    else if (failed++ == 0) first_error = error;
  }));
  std::vector<std::pair<std::string, std::string>> headers;
  for (const auto& [name, value] : TRY(Pairs(o.headers, "-H"))) headers.emplace_back(name, value);
  auto send = [&](std::string_view line) -> Status {
    std::optional<std::string_view> key, value = line;
    if (!o.key.empty()) key = o.key;
    if (!o.separator.empty())
      if (const size_t at = line.find(o.separator); at != std::string_view::npos) {
        key = line.substr(0, at);
        value = line.substr(at + o.separator.size());
      }
    if (o.tombstone) value = std::nullopt;
    return producer->Produce(o.topic, o.partition, key, value, headers, 0);
  };
  if (!o.value.empty() || o.tombstone) {
    TRY(send(o.value));
  } else {
    if (isatty(STDIN_FILENO)) std::fputs("one message a line; Ctrl-D ends\n", stderr);
    std::string line;
    while (!StopSignal::requested() && std::getline(std::cin, line)) {
      TRY(send(line));
      producer->Poll();
    }
  }
  const Status flushed = producer->Flush(60'000);
  if (failed > 0)
    return Error(ErrorCode::kInvalidArgument, std::to_string(failed) + " of " + std::to_string(failed + acknowledged) +
                                                  " messages were refused: " + first_error);
  TRY(Status(flushed));
  http::JsonWriter json;
  json.BeginObject().Field("topic", o.topic).Field("acknowledged", acknowledged).EndObject();
  PrintRecords(i.output, json.Take(), {{"TOPIC", "topic"}, {"ACKNOWLEDGED", "acknowledged", Show::kCount}}, "");
  return 0;
}

void PrintMessage(const Invocation& i, const KafkaMessage& m) {
  if (i.output == "table") {
    if (m.value) std::fwrite(m.value->data(), 1, m.value->size(), stdout);
    else std::fputs("(tombstone)", stdout);
    std::fputc('\n', stdout);
    return;
  }
  http::JsonWriter json;
  json.BeginObject()
      .Field("topic", m.topic)
      .Field("partition", m.partition)
      .Field("offset", m.offset)
      .Field("timestamp_ms", m.timestamp_ms);
  json.Field("key", m.key).Field("value", m.value).Key("headers").BeginObject();
  for (const auto& [name, value] : m.headers) json.Field(name, value);
  json.EndObject().EndObject();
  if (i.output == "yaml") std::puts("---");
  PrintJson(i.output, json.Take());
}

Result<int64_t> ParseStart(Kafka& kafka, const std::string& text, const KafkaPartition& partition,
                           const std::string& topic) {
  if (text == "earliest" || text == "beginning") return kOffsetEarliest;
  if (text == "latest" || text == "end") return kOffsetLatest;
  int64_t ms;
  char* end = nullptr;
  const long long number = std::strtoll(text.c_str(), &end, 10);
  if (end && *end == '\0' && !text.empty())
    return number >= 0 ? number : std::max<int64_t>(partition.first, partition.end + number);
  if (ParseDurationMs(text, &ms)) {
    const int64_t offset = TRY(kafka.OffsetForTime(topic, partition.id, Clock::System().NowMs() - ms));
    return offset < 0 ? kOffsetLatest : offset;
  }
  return InvalidArgument("'" + text + "' is not possible for --from")
      .Remedy("use earliest, latest, an offset, -N for the last N, or a time ago such as 10m");
}

Result<int> Consume(const Invocation& i, const TopicOptions& o) {
  const std::string bootstrap = KafkaBootstrap(i);
  auto kafka = TRY(Kafka::Connect(bootstrap));
  KafkaTopic topic = TRY(kafka->Topic(o.topic));
  auto properties = TRY(Pairs(o.properties, "-X"));
  if (o.uncommitted) properties["isolation.level"] = "read_uncommitted";
  if (!o.group.empty()) {
    properties["group.id"] = o.group;
    properties["enable.auto.commit"] = "true";
    properties["auto.offset.reset"] = o.from == "latest" ? "latest" : "earliest";
  }
  TRY(kafka->Offsets(&topic));
  std::vector<KafkaGroupPartition> from;
  size_t open = 0;  // partitions not yet read to their end
  for (const KafkaPartition& p : topic.partitions) {
    if (o.partition >= 0 && p.id != o.partition) continue;
    from.push_back({topic.name, p.id, o.group.empty() ? TRY(ParseStart(*kafka, o.from, p, topic.name)) : 0, p.end});
    ++open;
  }
  if (from.empty())
    return NotFound("the topic " + o.topic + " has no partition " + std::to_string(o.partition))
        .Remedy("it has " + std::to_string(topic.partitions.size()));
  auto consumer = TRY(KafkaConsumer::Open(bootstrap, properties));
  if (o.group.empty()) TRY(consumer->Assign(from));
  else TRY(consumer->Subscribe(o.topic));
  int64_t left = o.count;
  KafkaMessage message;
  int64_t quiet_ms = 0;
  while (left != 0 && !StopSignal::requested()) {
    const auto event = TRY(consumer->Poll(100, &message));
    if (event == KafkaConsumer::Event::kMessage) {
      PrintMessage(i, message);
      if (left > 0) --left;
      quiet_ms = 0;
      continue;
    }
    std::fflush(stdout);
    if (event == KafkaConsumer::Event::kEndOfPartition && open > 0) --open;
    // A member of a group may own only some of the partitions: a quiet while stands for their ends.
    if (event == KafkaConsumer::Event::kNothing) quiet_ms += 100;
    if (!o.follow && (open == 0 || (!o.group.empty() && quiet_ms >= 5000))) break;
  }
  std::fflush(stdout);
  return 0;
}

}  // namespace

void AddTopic(Command& root) {
  Command topic = root.Add("topic", "Topics of any Kafka: list, create, read, write");
  auto add = [&](const char* name, const char* help, const char* example, bool named, auto declare, auto act) {
    Command command = topic.Add(name, help, example);
    auto options = std::make_shared<TopicOptions>();
    command.OutputOption();
    command.BootstrapOption();
    if (named) command.Value("TOPIC", options->topic, "its name").Required();
    declare(command, *options);
    command.Action([options, act](const Invocation& i) -> Result<int> { return act(i, *options); });
  };
  auto none = [](Command&, TopicOptions&) {};
  add(
      "list", "All topics", "tailrace topic list\ntailrace topic list --bootstrap kafka.example.org:9092", false,
      [](Command& c, TopicOptions& o) { c.Flag("-a,--all", o.all, "internal ones too"); }, List);
  add("describe", "Partitions, offsets, configuration", "tailrace topic describe raw_events", true, none, Describe);
  add(
      "create", "Create a topic", "tailrace topic create events --partitions 3 --config retention.ms=3600000", true,
      [](Command& c, TopicOptions& o) {
        c.Value("-p,--partitions", o.partitions, "how many").Between(1, 10'000);
        c.Value("-r,--replication", o.replication, "replicas of each").Between(1, 100);
        c.Value("-c,--config", o.configs, "a topic config; may be given again").Type("NAME=VALUE");
        c.Flag("--if-not-exists", o.if_not_exists, "exit status 0 where it is already there");
      },
      Create);
  add("delete", "Delete a topic and its records", "tailrace topic delete events", true, none, Delete);
  add(
      "produce", "Send messages: one a line of standard input, or --value",
      "echo '{\"n\": 1}' | tailrace topic produce events\ntailrace topic produce events --key k1 --value hello -H "
      "source=cli",
      true,
      [](Command& c, TopicOptions& o) {
        c.Value("-k,--key", o.key, "key of every message");
        c.Value("-v,--value", o.value, "send this one message");
        c.Value("--key-separator", o.separator, "lines are KEY SEPARATOR VALUE").Type("TEXT");
        c.Value("-H,--header", o.headers, "a header; may be given again").Type("NAME=VALUE");
        c.Value("-p,--partition", o.partition, "default: by key");
        c.Flag("--tombstone", o.tombstone, "send a null value");
        c.Value("-X", o.properties, "a librdkafka property, such as compression.type=zstd").Type("NAME=VALUE");
      },
      Produce);
  add(
      "consume", "Print messages; ends at the end of the topic unless --follow",
      "tailrace topic consume processed_events -n 5\ntailrace topic consume error_events --from -10 -o json\ntailrace "
      "topic consume raw_events --from latest --follow",
      true,
      [](Command& c, TopicOptions& o) {
        c.Value("-n,--count", o.count, "stop after so many");
        c.Value("--from", o.from,
                "earliest, latest, an offset, -N: the last N of each partition, or a time ago such as 10m");
        c.Value("-p,--partition", o.partition, "only this one");
        c.Flag("-f,--follow", o.follow, "wait for more, until Ctrl-C");
        c.Value("-g,--group", o.group, "as a member of this consumer group, committing offsets");
        c.Flag("--uncommitted", o.uncommitted, "also records of open and aborted transactions");
        c.Value("-X", o.properties, "a librdkafka property").Type("NAME=VALUE");
      },
      Consume);
}

}  // namespace tailrace::app
