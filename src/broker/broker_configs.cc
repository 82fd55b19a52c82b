#include "broker/broker_configs.h"

#include <fmt/format.h>

#include <charconv>

#include "broker/broker.h"

namespace tailrace::broker {
namespace {

struct Dynamic {
  std::string_view name;
  std::string_view topic_config;  // whose range it shares and whose default it is
  void (*set)(BrokerOptions&, int64_t);
};

constexpr Dynamic kDynamic[] = {
    {"log.retention.ms", "retention.ms", [](BrokerOptions& o, int64_t v) { o.retention_ms = v; }},
    {"log.retention.bytes", "retention.bytes", [](BrokerOptions& o, int64_t v) { o.retention_bytes = v; }},
    {"log.segment.bytes", "segment.bytes", [](BrokerOptions& o, int64_t v) { o.segment_bytes = v; }},
    {"log.roll.ms", "segment.ms", [](BrokerOptions& o, int64_t v) { o.segment_ms = v; }},
    {"message.max.bytes", "max.message.bytes",
     [](BrokerOptions& o, int64_t v) { o.max_message_bytes = static_cast<int32_t>(v); }},
};

const Dynamic* FindDynamic(std::string_view name) {
  for (const Dynamic& d : kDynamic) {
    if (d.name == name) return &d;
  }
  return nullptr;
}

}  // namespace

std::vector<BrokerConfigEntry> BrokerConfigEntries(const BrokerOptions& o) {
  auto number = [](auto v) { return std::to_string(v); };
  auto boolean = [](bool v) { return std::string(v ? "true" : "false"); };
  using T = ConfigType;
  return {
      {"auto.create.topics.enable", boolean(o.auto_create_topics), T::kBoolean, false,
       "Clients' first use of a topic makes it."},
      {"broker.id", number(o.node_id), T::kInt, false, "The id of this broker."},
      {"default.replication.factor", "1", T::kInt, false, "One node: always 1."},
      {"group.initial.rebalance.delay.ms", number(o.group_initial_rebalance_delay_ms), T::kInt, false,
       "How long an empty group waits for more members."},
      {"group.max.session.timeout.ms", number(o.group_max_session_timeout_ms), T::kInt, false,
       "The longest session timeout."},
      {"group.min.session.timeout.ms", number(o.group_min_session_timeout_ms), T::kInt, false,
       "The shortest session timeout."},
      {"log.dirs", o.data_dir, T::kString, false, "Where partitions are kept."},
      {"log.flush.before.ack", boolean(o.flush_before_ack), T::kBoolean, false, "Acknowledged means on disk."},
      {"log.retention.bytes", number(o.retention_bytes), T::kLong, true, "Default of retention.bytes."},
      {"log.retention.check.interval.ms", number(o.retention_check_interval_ms), T::kLong, false,
       "Time between looks for old segments."},
      {"log.retention.ms", number(o.retention_ms), T::kLong, true, "Default of retention.ms."},
      {"log.roll.ms", number(o.segment_ms), T::kLong, true, "Default of segment.ms."},
      {"log.segment.bytes", number(o.segment_bytes), T::kInt, true, "Default of segment.bytes."},
      {"max.connections", number(o.max_connections), T::kInt, false, "Connections open at once."},
      {"message.max.bytes", number(o.max_message_bytes), T::kInt, true, "Default of max.message.bytes."},
      {"min.insync.replicas", "1", T::kInt, false, "One node: always 1."},
      {"node.id", number(o.node_id), T::kInt, false, "The id of this broker."},
      {"num.io.threads", number(o.io_threads), T::kInt, false, "Event loops."},
      {"num.partitions", number(o.default_partitions), T::kInt, false, "Partitions of a topic that doesn't say."},
      {"offsets.retention.minutes", number(o.offsets_retention_ms / 60'000), T::kInt, false,
       "How long idle groups keep their offsets."},
      {"queued.max.request.bytes", number(o.max_queued_bytes), T::kLong, false, "Bytes of requests in memory at once."},
      {"socket.request.max.bytes", number(o.max_request_bytes), T::kInt, false, "The largest request."},
  };
}

Status CheckBrokerConfig(std::string_view name, std::string_view value) {
  const Dynamic* d = FindDynamic(name);
  if (!d) {
    return InvalidArgument(fmt::format("Cannot update these configs dynamically: {}", name))
        .Remedy("set it when the broker starts");
  }
  Status status = CheckTopicConfig(d->topic_config, value);
  if (!status.ok()) return std::move(status).error().Context(name);
  return Ok();
}

BrokerOptions ApplyBrokerConfigs(BrokerOptions options, const TopicConfigs& configs) {
  for (const auto& [name, value] : configs) {
    const Dynamic* d = FindDynamic(name);
    int64_t number = 0;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (d && error == std::errc()) d->set(options, number);
  }
  return options;
}

}  // namespace tailrace::broker
