#include <gtest/gtest.h>

#include <functional>

#include "workflow/model/dag.h"
#include "workflow/model/states.h"
#include "workflow/model/trigger_rule.h"

namespace tailrace::workflow {
namespace {

using States = std::vector<TaskState>;
constexpr TaskState kNone = TaskState::kNone, kOk = TaskState::kSuccess, kFail = TaskState::kFailed,
                    kUp = TaskState::kUpstreamFailed, kSkip = TaskState::kSkipped, kRun = TaskState::kRunning;

int Count(const States& states, std::initializer_list<TaskState> which) {
  int n = 0;
  for (TaskState s : states)
    for (TaskState w : which) n += s == w;
  return n;
}

/// The words of Airflow's documentation, over upstreams that have all ended.
Verdict ByTheBook(TriggerRule rule, const States& s) {
  const int n = static_cast<int>(s.size()), ok = Count(s, {kOk}), bad = Count(s, {kFail, kUp}),
            skipped = Count(s, {kSkip});
  switch (rule) {
    case TriggerRule::kAlways:
    case TriggerRule::kAllDone:
    case TriggerRule::kAllDoneSetupSuccess: return Verdict::kRun;  // no setups here
    case TriggerRule::kAllSuccess: return ok == n ? Verdict::kRun : bad ? Verdict::kUpstreamFailed : Verdict::kSkip;
    case TriggerRule::kAllFailed: return bad == n ? Verdict::kRun : Verdict::kSkip;
    case TriggerRule::kAllDoneMinOneSuccess:
      return skipped ? Verdict::kSkip : ok ? Verdict::kRun : Verdict::kUpstreamFailed;
    case TriggerRule::kOneSuccess: return ok ? Verdict::kRun : skipped == n ? Verdict::kSkip : Verdict::kUpstreamFailed;
    case TriggerRule::kOneFailed: return bad ? Verdict::kRun : Verdict::kSkip;
    case TriggerRule::kOneDone: return ok + bad ? Verdict::kRun : Verdict::kSkip;
    case TriggerRule::kNoneFailed: return bad ? Verdict::kUpstreamFailed : Verdict::kRun;
    case TriggerRule::kNoneFailedMinOneSuccess:
      return bad ? Verdict::kUpstreamFailed : ok ? Verdict::kRun : Verdict::kSkip;
    case TriggerRule::kNoneSkipped: return skipped ? Verdict::kSkip : Verdict::kRun;
    case TriggerRule::kAllSkipped: return skipped == n ? Verdict::kRun : Verdict::kSkip;
  }
  return Verdict::kWait;
}

void ForEachCombination(const States& of, int count, const std::function<void(const States&)>& visit) {
  States states(static_cast<size_t>(count), of[0]);
  std::vector<size_t> at(static_cast<size_t>(count));
  while (true) {
    for (size_t i = 0; i < at.size(); ++i) states[i] = of[at[i]];
    visit(states);
    size_t i = 0;
    while (i < at.size() && ++at[i] == of.size()) at[i++] = 0;
    if (i == at.size()) return;
  }
}

Verdict Evaluated(TriggerRule rule, const States& states) {
  UpstreamCounts counts;
  for (TaskState s : states) counts.Add(s);
  return Evaluate(rule, counts);
}

TEST(TriggerRules, EveryRuleOnEverySetOfEndedUpstreams) {
  int checked = 0;
  for (std::string_view name : TriggerRuleNames()) {
    TriggerRule rule = *ParseTriggerRule(name);
    EXPECT_EQ(Evaluated(rule, {}), Verdict::kRun) << name << " without upstreams";
    for (int n = 1; n <= 4; ++n)
      ForEachCombination({kOk, kFail, kUp, kSkip}, n, [&](const States& states) {
        EXPECT_EQ(Evaluated(rule, states), ByTheBook(rule, states)) << name << " of " << n;
        ++checked;
      });
  }
  EXPECT_EQ(checked, 13 * (4 + 16 + 64 + 256));
}

TEST(TriggerRules, UnfinishedUpstreamsWaitOrDecideForGood) {
  // Early verdicts: those that no later end can turn into a run, and runs that need not wait.
  for (std::string_view name : TriggerRuleNames()) {
    TriggerRule rule = *ParseTriggerRule(name);
    ForEachCombination({kOk, kFail, kUp, kSkip, kNone, kRun}, 3, [&](const States& states) {
      if (Count(states, {kNone, kRun}) == 0) return;
      Verdict early = Evaluated(rule, states);
      if (early == Verdict::kWait) return;
      States done = states;
      for (TaskState end : {kOk, kFail, kUp, kSkip}) {
        for (size_t i = 0; i < done.size(); ++i)
          if (states[i] == kNone || states[i] == kRun) done[i] = end;
        bool runs_late = Evaluated(rule, done) == Verdict::kRun;
        EXPECT_EQ(early == Verdict::kRun, runs_late) << name;
      }
    });
    bool at_once = rule == TriggerRule::kAlways;
    EXPECT_EQ(Evaluated(rule, {kNone, kRun}), at_once ? Verdict::kRun : Verdict::kWait) << name;
  }
}

TEST(TriggerRules, SetupsOfATeardown) {
  auto verdict = [](States setups, States others) {
    UpstreamCounts counts;
    for (TaskState s : setups) counts.Add(s, true);
    for (TaskState s : others) counts.Add(s);
    return Evaluate(TriggerRule::kAllDoneSetupSuccess, counts);
  };
  EXPECT_EQ(verdict({kOk}, {kFail}), Verdict::kRun);
  EXPECT_EQ(verdict({kSkip}, {kOk}), Verdict::kSkip);
  EXPECT_EQ(verdict({kFail}, {kUp}), Verdict::kUpstreamFailed);
  EXPECT_EQ(verdict({kOk}, {kRun}), Verdict::kWait);
}

TEST(TriggerRules, Names) {
  EXPECT_EQ(*ParseTriggerRule("dummy"), TriggerRule::kAlways);
  EXPECT_EQ(*ParseTriggerRule("none_failed_or_skipped"), TriggerRule::kNoneFailedMinOneSuccess);
  EXPECT_FALSE(ParseTriggerRule("all_good"));
}

TEST(RunVerdict, ByItsLeaves) {
  EXPECT_EQ(RunVerdict({kOk, kSkip}), RunState::kSuccess);
  EXPECT_EQ(RunVerdict({kOk, kFail}), RunState::kFailed);
  EXPECT_EQ(RunVerdict({kUp}), RunState::kFailed);
  EXPECT_EQ(RunVerdict({kOk, kRun}), std::nullopt);
}

TEST(States, NamesAndMoves) {
  for (int i = 0; i < kTaskStates; ++i) {
    auto s = static_cast<TaskState>(i);
    EXPECT_EQ(ParseTaskState(Name(s)), s);
    // The scheduler never leaves an end but for removal; a user always can clear one.
    for (int j = 0; j < kTaskStates; ++j) {
      auto to = static_cast<TaskState>(j);
      if (Finished(s) && s != TaskState::kRemoved && to != TaskState::kRemoved) {
        EXPECT_FALSE(LegalMove(s, to, Mover::kScheduler)) << Name(s) << " -> " << Name(to);
      }
      if (i == j) { EXPECT_FALSE(LegalMove(s, to, Mover::kScheduler)); }
    }
    if (s != TaskState::kNone && s != TaskState::kRunning) {
      EXPECT_TRUE(LegalMove(s, TaskState::kNone, Mover::kUser)) << Name(s);
    }
  }
  EXPECT_FALSE(LegalMove(TaskState::kNone, TaskState::kRunning, Mover::kScheduler));
  EXPECT_FALSE(LegalMove(TaskState::kScheduled, TaskState::kRunning, Mover::kScheduler));
  EXPECT_TRUE(LegalMove(TaskState::kRunning, TaskState::kUpForReschedule, Mover::kScheduler));
  EXPECT_TRUE(LegalMove(RunState::kFailed, RunState::kQueued, Mover::kUser));
  EXPECT_FALSE(LegalMove(RunState::kSuccess, RunState::kRunning, Mover::kScheduler));
}

TEST(Retry, BackoffAsAirflowComputesIt) {
  // From Python: min(b + int(sha1("streaming_pipeline#start_streaming#2024-01-01 00:00:00+00:00#try"), 16) % b, 86400)
  RetryPolicy policy{.retries = 20, .delay_ms = 300'000, .backoff = 2, .max_delay_ms = 0};
  const int64_t jan1 = 1'704'067'200'000;
  const int64_t expected[] = {584, 844, 2192, 4309, 8456, 19133, 36334, 71964, 86400, 86400, 86400};
  for (int t = 1; t <= 11; ++t)
    EXPECT_EQ(RetryDelayMs(policy, "streaming_pipeline", "start_streaming", jan1, t), expected[t - 1] * 1000) << t;
  RetryPolicy odd{.retries = 20, .delay_ms = 7'500, .backoff = 3, .max_delay_ms = 0};
  const int64_t odd_expected[] = {12, 38, 92, 314, 747, 3520, 10784};
  for (int t = 1; t <= 7; ++t)
    EXPECT_EQ(RetryDelayMs(odd, "d", "t", jan1 + 11'045'678, t), odd_expected[t - 1] * 1000) << t;
  policy.max_delay_ms = 3'600'000;
  EXPECT_EQ(RetryDelayMs(policy, "streaming_pipeline", "start_streaming", jan1, 5), 3'600'000);
  policy.backoff = 0;
  EXPECT_EQ(RetryDelayMs(policy, "x", "y", jan1, 5), 300'000);
  RetryPolicy huge{.retries = 1000, .delay_ms = 300'000, .backoff = 100, .max_delay_ms = 0};
  EXPECT_EQ(RetryDelayMs(huge, "x", "y", jan1, 1000), 86'400'000);
  RetryPolicy zero{.retries = 1, .delay_ms = 0, .backoff = 2, .max_delay_ms = 0};
  EXPECT_EQ(RetryDelayMs(zero, "x", "y", jan1, 1), 1000);
}

Dag MakeDag(const std::vector<std::pair<std::string, std::vector<std::string>>>& tasks, Status* linked) {
  Dag dag;
  std::vector<std::vector<std::string>> up;
  for (const auto& [id, upstream] : tasks) {
    Task task;
    task.task_id = id;
    dag.tasks.push_back(task);
    up.push_back(upstream);
  }
  *linked = dag.Link(std::move(up));
  return dag;
}

TEST(DagModel, OrderWeightsLeaves) {
  Status linked;
  Dag dag = MakeDag({{"last", {"a", "b"}}, {"b", {"first"}}, {"a", {"first"}}, {"first", {}}}, &linked);
  ASSERT_TRUE(linked.ok());
  std::vector<std::string> order;
  for (const Task& t : dag.tasks) order.push_back(t.task_id);
  EXPECT_EQ(order, (std::vector<std::string>{"first", "b", "a", "last"}));
  EXPECT_EQ(dag.Find("first")->total_weight, 4);
  EXPECT_EQ(dag.Find("last")->total_weight, 1);
  EXPECT_EQ(dag.leaves, (std::vector<int>{3}));
}

TEST(DagModel, CycleIsNamed) {
  Status linked;
  MakeDag({{"a", {"c"}}, {"b", {"a"}}, {"c", {"b"}}, {"d", {"c"}}, {"free", {}}}, &linked);
  ASSERT_FALSE(linked.ok());
  std::string message = linked.error().message();
  bool named = message.find("a -> b -> c -> a") != std::string::npos ||
               message.find("b -> c -> a -> b") != std::string::npos ||
               message.find("c -> a -> b -> c") != std::string::npos;
  EXPECT_TRUE(named) << message;
  MakeDag({{"a", {"a"}}}, &linked);
  EXPECT_NE(linked.error().message().find("its own upstream"), std::string::npos);
}

}  // namespace
}  // namespace tailrace::workflow
