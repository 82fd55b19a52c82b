
#include "app/cli/command.h"
#include "app/cli/kafka.h"
#include "app/cli/output.h"
#include "base/clock.h"
#include "http/json_writer.h"

namespace tailrace::app {
namespace {

struct GroupOptions {
  std::string group, topic, to = "earliest";
  int partition = -1;
  bool dry_run = false;
};

int64_t Lag(const KafkaGroupPartition& p) {
  return p.committed < 0 || p.end < 0 ? -1 : std::max<int64_t>(0, p.end - p.committed);
}

void WriteGroup(http::JsonWriter& json, const KafkaGroup& group) {
  int64_t lag = 0;
  for (const auto& p : group.partitions) lag += std::max<int64_t>(0, Lag(p));
  json.BeginObject()
      .Field("group", group.name)
      .Field("state", group.state)
      .Field("assignor", group.protocol)
      .Field("coordinator", group.coordinator);
  json.Field("lag", lag).Key("members").BeginArray();
  for (const auto& m : group.members) {
    json.BeginObject()
        .Field("id", m.id)
        .Field("client_id", m.client_id)
        .Field("host", m.host)
        .Key("assignment")
        .BeginArray();
    for (const auto& [topic, partition] : m.assignment) json.Value(topic + "-" + std::to_string(partition));
    json.EndArray().EndObject();
  }
  json.EndArray().Key("partitions").BeginArray();
  for (const auto& p : group.partitions)
    json.BeginObject()
        .Field("topic", p.topic)
        .Field("partition", p.partition)
        .Field("committed", p.committed)
        .Field("end", p.end)
        .Field("lag", Lag(p))
        .EndObject();
  json.EndArray().EndObject();
}

const std::vector<TableColumn> kPartitionColumns = {{"TOPIC", "topic"},
                                                    {"PARTITION", "partition", Show::kCount},
                                                    {"COMMITTED", "committed", Show::kCount},
                                                    {"END", "end", Show::kCount},
                                                    {"LAG", "lag", Show::kCount}};

Result<int> List(const Invocation& i, const GroupOptions&) {
  auto kafka = TRY(Kafka::Connect(KafkaBootstrap(i)));
  http::JsonWriter json;
  json.BeginArray();
  for (const auto& [name, state] : TRY(kafka->Groups())) {
    auto group = kafka->Group(name);
    if (group.ok()) WriteGroup(json, *group);  // one may go away meanwhile
  }
  json.EndArray();
  PrintRecords(
      i.output, json.Take(),
      {{"GROUP", "group"}, {"STATE", "state"}, {"MEMBERS", "members", Show::kLength}, {"LAG", "lag", Show::kCount}},
      "no consumer groups");
  return 0;
}

Result<int> Describe(const Invocation& i, const GroupOptions& o) {
  auto kafka = TRY(Kafka::Connect(KafkaBootstrap(i)));
  const KafkaGroup group = TRY(kafka->Group(o.group));
  http::JsonWriter json;
  WriteGroup(json, group);
  const std::string text = json.Take();
  if (i.output != "table") return PrintJson(i.output, text), 0;
  std::printf("%s: %s, coordinator %s\n\n", group.name.c_str(), group.state.c_str(), group.coordinator.c_str());
  TextTable partitions({"TOPIC", "PARTITION", "COMMITTED", "END", "LAG"}, {false, true, true, true, true});
  for (const auto& p : group.partitions)
    partitions.Row({p.topic, std::to_string(p.partition), p.committed < 0 ? "-" : FormatCount(double(p.committed)),
                    FormatCount(double(p.end)), Lag(p) < 0 ? "-" : FormatCount(double(Lag(p)))});
  std::puts(partitions.empty() ? "no committed offsets\n" : partitions.ToString().c_str());
  TextTable members({"MEMBER", "CLIENT", "HOST", "ASSIGNMENT"});
  for (const auto& m : group.members) {
    std::string assignment;
    for (const auto& [topic, partition] : m.assignment)
      assignment += (assignment.empty() ? "" : " ") + topic + "-" + std::to_string(partition);
    members.Row({m.id, m.client_id, m.host, assignment});
  }
  std::fputs(members.empty() ? "no members\n" : members.ToString().c_str(), stdout);
  return 0;
}

Result<int> Reset(const Invocation& i, const GroupOptions& o) {
  auto kafka = TRY(Kafka::Connect(KafkaBootstrap(i)));
  KafkaTopic topic = TRY(kafka->Topic(o.topic));
  TRY(kafka->Offsets(&topic));
  std::vector<KafkaGroupPartition> offsets;
  for (const KafkaPartition& p : topic.partitions) {
    if (o.partition >= 0 && p.id != o.partition) continue;
    KafkaGroupPartition target{o.topic, p.id, 0, p.end};
    char* end = nullptr;
    const long long number = std::strtoll(o.to.c_str(), &end, 10);
    int64_t ms;
    if (o.to == "earliest") target.committed = p.first;
    else if (o.to == "latest") target.committed = p.end;
    else if (*end == '\0' && !o.to.empty())
      target.committed = std::clamp<int64_t>(number < 0 ? p.end + number : number, p.first, p.end);
    else if (ParseDurationMs(o.to, &ms)) {
      const int64_t at = TRY(kafka->OffsetForTime(o.topic, p.id, Clock::System().NowMs() - ms));
      target.committed = at < 0 ? p.end : at;
    } else
      return InvalidArgument("'" + o.to + "' is not possible for --to")
          .Remedy("use earliest, latest, an offset, -N, or a time ago such as 10m");
    offsets.push_back(target);
  }
  if (!o.dry_run) TRY(kafka->ResetGroup(o.group, offsets));
  http::JsonWriter json;
  json.BeginArray();
  for (const auto& p : offsets)
    json.BeginObject()
        .Field("topic", p.topic)
        .Field("partition", p.partition)
        .Field("committed", p.committed)
        .Field("end", p.end)
        .Field("lag", p.end - p.committed)
        .EndObject();
  json.EndArray();
  PrintRecords(i.output, json.Take(), kPartitionColumns, "");
  if (o.dry_run && i.output == "table") std::puts("(dry run: nothing was changed)");
  return 0;
}

Result<int> Delete(const Invocation& i, const GroupOptions& o) {
  auto kafka = TRY(Kafka::Connect(KafkaBootstrap(i)));
  TRY(kafka->DeleteGroup(o.group));
  http::JsonWriter json;
  json.BeginObject().Field("group", o.group).Field("status", "deleted").EndObject();
  PrintRecords(i.output, json.Take(), {{"GROUP", "group"}, {"STATUS", "status"}}, "");
  return 0;
}

}  // namespace

void AddGroup(Command& root) {
  Command group = root.Add("group", "Consumer groups of any Kafka: list, lag, reset");
  auto add = [&](const char* name, const char* help, const char* example, bool named, auto declare, auto act) {
    Command command = group.Add(name, help, example);
    auto options = std::make_shared<GroupOptions>();
    command.OutputOption();
    command.BootstrapOption();
    if (named) command.Value("GROUP", options->group, "its name").Required();
    declare(command, *options);
    command.Action([options, act](const Invocation& i) -> Result<int> { return act(i, *options); });
  };
  auto none = [](Command&, GroupOptions&) {};
  add("list", "All groups with their lag", "tailrace group list", false, none, List);
  add("describe", "Offsets, lag and members", "tailrace group describe my-group", true, none, Describe);
  add(
      "reset", "Set a group's offsets; its members must be gone",
      "tailrace group reset my-group --topic raw_events --to earliest\ntailrace group reset my-group --topic "
      "raw_events --to 10m --dry-run",
      true,
      [](Command& c, GroupOptions& o) {
        c.Value("-t,--topic", o.topic, "of this topic").Required();
        c.Value("--to", o.to, "earliest, latest, an offset, -N: N before the end, or a time ago such as 10m")
            .Required();
        c.Value("-p,--partition", o.partition, "only this one");
        c.Flag("--dry-run", o.dry_run, "only show what would be set");
      },
      Reset);
  add("delete", "Delete a group and its offsets", "tailrace group delete my-group", true, none, Delete);
}

}  // namespace tailrace::app
