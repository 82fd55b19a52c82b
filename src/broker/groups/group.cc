#include "broker/groups/group.h"

#include <algorithm>

#include "base/check.h"
#include "wire/messages/consumer_protocol.h"

namespace tailrace::broker {
namespace {

// Row: from; column: to. Empty, PreparingRebalance, CompletingRebalance, Stable, Dead.
constexpr bool kMoves[kGroupStates][kGroupStates] = {
    {false, true, false, false, true},    // Empty: a member joins; deleted or expired
    {true, false, true, false, true},     // PreparingRebalance: all have left; all have joined
    {false, true, false, true, true},     // CompletingRebalance: a change meanwhile; the leader has assigned
    {false, true, false, false, true},    // Stable: a change
    {false, false, false, false, false},  // Dead
};
constexpr std::string_view kNames[kGroupStates] = {"Empty", "PreparingRebalance", "CompletingRebalance", "Stable",
                                                   "Dead"};

}  // namespace

std::string_view GroupStateName(GroupState state) { return kNames[static_cast<int>(state)]; }
bool GroupMayMove(GroupState from, GroupState to) { return kMoves[static_cast<int>(from)][static_cast<int>(to)]; }

void Group::MoveTo(GroupState to) {
  CHECK(GroupMayMove(state_, to));
  state_ = to;
}

const std::string* GroupMember::MetadataOf(std::string_view protocol) const {
  for (const auto& [name, metadata] : protocols) {
    if (name == protocol) return &metadata;
  }
  return nullptr;
}

GroupMember* Group::Find(const std::string& member_id) {
  auto it = members.find(member_id);
  return it == members.end() ? nullptr : &it->second;
}

bool Group::Supports(const std::string& type, const std::vector<std::pair<std::string, std::string>>& protocols) const {
  if (members.empty()) return !type.empty() && !protocols.empty();
  if (type != protocol_type) return false;
  return std::any_of(protocols.begin(), protocols.end(), [&](const auto& protocol) {
    return std::all_of(members.begin(), members.end(),
                       [&](const auto& member) { return member.second.MetadataOf(protocol.first) != nullptr; });
  });
}

std::string Group::ChooseProtocol() const {
  std::map<std::string, int> votes;
  for (const auto& [id, member] : members) {
    for (const auto& [name, metadata] : member.protocols) {
      bool all =
          std::all_of(members.begin(), members.end(), [&, &n = name](const auto& m) { return m.second.MetadataOf(n); });
      if (!all) continue;
      votes[name]++;
      break;
    }
  }
  CHECK(!votes.empty());
  return std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

bool Group::AllJoined() const {
  return pending_members.empty() &&
         std::all_of(members.begin(), members.end(), [](const auto& m) { return m.second.AwaitsJoin(); });
}

int32_t Group::MaxRebalanceTimeoutMs() const {
  int32_t most = 0;
  for (const auto& [id, member] : members) most = std::max(most, member.rebalance_timeout_ms);
  return most;
}

std::vector<JoinResult::Member> Group::MembersForLeader() const {
  std::vector<JoinResult::Member> all;
  for (const auto& [id, member] : members) {
    const std::string* metadata = protocol ? member.MetadataOf(*protocol) : nullptr;
    all.push_back({id, member.instance_id, metadata ? *metadata : ""});
  }
  return all;
}

bool Group::SubscribedTopics(std::set<std::string>* topics) const {
  if (protocol_type != "consumer" || !protocol) return false;
  for (const auto& [id, member] : members) {
    const std::string* metadata = member.MetadataOf(*protocol);
    if (!metadata || metadata->size() < 2) return false;
    auto version = static_cast<int16_t>(LoadBe16(metadata->data()));
    if (version < 0) return false;
    // Newer versions only add fields at the end.
    wire::Decoder from(BytesView(*metadata).substr(2));
    wire::ConsumerSubscription subscription;
    subscription.DecodeFrom(from, std::min(version, wire::ConsumerSubscription::kMaxVersion));
    if (!from.ok()) return false;
    topics->insert(subscription.topics.begin(), subscription.topics.end());
  }
  return true;
}

}  // namespace tailrace::broker
