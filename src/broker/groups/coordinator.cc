#include "broker/groups/coordinator.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"
#include "broker/broker.h"
#include "broker/offsets.h"

namespace tailrace::broker {

using wire::KafkaError;

namespace {

// A member in its first join can't heartbeat yet; one whose connection died meanwhile is dropped after this.
constexpr int64_t kNewMemberTimeoutMs = 300'000;

JoinResult Failed(KafkaError error, std::string member_id) {
  JoinResult result;
  result.error = error;
  result.member_id = std::move(member_id);
  return result;
}

}  // namespace

class GroupCoordinator::Calls {
 public:
  explicit Calls(GroupCoordinator& coordinator) : coordinator_(coordinator), lock_(coordinator.mutex_) {}
  ~Calls() {
    int64_t alarm_ms = INT64_MAX;
    for (Group* group : touched_) alarm_ms = std::min(alarm_ms, coordinator_.NextDeadline(*group));
    if (alarm_ms < coordinator_.next_tick_ms_) {
      coordinator_.next_tick_ms_ = alarm_ms;
    } else {
      alarm_ms = INT64_MAX;
    }
    lock_.unlock();
    for (auto& call : calls_) call();
    if (alarm_ms != INT64_MAX && coordinator_.alarm_) coordinator_.alarm_(alarm_ms);
  }
  void Answer(JoinDone& done, JoinResult result) {
    if (done)
      calls_.push_back([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
    done = nullptr;
  }
  void Answer(SyncDone& done, SyncResult result) {
    if (done)
      calls_.push_back([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
    done = nullptr;
  }
  /// Its deadlines may have changed. REQUIRES: the group lives until the end of the scope.
  void Touched(Group& group) { touched_.push_back(&group); }

 private:
  GroupCoordinator& coordinator_;
  std::unique_lock<std::mutex> lock_;
  std::vector<std::function<void()>> calls_;
  std::vector<Group*> touched_;
};

GroupCoordinator::GroupCoordinator(const BrokerOptions& options, Clock& clock, std::shared_ptr<log::Journal> journal,
                                   OffsetStore& offsets)
    : options_(options),
      clock_(clock),
      journal_(std::move(journal)),
      offsets_(offsets),
      random_(Random::FromSystem()) {}
GroupCoordinator::~GroupCoordinator() = default;

Group* GroupCoordinator::Find(const std::string& id) {
  auto it = groups_.find(id);
  return it == groups_.end() ? nullptr : it->second.get();
}

Group* GroupCoordinator::FindOrMake(const std::string& id) {
  auto& slot = groups_[id];
  if (!slot) {
    slot = std::make_unique<Group>(id);
    slot->empty_since_ms = clock_.NowMs();
  }
  return slot.get();
}

void GroupCoordinator::Touch(GroupMember& member) {
  member.session_deadline_ms = clock_.MonotonicMs() + member.session_timeout_ms;
}

void GroupCoordinator::Join(JoinRequest request, JoinDone done) {
  Calls calls(*this);
  auto fail = [&](KafkaError error) { calls.Answer(done, Failed(error, request.member_id)); };
  if (request.group.empty()) return fail(KafkaError::kInvalidGroupId);
  if (request.session_timeout_ms < options_.group_min_session_timeout_ms ||
      request.session_timeout_ms > options_.group_max_session_timeout_ms) {
    return fail(KafkaError::kInvalidSessionTimeout);
  }
  if (request.rebalance_timeout_ms < 0) request.rebalance_timeout_ms = request.session_timeout_ms;  // JoinGroup v0
  Group* group = Find(request.group);
  if (!group) {
    if (!request.member_id.empty()) return fail(KafkaError::kUnknownMemberId);
    if (groups_.size() >= kGroupsMax) return fail(KafkaError::kCoordinatorNotAvailable);
    group = FindOrMake(request.group);
  }
  if (!group->Supports(request.protocol_type, request.protocols)) return fail(KafkaError::kInconsistentGroupProtocol);
  calls.Touched(*group);
  if (request.member_id.empty()) {
    JoinNew(*group, request, done, calls);
  } else {
    JoinKnown(*group, request, done, calls);
  }
}

void GroupCoordinator::JoinNew(Group& group, JoinRequest& request, JoinDone& done, Calls& calls) {
  if (group.members.size() + group.pending_members.size() >= kMembersMax) {
    return calls.Answer(done, Failed(KafkaError::kGroupMaxSizeReached, ""));
  }
  if (request.instance_id) {
    auto old = group.static_members.find(*request.instance_id);
    if (old != group.static_members.end()) return ReplaceStatic(group, old->second, request, done, calls);
    return AddMember(group, *request.instance_id + "-" + MakeUuid(random_), request, done, calls);
  }
  std::string member_id = (request.client_id.empty() ? "member" : request.client_id) + "-" + MakeUuid(random_);
  if (request.require_known_member_id) {
    group.pending_members[member_id] = clock_.MonotonicMs() + request.session_timeout_ms;
    return calls.Answer(done, Failed(KafkaError::kMemberIdRequired, member_id));
  }
  AddMember(group, member_id, request, done, calls);
}

void GroupCoordinator::JoinKnown(Group& group, JoinRequest& request, JoinDone& done, Calls& calls) {
  if (group.pending_members.count(request.member_id) > 0 && !request.instance_id) {
    return AddMember(group, request.member_id, request, done, calls);
  }
  if (KafkaError error = CheckMember(group, request.member_id, request.instance_id); error != KafkaError::kNone) {
    return calls.Answer(done, Failed(error, request.member_id));
  }
  GroupMember& member = *group.Find(request.member_id);
  bool same = member.protocols == request.protocols;
  switch (group.state()) {
    case GroupState::kPreparingRebalance: return UpdateMember(group, member, request, done, calls);
    case GroupState::kCompletingRebalance:
      if (!same) return UpdateMember(group, member, request, done, calls);
      // The answer to its join was lost on the way: the same generation again.
      Touch(member);
      return calls.Answer(done, CurrentGeneration(group, member));
    case GroupState::kStable:
      // The leader joins again to have partitions assigned anew; a follower only where its subscription changed.
      if (!same || group.leader == member.id) return UpdateMember(group, member, request, done, calls);
      Touch(member);
      return calls.Answer(done, CurrentGeneration(group, member));
    case GroupState::kEmpty:
    case GroupState::kDead: break;
  }
  calls.Answer(done, Failed(KafkaError::kUnknownMemberId, request.member_id));
}

JoinResult GroupCoordinator::CurrentGeneration(Group& group, GroupMember& member) const {
  JoinResult result;
  result.generation = group.generation;
  result.protocol_type = group.protocol_type;
  result.protocol = group.protocol;
  result.leader = group.leader;
  result.member_id = member.id;
  if (group.leader == member.id) result.members = group.MembersForLeader();
  return result;
}

void GroupCoordinator::AddMember(Group& group, const std::string& member_id, JoinRequest& request, JoinDone& done,
                                 Calls& calls) {
  group.pending_members.erase(member_id);
  GroupMember& member = group.members[member_id];
  member.id = member_id;
  member.instance_id = request.instance_id;
  member.client_id = request.client_id;
  member.client_host = request.client_host;
  member.session_timeout_ms = request.session_timeout_ms;
  member.rebalance_timeout_ms = request.rebalance_timeout_ms;
  member.protocols = std::move(request.protocols);
  member.join_done = std::move(done);
  member.is_new = true;
  member.session_deadline_ms =
      clock_.MonotonicMs() + std::max<int64_t>(kNewMemberTimeoutMs, request.session_timeout_ms);
  if (request.instance_id) group.static_members[*request.instance_id] = member_id;
  group.protocol_type = request.protocol_type;
  if (group.leader.empty()) group.leader = member_id;
  if (group.Is(GroupState::kPreparingRebalance)) group.new_member_added = true;
  PrepareRebalance(group, calls);
}

void GroupCoordinator::UpdateMember(Group& group, GroupMember& member, JoinRequest& request, JoinDone& done,
                                    Calls& calls) {
  // A second join of the same member replaces the first, which is told so (its connection is usually gone).
  if (member.AwaitsJoin()) calls.Answer(member.join_done, Failed(KafkaError::kUnknownMemberId, member.id));
  member.protocols = std::move(request.protocols);
  member.session_timeout_ms = request.session_timeout_ms;
  member.rebalance_timeout_ms = request.rebalance_timeout_ms;
  member.client_id = request.client_id;
  member.client_host = request.client_host;
  member.join_done = std::move(done);
  Touch(member);
  PrepareRebalance(group, calls);
}

void GroupCoordinator::ReplaceStatic(Group& group, const std::string& old_id, JoinRequest& request, JoinDone& done,
                                     Calls& calls) {
  std::string new_id = *request.instance_id + "-" + MakeUuid(random_);
  auto node = group.members.extract(old_id);
  CHECK(!node.empty());
  GroupMember& member = node.mapped();
  if (member.AwaitsJoin()) calls.Answer(member.join_done, Failed(KafkaError::kFencedInstanceId, old_id));
  if (member.AwaitsSync()) calls.Answer(member.sync_done, SyncResult{KafkaError::kFencedInstanceId, {}, {}, {}});
  bool was_leader = group.leader == old_id;
  bool same = member.protocols == request.protocols;
  member.id = new_id;
  member.client_id = request.client_id;
  member.client_host = request.client_host;
  member.session_timeout_ms = request.session_timeout_ms;
  member.rebalance_timeout_ms = request.rebalance_timeout_ms;
  member.protocols = std::move(request.protocols);
  Touch(member);
  node.key() = new_id;
  GroupMember& placed = group.members.insert(std::move(node)).position->second;
  group.static_members[*request.instance_id] = new_id;
  if (group.pending_sync.erase(old_id) > 0) group.pending_sync.insert(new_id);
  if (was_leader) group.leader = new_id;

  if (group.Is(GroupState::kStable) && same) {
    // A static member that restarts keeps its partitions without a rebalance (KIP-345). Told that another leads, an old
    // client does not assign anew; KIP-814 says it openly.
    JoinResult result = CurrentGeneration(group, placed);
    if (was_leader) {
      if (request.supports_skip_assignment) {
        result.skip_assignment = true;
      } else {
        result.leader = old_id;
        result.members.clear();
      }
    }
    Save(group);
    return calls.Answer(done, std::move(result));
  }
  placed.join_done = std::move(done);
  PrepareRebalance(group, calls);
}

/// Starts a rebalance, or tells the one under way that something has changed.
void GroupCoordinator::PrepareRebalance(Group& group, Calls& calls) {
  if (!group.Is(GroupState::kPreparingRebalance)) {
    for (auto& [id, member] : group.members) {
      member.assignment.clear();
      if (member.AwaitsSync()) calls.Answer(member.sync_done, SyncResult{KafkaError::kRebalanceInProgress, {}, {}, {}});
    }
    group.pending_sync.clear();
    int64_t now_ms = clock_.MonotonicMs();
    bool first = group.Is(GroupState::kEmpty);
    group.MoveTo(GroupState::kPreparingRebalance);
    int32_t timeout_ms = group.MaxRebalanceTimeoutMs();
    group.rebalance_deadline_ms = now_ms + timeout_ms;
    group.new_member_added = false;
    group.initial_delay_until_ms = 0;
    if (first && options_.group_initial_rebalance_delay_ms > 0) {
      group.initial_delay_end_ms = now_ms + timeout_ms;
      group.initial_delay_until_ms =
          std::min(now_ms + options_.group_initial_rebalance_delay_ms, group.initial_delay_end_ms);
    }
  }
  MaybeCompleteJoin(group, calls);
}

void GroupCoordinator::MaybeCompleteJoin(Group& group, Calls& calls) {
  if (!group.Is(GroupState::kPreparingRebalance) || !group.AllJoined()) return;
  if (group.initial_delay_until_ms > clock_.MonotonicMs()) return;
  CompleteJoin(group, calls);
}

/// All members are here, or the time for joining is over: the next generation begins with those who came.
void GroupCoordinator::CompleteJoin(Group& group, Calls& calls) {
  std::vector<std::string> gone;
  for (auto& [id, member] : group.members) {
    if (!member.AwaitsJoin() && !member.instance_id) gone.push_back(id);
  }
  for (const std::string& id : gone) group.members.erase(id);
  if (!group.members.empty()) {
    bool any_joined =
        std::any_of(group.members.begin(), group.members.end(), [](auto& m) { return m.second.AwaitsJoin(); });
    if (!any_joined) {
      // Only static members that are away: their session time-outs decide.
      group.rebalance_deadline_ms = clock_.MonotonicMs() + group.MaxRebalanceTimeoutMs();
      return;
    }
    GroupMember* leader = group.Find(group.leader);
    if (!leader || !leader->AwaitsJoin()) {
      for (auto& [id, member] : group.members) {
        if (!member.AwaitsJoin()) continue;
        group.leader = id;
        break;
      }
    }
  }
  group.generation = group.generation == INT32_MAX ? 1 : group.generation + 1;
  if (group.members.empty()) {
    group.protocol.reset();
    group.leader.clear();
    group.empty_since_ms = clock_.NowMs();
    group.MoveTo(GroupState::kEmpty);
    Forget(group);
    return;
  }
  group.protocol = group.ChooseProtocol();
  group.MoveTo(GroupState::kCompletingRebalance);
  int64_t now_ms = clock_.MonotonicMs();
  group.rebalance_deadline_ms = now_ms + group.MaxRebalanceTimeoutMs();
  LogDebug("broker", fmt::format("group '{}' generation {}: {} member(s), leader {}", group.id, group.generation,
                                 group.members.size(), group.leader));
  for (auto& [id, member] : group.members) {
    group.pending_sync.insert(id);
    member.is_new = false;
    if (!member.AwaitsJoin()) continue;
    Touch(member);
    calls.Answer(member.join_done, CurrentGeneration(group, member));
  }
}

void GroupCoordinator::Sync(SyncRequest request, SyncDone done) {
  Calls calls(*this);
  auto fail = [&](KafkaError error) { calls.Answer(done, SyncResult{error, {}, {}, {}}); };
  if (request.group.empty()) return fail(KafkaError::kInvalidGroupId);
  Group* group = Find(request.group);
  if (!group) return fail(KafkaError::kUnknownMemberId);
  calls.Touched(*group);
  if (KafkaError error = CheckMember(*group, request.member_id, request.instance_id); error != KafkaError::kNone)
    return fail(error);
  if (request.generation != group->generation) return fail(KafkaError::kIllegalGeneration);
  if ((request.protocol_type && *request.protocol_type != group->protocol_type) ||
      (request.protocol && group->protocol && *request.protocol != *group->protocol)) {
    return fail(KafkaError::kInconsistentGroupProtocol);
  }
  GroupMember& member = *group->Find(request.member_id);
  auto current = [&](GroupMember& m) {
    return SyncResult{KafkaError::kNone, group->protocol_type, group->protocol.value_or(""), m.assignment};
  };
  switch (group->state()) {
    case GroupState::kPreparingRebalance: return fail(KafkaError::kRebalanceInProgress);
    case GroupState::kCompletingRebalance: {
      if (member.AwaitsSync()) calls.Answer(member.sync_done, SyncResult{KafkaError::kUnknownMemberId, {}, {}, {}});
      member.sync_done = std::move(done);
      Touch(member);
      group->pending_sync.erase(member.id);
      if (member.id != group->leader) return;
      for (auto& [id, m] : group->members) m.assignment.clear();
      for (auto& [id, assignment] : request.assignments) {
        if (GroupMember* m = group->Find(id)) m->assignment = std::move(assignment);
      }
      group->MoveTo(GroupState::kStable);
      Save(*group);
      for (auto& [id, m] : group->members) {
        if (!m.AwaitsSync()) continue;
        Touch(m);
        calls.Answer(m.sync_done, current(m));
      }
      return;
    }
    case GroupState::kStable:
      Touch(member);
      group->pending_sync.erase(member.id);
      return calls.Answer(done, current(member));
    case GroupState::kEmpty:
    case GroupState::kDead: return fail(KafkaError::kUnknownMemberId);
  }
}

KafkaError GroupCoordinator::CheckMember(Group& group, const std::string& member_id,
                                         const std::optional<std::string>& instance_id) const {
  if (group.Is(GroupState::kDead)) return KafkaError::kCoordinatorNotAvailable;
  if (instance_id) {
    auto it = group.static_members.find(*instance_id);
    if (it == group.static_members.end()) return KafkaError::kUnknownMemberId;
    if (it->second != member_id) return KafkaError::kFencedInstanceId;
  }
  return group.Find(member_id) ? KafkaError::kNone : KafkaError::kUnknownMemberId;
}

KafkaError GroupCoordinator::Heartbeat(const std::string& group_id, int32_t generation, const std::string& member_id,
                                       const std::optional<std::string>& instance_id) {
  Calls calls(*this);
  if (group_id.empty()) return KafkaError::kInvalidGroupId;
  Group* group = Find(group_id);
  if (!group) return KafkaError::kUnknownMemberId;
  if (KafkaError error = CheckMember(*group, member_id, instance_id); error != KafkaError::kNone) return error;
  if (generation != group->generation) return KafkaError::kIllegalGeneration;
  if (group->Is(GroupState::kEmpty)) return KafkaError::kUnknownMemberId;
  Touch(*group->Find(member_id));
  return group->Is(GroupState::kPreparingRebalance) ? KafkaError::kRebalanceInProgress : KafkaError::kNone;
}

std::vector<KafkaError> GroupCoordinator::Leave(const std::string& group_id, std::span<const LeavingMember> members,
                                                KafkaError* group_error) {
  Calls calls(*this);
  std::vector<KafkaError> answers(members.size(), KafkaError::kUnknownMemberId);
  *group_error = KafkaError::kNone;
  if (group_id.empty()) {
    *group_error = KafkaError::kInvalidGroupId;
    return answers;
  }
  Group* group = Find(group_id);
  if (!group) return answers;
  calls.Touched(*group);
  bool removed = false;
  for (size_t i = 0; i < members.size(); ++i) {
    std::string id = members[i].member_id;
    if (id.empty() && members[i].instance_id) {  // an administrator removes a static member by its name
      auto it = group->static_members.find(*members[i].instance_id);
      if (it == group->static_members.end()) continue;
      id = it->second;
    }
    if (group->pending_members.erase(id) > 0) {
      answers[i] = KafkaError::kNone;
      removed = true;
      continue;
    }
    answers[i] = CheckMember(*group, id, members[i].instance_id);
    if (answers[i] != KafkaError::kNone) continue;
    RemoveMember(*group, id, calls);
    removed = true;
  }
  if (removed) AfterRemoval(*group, calls);
  return answers;
}

void GroupCoordinator::RemoveMember(Group& group, const std::string& member_id, Calls& calls) {
  GroupMember* member = group.Find(member_id);
  if (!member) return;
  calls.Answer(member->join_done, Failed(KafkaError::kUnknownMemberId, member_id));
  calls.Answer(member->sync_done, SyncResult{KafkaError::kUnknownMemberId, {}, {}, {}});
  if (member->instance_id) {
    auto it = group.static_members.find(*member->instance_id);
    if (it != group.static_members.end() && it->second == member_id) group.static_members.erase(it);
  }
  group.pending_sync.erase(member_id);
  group.members.erase(member_id);
  if (group.leader == member_id) group.leader = group.members.empty() ? "" : group.members.begin()->first;
}

void GroupCoordinator::AfterRemoval(Group& group, Calls& calls) {
  switch (group.state()) {
    case GroupState::kStable:
    case GroupState::kCompletingRebalance: PrepareRebalance(group, calls); break;
    case GroupState::kPreparingRebalance: MaybeCompleteJoin(group, calls); break;
    case GroupState::kEmpty:
    case GroupState::kDead: break;
  }
}

int64_t GroupCoordinator::NextDeadline(const Group& group) const {
  int64_t next_ms = INT64_MAX;
  for (const auto& [id, member] : group.members) {
    if (!member.AwaitsSync() && (!member.AwaitsJoin() || member.is_new))
      next_ms = std::min(next_ms, member.session_deadline_ms);
  }
  for (const auto& [id, expiry_ms] : group.pending_members) next_ms = std::min(next_ms, expiry_ms);
  if (group.Is(GroupState::kPreparingRebalance)) {
    next_ms = std::min(next_ms,
                       group.initial_delay_until_ms > 0 ? group.initial_delay_until_ms : group.rebalance_deadline_ms);
  }
  if (group.Is(GroupState::kCompletingRebalance) || (group.Is(GroupState::kStable) && !group.pending_sync.empty())) {
    next_ms = std::min(next_ms, group.rebalance_deadline_ms);
  }
  return next_ms;
}

void GroupCoordinator::RunDeadlines(Group& group, int64_t now_ms, Calls& calls) {
  bool removed = std::erase_if(group.pending_members, [&](auto& p) { return p.second <= now_ms; }) > 0;
  std::vector<std::string> gone;
  for (auto& [id, member] : group.members) {
    bool waits = member.AwaitsSync() || (member.AwaitsJoin() && !member.is_new);
    if (!waits && member.session_deadline_ms <= now_ms) gone.push_back(id);
  }
  bool sync_over = group.Is(GroupState::kCompletingRebalance) || group.Is(GroupState::kStable);
  if (sync_over && !group.pending_sync.empty() && group.rebalance_deadline_ms <= now_ms) {
    // Joined but never came for its assignment: out, so that its partitions find an owner.
    gone.insert(gone.end(), group.pending_sync.begin(), group.pending_sync.end());
  }
  for (const std::string& id : gone) {
    if (!group.Find(id)) continue;
    LogInfo("broker", fmt::format("group '{}': member {} is gone (no heartbeat in its session or rebalance timeout)",
                                  group.id, id));
    RemoveMember(group, id, calls);
    removed = true;
  }
  if (removed) AfterRemoval(group, calls);
  if (!group.Is(GroupState::kPreparingRebalance)) return;
  if (group.initial_delay_until_ms > 0) {
    if (group.initial_delay_until_ms > now_ms) return;
    if (group.new_member_added && group.initial_delay_until_ms < group.initial_delay_end_ms) {
      group.new_member_added = false;
      group.initial_delay_until_ms =
          std::min(now_ms + options_.group_initial_rebalance_delay_ms, group.initial_delay_end_ms);
      return;
    }
    group.initial_delay_until_ms = 0;
    MaybeCompleteJoin(group, calls);
    if (!group.Is(GroupState::kPreparingRebalance)) return;
  }
  if (group.rebalance_deadline_ms <= now_ms) CompleteJoin(group, calls);
}

int64_t GroupCoordinator::Tick() {
  int64_t next_ms = INT64_MAX;
  {
    Calls calls(*this);
    int64_t now_ms = clock_.MonotonicMs();
    for (auto& [id, group] : groups_) {
      if (NextDeadline(*group) <= now_ms) RunDeadlines(*group, now_ms, calls);
      next_ms = std::min(next_ms, NextDeadline(*group));
    }
    next_tick_ms_ = next_ms;
  }
  return next_ms;
}

KafkaError GroupCoordinator::CheckCommit(const std::string& group_id, int32_t generation, const std::string& member_id,
                                         const std::optional<std::string>& instance_id, bool transactional) {
  Calls calls(*this);
  if (group_id.empty() && !transactional) {
    // Kafka takes commits to the empty group from consumers that manage themselves.
    return generation < 0 ? KafkaError::kNone : KafkaError::kInvalidGroupId;
  }
  Group* group = Find(group_id);
  bool managed = generation >= 0 || !member_id.empty() || instance_id;
  if (!group) {
    if (managed) return transactional ? KafkaError::kUnknownMemberId : KafkaError::kIllegalGeneration;
    if (groups_.size() >= kGroupsMax) return KafkaError::kCoordinatorNotAvailable;
    FindOrMake(group_id);
    return KafkaError::kNone;
  }
  if (group->Is(GroupState::kDead)) return KafkaError::kCoordinatorNotAvailable;
  if (!managed && (transactional || group->Is(GroupState::kEmpty))) return KafkaError::kNone;
  if (generation < 0 && group->Is(GroupState::kEmpty)) return KafkaError::kNone;
  if (KafkaError error = CheckMember(*group, member_id, instance_id); error != KafkaError::kNone) return error;
  if (generation != group->generation) return KafkaError::kIllegalGeneration;
  if (group->Is(GroupState::kCompletingRebalance) && !transactional) return KafkaError::kRebalanceInProgress;
  Touch(*group->Find(member_id));
  return KafkaError::kNone;
}

}  // namespace tailrace::broker
