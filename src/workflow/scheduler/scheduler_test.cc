// The whole scheduler with real processes and a real metadata file.

#include "workflow/scheduler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/clock.h"
#include "io/file.h"
#include "workflow/testing.h"

namespace tailrace::workflow {
namespace {

using testing::TempFolder;

class SchedulerTest : public ::testing::Test {
 protected:
  void Dag(const std::string& name, const std::string& yaml) { folder_.Write("dags/" + name + ".yaml", yaml); }
  SchedulerOptions Options() {
    SchedulerOptions options;
    options.dags_dir = folder_.path() + "/dags";
    options.data_dir = folder_.path() + "/data";
    options.base_dir = folder_.path();
    return options;
  }
  void Start() {
    auto started = Scheduler::Start(Options(), {}, Clock::System());
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    scheduler_ = std::move(*started);
  }
  DagRunInfo RunToEnd(const std::string& dag_id, const std::string& conf = "{}") {
    auto run = scheduler_->Trigger(dag_id, conf, "", std::nullopt);
    EXPECT_TRUE(run.ok()) << run.error().ToString();
    if (!run.ok()) return {};
    auto ended = scheduler_->WaitRun(dag_id, run->run_id, 20'000);
    EXPECT_TRUE(ended.ok()) << ended.error().ToString();
    return ended.ok() ? *ended : *run;
  }
  std::map<std::string, std::string> States(const DagRunInfo& run) {
    std::map<std::string, std::string> states;
    auto tasks = scheduler_->Tasks(run.dag_id, run.run_id);
    for (const TaskInstanceInfo& t : *tasks) states[t.task_id] = t.state;
    return states;
  }
  std::string Log(const DagRunInfo& run, const std::string& task, int attempt = 0) {
    auto log = scheduler_->TaskLog(run.dag_id, run.run_id, task, attempt);
    return log.ok() ? *log : log.error().ToString();
  }

  TempFolder folder_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, BashTasksInOrderWithXComAndLog) {
  Dag("pipeline", R"(
params: {who: world}
tasks:
  - task_id: hello
    operator: bash
    with: {command: "echo first; echo hello {{ params.who }} $AIRFLOW_CTX_TASK_ID"}
  - task_id: reply
    operator: bash
    with: {command: "echo got {{ ti.xcom_pull(task_ids='hello') }} in {{ dag.dag_id }} >&2"}
    upstream: [hello]
)");
  Start();
  DagRunInfo run = RunToEnd("pipeline", R"({"who": "all"})");
  EXPECT_EQ(run.state, "success");
  EXPECT_EQ(*scheduler_->XCom("pipeline", run.run_id, "hello", ""), "\"hello all hello\"");
  EXPECT_NE(Log(run, "reply").find("got hello all hello in pipeline"), std::string::npos) << Log(run, "reply");
}

TEST_F(SchedulerTest, FailureRetriesSkipAndTriggerRules) {
  Dag("mixed", R"(
tasks:
  - {task_id: flaky, operator: bash, retries: 2, retry_delay: 50ms, with: {command: "echo try {{ try_number }}; test {{ try_number }} = 3"}}
  - {task_id: skipper, operator: bash, with: {command: "exit 99"}}
  - {task_id: broken, operator: bash, with: {command: "exit 7"}}
  - {task_id: after_skip, operator: bash, upstream: [skipper], with: {command: "true"}}
  - {task_id: after_broken, operator: bash, upstream: [broken], with: {command: "true"}}
  - {task_id: cleanup, operator: bash, upstream: [flaky, after_skip, after_broken], trigger_rule: all_done, with: {command: "true"}}
)");
  Start();
  DagRunInfo run = RunToEnd("mixed");
  EXPECT_EQ(run.state, "success");  // the only leaf succeeded, as in Airflow
  auto states = States(run);
  EXPECT_EQ(states["flaky"], "success");
  EXPECT_EQ(states["skipper"], "skipped");
  EXPECT_EQ(states["broken"], "failed");
  EXPECT_EQ(states["after_skip"], "skipped");
  EXPECT_EQ(states["after_broken"], "upstream_failed");
  EXPECT_EQ(states["cleanup"], "success");
  auto tries = scheduler_->Tries("mixed", run.run_id, "flaky");
  ASSERT_EQ(tries->size(), 3u);
  EXPECT_EQ(tries->at(0).state, "up_for_retry");
  EXPECT_EQ(tries->at(2).state, "success");
  EXPECT_NE(Log(run, "flaky", 1).find("try 1"), std::string::npos);
  EXPECT_NE(Log(run, "flaky", 2).find("try 2"), std::string::npos);
}

TEST_F(SchedulerTest, TimeoutKillsTheWholeGroup) {
  Dag("slow", R"(
tasks:
  - {task_id: sleeper, operator: bash, execution_timeout: 200ms, with: {command: "sleep 30 & wait"}}
)");
  Start();
  auto began = std::chrono::steady_clock::now();
  DagRunInfo run = RunToEnd("slow");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  EXPECT_EQ(run.state, "failed");
  auto tasks = scheduler_->Tasks("slow", run.run_id);
  EXPECT_NE(tasks->at(0).note.find("execution_timeout"), std::string::npos) << tasks->at(0).note;
}

TEST_F(SchedulerTest, NewAndBrokenFilesAreSeenAtOnce) {
  Dag("first", "tasks: [{task_id: a, operator: empty}]\n");
  Start();
  ASSERT_EQ(scheduler_->Dags().size(), 1u);
  Dag("second", "tasks: [{task_id: a, operator: empty}]\n");
  for (int i = 0; i < 500 && scheduler_->Dags().size() < 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(RunToEnd("second").state, "success");
  Dag("second", "tasks: [{task_id: a, operatr: empty}]\n");
  std::string error;
  for (int i = 0; i < 500 && error.empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    for (const DagSummary& d : scheduler_->Dags())
      if (d.dag_id == "second") error = d.error;
  }
  EXPECT_NE(error.find("second.yaml:1:22: unknown key 'operatr'"), std::string::npos) << error;
  EXPECT_NE(error.find("did you mean 'operator'?"), std::string::npos) << error;
}

TEST_F(SchedulerTest, SecondSchedulerOnTheSameFolderIsRefused) {
  Dag("one", "tasks: [{task_id: a, operator: empty}]\n");
  Start();
  auto second = Scheduler::Start(Options(), {}, Clock::System());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
}

TEST_F(SchedulerTest, ShutdownReturnsTasksThatTheNextStartRunsAgain) {
  Dag("long", R"(
tasks:
  - {task_id: waits, operator: bash, with: {command: "echo run >> runs.txt; test -e go.txt || sleep 30"}}
)");
  Start();
  auto run = scheduler_->Trigger("long", "{}", "r1", std::nullopt);
  for (int i = 0; i < 200 && folder_.Read("runs.txt").empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  scheduler_->Shutdown(2000);
  scheduler_.reset();
  folder_.Write("go.txt", "");
  Start();
  auto ended = scheduler_->WaitRun("long", "r1", 10'000);
  ASSERT_OK(ended);
  EXPECT_EQ(ended->state, "success");
  auto tasks = scheduler_->Tasks("long", "r1");
  EXPECT_EQ(tasks->at(0).try_number, 1);
  EXPECT_EQ(folder_.Read("runs.txt"), "run\nrun\n");
}

/// A scheduler in a child process that is killed with SIGKILL; the task's process lives on and is adopted.
TEST_F(SchedulerTest, KillNineAdoptsWhatOutlivedIt) {
  Dag("survivor", R"(
tasks:
  - {task_id: works, operator: bash, with: {command: "echo begun >> trace.txt; while ! test -e go.txt; do sleep 0.02; done; echo done >> trace.txt; echo result"}}
  - {task_id: next, operator: bash, upstream: [works], with: {command: "echo next {{ ti.xcom_pull(task_ids='works') }} >> trace.txt"}}
)");
  pid_t child = fork();
  if (child == 0) {
    auto scheduler = Scheduler::Start(Options(), {}, Clock::System());
    if (!scheduler.ok()) _exit(1);
    (void)(*scheduler)->Trigger("survivor", "{}", "r1", std::nullopt);
    pause();
    _exit(0);
  }
  for (int i = 0; i < 500 && folder_.Read("trace.txt").empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  Start();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  auto tasks = scheduler_->Tasks("survivor", "r1");
  EXPECT_EQ(tasks->at(0).state, "running");
  folder_.Write("go.txt", "");
  auto ended = scheduler_->WaitRun("survivor", "r1", 10'000);
  ASSERT_OK(ended);
  EXPECT_EQ(ended->state, "success");
  EXPECT_EQ(folder_.Read("trace.txt"), "begun\ndone\nnext result\n");
}

TEST_F(SchedulerTest, KillNineFindsTheEndThatNobodySaw) {
  Dag("ended", R"(
tasks:
  - {task_id: works, operator: bash, with: {command: "echo ran >> trace.txt; while ! test -e go.txt; do sleep 0.02; done; exit 3"}}
)");
  pid_t child = fork();
  if (child == 0) {
    auto scheduler = Scheduler::Start(Options(), {}, Clock::System());
    if (!scheduler.ok()) _exit(1);
    (void)(*scheduler)->Trigger("ended", "{}", "r1", std::nullopt);
    pause();
    _exit(0);
  }
  for (int i = 0; i < 500 && folder_.Read("trace.txt").empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  folder_.Write("go.txt", "");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  Start();
  auto ended = scheduler_->WaitRun("ended", "r1", 10'000);
  ASSERT_OK(ended);
  EXPECT_EQ(ended->state, "failed");
  auto tasks = scheduler_->Tasks("ended", "r1");
  EXPECT_NE(tasks->at(0).note.find("exit status 3"), std::string::npos);
  EXPECT_EQ(folder_.Read("trace.txt"), "ran\n");
}

TEST_F(SchedulerTest, TestDagLeavesNothingBehind) {
  std::string file = folder_.Write(
      "one.yaml",
      "tasks: [{task_id: a, operator: bash, retries: 1, with: {command: 'echo out; test {{ try_number }} = 2'}}]\n");
  SchedulerOptions options;
  options.base_dir = folder_.path();
  auto run = TestDag(file, "", "{}", options, {}, Clock::System());
  ASSERT_OK(run);
  EXPECT_EQ(run->state, "success");
}

TEST_F(SchedulerTest, AFolderThatIsMadeLaterIsSeenToo) {
  Start();
  EXPECT_TRUE(scheduler_->Dags().empty());
  auto appears = [&](size_t count) {
    for (int i = 0; i < 500 && scheduler_->Dags().size() != count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return scheduler_->Dags().size();
  };
  Dag("first", "tasks: [{task_id: a, operator: empty}]\n");
  EXPECT_EQ(appears(1), 1u);
  Dag("second", "tasks: [{task_id: a, operator: empty}]\n");
  EXPECT_EQ(appears(2), 2u);
  ASSERT_OK(io::RemoveTree(folder_.path() + "/dags"));
  EXPECT_EQ(appears(0), 0u);
  Dag("third", "tasks: [{task_id: a, operator: empty}]\n");
  EXPECT_EQ(appears(1), 1u);
}

TEST_F(SchedulerTest, LongestNamesHaveLogs) {
  const std::string long_id(250, 'x');
  Dag("long",
      "dag_id: " + long_id + "\ntasks: [{task_id: " + long_id + ", operator: bash, with: {command: 'echo hello'}}]\n");
  Start();
  auto run = scheduler_->Trigger(long_id, "{}", long_id, std::nullopt);
  ASSERT_OK(run);
  auto ended = scheduler_->WaitRun(long_id, long_id, 20'000);
  ASSERT_OK(ended);
  EXPECT_EQ(ended->state, "success") << Log(*ended, long_id);
  EXPECT_NE(Log(*ended, long_id).find("hello"), std::string::npos);
}

TEST_F(SchedulerTest, PoolsChangeWhileItRuns) {
  Dag("narrow", R"(
default_args: {pool: p}
tasks:
  - {task_id: a, operator: bash, with: {command: "while ! test -e go.txt; do sleep 0.02; done"}}
  - {task_id: b, operator: bash, with: {command: "while ! test -e go.txt; do sleep 0.02; done"}}
)");
  SchedulerOptions options = Options();
  options.pools = {{"p", 1}};
  auto started = Scheduler::Start(options, {}, Clock::System());
  ASSERT_OK(started);
  scheduler_ = std::move(*started);
  ASSERT_OK(scheduler_->Trigger("narrow", "{}", "r1", std::nullopt));
  auto running = [&](int wanted) {
    int count = -1;
    for (int i = 0; i < 300 && count != wanted; ++i) {
      if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      auto tasks = scheduler_->Tasks("narrow", "r1");
      count = static_cast<int>(
          std::count_if(tasks->begin(), tasks->end(), [](const auto& t) { return t.state == "running"; }));
    }
    return count;
  };
  EXPECT_EQ(running(1), 1);
  ASSERT_OK(scheduler_->SetPools({{"p", 2}, {"q", 1}}));
  EXPECT_EQ(running(2), 2);
  Dag("named", "tasks: [{task_id: a, operator: empty, pool: q}]\n");  // a pool that was not there at the start
  for (int i = 0; i < 300 && scheduler_->Dags().size() < 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(RunToEnd("named").state, "success");
  ASSERT_OK(scheduler_->SetPools({{"p", 2}}));
  for (const DagSummary& d : scheduler_->Dags())
    EXPECT_EQ(d.dag_id == "named", d.error.find("unknown pool 'q'") != std::string::npos) << d.error;
  folder_.Write("go.txt", "");
  EXPECT_EQ(scheduler_->WaitRun("narrow", "r1", 10'000)->state, "success");
}

TEST_F(SchedulerTest, OldRunsGoWithTheirLogs) {
  Dag("many", "tasks: [{task_id: a, operator: bash, with: {command: 'echo kept'}}]\n");
  SchedulerOptions options = Options();
  options.runs_kept = 3;
  options.tidy_every_ms = 50;
  auto started = Scheduler::Start(options, {}, Clock::System());
  ASSERT_OK(started);
  scheduler_ = std::move(*started);
  std::vector<DagRunInfo> runs;
  for (int i = 0; i < 8; ++i) runs.push_back(RunToEnd("many"));
  for (int i = 0; i < 500 && scheduler_->Runs("many", 100)->size() > 3; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  auto left = scheduler_->Runs("many", 100);
  ASSERT_EQ(left->size(), 3u);
  EXPECT_EQ(left->front().run_id, runs.back().run_id);
  EXPECT_NE(Log(runs.back(), "a").find("kept"), std::string::npos);
  EXPECT_FALSE(scheduler_->Tasks("many", runs.front().run_id).ok());
  EXPECT_EQ(io::ListDirectory(options.data_dir + "/logs/dag_id=many")->size(), 3u);
}

TEST_F(SchedulerTest, AShutdownDoesNotWaitForCallbacksAndTheNextStartRunsThem) {
  Dag("calls", R"(
on_success_callback: [{bash: "echo begun >> calls.txt; test -e go.txt || sleep 30; echo done >> calls.txt"}]
tasks: [{task_id: a, operator: empty}]
)");
  Start();
  ASSERT_EQ(RunToEnd("calls").state, "success");
  for (int i = 0; i < 300 && folder_.Read("calls.txt").empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  auto began = std::chrono::steady_clock::now();
  scheduler_->Shutdown(1000);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(4));
  scheduler_.reset();
  folder_.Write("go.txt", "");
  Start();
  for (int i = 0; i < 300 && folder_.Read("calls.txt") != "begun\nbegun\ndone\n"; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(folder_.Read("calls.txt"), "begun\nbegun\ndone\n");
}

}  // namespace
}  // namespace tailrace::workflow
