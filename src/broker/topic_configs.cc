#include "broker/topic_configs.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

#include "broker/broker.h"

namespace tailrace::broker {
namespace {

constexpr double kLongMax = 9223372036854775807.0;
constexpr double kIntMax = 2147483647;

constexpr TopicConfigDef kDefs[] = {
    {"cleanup.policy", ConfigType::kList, "delete", 0, 0, "delete,compact", "log.cleanup.policy",
     "What happens to old segments: delete by retention, compact by key."},
    {"compression.type", ConfigType::kString, "producer", 0, 0, "uncompressed,zstd,lz4,snappy,gzip,producer",
     "compression.type", "Compression on disk; producer keeps what the producer chose."},
    {"compression.gzip.level", ConfigType::kInt, "-1", -1, 9, "", "compression.gzip.level", "Level of gzip."},
    {"compression.lz4.level", ConfigType::kInt, "9", 1, 17, "", "compression.lz4.level", "Level of lz4."},
    {"compression.zstd.level", ConfigType::kInt, "3", -131072, 22, "", "compression.zstd.level", "Level of zstd."},
    {"delete.retention.ms", ConfigType::kLong, "86400000", 0, kLongMax, "", "log.cleaner.delete.retention.ms",
     "How long compaction keeps tombstones."},
    {"file.delete.delay.ms", ConfigType::kLong, "60000", 0, kLongMax, "", "log.segment.delete.delay.ms",
     "How long deleted segments stay on disk."},
    {"flush.messages", ConfigType::kLong, "9223372036854775807", 1, kLongMax, "", "log.flush.interval.messages",
     "Messages between forced flushes; without effect where every acknowledgement waits for the disk."},
    {"flush.ms", ConfigType::kLong, "9223372036854775807", 0, kLongMax, "", "log.flush.interval.ms",
     "Time between forced flushes; likewise."},
    {"follower.replication.throttled.replicas", ConfigType::kList, "", 0, 0, "", "", "Without effect on one node."},
    {"index.interval.bytes", ConfigType::kInt, "4096", 0, kIntMax, "", "log.index.interval.bytes",
     "Bytes of log per entry of the offset index."},
    {"leader.replication.throttled.replicas", ConfigType::kList, "", 0, 0, "", "", "Without effect on one node."},
    {"local.retention.bytes", ConfigType::kLong, "-2", -2, kLongMax, "", "log.local.retention.bytes",
     "Without effect: no remote storage."},
    {"local.retention.ms", ConfigType::kLong, "-2", -2, kLongMax, "", "log.local.retention.ms",
     "Without effect: no remote storage."},
    {"max.compaction.lag.ms", ConfigType::kLong, "9223372036854775807", 1, kLongMax, "",
     "log.cleaner.max.compaction.lag.ms", "The longest a message stays uncompacted."},
    {"max.message.bytes", ConfigType::kInt, "1048588", 0, kIntMax, "", "message.max.bytes",
     "The largest record batch taken."},
    {"message.timestamp.after.max.ms", ConfigType::kLong, "3600000", 0, kLongMax, "",
     "log.message.timestamp.after.max.ms", "How far in the future a message's timestamp may lie."},
    {"message.timestamp.before.max.ms", ConfigType::kLong, "9223372036854775807", 0, kLongMax, "",
     "log.message.timestamp.before.max.ms", "How far in the past a message's timestamp may lie."},
    {"message.timestamp.type", ConfigType::kString, "CreateTime", 0, 0, "CreateTime,LogAppendTime",
     "log.message.timestamp.type", "Whose clock stamps the messages."},
    {"min.cleanable.dirty.ratio", ConfigType::kDouble, "0.5", 0, 1, "", "log.cleaner.min.cleanable.ratio",
     "Share of uncompacted log that starts compaction."},
    {"min.compaction.lag.ms", ConfigType::kLong, "0", 0, kLongMax, "", "log.cleaner.min.compaction.lag.ms",
     "The shortest a message stays uncompacted."},
    {"min.insync.replicas", ConfigType::kInt, "1", 1, kIntMax, "", "min.insync.replicas",
     "Without effect on one node."},
    {"preallocate", ConfigType::kBoolean, "false", 0, 0, "", "log.preallocate", "Without effect."},
    {"remote.storage.enable", ConfigType::kBoolean, "false", 0, 0, "", "", "Remote storage is not built here."},
    {"retention.bytes", ConfigType::kLong, "-1", -1, kLongMax, "", "log.retention.bytes",
     "Size per partition above which old segments go; -1: no bound."},
    {"retention.ms", ConfigType::kLong, "604800000", -1, kLongMax, "", "log.retention.ms",
     "Age at which segments go; -1: never."},
    {"segment.bytes", ConfigType::kInt, "1073741824", 14, kIntMax, "", "log.segment.bytes",
     "Size at which a new segment begins."},
    {"segment.index.bytes", ConfigType::kInt, "10485760", 4, kIntMax, "", "log.index.size.max.bytes",
     "Without effect: indexes grow as needed."},
    {"segment.jitter.ms", ConfigType::kLong, "0", 0, kLongMax, "", "log.roll.jitter.ms", "Without effect."},
    {"segment.ms", ConfigType::kLong, "604800000", 1, kLongMax, "", "log.roll.ms",
     "Age at which a new segment begins."},
    {"unclean.leader.election.enable", ConfigType::kBoolean, "false", 0, 0, "", "unclean.leader.election.enable",
     "Without effect on one node."},
};

bool OneOf(std::string_view value, std::string_view choices) {
  while (!choices.empty()) {
    size_t comma = choices.find(',');
    if (choices.substr(0, comma) == value) return true;
    if (comma == std::string_view::npos) return false;
    choices.remove_prefix(comma + 1);
  }
  return false;
}

int64_t Number(const TopicConfigs& configs, std::string_view name, int64_t otherwise) {
  auto it = configs.find(name);
  if (it == configs.end()) return otherwise;
  int64_t value = otherwise;
  std::from_chars(it->second.data(), it->second.data() + it->second.size(), value);
  return value;
}

Error Refused(const TopicConfigDef& def, std::string_view value, const std::string& allowed) {
  return InvalidArgument(fmt::format("Invalid value {} for configuration {}: {}", value, def.name, allowed));
}

}  // namespace

std::span<const TopicConfigDef> TopicConfigDefs() { return kDefs; }

const TopicConfigDef* FindTopicConfig(std::string_view name) {
  for (const TopicConfigDef& def : kDefs) {
    if (def.name == name) return &def;
  }
  return nullptr;
}

Status CheckTopicConfig(std::string_view name, std::string_view value) {
  const TopicConfigDef* def = FindTopicConfig(name);
  if (def == nullptr) return InvalidArgument(fmt::format("Unknown topic config name: {}", name));
  switch (def->type) {
    case ConfigType::kBoolean:
      if (value != "true" && value != "false") return Refused(*def, value, "Expected value to be either true or false");
      break;
    case ConfigType::kInt:
    case ConfigType::kShort:
    case ConfigType::kLong: {
      int64_t number = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error != std::errc() || end != value.data() + value.size()) {
        return Refused(*def, value,
                       fmt::format("Not a number of type {}", def->type == ConfigType::kLong ? "LONG" : "INT"));
      }
      if (static_cast<double>(number) < def->min)
        return Refused(*def, value, fmt::format("Value must be at least {:.0f}", def->min));
      if (static_cast<double>(number) > def->max)
        return Refused(*def, value, fmt::format("Value must be no more than {:.0f}", def->max));
      break;
    }
    case ConfigType::kDouble: {
      std::string text(value);
      char* end = nullptr;
      double number = std::strtod(text.c_str(), &end);
      if (text.empty() || *end != 0 || !(number >= def->min && number <= def->max)) {
        return Refused(*def, value, fmt::format("Value must be between {} and {}", def->min, def->max));
      }
      break;
    }
    case ConfigType::kString:
    case ConfigType::kList: {
      if (def->choices.empty()) break;
      std::string_view rest = value;
      do {
        size_t comma = def->type == ConfigType::kList ? rest.find(',') : std::string_view::npos;
        if (!OneOf(rest.substr(0, comma), def->choices)) {
          return Refused(*def, value, fmt::format("String must be one of: {}", def->choices));
        }
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
      } while (!rest.empty());
      break;
    }
  }
  if (name == "remote.storage.enable" && value == "true") {
    return Refused(*def, value, "Remote storage is not supported by this broker");
  }
  return Ok();
}

Status CheckTopicConfigs(const TopicConfigs& configs) {
  for (const auto& [name, value] : configs) TRY(CheckTopicConfig(name, value));
  return Ok();
}

std::string TopicConfigDefault(const TopicConfigDef& def, const BrokerOptions& options) {
  if (def.name == "segment.bytes") return std::to_string(options.segment_bytes);
  if (def.name == "segment.ms") return std::to_string(options.segment_ms);
  if (def.name == "retention.ms") return std::to_string(options.retention_ms);
  if (def.name == "retention.bytes") return std::to_string(options.retention_bytes);
  if (def.name == "max.message.bytes") return std::to_string(options.max_message_bytes);
  return std::string(def.default_value);
}

log::PartitionOptions PartitionOptionsFor(const TopicConfigs& configs, const BrokerOptions& options) {
  log::PartitionOptions p;
  p.segment_bytes = Number(configs, "segment.bytes", options.segment_bytes);
  p.segment_ms = Number(configs, "segment.ms", options.segment_ms);
  p.retention_ms = Number(configs, "retention.ms", options.retention_ms);
  p.retention_bytes = Number(configs, "retention.bytes", options.retention_bytes);
  if (auto it = configs.find("cleanup.policy"); it != configs.end() && it->second.find("delete") == std::string::npos) {
    p.retention_ms = p.retention_bytes = -1;  // compaction alone never drops by age or size
  }
  p.index_interval_bytes = static_cast<int32_t>(Number(configs, "index.interval.bytes", p.index_interval_bytes));
  auto type = configs.find("message.timestamp.type");
  p.log_append_time = type != configs.end() && type->second == "LogAppendTime";
  p.flush_before_ack = options.flush_before_ack;
  return p;
}

void ResolveConfigs(const BrokerOptions& options, Topic* topic) {
  const TopicConfigs& configs = topic->configs;
  topic->max_message_bytes = static_cast<int32_t>(Number(configs, "max.message.bytes", options.max_message_bytes));
  auto policy = configs.find("cleanup.policy");
  topic->compacted = policy != configs.end() && policy->second.find("compact") != std::string::npos;
  auto type = configs.find("message.timestamp.type");
  topic->log_append_time = type != configs.end() && type->second == "LogAppendTime";
  topic->timestamp_after_max_ms = Number(configs, "message.timestamp.after.max.ms", 3'600'000);
  topic->timestamp_before_max_ms = Number(configs, "message.timestamp.before.max.ms", INT64_MAX);
}

}  // namespace tailrace::broker
