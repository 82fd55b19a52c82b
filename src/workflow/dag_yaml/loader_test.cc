#include "workflow/dag_yaml/loader.h"

#include <gtest/gtest.h>

#include <fstream>

#include "workflow/dag_yaml/json_schema.h"
#include "workflow/testing.h"

namespace tailrace::workflow {
namespace {

std::string ErrorOf(const std::string& yaml) {
  auto dag = LoadDagText("dags/x.yaml", yaml, {});
  return dag.ok() ? "no error" : dag.error().ToString();
}

TEST(DagLoader, ReadsEverything) {
  auto loaded = LoadDagText("dags/streaming.yaml", R"(
dag_id: streaming_pipeline
description: d
schedule: "*/5 * * * *"
timezone: Europe/Berlin
start_date: 2024-01-01
catchup: false
max_active_runs: 1
dagrun_timeout: 2h
params: {events: 1000, name: "01"}
tags: [a, b]
pools: {streaming_pool: 4}
default_args: {retries: 3, retry_delay: 5m, retry_exponential_backoff: true, max_retry_delay: 1h, pool: streaming_pool, queue: q, sla: 30m, execution_timeout: 2h}
on_success_callback: [metrics]
on_failure_callback: [{alert: {message: "{{ dag.dag_id }} failed"}}, {kafka: {topic: t, value: {a: 1}}}, {bash: "echo x"}, {http: {url: "http://x"}}]
tasks:
  - {task_id: a, operator: bash, with: {command: "true"}}
  - {task_id: b, operator: bash, depends_on: a, retries: 1, pool: default_pool, trigger_rule: all_done, with: {command: "{{ params.events }}"}}
  - {task_id: c, operator: sensor.bash, upstream: [a, b], with: {command: "true", mode: reschedule, poke_interval: 5s, timeout: 60}}
)",
                            {});
  ASSERT_TRUE(loaded.ok()) << loaded.error().ToString();
  const Dag& dag = **loaded;
  EXPECT_EQ(dag.dag_id, "streaming_pipeline");
  EXPECT_EQ(*dag.start_date_ms, 1'704'063'600'000);  // midnight in Berlin
  EXPECT_EQ(dag.dagrun_timeout_ms, 7'200'000);
  EXPECT_EQ(dag.params.Find("events")->integer(), 1000);
  EXPECT_EQ(dag.params.Find("name")->string(), "01");
  const Task& a = *dag.Find("a");
  EXPECT_EQ(a.retry.retries, 3);
  EXPECT_EQ(a.retry.backoff, 2.0);
  EXPECT_EQ(a.retry.max_delay_ms, 3'600'000);
  EXPECT_EQ(a.pool, "streaming_pool");
  EXPECT_EQ(a.sla_ms, 1'800'000);
  EXPECT_EQ(dag.Find("b")->retry.retries, 1);
  EXPECT_EQ(dag.Find("b")->pool, "default_pool");
  EXPECT_EQ(dag.Find("c")->upstream.size(), 2u);
  ASSERT_EQ(dag.on_failure.size(), 4u);
  EXPECT_EQ(dag.on_failure[2].config.Find("command")->string(), "echo x");
  EXPECT_EQ((*LoadDagText("dir/file_stem.yaml", "tasks: []", {}))->dag_id, "file_stem");
}

TEST(DagLoader, ErrorsSayWhereAndWhatToDo) {
  EXPECT_EQ(ErrorOf("tasks:\n  - task_id: a\n    operator: bash\n    wiht: {}\n"),
            "dags/x.yaml:4:5: unknown key 'wiht' of a task; did you mean 'with'?");
  EXPECT_EQ(ErrorOf("schedule_interval: '@daily'\ntasks: []\n"),
            "dags/x.yaml:1:1: unknown key 'schedule_interval' of a DAG; did you mean 'schedule'?");
  EXPECT_EQ(ErrorOf("tasks:\n  - {task_id: a, operator: bsah}\n"),
            "dags/x.yaml:2:28: unknown operator 'bsah'; did you mean 'bash'?");
  EXPECT_EQ(ErrorOf("tasks:\n  - {task_id: a, operator: bash, with: {comand: x}}\n"),
            "dags/x.yaml:2:41: unknown key 'comand' of operator bash; did you mean 'command'?");
  EXPECT_EQ(ErrorOf("tasks:\n  - {task_id: a, operator: bash}\n"),
            "dags/x.yaml:2:5: operator bash needs the parameter 'command': What bash runs");
  EXPECT_EQ(ErrorOf("tasks:\n  - {task_id: a, operator: empty, upstream: [bb]}\n  - {task_id: b, operator: empty}\n"),
            "dags/x.yaml:2:45: task 'a': upstream 'bb' is no task of this DAG; did you mean 'b'?");
  EXPECT_EQ(ErrorOf("tasks:\n  - {task_id: a, operator: empty, upstream: [b]}\n  - {task_id: b, operator: empty, "
                    "upstream: [a]}\n"),
            "dags/x.yaml:2:3: the tasks form a cycle: b -> a -> b; remove one of these dependencies");
  EXPECT_EQ(ErrorOf("tasks:\n  - {task_id: a, operator: empty, pool: p}\n"),
            "dags/x.yaml:2:41: unknown pool 'p'; declare it under pools, here or in tailrace.yaml");
  EXPECT_EQ(ErrorOf("tasks:\n  - {task_id: a, operator: empty, retries: many}\n"),
            "dags/x.yaml:2:44: retries: expected an integer from 0 to 1000");
  EXPECT_EQ(ErrorOf("tasks:\n  - {task_id: a, operator: empty, trigger_rule: all_succes}\n"),
            "dags/x.yaml:2:49: unknown trigger rule 'all_succes'; did you mean 'all_success'?");
  EXPECT_EQ(ErrorOf("tasks:\n  - {task_id: a b, operator: empty}\n"),
            "dags/x.yaml:2:15: task_id 'a b': only letters, digits, '_', '-' and '.', at most 250");
  EXPECT_EQ(ErrorOf("tasks:\n  - {task_id: a, operator: empty}\n  - {task_id: a, operator: empty}\n"),
            "dags/x.yaml:3:15: task 'a' stands twice");
  EXPECT_NE(ErrorOf("tasks:\n  - {task_id: a, operator: bash, with: {command: '{{ x'}}\n")
                .find("dags/x.yaml:2:50: template: line 1, column 1"),
            std::string::npos)
      << ErrorOf("tasks:\n  - {task_id: a, operator: bash, with: {command: '{{ x'}}\n");
  EXPECT_NE(ErrorOf("schedule: '* * *'\ntasks: []\n").find("dags/x.yaml:1:11: cron: '* * *' has 3 fields"),
            std::string::npos);
  EXPECT_NE(ErrorOf("timezone: Nowhere\ntasks: []\n").find("dags/x.yaml:1:11: time zone 'Nowhere' is not known"),
            std::string::npos);
  EXPECT_NE(ErrorOf("start_date: tomorrow\ntasks: []\n").find("dags/x.yaml:1:13: start_date: 'tomorrow' is no date"),
            std::string::npos);
  EXPECT_NE(ErrorOf("tasks: [\n").find("dags/x.yaml:2:1: YAML:"), std::string::npos) << ErrorOf("tasks: [\n");
  EXPECT_NE(ErrorOf("on_failure_callback: [{email: x}]\ntasks: []\n")
                .find("unknown callback 'email'; use one of: alert, kafka"),
            std::string::npos);
  EXPECT_NE(ErrorOf("dag_id: x\n").find("needs 'tasks'"), std::string::npos);
  EXPECT_NE(ErrorOf("- just\n- a list\n").find("a DAG file is a map"), std::string::npos);
  EXPECT_NE(ErrorOf("tasks: \xff\n").find("not UTF-8"), std::string::npos);
}

TEST(DagLoader, LimitsHold) {
  std::string many = "tasks:\n";
  for (int i = 0; i < kTasksMax + 1; ++i) many += "- {task_id: t" + std::to_string(i) + ", operator: empty}\n";
  EXPECT_NE(ErrorOf(many).find("at most 5000"), std::string::npos);
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    std::string p = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + p + ", " + p + ", " + p + ", " + p + ", " +
              p + ", " + p + ", " + p + ", " + p + "]\n";
  }
  std::string yaml = "params:\n";
  size_t start = 0;
  for (size_t end; (end = laughs.find('\n', start)) != std::string::npos; start = end + 1)
    yaml += "  " + laughs.substr(start, end - start) + "\n";
  EXPECT_NE(ErrorOf(yaml + "tasks: []\n").find("more than 200,000 values"), std::string::npos)
      << ErrorOf(yaml + "tasks: []\n");
  std::string deep(40, '[');
  EXPECT_NE(ErrorOf("params: {x: " + deep + std::string(40, ']') + "}\ntasks: []\n").find("deeper than 32"),
            std::string::npos);
  EXPECT_NE(ErrorOf("# " + std::string(5 << 20, 'x') + "\ntasks: []\n").find("more than 4 MB"), std::string::npos);
}

TEST(DagLoader, BrokenFilesNeverCrash) {
  const std::string good =
      "dag_id: d\nschedule: '@daily'\nparams: {a: [1, {b: 2}]}\ndefault_args: {retries: 1}\ntasks:\n  - task_id: a\n   "
      " operator: bash\n    with: {command: 'x {{ 1 }}'}\n  - {task_id: b, operator: empty, upstream: [a]}\n";
  uint64_t seed = 7;
  auto next = [&] { return seed = seed * 6364136223846793005ULL + 1442695040888963407ULL, seed >> 33; };
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    for (uint64_t n = next() % 4 + 1; n > 0; --n) {
      size_t at = next() % text.size();
      switch (next() % 3) {
        case 0: text.erase(at, next() % 8); break;
        case 1: text[at] = static_cast<char>(" {}[]:-'\"&*!|>%@\n\t~a0"[next() % 22]); break;
        default: text.insert(at, text.substr(next() % text.size(), next() % 20));
      }
      if (text.empty()) text = "x";
    }
    (void)ErrorOf(text);
  }
}

/// Files made from the tables. TAILRACE_WRITE_GENERATED=1 writes them anew.
TEST(DagLoader, GeneratedFilesAreCurrent) {
  std::string root = testing::SourceRoot(__FILE__);
  const std::pair<std::string, std::string> files[] = {{"/schemas/dag.schema.json", DagJsonSchema()},
                                                       {"/docs/orchestration-reference.md", DagReferenceMarkdown()}};
  for (const auto& [name, text] : files) {
    if (getenv("TAILRACE_WRITE_GENERATED") != nullptr) std::ofstream(root + name) << text;
    std::ifstream in(root + name);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), text)
        << name << " is old: TAILRACE_WRITE_GENERATED=1 build/workflow_test --gtest_filter='*GeneratedFiles*'";
  }
}

}  // namespace
}  // namespace tailrace::workflow
