#pragma once
// All classic consumer groups of the broker: joins, syncs, heartbeats, leaving, expiry, and who may commit offsets.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "broker/groups/group.h"

namespace tailrace {
class Clock;
}
namespace tailrace::log {
class Journal;
}

namespace tailrace::broker {

struct BrokerOptions;
class OffsetStore;

struct JoinRequest {
  std::string group;
  std::string member_id;  // empty: a new member
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  int32_t session_timeout_ms = 0;
  int32_t rebalance_timeout_ms = 0;
  std::string protocol_type;
  std::vector<std::pair<std::string, std::string>> protocols;
  bool require_known_member_id = false;   // JoinGroup v4 and later (KIP-394)
  bool supports_skip_assignment = false;  // JoinGroup v9 and later (KIP-814)
};

struct SyncRequest {
  std::string group;
  int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::optional<std::string> protocol_type;  // v5 and later: must be the group's
  std::optional<std::string> protocol;
  std::vector<std::pair<std::string, std::string>> assignments;  // member, bytes; from the leader
};

struct LeavingMember {
  std::string member_id;
  std::optional<std::string> instance_id;
};

struct GroupDescription {
  wire::KafkaError error = wire::KafkaError::kNone;
  std::string id, state, protocol_type, protocol;
  int32_t generation = 0;
  struct Member {
    std::string id, client_id, client_host, metadata, assignment;
    std::optional<std::string> instance_id;
  };
  std::vector<Member> members;
};

struct GroupListing {
  std::string id, protocol_type, state;
};

/// Thread-safe: one lock over all groups, since their requests are rare (a heartbeat per member every 3 s) and short.
/// Callbacks run after the lock is released, in the thread of the request that completes the rebalance or of Tick().
class GroupCoordinator {
 public:
  static constexpr size_t kGroupsMax = 100'000;
  static constexpr size_t kMembersMax = 10'000;  // of one group

  GroupCoordinator(const BrokerOptions& options, Clock& clock, std::shared_ptr<log::Journal> journal,
                   OffsetStore& offsets);
  ~GroupCoordinator();
  /// Groups that were stable when the broker stopped go on where they were.
  Status Load();

  void Join(JoinRequest request, JoinDone done);
  void Sync(SyncRequest request, SyncDone done);
  wire::KafkaError Heartbeat(const std::string& group, int32_t generation, const std::string& member_id,
                             const std::optional<std::string>& instance_id);
  /// One answer per member, in their order. `group_error` is set where nobody could leave.
  std::vector<wire::KafkaError> Leave(const std::string& group, std::span<const LeavingMember> members,
                                      wire::KafkaError* group_error);

  /// Whether this member may commit offsets now; a commit counts as a heartbeat. generation -1 and no member: a
  /// consumer that manages its partitions itself.
  wire::KafkaError CheckCommit(const std::string& group, int32_t generation, const std::string& member_id,
                               const std::optional<std::string>& instance_id, bool transactional);

  // A group that only has offsets (a job that commits in process, a transaction) is there as an empty one.
  GroupDescription Describe(const std::string& group);
  std::vector<GroupListing> List();
  wire::KafkaError Delete(const std::string& group);
  /// Whether offsets of `topic` may be deleted: kNone, kGroupIdNotFound, kNonEmptyGroup, kGroupSubscribedToTopic.
  wire::KafkaError CheckOffsetDelete(const std::string& group, const std::string& topic);
  /// Wall clock since when nobody in the group uses the topic; INT64_MAX: in use (OffsetStore::Expire).
  int64_t IdleSinceMs(const std::string& group, const std::string& topic) const;
  /// Drops empty groups without offsets.
  void RemoveEmptyGroups();

  /// Runs what is due. Returns the monotonic time of the next deadline, INT64_MAX for none.
  int64_t Tick();
  /// Called when a deadline earlier than Tick's last answer comes up, from any thread, without the lock; it arranges
  /// for Tick to be called then. Set before use.
  void SetAlarm(std::function<void(int64_t deadline_ms)> alarm) { alarm_ = std::move(alarm); }

 private:
  class Calls;  // callbacks collected under the lock, run after it
  Group* Find(const std::string& id);
  Group* FindOrMake(const std::string& id);
  Group* FindOrAdopt(const std::string& id);
  void JoinNew(Group& group, JoinRequest& request, JoinDone& done, Calls& calls);
  void JoinKnown(Group& group, JoinRequest& request, JoinDone& done, Calls& calls);
  void AddMember(Group& group, const std::string& member_id, JoinRequest& request, JoinDone& done, Calls& calls);
  void UpdateMember(Group& group, GroupMember& member, JoinRequest& request, JoinDone& done, Calls& calls);
  void ReplaceStatic(Group& group, const std::string& old_id, JoinRequest& request, JoinDone& done, Calls& calls);
  void RemoveMember(Group& group, const std::string& member_id, Calls& calls);
  void PrepareRebalance(Group& group, Calls& calls);
  void MaybeCompleteJoin(Group& group, Calls& calls);
  void CompleteJoin(Group& group, Calls& calls);
  void AfterRemoval(Group& group, Calls& calls);
  void RunDeadlines(Group& group, int64_t now_ms, Calls& calls);
  int64_t NextDeadline(const Group& group) const;
  void Touch(GroupMember& member);
  void Save(const Group& group);
  void Forget(const Group& group);
  wire::KafkaError CheckMember(Group& group, const std::string& member_id,
                               const std::optional<std::string>& instance_id) const;
  JoinResult CurrentGeneration(Group& group, GroupMember& member) const;
  void RaiseAlarm(int64_t deadline_ms);

  const BrokerOptions& options_;
  Clock& clock_;
  const std::shared_ptr<log::Journal> journal_;
  OffsetStore& offsets_;
  std::function<void(int64_t)> alarm_;

  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, std::unique_ptr<Group>> groups_;
  Random random_;
  int64_t next_tick_ms_ = INT64_MAX;  // what Tick or the alarm has promised
};

}  // namespace tailrace::broker
