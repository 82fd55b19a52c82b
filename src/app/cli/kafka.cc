#include "app/cli/kafka.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cstring>

#include "config/suggest.h"

namespace tailrace::app {
namespace {

constexpr int kTimeoutMs = 10'000;

struct Free {
  void operator()(rd_kafka_t* p) const { rd_kafka_destroy(p); }
  void operator()(rd_kafka_queue_t* p) const { rd_kafka_queue_destroy(p); }
  void operator()(rd_kafka_event_t* p) const { rd_kafka_event_destroy(p); }
  void operator()(rd_kafka_AdminOptions_t* p) const { rd_kafka_AdminOptions_destroy(p); }
  void operator()(rd_kafka_topic_partition_list_t* p) const { rd_kafka_topic_partition_list_destroy(p); }
  void operator()(rd_kafka_message_t* p) const { rd_kafka_message_destroy(p); }
  void operator()(const struct rd_kafka_metadata* p) const { rd_kafka_metadata_destroy(p); }
  void operator()(rd_kafka_NewTopic_t* p) const { rd_kafka_NewTopic_destroy(p); }
  void operator()(rd_kafka_DeleteTopic_t* p) const { rd_kafka_DeleteTopic_destroy(p); }
  void operator()(rd_kafka_ConfigResource_t* p) const { rd_kafka_ConfigResource_destroy(p); }
  void operator()(rd_kafka_DeleteGroup_t* p) const { rd_kafka_DeleteGroup_destroy(p); }
  void operator()(rd_kafka_ListConsumerGroupOffsets_t* p) const { rd_kafka_ListConsumerGroupOffsets_destroy(p); }
  void operator()(rd_kafka_AlterConsumerGroupOffsets_t* p) const { rd_kafka_AlterConsumerGroupOffsets_destroy(p); }
};
template <typename T>
using Held = std::unique_ptr<T, Free>;

ErrorCode CodeOf(rd_kafka_resp_err_t e) {
  switch (e) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE: return ErrorCode::kUnavailable;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT: return ErrorCode::kTimeout;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: return ErrorCode::kAlreadyExists;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND: return ErrorCode::kNotFound;
    case RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP: return ErrorCode::kConflict;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED: return ErrorCode::kPermissionDenied;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE: return ErrorCode::kLimitExceeded;
    default: return ErrorCode::kInvalidArgument;
  }
}

Error MakeError(const std::string& what, rd_kafka_resp_err_t e, const char* detail = nullptr) {
  std::string message = what + ": " + (detail && *detail ? detail : rd_kafka_err2str(e));
  return Error(CodeOf(e), std::move(message));
}

// librdkafka tells of every failed connection on stderr; we say it once, in our words.
void Silent(const rd_kafka_t*, int, const char*, const char*) {}

Result<Held<rd_kafka_t>> Open(rd_kafka_type_t type, const std::string& bootstrap,
                              const std::map<std::string, std::string>& properties, void* opaque = nullptr,
                              void (*delivered)(rd_kafka_t*, const rd_kafka_message_t*, void*) = nullptr) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char text[512];
  std::map<std::string, std::string> all{{"bootstrap.servers", bootstrap},
                                         {"client.id", "tailrace"},
                                         {"socket.timeout.ms", "10000"},
                                         {"socket.connection.setup.timeout.ms", "5000"}};
  for (const auto& [name, value] : properties) all[name] = value;
  for (const auto& [name, value] : all)
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) != RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      return InvalidArgument(text);
    }
  rd_kafka_conf_set_log_cb(conf, Silent);
  if (delivered) rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  rd_kafka_conf_set_opaque(conf, opaque);
  rd_kafka_t* handle = rd_kafka_new(type, conf, text, sizeof text);
  if (!handle) {
    rd_kafka_conf_destroy(conf);
    return InvalidArgument(text);
  }
  return Held<rd_kafka_t>(handle);
}

Error NoKafka(const std::string& bootstrap) {
  return Error(ErrorCode::kUnavailable, "no Kafka answers at " + bootstrap)
      .Remedy("start one with 'tailrace up', or say where it is with --bootstrap or TAILRACE_KAFKA");
}

class KafkaImpl final : public Kafka {
 public:
  KafkaImpl(std::string bootstrap, Held<rd_kafka_t> handle)
      : bootstrap_(std::move(bootstrap)), handle_(std::move(handle)), queue_(rd_kafka_queue_new(handle_.get())) {}

  Result<std::vector<KafkaTopic>> Topics() override { return Metadata(nullptr); }

  Result<KafkaTopic> Topic(const std::string& name) override {
    // Asking for one topic by name would create it where the broker does that; asking for all does not.
    std::vector<KafkaTopic> all = TRY(Metadata(nullptr));
    std::vector<std::string> names;
    for (KafkaTopic& topic : all) {
      if (topic.name == name) return std::move(topic);
      names.push_back(topic.name);
    }
    const std::string nearest = config::Nearest(name, names);
    return NotFound("there is no topic '" + name + "'")
        .Remedy(nearest.empty() ? "create it with 'tailrace topic create " + name + "'"
                                : "did you mean '" + nearest + "'?");
  }

  Status Offsets(KafkaTopic* topic) override {
    for (KafkaPartition& p : topic->partitions) {
      const auto e =
          rd_kafka_query_watermark_offsets(handle_.get(), topic->name.c_str(), p.id, &p.first, &p.end, kTimeoutMs);
      if (e) return MakeError("offsets of " + topic->name + "-" + std::to_string(p.id), e);
    }
    return Ok();
  }

  Result<std::map<std::string, std::string>> TopicConfigs(const std::string& topic) override {
    Held<rd_kafka_ConfigResource_t> resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
    rd_kafka_ConfigResource_t* list[] = {resource.get()};
    auto event = TRY(Wait("the configuration of " + topic, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, [&](auto* options) {
      rd_kafka_DescribeConfigs(handle_.get(), list, 1, options, queue_.get());
    }));
    size_t n;
    const auto** resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &n);
    std::map<std::string, std::string> out;
    for (size_t i = 0; i < n; ++i) {
      if (auto e = rd_kafka_ConfigResource_error(resources[i]))
        return MakeError("the configuration of " + topic, e, rd_kafka_ConfigResource_error_string(resources[i]));
      size_t m;
      const auto** entries = rd_kafka_ConfigResource_configs(resources[i], &m);
      for (size_t k = 0; k < m; ++k) {
        const char* value = rd_kafka_ConfigEntry_value(entries[k]);
        out[rd_kafka_ConfigEntry_name(entries[k])] = value ? value : "";
      }
    }
    return out;
  }

  Status CreateTopic(const std::string& name, int partitions, int replication,
                     const std::map<std::string, std::string>& configs) override {
    char text[512];
    Held<rd_kafka_NewTopic_t> topic(rd_kafka_NewTopic_new(name.c_str(), partitions, replication, text, sizeof text));
    if (!topic) return InvalidArgument(text);
    for (const auto& [key, value] : configs) rd_kafka_NewTopic_set_config(topic.get(), key.c_str(), value.c_str());
    rd_kafka_NewTopic_t* list[] = {topic.get()};
    auto event = TRY(Wait("creating " + name, RD_KAFKA_ADMIN_OP_CREATETOPICS, [&](auto* options) {
      rd_kafka_CreateTopics(handle_.get(), list, 1, options, queue_.get());
    }));
    size_t n;
    const auto** results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &n);
    return TopicResults("creating", results, n);
  }

  Status DeleteTopic(const std::string& name) override {
    Held<rd_kafka_DeleteTopic_t> topic(rd_kafka_DeleteTopic_new(name.c_str()));
    rd_kafka_DeleteTopic_t* list[] = {topic.get()};
    auto event = TRY(Wait("deleting " + name, RD_KAFKA_ADMIN_OP_DELETETOPICS, [&](auto* options) {
      rd_kafka_DeleteTopics(handle_.get(), list, 1, options, queue_.get());
    }));
    size_t n;
    const auto** results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &n);
    return TopicResults("deleting", results, n);
  }

  Result<int64_t> OffsetForTime(const std::string& topic, int32_t partition, int64_t timestamp_ms) override {
    Held<rd_kafka_topic_partition_list_t> list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = timestamp_ms;
    if (auto e = rd_kafka_offsets_for_times(handle_.get(), list.get(), kTimeoutMs))
      return MakeError("the offset at a time", e);
    return list->elems[0].offset;
  }

  Result<std::vector<std::pair<std::string, std::string>>> Groups() override {
    const rd_kafka_group_list* list = nullptr;
    if (auto e = rd_kafka_list_groups(handle_.get(), nullptr, &list, kTimeoutMs)) return Failed("listing groups", e);
    std::vector<std::pair<std::string, std::string>> out;
    for (int i = 0; i < list->group_cnt; ++i)
      out.emplace_back(list->groups[i].group, list->groups[i].state ? list->groups[i].state : "");
    rd_kafka_group_list_destroy(list);
    std::sort(out.begin(), out.end());
    return out;
  }

  Result<KafkaGroup> Group(const std::string& name) override {
    const auto all = TRY(Groups());
    if (std::none_of(all.begin(), all.end(), [&](const auto& g) { return g.first == name; })) {
      std::vector<std::string> names;
      for (const auto& [group, state] : all) names.push_back(group);
      return NotFound("there is no group '" + name + "'")
          .Remedy(names.empty() ? "there are no groups yet" : config::SuggestRemedy(name, names));
    }
    KafkaGroup out;
    out.name = name;
    const char* names[] = {name.c_str()};
    auto event = TRY(Wait("describing " + name, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, [&](auto* options) {
      rd_kafka_DescribeConsumerGroups(handle_.get(), names, 1, options, queue_.get());
    }));
    size_t n;
    const auto** groups =
        rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(event.get()), &n);
    for (size_t i = 0; i < n; ++i) {
      const auto* group = groups[i];
      if (const rd_kafka_error_t* e = rd_kafka_ConsumerGroupDescription_error(group))
        return MakeError("describing " + name, rd_kafka_error_code(e), rd_kafka_error_string(e));
      out.state = rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(group));
      if (const char* assignor = rd_kafka_ConsumerGroupDescription_partition_assignor(group)) out.protocol = assignor;
      if (const rd_kafka_Node_t* node = rd_kafka_ConsumerGroupDescription_coordinator(group))
        out.coordinator = std::string(rd_kafka_Node_host(node)) + ":" + std::to_string(rd_kafka_Node_port(node));
      for (size_t m = 0; m < rd_kafka_ConsumerGroupDescription_member_count(group); ++m) {
        const auto* member = rd_kafka_ConsumerGroupDescription_member(group, m);
        KafkaGroup::Member one{rd_kafka_MemberDescription_consumer_id(member),
                               rd_kafka_MemberDescription_client_id(member),
                               rd_kafka_MemberDescription_host(member),
                               {}};
        if (const auto* assignment = rd_kafka_MemberDescription_assignment(member))
          if (const auto* partitions = rd_kafka_MemberAssignment_partitions(assignment))
            for (int p = 0; p < partitions->cnt; ++p)
              one.assignment.emplace_back(partitions->elems[p].topic, partitions->elems[p].partition);
        out.members.push_back(std::move(one));
      }
    }
    TRY(GroupOffsets(&out));
    return out;
  }

  Status ResetGroup(const std::string& group, const std::vector<KafkaGroupPartition>& offsets) override {
    Held<rd_kafka_topic_partition_list_t> list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
    for (const auto& o : offsets)
      rd_kafka_topic_partition_list_add(list.get(), o.topic.c_str(), o.partition)->offset = o.committed;
    Held<rd_kafka_AlterConsumerGroupOffsets_t> request(
        rd_kafka_AlterConsumerGroupOffsets_new(group.c_str(), list.get()));
    rd_kafka_AlterConsumerGroupOffsets_t* requests[] = {request.get()};
    auto event = TRY(Wait("resetting " + group, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, [&](auto* options) {
      rd_kafka_AlterConsumerGroupOffsets(handle_.get(), requests, 1, options, queue_.get());
    }));
    size_t n;
    const auto** results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event.get()), &n);
    for (size_t i = 0; i < n; ++i) {
      if (const rd_kafka_error_t* e = rd_kafka_group_result_error(results[i]))
        return MakeError("resetting " + group, rd_kafka_error_code(e), rd_kafka_error_string(e))
            .Remedy("stop the group's members first: 'tailrace group describe " + group + "' names them");
      if (const auto* partitions = rd_kafka_group_result_partitions(results[i]))
        for (int p = 0; p < partitions->cnt; ++p)
          if (auto e = partitions->elems[p].err)
            return MakeError(std::string("resetting ") + partitions->elems[p].topic, e)
                .Remedy("stop the group's members first");
    }
    return Ok();
  }

  Status DeleteGroup(const std::string& group) override {
    Held<rd_kafka_DeleteGroup_t> request(rd_kafka_DeleteGroup_new(group.c_str()));
    rd_kafka_DeleteGroup_t* list[] = {request.get()};
    auto event = TRY(Wait("deleting " + group, RD_KAFKA_ADMIN_OP_DELETEGROUPS, [&](auto* options) {
      rd_kafka_DeleteGroups(handle_.get(), list, 1, options, queue_.get());
    }));
    size_t n;
    const auto** results = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event.get()), &n);
    for (size_t i = 0; i < n; ++i)
      if (const rd_kafka_error_t* e = rd_kafka_group_result_error(results[i])) {
        Error error = MakeError("deleting " + group, rd_kafka_error_code(e), rd_kafka_error_string(e));
        return error.code() == ErrorCode::kConflict
                   ? std::move(error).Remedy("stop its members first: 'tailrace group describe " + group +
                                             "' names them")
                   : error;
      }
    return Ok();
  }

 private:
  Error Failed(const std::string& what, rd_kafka_resp_err_t e) {
    Error error = MakeError(what, e);
    return error.retriable() ? NoKafka(bootstrap_) : error;
  }

  Result<std::vector<KafkaTopic>> Metadata(rd_kafka_topic_t* only) {
    const struct rd_kafka_metadata* raw = nullptr;
    if (auto e = rd_kafka_metadata(handle_.get(), only ? 0 : 1, only, &raw, kTimeoutMs))
      return Failed("asking for the topics", e);
    std::unique_ptr<const struct rd_kafka_metadata, Free> metadata(raw);
    std::vector<KafkaTopic> out;
    for (int i = 0; i < metadata->topic_cnt; ++i) {
      const auto& t = metadata->topics[i];
      if (t.err) continue;
      KafkaTopic topic{t.topic, {}};
      for (int p = 0; p < t.partition_cnt; ++p)
        topic.partitions.push_back(
            {t.partitions[p].id, t.partitions[p].leader, t.partitions[p].replica_cnt, t.partitions[p].isr_cnt, -1, -1});
      std::sort(topic.partitions.begin(), topic.partitions.end(),
                [](const auto& a, const auto& b) { return a.id < b.id; });
      out.push_back(std::move(topic));
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return out;
  }

  template <typename Start>
  Result<Held<rd_kafka_event_t>> Wait(const std::string& what, rd_kafka_admin_op_t op, Start start) {
    Held<rd_kafka_AdminOptions_t> options(rd_kafka_AdminOptions_new(handle_.get(), op));
    char text[256];
    rd_kafka_AdminOptions_set_request_timeout(options.get(), kTimeoutMs, text, sizeof text);
    start(options.get());
    Held<rd_kafka_event_t> event(rd_kafka_queue_poll(queue_.get(), kTimeoutMs + 2000));
    if (!event) return Error(ErrorCode::kTimeout, what + ": no answer");
    if (auto e = rd_kafka_event_error(event.get())) return MakeError(what, e, rd_kafka_event_error_string(event.get()));
    return event;
  }

  Status TopicResults(const char* what, const rd_kafka_topic_result_t** results, size_t n) {
    for (size_t i = 0; i < n; ++i)
      if (auto e = rd_kafka_topic_result_error(results[i])) {
        const std::string name = rd_kafka_topic_result_name(results[i]);
        if (e == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
          return Error(ErrorCode::kAlreadyExists, "the topic '" + name + "' is already there");
        if (e == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
          return NotFound("there is no topic '" + name + "'").Remedy("see 'tailrace topic list'");
        return MakeError(std::string(what) + " " + name, e, rd_kafka_topic_result_error_string(results[i]));
      }
    return Ok();
  }

  Status GroupOffsets(KafkaGroup* group) {
    Held<rd_kafka_ListConsumerGroupOffsets_t> request(
        rd_kafka_ListConsumerGroupOffsets_new(group->name.c_str(), nullptr));
    rd_kafka_ListConsumerGroupOffsets_t* list[] = {request.get()};
    auto event = TRY(Wait("offsets of " + group->name, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, [&](auto* options) {
      rd_kafka_ListConsumerGroupOffsets(handle_.get(), list, 1, options, queue_.get());
    }));
    size_t n;
    const auto** results = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event.get()), &n);
    for (size_t i = 0; i < n; ++i) {
      if (const rd_kafka_error_t* e = rd_kafka_group_result_error(results[i]))
        return MakeError("offsets of " + group->name, rd_kafka_error_code(e), rd_kafka_error_string(e));
      const auto* partitions = rd_kafka_group_result_partitions(results[i]);
      for (int p = 0; partitions && p < partitions->cnt; ++p) {
        KafkaGroupPartition one{partitions->elems[p].topic, partitions->elems[p].partition, partitions->elems[p].offset,
                                -1};
        int64_t first = 0;
        rd_kafka_query_watermark_offsets(handle_.get(), one.topic.c_str(), one.partition, &first, &one.end, kTimeoutMs);
        group->partitions.push_back(std::move(one));
      }
    }
    return Ok();
  }

  const std::string bootstrap_;
  Held<rd_kafka_t> handle_;
  Held<rd_kafka_queue_t> queue_;
};

class ProducerImpl final : public KafkaProducer {
 public:
  explicit ProducerImpl(Delivered delivered) : delivered_(std::move(delivered)) {}
  ~ProducerImpl() override {
    if (handle_) rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  }
  Status Open(const std::string& bootstrap, const std::map<std::string, std::string>& properties) {
    handle_ = TRY(app::Open(RD_KAFKA_PRODUCER, bootstrap, properties, this,
                            [](rd_kafka_t*, const rd_kafka_message_t* m, void* self) {
                              static_cast<ProducerImpl*>(self)->delivered_(reinterpret_cast<intptr_t>(m->_private),
                                                                           m->err ? rd_kafka_err2str(m->err) : "");
                            }));
    return Ok();
  }
  Status Produce(const std::string& topic, int32_t partition, std::optional<std::string_view> key,
                 std::optional<std::string_view> value, const std::vector<std::pair<std::string, std::string>>& headers,
                 int64_t tag) override {
    // The macros below cast what they are given. A null value is a tombstone; an empty one has a pointer.
    const void* key_data = key ? key->data() : nullptr;
    void* value_data = value ? const_cast<char*>(value->data()) : nullptr;
    const size_t key_size = key ? key->size() : 0, value_size = value ? value->size() : 0;
    while (true) {
      rd_kafka_headers_t* list = headers.empty() ? nullptr : rd_kafka_headers_new(headers.size());
      for (const auto& [name, text] : headers)
        rd_kafka_header_add(list, name.data(), static_cast<ssize_t>(name.size()), text.data(),
                            static_cast<ssize_t>(text.size()));
      const rd_kafka_resp_err_t e =
          rd_kafka_producev(handle_.get(), RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key_data, key_size),
                            RD_KAFKA_V_VALUE(value_data, value_size), RD_KAFKA_V_HEADERS(list),
                            RD_KAFKA_V_OPAQUE(reinterpret_cast<void*>(static_cast<intptr_t>(tag))), RD_KAFKA_V_END);
      if (!e) return Ok();
      if (list) rd_kafka_headers_destroy(list);
      if (e != RD_KAFKA_RESP_ERR__QUEUE_FULL) return MakeError("sending to " + topic, e);
      rd_kafka_poll(handle_.get(), 100);
    }
  }
  void Poll() override { rd_kafka_poll(handle_.get(), 0); }
  Status Flush(int64_t timeout_ms) override {
    if (auto e = rd_kafka_flush(handle_.get(), static_cast<int>(timeout_ms)))
      return MakeError("waiting for acknowledgements", e);
    return Ok();
  }

 private:
  Delivered delivered_;
  Held<rd_kafka_t> handle_;
};

class ConsumerImpl final : public KafkaConsumer {
 public:
  explicit ConsumerImpl(Held<rd_kafka_t> handle) : handle_(std::move(handle)) {
    rd_kafka_poll_set_consumer(handle_.get());
  }
  ~ConsumerImpl() override {
    message_.reset();
    rd_kafka_consumer_close(handle_.get());
  }
  Status Assign(const std::vector<KafkaGroupPartition>& from) override {
    Held<rd_kafka_topic_partition_list_t> list(rd_kafka_topic_partition_list_new(static_cast<int>(from.size())));
    for (const auto& p : from)
      rd_kafka_topic_partition_list_add(list.get(), p.topic.c_str(), p.partition)->offset =
          p.committed == kOffsetEarliest ? RD_KAFKA_OFFSET_BEGINNING
          : p.committed == kOffsetLatest ? RD_KAFKA_OFFSET_END
                                         : p.committed;
    if (auto e = rd_kafka_assign(handle_.get(), list.get())) return MakeError("assigning partitions", e);
    return Ok();
  }
  Status Subscribe(const std::string& topic) override {
    Held<rd_kafka_topic_partition_list_t> list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
    if (auto e = rd_kafka_subscribe(handle_.get(), list.get())) return MakeError("subscribing to " + topic, e);
    return Ok();
  }
  Result<Event> Poll(int64_t timeout_ms, KafkaMessage* out) override {
    message_.reset(rd_kafka_consumer_poll(handle_.get(), static_cast<int>(timeout_ms)));
    if (!message_) return Event::kNothing;
    if (message_->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return Event::kEndOfPartition;
    if (message_->err) {
      const Error error = MakeError("reading", message_->err, rd_kafka_message_errstr(message_.get()));
      if (error.retriable()) return Event::kNothing;  // librdkafka connects again by itself
      return error;
    }
    out->topic = rd_kafka_topic_name(message_->rkt);
    out->partition = message_->partition;
    out->offset = message_->offset;
    rd_kafka_timestamp_type_t type;
    out->timestamp_ms = rd_kafka_message_timestamp(message_.get(), &type);
    out->key = message_->key
                   ? std::optional(std::string_view(static_cast<const char*>(message_->key), message_->key_len))
                   : std::nullopt;
    out->value = message_->payload
                     ? std::optional(std::string_view(static_cast<const char*>(message_->payload), message_->len))
                     : std::nullopt;
    out->headers.clear();
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(message_.get(), &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const char* name;
      const void* value;
      size_t size;
      for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
        out->headers.emplace_back(name, value ? std::string(static_cast<const char*>(value), size) : std::string());
    }
    return Event::kMessage;
  }

 private:
  Held<rd_kafka_t> handle_;
  Held<rd_kafka_message_t> message_;
};

}  // namespace

Result<std::unique_ptr<Kafka>> Kafka::Connect(const std::string& bootstrap,
                                              const std::map<std::string, std::string>& properties) {
  auto handle = TRY(app::Open(RD_KAFKA_CONSUMER, bootstrap, properties));
  // One short question first: every later call would otherwise wait its full time where nobody listens.
  const struct rd_kafka_metadata* metadata = nullptr;
  rd_kafka_resp_err_t e = RD_KAFKA_RESP_ERR_NO_ERROR;
  for (int attempt = 0; attempt < 3; ++attempt) {
    e = rd_kafka_metadata(handle.get(), 0, nullptr, &metadata, 1500);
    if (!e) break;
  }
  if (e) return NoKafka(bootstrap);
  rd_kafka_metadata_destroy(metadata);
  return std::unique_ptr<Kafka>(std::make_unique<KafkaImpl>(bootstrap, std::move(handle)));
}

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::Open(const std::string& bootstrap,
                                                           const std::map<std::string, std::string>& properties,
                                                           Delivered delivered) {
  auto producer = std::make_unique<ProducerImpl>(std::move(delivered));
  TRY(producer->Open(bootstrap, properties));
  return std::unique_ptr<KafkaProducer>(std::move(producer));
}

Result<std::unique_ptr<KafkaConsumer>> KafkaConsumer::Open(const std::string& bootstrap,
                                                           const std::map<std::string, std::string>& properties) {
  std::map<std::string, std::string> all{{"group.id", "tailrace-cli"},
                                         {"enable.auto.commit", "false"},
                                         {"enable.partition.eof", "true"},
                                         {"isolation.level", "read_committed"},
                                         {"auto.offset.reset", "earliest"}};
  for (const auto& [name, value] : properties) all[name] = value;
  return std::unique_ptr<KafkaConsumer>(
      std::make_unique<ConsumerImpl>(TRY(app::Open(RD_KAFKA_CONSUMER, bootstrap, all))));
}

}  // namespace tailrace::app
