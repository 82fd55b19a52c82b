#include "broker/topics.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/logging.h"
#include "base/random.h"
#include "broker/broker.h"
#include "broker/broker_configs.h"
#include "broker/topic_configs.h"
#include "io/file.h"
#include "log/flusher.h"
#include "log/journal.h"
#include "log/partition.h"
#include "wire/codec.h"

namespace tailrace::broker {
namespace {

// Values in the journal (docs/formats/broker-metadata.md) are written with the Kafka protocol's primitives.
constexpr int8_t kTopicVersion = 1;
constexpr int8_t kConfigsVersion = 1;
constexpr std::string_view kTopicPrefix = "t/";
constexpr std::string_view kDeletedPrefix = "d/";  // topics whose directories are still to be removed
constexpr std::string_view kBrokerConfigsKey = "b/configs";
constexpr std::string_view kClusterIdKey = "c/id";

void EncodeConfigs(const TopicConfigs& configs, wire::Encoder& to) {
  to.ArrayCount(configs.size(), true);
  for (const auto& [name, value] : configs) {
    to.String(name, true);
    to.String(value, true);
  }
}

TopicConfigs DecodeConfigs(wire::Decoder& from) {
  TopicConfigs configs;
  for (int32_t n = from.ArrayCount(true, false, "configs"); n > 0 && from.ok(); --n) {
    std::string name = from.String(true, "configs[].name");
    configs[std::move(name)] = from.String(true, "configs[].value");
  }
  return configs;
}

struct StoredTopic {
  TopicId id{};
  int32_t partitions = 0;
  TopicConfigs configs;
};

std::string EncodeTopic(const StoredTopic& topic) {
  wire::Encoder to;
  to.Int8(kTopicVersion);
  to.UuidValue(wire::Uuid{topic.id});
  to.Int32(topic.partitions);
  EncodeConfigs(topic.configs, to);
  return std::move(to).Finish().Flatten();
}

Result<StoredTopic> DecodeTopic(std::string_view name, std::string_view bytes) {
  wire::Decoder from(bytes);
  StoredTopic topic;
  int8_t version = from.Int8("version");
  if (from.ok() && version != kTopicVersion) {
    return Unsupported(
               fmt::format("topic '{}' was written in format {}, this program reads {}", name, version, kTopicVersion))
        .Remedy("start the newer program that wrote it");
  }
  topic.id = from.UuidValue("id").bytes;
  topic.partitions = from.Int32("partitions");
  topic.configs = DecodeConfigs(from);
  if (!from.ok()) return from.ToError(fmt::format("topic '{}' in meta.journal", name), version);
  return topic;
}

TopicId RandomTopicId() {
  Random random = Random::FromSystem();
  TopicId id;
  uint64_t words[2] = {random.Next(), random.Next()};
  __builtin_memcpy(id.data(), words, 16);
  id[6] = static_cast<uint8_t>((id[6] & 0x0f) | 0x40);
  id[8] = static_cast<uint8_t>((id[8] & 0x3f) | 0x80);
  return id;
}

std::string Key(std::string_view prefix, std::string_view name) { return std::string(prefix).append(name); }

}  // namespace

Status CheckTopicName(std::string_view name) {
  if (name.empty()) return InvalidArgument("Topic name is invalid: the empty string is not allowed");
  if (name == "." || name == "..") return InvalidArgument("Topic name is invalid: '.' or '..' is not allowed");
  if (name.size() > 249) {
    return InvalidArgument(
        fmt::format("Topic name is invalid: the length of '{}' is longer than the max allowed length 249", name));
  }
  for (char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
          c == '-')) {
      return InvalidArgument(
          fmt::format("Topic name is invalid: '{}' contains one or more characters other than "
                      "ASCII alphanumerics, '.', '_' and '-'",
                      name));
    }
  }
  return Ok();
}

TopicManager::TopicManager(const BrokerOptions& options, Clock& clock, log::Flusher& flusher,
                           std::shared_ptr<log::Journal> journal)
    : options_(options),
      clock_(clock),
      flusher_(flusher),
      journal_(std::move(journal)),
      effective_(std::make_shared<BrokerOptions>(options)) {}

TopicManager::~TopicManager() = default;

Result<std::unique_ptr<TopicManager>> TopicManager::Open(const BrokerOptions& options, Clock& clock,
                                                         log::Flusher& flusher, std::shared_ptr<log::Journal> journal) {
  std::unique_ptr<TopicManager> topics(new TopicManager(options, clock, flusher, std::move(journal)));
  TRY(topics->Load());
  return topics;
}

Status TopicManager::Load() {
  if (auto id = journal_->Get(kClusterIdKey)) {
    cluster_id_ = *id;
  } else {
    cluster_id_ = options_.cluster_id.empty() ? wire::Uuid{RandomTopicId()}.ToString() : options_.cluster_id;
    log::JournalBatch batch;
    batch.Put(kClusterIdKey, cluster_id_);
    TRY(journal_->Append(batch));
  }
  if (!options_.cluster_id.empty() && options_.cluster_id != cluster_id_) {
    return Error(ErrorCode::kConflict, fmt::format("data directory {} belongs to cluster '{}', not '{}'",
                                                   options_.data_dir, cluster_id_, options_.cluster_id))
        .Remedy("name another data directory or leave the cluster id out");
  }
  if (auto bytes = journal_->Get(kBrokerConfigsKey)) {
    wire::Decoder from(*bytes);
    int8_t version = from.Int8("version");
    broker_configs_ = DecodeConfigs(from);
    if (!from.ok() || version != kConfigsVersion) return Corrupt("the broker's configs in meta.journal do not decode");
    effective_ = std::make_shared<BrokerOptions>(ApplyBrokerConfigs(options_, broker_configs_));
  }
  RemoveDeletedDirectories();

  std::vector<std::pair<std::string, std::string>> stored;
  journal_->ForEach(kTopicPrefix, [&](std::string_view key, std::string_view value) {
    stored.emplace_back(key.substr(kTopicPrefix.size()), value);
  });
  for (auto& [name, bytes] : stored) {
    StoredTopic s = TRY(DecodeTopic(name, bytes));
    auto topic = std::make_shared<Topic>();
    topic->name = name;
    topic->id = s.id;
    topic->configs = std::move(s.configs);
    ResolveConfigs(*effective_options(), topic.get());
    TRY(OpenPartitions(topic.get(), s.partitions));
    Publish(topic);
  }
  return Ok();
}

Status TopicManager::OpenPartitions(Topic* topic, int32_t count) {
  log::PartitionOptions options = PartitionOptionsFor(topic->configs, *effective_options());
  for (int32_t i = static_cast<int32_t>(topic->partitions.size()); i < count; ++i) {
    std::string directory = fmt::format("{}/{}-{}", options_.data_dir, topic->name, i);
    topic->partitions.push_back(TRY(log::Partition::Open(directory, {topic->name, i}, options, clock_, flusher_)));
  }
  return Ok();
}

/// A crash between a topic's deletion and that of its files is finished here.
void TopicManager::RemoveDeletedDirectories() {
  std::vector<std::pair<std::string, int32_t>> deleted;
  journal_->ForEach(kDeletedPrefix, [&](std::string_view key, std::string_view value) {
    wire::Decoder from(value);
    deleted.emplace_back(key.substr(kDeletedPrefix.size()), from.Int32("partitions"));
  });
  for (auto& [name, partitions] : deleted) {
    bool removed = true;
    for (int32_t i = 0; i < partitions; ++i) {
      Status status = io::RemoveTree(fmt::format("{}/{}-{}", options_.data_dir, name, i));
      if (!status.ok()) {
        LogWarning("broker",
                   fmt::format("files of the deleted topic '{}' stay for now: {}", name, status.error().ToString()));
        removed = false;
      }
    }
    if (!removed) continue;
    log::JournalBatch batch;
    batch.Delete(Key(kDeletedPrefix, name));
    journal_->Append(batch, nullptr);
  }
}

void TopicManager::Publish(const TopicPtr& topic) {
  std::lock_guard lock(mutex_);
  TopicPtr& slot = by_name_[topic->name];
  partitions_total_ +=
      static_cast<int64_t>(topic->partitions.size()) - (slot ? static_cast<int64_t>(slot->partitions.size()) : 0);
  slot = topic;
  by_id_[topic->id] = topic;
}

Status TopicManager::Save(const Topic& topic) {
  log::JournalBatch batch;
  batch.Put(Key(kTopicPrefix, topic.name),
            EncodeTopic({topic.id, static_cast<int32_t>(topic.partitions.size()), topic.configs}));
  return journal_->Append(batch);
}

TopicPtr TopicManager::Find(std::string_view name) const {
  std::lock_guard lock(mutex_);
  auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

TopicPtr TopicManager::FindById(const TopicId& id) const {
  std::lock_guard lock(mutex_);
  auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second;
}

std::shared_ptr<log::Partition> TopicManager::FindPartition(std::string_view topic, int32_t partition) const {
  std::lock_guard lock(mutex_);
  auto it = by_name_.find(topic);
  if (it == by_name_.end() || partition < 0 || partition >= static_cast<int32_t>(it->second->partitions.size()))
    return nullptr;
  return it->second->partitions[static_cast<size_t>(partition)];
}

std::vector<TopicPtr> TopicManager::List() const {
  std::lock_guard lock(mutex_);
  std::vector<TopicPtr> topics;
  topics.reserve(by_name_.size());
  for (const auto& [name, topic] : by_name_) topics.push_back(topic);
  return topics;
}

Result<TopicPtr> TopicManager::Create(const std::string& name, int32_t partitions, const TopicConfigs& configs) {
  TRY(CheckTopicName(name));
  TRY(CheckTopicConfigs(configs));
  if (partitions == -1) partitions = options_.default_partitions;
  if (partitions < 1 || partitions > kPartitionsMax) {
    return InvalidArgument(fmt::format("topic '{}' can't have {} partitions", name, partitions))
        .Remedy(fmt::format("ask for 1 to {}", kPartitionsMax));
  }
  std::lock_guard change(change_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (by_name_.count(name) > 0)
      return Error(ErrorCode::kAlreadyExists, fmt::format("Topic '{}' already exists.", name));
    if (partitions_total_ + partitions > kPartitionsTotalMax) {
      return Error(ErrorCode::kLimitExceeded,
                   fmt::format("{} partitions are the most one broker takes", kPartitionsTotalMax))
          .Remedy("delete topics that are no longer used");
    }
  }
  // The journal knows no such topic, so files under its name are a stranger's: never adopted, never deleted.
  for (int32_t i = 0; i < partitions; ++i) {
    std::string directory = fmt::format("{}/{}-{}", options_.data_dir, name, i);
    if (io::Exists(directory)) {
      return Error(ErrorCode::kConflict, fmt::format("{} exists but belongs to no topic", directory))
          .Remedy("move it away");
    }
  }
  auto topic = std::make_shared<Topic>();
  topic->name = name;
  topic->id = RandomTopicId();
  topic->configs = configs;
  ResolveConfigs(*effective_options(), topic.get());
  {
    // First the decision, then the files: a crash between leaves a topic whose partitions are made at the next start.
    log::JournalBatch batch;
    batch.Put(Key(kTopicPrefix, name), EncodeTopic({topic->id, partitions, configs}));
    TRY(journal_->Append(batch));
  }
  if (Status opened = OpenPartitions(topic.get(), partitions); !opened.ok()) {
    for (auto& partition : topic->partitions) (void)partition->Delete();
    log::JournalBatch batch;
    batch.Delete(Key(kTopicPrefix, name));
    journal_->Append(batch, nullptr);
    return std::move(opened).error();
  }
  Publish(topic);
  if (listener_) listener_(name);
  LogInfo("broker", fmt::format("topic '{}' created with {} partition(s)", name, partitions));
  return TopicPtr(topic);
}

Result<TopicPtr> TopicManager::FindOrAutoCreate(const std::string& name) {
  if (TopicPtr topic = Find(name)) return topic;
  if (!options_.auto_create_topics)
    return NotFound(fmt::format("there is no topic '{}'", name)).Remedy("create it first");
  auto created = Create(name, -1, {});
  if (!created.ok() && created.error().code() == ErrorCode::kAlreadyExists) {
    if (TopicPtr topic = Find(name)) return topic;
  }
  return created;
}

Status TopicManager::Delete(const std::string& name) {
  std::lock_guard change(change_mutex_);
  TopicPtr topic = Find(name);
  if (!topic) return NotFound(fmt::format("there is no topic '{}'", name));
  wire::Encoder count;
  count.Int32(static_cast<int32_t>(topic->partitions.size()));
  log::JournalBatch batch;
  batch.Delete(Key(kTopicPrefix, name));
  batch.Put(Key(kDeletedPrefix, name), std::move(count).Finish().Flatten());
  TRY(journal_->Append(batch));
  {
    std::lock_guard lock(mutex_);
    by_name_.erase(name);
    by_id_.erase(topic->id);
    partitions_total_ -= static_cast<int64_t>(topic->partitions.size());
  }
  bool removed = true;
  for (const auto& partition : topic->partitions) {
    Status status = partition->Delete();
    if (!status.ok()) {
      LogWarning("broker", fmt::format("deleting topic '{}': {}", name, status.error().ToString()));
      removed = false;
    }
  }
  if (removed) {
    log::JournalBatch done;
    done.Delete(Key(kDeletedPrefix, name));
    journal_->Append(done, nullptr);
  }
  if (listener_) listener_(name);
  LogInfo("broker", fmt::format("topic '{}' deleted", name));
  return Ok();
}

Result<TopicPtr> TopicManager::AddPartitions(const std::string& name, int32_t count) {
  std::lock_guard change(change_mutex_);
  TopicPtr topic = Find(name);
  if (!topic) return NotFound(fmt::format("there is no topic '{}'", name));
  int32_t now = static_cast<int32_t>(topic->partitions.size());
  if (count <= now) {
    return InvalidArgument(fmt::format("Topic currently has {} partitions, which is {} than the requested {}.", now,
                                       count == now ? "not fewer" : "higher", count));
  }
  if (count > kPartitionsMax) return InvalidArgument(fmt::format("a topic has at most {} partitions", kPartitionsMax));
  {
    std::lock_guard lock(mutex_);
    if (partitions_total_ + count - now > kPartitionsTotalMax) {
      return Error(ErrorCode::kLimitExceeded,
                   fmt::format("{} partitions are the most one broker takes", kPartitionsTotalMax));
    }
  }
  auto grown = std::make_shared<Topic>(*topic);
  log::JournalBatch batch;
  batch.Put(Key(kTopicPrefix, name), EncodeTopic({topic->id, count, topic->configs}));
  TRY(journal_->Append(batch));
  TRY(OpenPartitions(grown.get(), count));
  Publish(grown);
  if (listener_) listener_(name);
  return TopicPtr(grown);
}

Status TopicManager::SetConfigs(const std::string& name, const TopicConfigs& configs) {
  TRY(CheckTopicConfigs(configs));
  std::lock_guard change(change_mutex_);
  TopicPtr topic = Find(name);
  if (!topic) return NotFound(fmt::format("there is no topic '{}'", name));
  auto changed = std::make_shared<Topic>(*topic);
  changed->configs = configs;
  ResolveConfigs(*effective_options(), changed.get());
  TRY(Save(*changed));
  log::PartitionOptions options = PartitionOptionsFor(configs, *effective_options());
  for (const auto& partition : changed->partitions) partition->SetOptions(options);
  Publish(changed);
  return Ok();
}

TopicConfigs TopicManager::BrokerConfigs() const {
  std::lock_guard lock(mutex_);
  return broker_configs_;
}

std::shared_ptr<const BrokerOptions> TopicManager::effective_options() const {
  std::lock_guard lock(mutex_);
  return effective_;
}

Status TopicManager::SetBrokerConfigs(const TopicConfigs& configs) {
  for (const auto& [name, value] : configs) TRY(CheckBrokerConfig(name, value));
  std::lock_guard change(change_mutex_);
  wire::Encoder to;
  to.Int8(kConfigsVersion);
  EncodeConfigs(configs, to);
  log::JournalBatch batch;
  batch.Put(kBrokerConfigsKey, std::move(to).Finish().Flatten());
  TRY(journal_->Append(batch));
  {
    std::lock_guard lock(mutex_);
    broker_configs_ = configs;
    effective_ = std::make_shared<BrokerOptions>(ApplyBrokerConfigs(options_, configs));
  }
  for (const TopicPtr& topic : List()) {
    auto changed = std::make_shared<Topic>(*topic);
    ResolveConfigs(*effective_options(), changed.get());
    log::PartitionOptions options = PartitionOptionsFor(changed->configs, *effective_options());
    for (const auto& partition : changed->partitions) partition->SetOptions(options);
    Publish(changed);
  }
  return Ok();
}

int64_t TopicManager::ApplyRetention(int64_t now_ms) {
  int64_t deleted = 0;
  for (const TopicPtr& topic : List()) {
    for (const auto& partition : topic->partitions) {
      auto result = partition->ApplyRetention(now_ms);
      if (result.ok()) {
        deleted += *result;
      } else if (result.error().code() != ErrorCode::kNotFound) {
        LogWarning("broker", fmt::format("retention of {}-{}: {}", topic->name, partition->name().partition,
                                         result.error().ToString()));
      }
    }
  }
  return deleted;
}

Status TopicManager::Close() {
  Status first;
  for (const TopicPtr& topic : List()) {
    for (const auto& partition : topic->partitions) {
      Status status = partition->Close();
      if (!status.ok() && first.ok()) first = std::move(status);
    }
  }
  return first;
}

}  // namespace tailrace::broker
