#include "workflow/scheduler/engine.h"

#include <gtest/gtest.h>

#include "workflow/scheduler/fake_world.h"

namespace tailrace::workflow {
namespace {

using testing::EngineBench;
using Names = std::vector<std::string>;

TEST(Engine, ChainRunsInOneSettle) {
  EngineBench b(
      "tasks: [{task_id: a, operator: branch}, {task_id: b, operator: branch, upstream: a}, {task_id: c, operator: "
      "branch, upstream: b}]");
  b.Trigger();
  EXPECT_EQ(b.RunState(), "success");
  EXPECT_EQ(b.executor.went, (Names{"a#1", "b#1", "c#1"}));
  std::string moves;
  std::vector<TransitionRow> transitions = std::move(*b.store->Transitions("d", "r1"));
  for (const TransitionRow& t : transitions)
    if (t.task_id == "b") moves += t.from + ">" + t.to + " ";
  EXPECT_EQ(moves, "none>scheduled scheduled>queued queued>running running>success ");
}

TEST(Engine, EmptyTasksNeedNoExecutor) {
  EngineBench b("tasks: [{task_id: a, operator: empty}, {task_id: b, operator: empty, upstream: a}]");
  b.Trigger();
  EXPECT_EQ(b.RunState(), "success");
  EXPECT_TRUE(b.executor.went.empty());
}

TEST(Engine, RetriesWaitAsTheFormulaSays) {
  EngineBench b(
      "default_args: {retries: 3, retry_delay: 10s, retry_exponential_backoff: true, max_retry_delay: 60s}\ntasks: "
      "[{task_id: a, operator: branch}]");
  b.executor.script = [](const TaskRequest&) { return Outcome::Fail("no"); };
  b.Trigger("r1", 1'704'067'200'000);
  RetryPolicy policy{.retries = 3, .delay_ms = 10'000, .backoff = 2, .max_delay_ms = 60'000};
  for (int t = 1; t <= 3; ++t) {
    int64_t wait = RetryDelayMs(policy, "d", "a", 1'704'067'200'000, t);
    EXPECT_EQ(b.State("a"), "up_for_retry");
    b.Advance(wait - 1);
    EXPECT_EQ(static_cast<int>(b.executor.went.size()), t);
    b.Advance(1);
    EXPECT_EQ(static_cast<int>(b.executor.went.size()), t + 1) << wait;
  }
  EXPECT_EQ(b.State("a"), "failed");
  EXPECT_EQ(b.RunState(), "failed");
  EXPECT_EQ(b.store->Tries("d", "r1", "a")->size(), 4u);
}

TEST(Engine, FailForGoodIsNotRetried) {
  EngineBench b("tasks: [{task_id: a, operator: branch, retries: 5}]");
  b.executor.script = [](const TaskRequest&) { return Outcome::FailForGood("no"); };
  b.Trigger();
  EXPECT_EQ(b.State("a"), "failed");
}

TEST(Engine, PoolsAndPriorities) {
  EngineBench b(R"(
pools: {small: 2}
tasks:
  - {task_id: low, operator: branch, pool: small, priority_weight: 1}
  - {task_id: high, operator: branch, pool: small, priority_weight: 10}
  - {task_id: wide, operator: branch, pool: small, pool_slots: 2, priority_weight: 5}
  - {task_id: other, operator: branch}
)");
  b.executor.script = [](const TaskRequest&) { return std::optional<Outcome>(); };
  b.Trigger();
  EXPECT_EQ(b.executor.went, (Names{"high#1", "low#1", "other#1"}));  // wide needs two; a narrower one goes ahead
  b.executor.End(b.executor.TicketOf("high"), Outcome::Success());
  b.Settle();
  EXPECT_EQ(b.State("wide"), "scheduled");
  b.executor.End(b.executor.TicketOf("low"), Outcome::Success());
  b.Settle();
  EXPECT_EQ(b.State("wide"), "running");
}

TEST(Engine, DownstreamWeightGoesFirst) {
  EngineBench b(
      "max_active_tasks: 1\ntasks: [{task_id: leaf, operator: branch}, {task_id: root, operator: branch}, {task_id: "
      "after, operator: branch, upstream: root}]");
  b.Trigger();
  EXPECT_EQ(b.executor.went, (Names{"root#1", "leaf#1", "after#1"}));
}

TEST(Engine, LimitsOfRunsAndTasks) {
  EngineBench b(
      "max_active_runs: 1\nmax_active_tasks: 2\ntasks: [{task_id: a, operator: branch}, {task_id: b, operator: "
      "branch}, {task_id: c, operator: branch}]");
  b.executor.script = [](const TaskRequest&) { return std::optional<Outcome>(); };
  b.Trigger("r1");
  b.Trigger("r2");
  EXPECT_EQ(b.executor.went.size(), 2u);
  EXPECT_EQ(b.RunState("r2"), "queued");
  while (b.RunState("r1") != "success") {
    b.executor.End(b.executor.held.begin()->first, Outcome::Success());
    b.Settle();
  }
  EXPECT_EQ(b.RunState("r2"), "running");
}

TEST(Engine, MaxActiveTisPerDagCountsOverRuns) {
  EngineBench b("tasks: [{task_id: a, operator: branch, max_active_tis_per_dag: 1}]");
  b.executor.script = [](const TaskRequest&) { return std::optional<Outcome>(); };
  b.Trigger("r1");
  b.Trigger("r2");
  EXPECT_EQ(b.executor.went.size(), 1u);
  b.executor.End(b.executor.held.begin()->first, Outcome::Success());
  b.Settle();
  EXPECT_EQ(b.executor.went.size(), 2u);
}

TEST(Engine, ExecutionTimeoutKillsAndRetries) {
  EngineBench b("tasks: [{task_id: a, operator: branch, execution_timeout: 5s, retries: 1, retry_delay: 1s}]");
  b.executor.script = [](const TaskRequest& r) {
    return r.instance.try_number == 1 ? std::optional<Outcome>() : Outcome::Success();
  };
  b.Trigger();
  b.Advance(4'999);
  EXPECT_EQ(b.State("a"), "running");
  b.Advance(1);
  EXPECT_EQ(b.State("a"), "up_for_retry");
  b.Advance(1'000);
  EXPECT_EQ(b.RunState(), "success");
  b.Advance(60'000);  // the first try's timer must not hit anything
  EXPECT_EQ(b.RunState(), "success");
}

TEST(Engine, DagrunTimeoutFailsTheRunAndSkipsTheRest) {
  EngineBench b(
      "dagrun_timeout: 10s\non_failure_callback: [alert]\ntasks: [{task_id: a, operator: branch}, {task_id: b, "
      "operator: branch, upstream: a}]");
  b.executor.script = [](const TaskRequest&) { return std::optional<Outcome>(); };
  b.Trigger();
  b.Advance(10'000);
  EXPECT_EQ(b.RunState(), "failed");
  EXPECT_EQ(b.State("a"), "skipped");
  EXPECT_EQ(b.State("b"), "skipped");
  EXPECT_TRUE(b.executor.held.empty());
  EXPECT_EQ(b.callbacks, (Names{":on_failure"}));
}

TEST(Engine, SlaMissIsRecordedOnceAndCallsBack) {
  EngineBench b(
      "sla_miss_callback: [alert]\ntasks: [{task_id: slow, operator: branch, sla: 30s}, {task_id: quick, operator: "
      "empty, sla: 1s}]");
  b.executor.script = [](const TaskRequest&) { return std::optional<Outcome>(); };
  b.Trigger();
  b.Advance(29'999);
  EXPECT_TRUE(b.store->SlaMisses("d", 10)->empty());
  b.Advance(100'000);
  ASSERT_EQ(b.store->SlaMisses("d", 10)->size(), 1u);
  EXPECT_EQ(b.store->SlaMisses("d", 10)->at(0).task_id, "slow");
  EXPECT_EQ(b.callbacks, (Names{"slow:sla_miss"}));
  EXPECT_EQ(b.State("slow"), "running");
}

TEST(Engine, SensorReschedules) {
  EngineBench b("tasks: [{task_id: s, operator: sensor.file, with: {path: x}}]\npools: {p: 1}");
  int pokes = 0;
  b.executor.script = [&](const TaskRequest& r) -> std::optional<Outcome> {
    EXPECT_EQ(r.instance.pokes, pokes);
    EXPECT_EQ(r.instance.try_number, 1);
    if (++pokes == 3) return Outcome::Success();
    return Outcome::Reschedule(b.clock.NowMs() + 60'000);
  };
  b.Trigger();
  int64_t first = *b.store->Tasks("d", "r1")->at(0).first_poke_ms;
  EXPECT_EQ(b.State("s"), "up_for_reschedule");
  b.Advance(60'000);
  EXPECT_EQ(pokes, 2);
  EXPECT_EQ(*b.store->Tasks("d", "r1")->at(0).first_poke_ms, first);  // the timeout spans reschedules
  b.clock.JumpWall(-3'600'000);  // an operator sets the clock back: the interval stays what it was
  b.Advance(60'000);
  EXPECT_EQ(pokes, 3);
  EXPECT_EQ(b.RunState(), "success");
}

TEST(Engine, BranchSkipsWhatIsNotFollowed) {
  EngineBench b(R"(
tasks:
  - {task_id: choose, operator: branch}
  - {task_id: left, operator: empty, upstream: choose}
  - {task_id: right, operator: empty, upstream: choose}
  - {task_id: after_right, operator: empty, upstream: right}
  - {task_id: join, operator: empty, upstream: [left, right, choose], trigger_rule: none_failed_min_one_success}
)");
  b.executor.script = [](const TaskRequest&) {
    Outcome o;
    o.follow = Names{"left"};
    return o;
  };
  b.Trigger();
  EXPECT_EQ(b.State("left"), "success");
  EXPECT_EQ(b.State("right"), "skipped");
  EXPECT_EQ(b.State("after_right"), "skipped");
  EXPECT_EQ(b.State("join"), "success");  // below the followed branch: kept
  // Cleared alone, a branch not taken stays skipped (Airflow: NotPreviouslySkippedDep).
  EngineBench::Must(b.engine->Clear("d", "r1", "right", false));
  b.Settle();
  EXPECT_EQ(b.State("right"), "skipped");
  EXPECT_EQ(b.RunState(), "success");
}

TEST(Engine, ShortCircuitSkipsAllOrTheNextOnly) {
  const std::string tasks =
      "tasks: [{task_id: gate, operator: branch}, {task_id: a, operator: empty, upstream: gate}, {task_id: z, "
      "operator: empty, upstream: a, trigger_rule: all_done}]";
  for (bool all : {true, false}) {
    EngineBench b(tasks);
    b.executor.script = [all](const TaskRequest&) {
      Outcome o;
      o.skip_all_downstream = all;
      return o;
    };
    b.Trigger();
    EXPECT_EQ(b.State("a"), "skipped");
    EXPECT_EQ(b.State("z"), all ? "skipped" : "success");
  }
}

TEST(Engine, DependsOnPastWaitsForTheRunBefore) {
  EngineBench b("tasks: [{task_id: a, operator: branch, depends_on_past: true, retries: 0}]");
  bool fail = true;
  b.executor.script = [&](const TaskRequest&) { return fail ? Outcome::Fail("no") : Outcome::Success(); };
  b.Trigger("r1", 1'000);
  b.Trigger("r2", 2'000);
  EXPECT_EQ(b.State("a", "r1"), "failed");
  EXPECT_EQ(b.State("a", "r2"), "none");
  EXPECT_EQ(b.RunState("r2"), "running");
  fail = false;
  EngineBench::Must(b.engine->Clear("d", "r1", "a", false));
  b.Settle();
  EXPECT_EQ(b.State("a", "r1"), "success");
  EXPECT_EQ(b.RunState("r2"), "success");
}

TEST(Engine, CatchupMakesEveryRunOnce) {
  const int64_t start = 1'704'067'200'000;  // 2024-01-01
  EngineBench b(
      "schedule: '@daily'\nstart_date: 2024-01-01\ncatchup: true\nmax_active_runs: 3\ntasks: [{task_id: a, operator: "
      "branch}]",
      start + 4 * 86'400'000 + 1000);
  auto runs = *b.store->Runs("d", 100);
  ASSERT_EQ(runs.size(), 5u);
  EXPECT_EQ(runs.front().run_id, "scheduled__2024-01-05T00:00:00+00:00");
  for (const RunRow& r : runs) EXPECT_EQ(r.state, RunState::kSuccess);
  b.Advance(86'400'000);
  EXPECT_EQ(b.store->Runs("d", 100)->size(), 6u);
  b.clock.JumpWall(-2 * 86'400'000LL);  // back: nothing runs twice
  b.Advance(3'600'000);
  EXPECT_EQ(b.store->Runs("d", 100)->size(), 6u);
  b.clock.JumpWall(4 * 86'400'000LL);  // forward: what is due is made up for
  b.Advance(60'000);
  EXPECT_EQ(b.store->Runs("d", 100)->size(), 8u);
}

TEST(Engine, WithoutCatchupOnlyTheLatest) {
  EngineBench b("schedule: '@hourly'\nstart_date: 2024-01-01\ntasks: [{task_id: a, operator: branch}]",
                1'704'067'200'000 + 100 * 3'600'000 + 5'000);
  EXPECT_EQ(b.store->Runs("d", 100)->size(), 1u);
  EngineBench::Must(b.engine->SetPaused("d", true));
  b.Advance(10 * 3'600'000);
  EXPECT_EQ(b.store->Runs("d", 100)->size(), 1u);
  EngineBench::Must(b.engine->SetPaused("d", false));
  b.Settle();
  EXPECT_EQ(b.store->Runs("d", 100)->size(), 2u);
}

TEST(Engine, ContinuousRunsOneAfterTheOther) {
  EngineBench b(
      "schedule: '@continuous'\nis_paused_upon_creation: true\nstart_date: 2024-01-01\ntasks: [{task_id: a, operator: "
      "branch}]",
      1'704'067'300'000, {}, true);
  b.executor.script = [](const TaskRequest&) { return std::optional<Outcome>(); };
  EngineBench::Must(b.engine->SetPaused("d", false));
  b.Advance(1'000);
  EXPECT_EQ(b.store->Runs("d", 100)->size(), 1u);
  b.executor.End(b.executor.held.begin()->first, Outcome::Success());
  b.Settle();
  b.Advance(1'000);
  EXPECT_EQ(b.store->Runs("d", 100)->size(), 2u);
}

TEST(Engine, ClearRunsAgainWithFreshTries) {
  EngineBench b(
      "tasks: [{task_id: a, operator: branch, retries: 1, retry_delay: 1s}, {task_id: b, operator: branch, upstream: "
      "a}]");
  b.Trigger();
  EXPECT_EQ(b.RunState(), "success");
  EngineBench::Must(b.engine->Clear("d", "r1", "a", true));
  b.Settle();
  EXPECT_EQ(b.RunState(), "success");
  EXPECT_EQ(b.executor.went, (Names{"a#1", "b#1", "a#2", "b#2"}));
  EXPECT_EQ(b.store->Tasks("d", "r1")->at(0).max_tries, 2);
  EXPECT_EQ(b.store->Tries("d", "r1", "a")->size(), 2u);
}

TEST(Engine, ClearOfARunningTaskRestartsIt) {
  EngineBench b("tasks: [{task_id: a, operator: branch}]");
  b.executor.script = [](const TaskRequest& r) {
    return r.instance.try_number == 1 ? std::optional<Outcome>() : Outcome::Success();
  };
  b.Trigger();
  EngineBench::Must(b.engine->Clear("d", "r1", "a", false));
  b.Settle();
  EXPECT_EQ(b.RunState(), "success");
  EXPECT_EQ(b.executor.went, (Names{"a#1", "a#2"}));
}

TEST(Engine, MarkedTasksCountAtOnce) {
  EngineBench b("tasks: [{task_id: a, operator: branch}, {task_id: b, operator: branch, upstream: a}]");
  b.executor.script = [](const TaskRequest& r) {
    return r.instance.task_id == "a" ? std::optional<Outcome>() : Outcome::Success();
  };
  b.Trigger();
  EngineBench::Must(b.engine->Mark("d", "r1", "a", TaskState::kSuccess));
  b.Settle();
  EXPECT_EQ(b.RunState(), "success");
  EXPECT_TRUE(b.executor.held.empty());
  EngineBench::Must(b.engine->Mark("d", "r1", "b", TaskState::kFailed));
  b.Settle();
  EXPECT_EQ(b.RunState(), "failed");
}

TEST(Engine, CallbacksOfTasksAndRuns) {
  EngineBench b(R"(
on_success_callback: [metrics]
default_args: {on_execute_callback: [metrics], on_success_callback: [metrics], on_failure_callback: [alert], on_retry_callback: [alert], on_skipped_callback: [alert], retries: 1, retry_delay: 1s}
tasks:
  - {task_id: a, operator: branch}
  - {task_id: z, operator: branch, upstream: a, trigger_rule: all_done}
)");
  b.executor.script = [](const TaskRequest& r) {
    return r.instance.task_id == "a" ? Outcome::Fail("x") : Outcome::Skip("s");
  };
  b.Trigger();
  b.Advance(1'000);
  EXPECT_EQ(b.callbacks, (Names{"a:on_execute", "a:on_retry", "a:on_execute", "a:on_failure", "z:on_execute",
                                "z:on_skipped", ":on_success"}));
  b.Settle();
  EXPECT_TRUE(b.store->OwedCallbacks()->empty());
}

TEST(Engine, TeardownDoesNotDecide) {
  EngineBench b(R"(
tasks:
  - {task_id: make, operator: branch, setup: true}
  - {task_id: work, operator: branch, upstream: make}
  - {task_id: clean, operator: branch, upstream: [make, work], teardown: true}
)");
  b.executor.script = [](const TaskRequest& r) {
    return r.instance.task_id == "clean" ? Outcome::Fail("x") : Outcome::Success();
  };
  b.Trigger();
  EXPECT_EQ(b.State("clean"), "failed");
  EXPECT_EQ(b.RunState(), "success");
}

TEST(Engine, FileThatGainsAndLosesTasks) {
  EngineBench b("dag_id: d\ntasks: [{task_id: a, operator: branch}, {task_id: b, operator: branch, upstream: a}]");
  b.executor.script = [](const TaskRequest&) { return std::optional<Outcome>(); };
  b.Trigger();
  b.executor.held.clear();
  b.executor.script = [](const TaskRequest&) { return Outcome::Success(); };
  b.Open("dag_id: d\ntasks: [{task_id: a, operator: branch}, {task_id: c, operator: branch, upstream: a}]");
  EXPECT_EQ(b.State("b"), "removed");
  EXPECT_EQ(b.State("c"), "success");
  EXPECT_EQ(b.RunState(), "success");
}

TEST(Engine, FileThatGoesAwayWhileItRuns) {
  EngineBench b("schedule: '@continuous'\nstart_date: 2024-01-01\ntasks: [{task_id: a, operator: branch}]",
                1'704'067'300'000, {}, true);
  b.executor.script = [](const TaskRequest&) { return std::optional<Outcome>(); };
  EngineBench::Must(b.engine->SetPaused("d", false));
  b.Settle();
  ASSERT_EQ(b.store->Runs("d", 100)->size(), 1u);
  EngineBench::Must(b.engine->SetDags({}));
  EXPECT_EQ(b.engine->Trigger("d", "{}", "", std::nullopt, "manual").error().code(), ErrorCode::kNotFound);
  b.executor.End(b.executor.held.begin()->first, Outcome::Success());
  b.Settle();
  b.Advance(60'000);
  EXPECT_EQ(b.store->Runs("d", 100)->size(), 1u);
  EXPECT_EQ(b.store->Runs("d", 100)->at(0).state, RunState::kSuccess);
}

TEST(Engine, BadTriggers) {
  EngineBench b("tasks: [{task_id: a, operator: empty}]");
  EXPECT_EQ(b.engine->Trigger("nope", "{}", "", std::nullopt, "manual").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(b.engine->Trigger("d", "[1]", "", std::nullopt, "manual").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(b.engine->Trigger("d", "{", "", std::nullopt, "manual").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(b.engine->Trigger("d", "{}", "../../etc", std::nullopt, "manual").error().code(),
            ErrorCode::kInvalidArgument);
  b.Trigger("same");
  EXPECT_EQ(b.engine->Trigger("d", "{}", "same", std::nullopt, "manual").error().code(), ErrorCode::kAlreadyExists);
}

TEST(Engine, MarkingSuccessLetsWhatFailedBehindItRun) {
  EngineBench b(
      "tasks: [{task_id: a, operator: branch}, {task_id: b, operator: branch, upstream: a}, {task_id: c, operator: "
      "branch, upstream: b}]");
  b.executor.script = [](const TaskRequest& r) {
    return r.instance.task_id == "a" ? Outcome::Fail("no") : Outcome::Success();
  };
  b.Trigger();
  EXPECT_EQ(b.State("c"), "upstream_failed");
  EXPECT_EQ(b.RunState(), "failed");
  EngineBench::Must(b.engine->Mark("d", "r1", "a", TaskState::kSuccess));
  b.Settle();
  EXPECT_EQ(b.State("c"), "success");
  EXPECT_EQ(b.RunState(), "success");
}

TEST(Engine, OldRunsGoButNotWhatTheScheduleIsReckonedFrom) {
  EngineBench b(
      "schedule: '@hourly'\nstart_date: 2023-12-31T20:00:00\ncatchup: true\ntasks: [{task_id: a, operator: branch}]",
      1'704'067'200'000);  // five runs by schedule
  for (int i = 0; i < 4; ++i) {
    b.clock.Advance(1000);
    b.Trigger("m" + std::to_string(i));
  }
  const size_t all = b.store->Runs("d", 100)->size();
  ASSERT_EQ(all, 9u);
  EXPECT_TRUE(b.store->ExpiredRuns(INT64_MIN, 0, 100)->empty());
  EXPECT_EQ(b.store->ExpiredRuns(INT64_MIN, 6, 100)->size(), 3u);
  EXPECT_EQ(b.store->ExpiredRuns(INT64_MIN, 6, 2)->size(), 2u);
  auto old = b.store->ExpiredRuns(b.clock.NowMs() + 1000, 0, 100);  // by age all of them are
  ASSERT_EQ(old->size(), all - 2);
  EXPECT_EQ(*b.engine->DeleteRuns(*old), static_cast<int>(all - 2));
  auto left = b.store->Runs("d", 100);
  ASSERT_EQ(left->size(), 2u);
  EXPECT_EQ(left->at(0).run_id, "m3");
  EXPECT_EQ(left->at(1).run_type, "scheduled");
  for (const RunKey& gone : *old) {
    EXPECT_TRUE(b.store->Tasks(gone.dag_id, gone.run_id)->empty());
    EXPECT_TRUE(b.store->Transitions(gone.dag_id, gone.run_id)->empty());
    EXPECT_TRUE(b.store->Tries(gone.dag_id, gone.run_id, "a")->empty());
  }
  b.Advance(3'600'000);
  EXPECT_EQ(b.store->Runs("d", 100)->size(), 3u);  // the next hour, nothing twice
}

TEST(Engine, ARunThatIsClearedIsNotDeleted) {
  EngineBench b("tasks: [{task_id: a, operator: branch}]");
  b.Trigger("r1", 1'000);
  b.Trigger("r2", 2'000);
  auto old = b.store->ExpiredRuns(INT64_MIN, 1, 100);
  ASSERT_EQ(old->size(), 1u);
  b.executor.script = [](const TaskRequest&) { return std::optional<Outcome>(); };
  EngineBench::Must(b.engine->Clear("d", "r1", "", false));
  EXPECT_EQ(*b.engine->DeleteRuns(*old), 0);
  b.Settle();
  EXPECT_EQ(b.RunState("r1"), "running");
}

}  // namespace
}  // namespace tailrace::workflow
