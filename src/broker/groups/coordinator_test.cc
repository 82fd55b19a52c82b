#include "broker/groups/coordinator.h"

#include <stdlib.h>

#include "base/clock.h"
#include "broker/broker.h"
#include "broker/offsets.h"
#include "gtest/gtest.h"
#include "io/file.h"
#include "log/flusher.h"
#include "log/journal.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;

TEST(GroupState, EveryMoveIsInTheTable) {
  using S = GroupState;
  EXPECT_TRUE(GroupMayMove(S::kEmpty, S::kPreparingRebalance));
  EXPECT_TRUE(GroupMayMove(S::kPreparingRebalance, S::kCompletingRebalance));
  EXPECT_TRUE(GroupMayMove(S::kCompletingRebalance, S::kStable));
  EXPECT_FALSE(GroupMayMove(S::kEmpty, S::kStable));
  EXPECT_FALSE(GroupMayMove(S::kStable, S::kCompletingRebalance));
  for (int to = 0; to < kGroupStates; ++to) EXPECT_FALSE(GroupMayMove(S::kDead, static_cast<S>(to)));
  EXPECT_EQ(GroupStateName(S::kCompletingRebalance), "CompletingRebalance");
}

class CoordinatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/tailrace-groups-XXXXXX";
    directory_ = mkdtemp(path);
    options_.flush_before_ack = false;
    Open();
  }
  void TearDown() override {
    Close();
    (void)io::RemoveTree(directory_);
  }
  void Open() {
    flusher_ = std::make_unique<log::Flusher>(Clock::System());
    log::Journal::Options journal_options;
    journal_options.flush_before_ack = false;
    journal_ = log::Journal::Open(directory_ + "/meta.journal", *flusher_, journal_options).value();
    offsets_ = OffsetStore::Open(journal_, clock_).value();
    groups_ = std::make_unique<GroupCoordinator>(options_, clock_, journal_, *offsets_);
    ASSERT_TRUE(groups_->Load().ok());
  }
  void Close() {
    ASSERT_TRUE(journal_->Close().ok());
    groups_.reset();
    offsets_.reset();
    journal_.reset();
    flusher_.reset();
  }

  struct Member {
    std::optional<JoinResult> joined;
    std::optional<SyncResult> synced;
    std::string id;
    int32_t generation = -1;
  };
  void Join(Member& m, std::optional<std::string> instance = std::nullopt, bool require_id = false,
            std::string protocols = "range") {
    JoinRequest r;
    r.group = "g";
    r.member_id = m.id;
    r.instance_id = instance;
    r.client_id = "c";
    r.session_timeout_ms = 10'000;
    r.rebalance_timeout_ms = 30'000;
    r.protocol_type = "consumer";
    for (size_t from = 0; from < protocols.size();) {
      size_t to = std::min(protocols.find(',', from), protocols.size());
      r.protocols.emplace_back(protocols.substr(from, to - from), "meta");
      from = to + 1;
    }
    r.require_known_member_id = require_id;
    m.joined.reset();
    groups_->Join(r, [&m](JoinResult result) {
      m.id = result.member_id;
      m.generation = result.generation;
      m.joined = std::move(result);
    });
  }
  void Sync(Member& m, std::vector<std::pair<std::string, std::string>> assignments = {}) {
    SyncRequest r;
    r.group = "g";
    r.generation = m.generation;
    r.member_id = m.id;
    r.assignments = std::move(assignments);
    m.synced.reset();
    groups_->Sync(r, [&m](SyncResult result) { m.synced = std::move(result); });
  }
  KafkaError Beat(Member& m) { return groups_->Heartbeat("g", m.generation, m.id, std::nullopt); }
  std::string State() { return groups_->Describe("g").state; }
  /// Two members, stable, `a` leads.
  void MakeStable(Member& a, Member& b) {
    Join(a);
    ASSERT_TRUE(a.joined);
    Join(b);
    Join(a);  // told by its heartbeat
    ASSERT_TRUE(a.joined && b.joined);
    ASSERT_EQ(a.joined->leader, a.id);
    Sync(b);
    ASSERT_FALSE(b.synced);
    Sync(a, {{a.id, "A"}, {b.id, "B"}});
    ASSERT_EQ(a.synced->assignment, "A");
    ASSERT_EQ(b.synced->assignment, "B");
    ASSERT_EQ(State(), "Stable");
  }

  std::string directory_;
  ManualClock clock_;
  BrokerOptions options_;
  std::unique_ptr<log::Flusher> flusher_;
  std::shared_ptr<log::Journal> journal_;
  std::unique_ptr<OffsetStore> offsets_;
  std::unique_ptr<GroupCoordinator> groups_;
};

TEST_F(CoordinatorTest, OneMemberJoinsSyncsBeatsLeaves) {
  Member a;
  Join(a);
  ASSERT_TRUE(a.joined);
  EXPECT_EQ(a.joined->error, KafkaError::kNone);
  EXPECT_EQ(a.generation, 1);
  EXPECT_EQ(a.joined->leader, a.id);
  EXPECT_EQ(a.joined->members.size(), 1u);
  EXPECT_EQ(a.joined->protocol, "range");
  EXPECT_EQ(State(), "CompletingRebalance");
  EXPECT_EQ(groups_->CheckCommit("g", 1, a.id, std::nullopt, false), KafkaError::kRebalanceInProgress);
  Sync(a, {{a.id, "all"}});
  ASSERT_TRUE(a.synced);
  EXPECT_EQ(a.synced->assignment, "all");
  EXPECT_EQ(Beat(a), KafkaError::kNone);
  EXPECT_EQ(groups_->Heartbeat("g", 7, a.id, std::nullopt), KafkaError::kIllegalGeneration);
  EXPECT_EQ(groups_->Heartbeat("g", 1, "who", std::nullopt), KafkaError::kUnknownMemberId);
  EXPECT_EQ(groups_->Heartbeat("none", 1, a.id, std::nullopt), KafkaError::kUnknownMemberId);
  EXPECT_EQ(groups_->CheckCommit("g", 1, a.id, std::nullopt, false), KafkaError::kNone);
  KafkaError group_error;
  LeavingMember leaving{a.id, std::nullopt};
  EXPECT_EQ(groups_->Leave("g", {&leaving, 1}, &group_error)[0], KafkaError::kNone);
  EXPECT_EQ(State(), "Empty");
  EXPECT_EQ(groups_->Delete("g"), KafkaError::kNone);
  EXPECT_EQ(groups_->Delete("g"), KafkaError::kGroupIdNotFound);
}

TEST_F(CoordinatorTest, MembersOfNewClientsComeBackWithTheirId) {
  Member a;
  Join(a, std::nullopt, true);
  ASSERT_TRUE(a.joined);
  EXPECT_EQ(a.joined->error, KafkaError::kMemberIdRequired);
  ASSERT_FALSE(a.id.empty());
  EXPECT_EQ(State(), "Empty");
  Join(a, std::nullopt, true);
  EXPECT_EQ(a.joined->error, KafkaError::kNone);
  Sync(a, {{a.id, "all"}});
  // An id that is never used blocks a rebalance only until it expires.
  Member ghost;
  Join(ghost, std::nullopt, true);
  Join(a);
  EXPECT_FALSE(a.joined);
  clock_.Advance(10'001);
  groups_->Tick();
  EXPECT_TRUE(a.joined);
}

TEST_F(CoordinatorTest, ASecondMemberStartsARebalanceThatTheFirstIsTold) {
  Member a, b;
  MakeStable(a, b);
  Member c;
  Join(c);
  EXPECT_FALSE(c.joined);
  EXPECT_EQ(State(), "PreparingRebalance");
  EXPECT_EQ(Beat(a), KafkaError::kRebalanceInProgress);
  Sync(a);
  EXPECT_EQ(a.synced->error, KafkaError::kRebalanceInProgress);
  Join(a);
  Join(b);
  ASSERT_TRUE(a.joined && b.joined && c.joined);
  EXPECT_EQ(c.generation, a.generation);
  EXPECT_EQ(a.joined->members.size(), 3u);
  EXPECT_TRUE(c.joined->members.empty());
}

TEST_F(CoordinatorTest, WhoDoesNotRejoinInTimeIsOut) {
  Member a, b, c;
  MakeStable(a, b);
  Join(c);
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(9'000);
    (void)Beat(a), (void)Beat(b);
    groups_->Tick();
  }
  EXPECT_FALSE(c.joined);
  Join(a);
  clock_.Advance(3'001);  // the rebalance timeout of 30 s is over
  groups_->Tick();
  ASSERT_TRUE(a.joined && c.joined);
  EXPECT_EQ(a.joined->members.size(), 2u);
  EXPECT_EQ(Beat(b), KafkaError::kUnknownMemberId);
}

TEST_F(CoordinatorTest, ASilentMemberExpiresAndItsPartitionsGoOn) {
  Member a, b;
  MakeStable(a, b);
  clock_.Advance(6'000);
  EXPECT_EQ(Beat(a), KafkaError::kNone);
  groups_->Tick();
  clock_.Advance(4'001);
  int64_t next_ms = groups_->Tick();
  EXPECT_EQ(State(), "PreparingRebalance");
  EXPECT_GT(next_ms, clock_.MonotonicMs());
  EXPECT_EQ(Beat(a), KafkaError::kRebalanceInProgress);
  Join(a);
  ASSERT_TRUE(a.joined);
  EXPECT_EQ(a.joined->members.size(), 1u);
}

TEST_F(CoordinatorTest, WhoJoinsButNeverSyncsIsOut) {
  Member a, b;
  Join(a);
  Join(b);
  Join(a);
  ASSERT_TRUE(b.joined);
  Sync(a, {{a.id, "A"}, {b.id, "B"}});
  EXPECT_EQ(State(), "Stable");
  for (int i = 0; i < 4; ++i) {
    clock_.Advance(8'000);
    (void)Beat(a), (void)Beat(b);
    groups_->Tick();
  }
  EXPECT_EQ(State(), "PreparingRebalance");
  EXPECT_EQ(Beat(b), KafkaError::kUnknownMemberId);
}

TEST_F(CoordinatorTest, ProtocolsMustFit) {
  Member a, b;
  Join(a, std::nullopt, false, "range,roundrobin");
  Join(b, std::nullopt, false, "sticky");
  ASSERT_TRUE(b.joined);
  EXPECT_EQ(b.joined->error, KafkaError::kInconsistentGroupProtocol);
  b.id.clear();
  Join(b, std::nullopt, false, "roundrobin");
  Join(a, std::nullopt, false, "range,roundrobin");
  ASSERT_TRUE(b.joined);
  EXPECT_EQ(b.joined->protocol, "roundrobin");
}

TEST_F(CoordinatorTest, TimeoutsOutsideTheBrokersRangeAreRefused) {
  JoinRequest r;
  r.group = "g";
  r.session_timeout_ms = 10;
  r.protocol_type = "consumer";
  r.protocols = {{"range", ""}};
  KafkaError error = KafkaError::kNone;
  groups_->Join(r, [&](JoinResult result) { error = result.error; });
  EXPECT_EQ(error, KafkaError::kInvalidSessionTimeout);
  r.group = "";
  groups_->Join(r, [&](JoinResult result) { error = result.error; });
  EXPECT_EQ(error, KafkaError::kInvalidGroupId);
}

TEST_F(CoordinatorTest, AStaticMemberThatRestartsKeepsItsPartitions) {
  Member a;
  Join(a, "i1");
  Sync(a, {{a.id, "mine"}});
  Member again;
  Join(again, "i1");
  ASSERT_TRUE(again.joined);
  EXPECT_EQ(again.joined->error, KafkaError::kNone);
  EXPECT_EQ(again.generation, a.generation);
  EXPECT_NE(again.id, a.id);
  EXPECT_EQ(State(), "Stable");
  Sync(again);
  EXPECT_EQ(again.synced->assignment, "mine");
  EXPECT_EQ(groups_->Heartbeat("g", a.generation, a.id, "i1"), KafkaError::kFencedInstanceId);
  EXPECT_EQ(groups_->CheckCommit("g", a.generation, a.id, "i1", false), KafkaError::kFencedInstanceId);
  // An administrator removes it by name.
  KafkaError group_error;
  LeavingMember leaving{"", "i1"};
  EXPECT_EQ(groups_->Leave("g", {&leaving, 1}, &group_error)[0], KafkaError::kNone);
  EXPECT_EQ(State(), "Empty");
}

TEST_F(CoordinatorTest, TheInitialDelayWaitsForMoreMembers) {
  options_.group_initial_rebalance_delay_ms = 3000;
  Member a, b;
  Join(a);
  EXPECT_FALSE(a.joined);
  clock_.Advance(2000);
  Join(b);
  groups_->Tick();
  clock_.Advance(1001);
  groups_->Tick();  // b came: three seconds more
  EXPECT_FALSE(a.joined);
  clock_.Advance(3001);
  groups_->Tick();
  ASSERT_TRUE(a.joined && b.joined);
  EXPECT_EQ(a.generation, 1);
  EXPECT_EQ(b.generation, 1);
}

TEST_F(CoordinatorTest, AStableGroupSurvivesARestart) {
  Member a, b;
  MakeStable(a, b);
  Close();
  Open();
  EXPECT_EQ(State(), "Stable");
  EXPECT_EQ(Beat(a), KafkaError::kNone);
  EXPECT_EQ(groups_->CheckCommit("g", b.generation, b.id, std::nullopt, false), KafkaError::kNone);
  Sync(b);
  EXPECT_EQ(b.synced->assignment, "B");
}

TEST_F(CoordinatorTest, ConsumersThatManageThemselvesCommitToEmptyGroupsOnly) {
  EXPECT_EQ(groups_->CheckCommit("simple", -1, "", std::nullopt, false), KafkaError::kNone);
  EXPECT_EQ(groups_->CheckCommit("none", 3, "m", std::nullopt, false), KafkaError::kIllegalGeneration);
  Member a, b;
  MakeStable(a, b);
  EXPECT_EQ(groups_->CheckCommit("g", -1, "", std::nullopt, false), KafkaError::kUnknownMemberId);
  EXPECT_EQ(groups_->Delete("g"), KafkaError::kNonEmptyGroup);
}

TEST_F(CoordinatorTest, AGroupThatOnlyHasOffsetsIsListedDescribedAndDeleted) {
  OffsetCommitItem item;
  item.from = {"t", 0};
  item.value.offset = 7;
  offsets_->Commit("job", {&item, 1}, nullptr);
  ASSERT_EQ(groups_->List().size(), 1u);
  EXPECT_EQ(groups_->Describe("job").state, "Empty");
  EXPECT_EQ(groups_->CheckOffsetDelete("job", "t"), KafkaError::kNone);
  EXPECT_EQ(groups_->Delete("job"), KafkaError::kNone);
  EXPECT_FALSE(offsets_->HasGroup("job"));
  EXPECT_TRUE(groups_->List().empty());
}

TEST_F(CoordinatorTest, RandomRequestsNeverBreakTheStateMachine) {
  Random random(42);
  std::vector<Member> members(6);
  for (int step = 0; step < 20'000; ++step) {
    Member& m = members[random.Below(members.size())];
    switch (random.Below(8)) {
      case 0:
      case 1: Join(m, std::nullopt, random.Below(2) == 0); break;
      case 2: Sync(m, {{m.id, "x"}}); break;
      case 3: (void)Beat(m); break;
      case 4: {
        KafkaError error;
        LeavingMember leaving{m.id, std::nullopt};
        groups_->Leave("g", {&leaving, 1}, &error);
        break;
      }
      case 5:
        clock_.Advance(static_cast<int64_t>(random.Below(4000)));
        groups_->Tick();
        break;
      case 6: (void)groups_->CheckCommit("g", m.generation, m.id, std::nullopt, random.Below(2) == 0); break;
      case 7: m.id.clear(); break;
    }
  }
  // Left alone, every group comes to rest.
  for (int i = 0; i < 100; ++i) {
    clock_.Advance(400'000);
    groups_->Tick();
  }
  EXPECT_EQ(State(), "Empty");
}

}  // namespace
}  // namespace tailrace::broker
