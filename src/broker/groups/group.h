#pragma once
// One classic consumer group: its members, its generation and its state machine. Plain data without locks or timers;
// the coordinator drives it. Semantics: Kafka's group membership protocol (KIP-62, KIP-345 static members, KIP-394).

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/error_codes.h"

namespace tailrace::broker {

enum class GroupState : uint8_t { kEmpty, kPreparingRebalance, kCompletingRebalance, kStable, kDead };
inline constexpr int kGroupStates = 5;
/// "Empty", "PreparingRebalance", ...: the names that clients and tools show.
std::string_view GroupStateName(GroupState state);
/// The one table of legal moves.
bool GroupMayMove(GroupState from, GroupState to);

struct JoinResult {
  wire::KafkaError error = wire::KafkaError::kNone;
  int32_t generation = -1;
  std::string protocol_type;
  std::optional<std::string> protocol;
  std::string leader;
  std::string member_id;
  bool skip_assignment = false;
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::string metadata;
  };
  std::vector<Member> members;  // for the leader only
};
using JoinDone = std::function<void(JoinResult)>;

struct SyncResult {
  wire::KafkaError error = wire::KafkaError::kNone;
  std::string protocol_type;
  std::string protocol;
  std::string assignment;
};
using SyncDone = std::function<void(SyncResult)>;

struct GroupMember {
  std::string id;
  std::optional<std::string> instance_id;  // static member (KIP-345)
  std::string client_id;
  std::string client_host;
  int32_t session_timeout_ms = 0;
  int32_t rebalance_timeout_ms = 0;
  std::vector<std::pair<std::string, std::string>> protocols;  // name and metadata, best first
  std::string assignment;

  JoinDone join_done;  // waits for the rebalance to complete
  SyncDone sync_done;  // waits for the leader's assignment
  int64_t session_deadline_ms = 0;
  bool is_new = false;  // in its first join: no heartbeats yet, however long that takes

  bool AwaitsJoin() const { return static_cast<bool>(join_done); }
  bool AwaitsSync() const { return static_cast<bool>(sync_done); }
  const std::string* MetadataOf(std::string_view protocol) const;
};

struct Group {
  explicit Group(std::string name) : id(std::move(name)) {}

  std::string id;
  int32_t generation = 0;
  std::string protocol_type;            // empty while nobody joined
  std::optional<std::string> protocol;  // chosen in this generation
  std::string leader;
  std::map<std::string, GroupMember> members;
  std::map<std::string, std::string> static_members;  // instance id, member id
  std::map<std::string, int64_t> pending_members;     // ids handed out, not yet joined (KIP-394); expiry
  std::set<std::string> pending_sync;                 // members of this generation that have not synced yet
  int64_t rebalance_deadline_ms = 0;   // in PreparingRebalance: joins end; in CompletingRebalance: syncs end
  int64_t initial_delay_until_ms = 0;  // first rebalance of an empty group waits for more members; 0: no wait
  int64_t initial_delay_end_ms = 0;    // but not beyond this
  bool new_member_added = false;
  int64_t empty_since_ms = 0;  // wall clock

  GroupState state() const { return state_; }
  bool Is(GroupState s) const { return state_ == s; }
  /// REQUIRES: a legal move.
  void MoveTo(GroupState to);

  GroupMember* Find(const std::string& member_id);
  /// The member's protocol type and at least one of its protocols fit everyone else's.
  bool Supports(const std::string& type, const std::vector<std::pair<std::string, std::string>>& protocols) const;
  /// Votes: each member's best among those that all support. REQUIRES: members.
  std::string ChooseProtocol() const;
  bool AllJoined() const;
  int32_t MaxRebalanceTimeoutMs() const;
  std::vector<JoinResult::Member> MembersForLeader() const;
  /// Topics the members subscribe to; false where that can't be told (not consumers).
  bool SubscribedTopics(std::set<std::string>* topics) const;

 private:
  GroupState state_ = GroupState::kEmpty;
};

}  // namespace tailrace::broker
