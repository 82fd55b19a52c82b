// The coordinator's side for administrators and for its own restart: describe, list, delete, expiry, the journal.

#include <fmt/format.h>

#include "base/clock.h"
#include "base/logging.h"
#include "broker/groups/coordinator.h"
#include "broker/offsets.h"
#include "log/journal.h"
#include "wire/codec.h"

namespace tailrace::broker {

using wire::KafkaError;

namespace {

// docs/formats/broker-metadata.md. Only stable groups are kept: any other starts its rebalance over.
constexpr int8_t kGroupVersion = 1;
constexpr std::string_view kGroupPrefix = "g/";

std::string Encode(const Group& group) {
  wire::Encoder to;
  to.Int8(kGroupVersion);
  to.Int32(group.generation);
  to.String(group.protocol_type, true);
  to.NullableString(group.protocol, true, true);
  to.String(group.leader, true);
  to.ArrayCount(group.members.size(), true);
  for (const auto& [id, member] : group.members) {
    to.String(id, true);
    to.NullableString(member.instance_id, true, true);
    to.String(member.client_id, true);
    to.String(member.client_host, true);
    to.Int32(member.session_timeout_ms);
    to.Int32(member.rebalance_timeout_ms);
    to.ArrayCount(member.protocols.size(), true);
    for (const auto& [name, metadata] : member.protocols) {
      to.String(name, true);
      to.Bytes(metadata, true);
    }
    to.Bytes(member.assignment, true);
  }
  return std::move(to).Finish().Flatten();
}

bool Decode(std::string_view bytes, Group* group) {
  wire::Decoder from(bytes);
  if (from.Int8("version") != kGroupVersion) return false;
  group->generation = from.Int32("generation");
  group->protocol_type = from.String(true, "protocol_type");
  group->protocol = from.NullableString(true, true, "protocol");
  group->leader = from.String(true, "leader");
  for (int32_t n = from.ArrayCount(true, false, "members"); n > 0 && from.ok(); --n) {
    GroupMember member;
    member.id = from.String(true, "id");
    member.instance_id = from.NullableString(true, true, "instance_id");
    member.client_id = from.String(true, "client_id");
    member.client_host = from.String(true, "client_host");
    member.session_timeout_ms = from.Int32("session_timeout_ms");
    member.rebalance_timeout_ms = from.Int32("rebalance_timeout_ms");
    for (int32_t p = from.ArrayCount(true, false, "protocols"); p > 0 && from.ok(); --p) {
      std::string name = from.String(true, "name");
      member.protocols.emplace_back(std::move(name), from.Bytes(true, "metadata"));
    }
    member.assignment = from.Bytes(true, "assignment");
    if (member.instance_id) group->static_members[*member.instance_id] = member.id;
    std::string id = member.id;
    group->members.emplace(std::move(id), std::move(member));
  }
  return from.ok() && !group->members.empty() && group->protocol.has_value();
}

}  // namespace

void GroupCoordinator::Save(const Group& group) {
  // Not waited for: a group that a crash forgets rebalances, and no offset commit is on disk before it.
  log::JournalBatch batch;
  batch.Put(std::string(kGroupPrefix) + group.id, Encode(group));
  journal_->Append(batch, nullptr);
}

void GroupCoordinator::Forget(const Group& group) {
  std::string key = std::string(kGroupPrefix) + group.id;
  if (!journal_->Get(key)) return;
  log::JournalBatch batch;
  batch.Delete(key);
  journal_->Append(batch, nullptr);
}

Status GroupCoordinator::Load() {
  std::lock_guard lock(mutex_);
  journal_->ForEach(kGroupPrefix, [&](std::string_view key, std::string_view value) {
    std::string id(key.substr(kGroupPrefix.size()));
    auto group = std::make_unique<Group>(id);
    if (!Decode(value, group.get())) {
      LogWarning("broker", fmt::format("group '{}' in meta.journal does not decode: its members join anew", id));
      return;
    }
    group->MoveTo(GroupState::kPreparingRebalance);
    group->MoveTo(GroupState::kCompletingRebalance);
    group->MoveTo(GroupState::kStable);
    for (auto& [member_id, member] : group->members) Touch(member);
    groups_[id] = std::move(group);
  });
  for (const std::string& id : offsets_.Groups()) FindOrMake(id);
  return Ok();
}

Group* GroupCoordinator::FindOrAdopt(const std::string& id) {
  Group* group = Find(id);
  return group || !offsets_.HasGroup(id) ? group : FindOrMake(id);
}

GroupDescription GroupCoordinator::Describe(const std::string& id) {
  std::lock_guard lock(mutex_);
  GroupDescription d;
  d.id = id;
  Group* found = FindOrAdopt(id);
  if (!found || found->Is(GroupState::kDead)) {
    d.error = KafkaError::kGroupIdNotFound;
    d.state = GroupStateName(GroupState::kDead);
    return d;
  }
  const Group& group = *found;
  d.state = GroupStateName(group.state());
  d.protocol_type = group.protocol_type;
  d.generation = group.generation;
  bool stable = group.Is(GroupState::kStable);
  if (stable) d.protocol = group.protocol.value_or("");
  for (const auto& [member_id, member] : group.members) {
    GroupDescription::Member m;
    m.id = member_id;
    m.instance_id = member.instance_id;
    m.client_id = member.client_id;
    m.client_host = member.client_host;
    if (stable) {
      if (const std::string* metadata = member.MetadataOf(d.protocol)) m.metadata = *metadata;
      m.assignment = member.assignment;
    }
    d.members.push_back(std::move(m));
  }
  return d;
}

std::vector<GroupListing> GroupCoordinator::List() {
  std::lock_guard lock(mutex_);
  for (const std::string& id : offsets_.Groups()) FindOrMake(id);
  std::vector<GroupListing> all;
  for (const auto& [id, group] : groups_) {
    if (group->Is(GroupState::kDead)) continue;
    all.push_back({id, group->protocol_type, std::string(GroupStateName(group->state()))});
  }
  return all;
}

KafkaError GroupCoordinator::Delete(const std::string& id) {
  {
    std::lock_guard lock(mutex_);
    if (id.empty()) return KafkaError::kInvalidGroupId;
    Group* found = FindOrAdopt(id);
    if (!found) return KafkaError::kGroupIdNotFound;
    Group& group = *found;
    if (!group.Is(GroupState::kEmpty))
      return group.Is(GroupState::kDead) ? KafkaError::kGroupIdNotFound : KafkaError::kNonEmptyGroup;
    group.MoveTo(GroupState::kDead);
    groups_.erase(id);
  }
  offsets_.Delete(id, nullptr);
  return KafkaError::kNone;
}

KafkaError GroupCoordinator::CheckOffsetDelete(const std::string& id, const std::string& topic) {
  std::lock_guard lock(mutex_);
  Group* found = FindOrAdopt(id);
  if (!found || found->Is(GroupState::kDead)) return KafkaError::kGroupIdNotFound;
  const Group& group = *found;
  if (group.Is(GroupState::kEmpty)) return KafkaError::kNone;
  std::set<std::string> topics;
  if (!group.SubscribedTopics(&topics)) return KafkaError::kNonEmptyGroup;
  return topics.count(topic) > 0 ? KafkaError::kGroupSubscribedToTopic : KafkaError::kNone;
}

int64_t GroupCoordinator::IdleSinceMs(const std::string& id, const std::string& topic) const {
  std::lock_guard lock(mutex_);
  auto it = groups_.find(id);
  if (it == groups_.end()) return 0;
  const Group& group = *it->second;
  // A consumer that manages itself joins nothing: only its commits count.
  if (group.Is(GroupState::kEmpty)) return group.protocol_type.empty() ? 0 : group.empty_since_ms;
  std::set<std::string> topics;
  if (group.SubscribedTopics(&topics) && topics.count(topic) == 0) return 0;
  return INT64_MAX;
}

void GroupCoordinator::RemoveEmptyGroups() {
  std::lock_guard lock(mutex_);
  std::erase_if(groups_, [&](auto& entry) {
    Group& group = *entry.second;
    if (!group.Is(GroupState::kEmpty) || !group.pending_members.empty() || offsets_.HasGroup(entry.first)) return false;
    group.MoveTo(GroupState::kDead);
    return true;
  });
}

}  // namespace tailrace::broker
