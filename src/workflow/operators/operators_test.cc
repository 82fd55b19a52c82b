// Operators against what they work on: an embedded broker, streaming jobs, a DuckDB file, an HTTP server.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/clock.h"
#include "broker/broker.h"
#include "connectors/duckdb/store.h"
#include "connectors/registry.h"
#include "http/router.h"
#include "http/server.h"
#include "log/client.h"
#include "stream/job_manager.h"
#include "workflow/model/value.h"
#include "workflow/scheduler.h"
#include "workflow/testing.h"

namespace tailrace::workflow {
namespace {

class OperatorsTest : public ::testing::Test {
 protected:
  void Start(bool platform) {
    SchedulerOptions options;
    options.dags_dir = folder_.path() + "/dags";
    options.data_dir = folder_.path() + "/data";
    options.base_dir = folder_.path();
    options.stores["serving"] = "serving.duckdb";
    options.alert_topic = "alerts";
    OperatorServices services;
    if (platform) {
      broker::BrokerOptions broker_options;
      broker_options.data_dir = folder_.path() + "/broker";
      broker_options.auto_create_topics = true;
      auto opened = broker::Broker::Open(broker_options, Clock::System());
      ASSERT_TRUE(opened.ok()) << opened.error().ToString();
      broker_ = std::move(*opened);
      connectors::Services s;
      s.embedded = &broker_->client();
      s.data_dir = folder_.path();
      factory_ = connectors::MakeConnectors(s);
      stream::JobManagerOptions jobs;
      jobs.checkpoint_dir = folder_.path() + "/checkpoints";
      jobs_ = stream::JobManager::Create(jobs, *factory_, Clock::System());
      services.log = &broker_->client();
      services.jobs = jobs_.get();
    }
    auto started = Scheduler::Start(options, services, Clock::System());
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    scheduler_ = std::move(*started);
  }
  ~OperatorsTest() override {
    if (scheduler_) scheduler_->Shutdown(1000);
    if (jobs_) jobs_->Shutdown(2000);
  }
  DagRunInfo RunToEnd(const std::string& dag_id) {
    auto run = scheduler_->Trigger(dag_id, "{}", "", std::nullopt);
    EXPECT_TRUE(run.ok()) << run.error().ToString();
    if (!run.ok()) return {};
    auto ended = scheduler_->WaitRun(dag_id, run->run_id, 30'000);
    EXPECT_TRUE(ended.ok()) << ended.error().ToString();
    return ended.ok() ? *ended : *run;
  }
  TaskInstanceInfo Task(const DagRunInfo& run, const std::string& task) {
    auto tasks = scheduler_->Tasks(run.dag_id, run.run_id);
    for (const TaskInstanceInfo& t : *tasks)
      if (t.task_id == task) return t;
    return {};
  }
  std::string XCom(const DagRunInfo& run, const std::string& task) {
    auto x = scheduler_->XCom(run.dag_id, run.run_id, task, "");
    return x.ok() ? *x : x.error().message();
  }
  std::string Why(const DagRunInfo& run) {
    std::string text;
    auto tasks = scheduler_->Tasks(run.dag_id, run.run_id);
    for (const TaskInstanceInfo& t : *tasks) text += fmt::format("{} {}: {}\n", t.task_id, t.state, t.note);
    return text;
  }

  testing::TempFolder folder_;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<stream::ConnectorFactory> factory_;
  std::unique_ptr<stream::JobManager> jobs_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(OperatorsTest, SqlChecksBranchesReport) {
  folder_.Write("dags/sql.yaml", R"yaml(
tasks:
  - task_id: fill
    operator: sql
    with: {sql: "CREATE TABLE v AS SELECT range AS n, range * range AS square, 'k' || range % 3 AS kind FROM range(50); SELECT count(*) AS rows FROM v"}
  - {task_id: check, operator: check.sql, upstream: fill, with: {checks: [{name: rows, sql: "SELECT count(*) FROM v", min: 50, max: "50"}, {sql: "SELECT bool_and(square >= n) FROM v"}, {sql: "SELECT max(kind) FROM v", equals: k2}]}}
  - {task_id: choose, operator: branch, upstream: check, with: {sql: "SELECT CASE WHEN count(*) > 10 THEN 'many' ELSE 'few' END FROM v"}}
  - {task_id: many, operator: empty, upstream: choose}
  - {task_id: few, operator: empty, upstream: choose}
  - task_id: report
    operator: report.html
    upstream: [many, few]
    trigger_rule: none_failed_min_one_success
    with:
      title: "Squares <of> {{ ti.xcom_pull(task_ids='fill')[0].rows }}"
      output: out/report.html
      sections:
        - {title: Text, text: "a < b"}
        - {title: Table, sql: "SELECT * FROM v LIMIT 5"}
        - {title: Line, plot: line, x: n, y: [square, n], sql: "SELECT n, square FROM v"}
        - {title: Bars, plot: bar, sql: "SELECT kind, count(*) AS c FROM v GROUP BY 1 ORDER BY 1"}
        - {title: Numbers, plot: number, sql: "SELECT max(square) AS largest, avg(n) AS mean FROM v"}
        - {title: Nothing, plot: line, sql: "SELECT n, square FROM v WHERE n < 0"}
  - {task_id: gate, operator: short_circuit, upstream: report, with: {condition: "{{ 1 > 2 }}"}}
  - {task_id: never, operator: empty, upstream: gate}
)yaml");
  Start(false);
  DagRunInfo run = RunToEnd("sql");
  EXPECT_EQ(run.state, "success") << Why(run);
  EXPECT_EQ(XCom(run, "fill"), R"([{"rows":50}])");
  EXPECT_EQ(XCom(run, "choose"), "\"many\"");
  EXPECT_EQ(Task(run, "few").state, "skipped");
  EXPECT_EQ(Task(run, "never").state, "skipped");
  std::string html = folder_.Read("out/report.html");
  for (const char* piece : {"<h1>Squares &lt;of&gt; 50</h1>", "a &lt; b", "<svg", "<path class=\"line\"", "<rect",
                            "2401", "no data", "</html>"})
    EXPECT_NE(html.find(piece), std::string::npos) << piece;
  EXPECT_EQ(html.find("http://"), std::string::npos);
  EXPECT_EQ(html.find("https://"), std::string::npos);
}

TEST_F(OperatorsTest, FailedChecksSayWhat) {
  folder_.Write("dags/bad.yaml", R"yaml(
tasks:
  - {task_id: low, operator: check.sql, with: {store: ":memory:", sql: "SELECT 3", min: 5, name: size}}
  - {task_id: nostore, operator: sql, with: {store: nowhere/there.duckdb, sql: "SELECT 1"}}
  - {task_id: syntax, operator: sql, with: {sql: "SELEC 1"}}
  - {task_id: template, operator: sql, with: {sql: "SELECT {{ params.nope }}"}}
  - {task_id: kafka, operator: kafka.check}
)yaml");
  Start(false);
  DagRunInfo run = RunToEnd("bad");
  EXPECT_EQ(run.state, "failed");
  EXPECT_EQ(Task(run, "low").note, "size: 3 is less than 5");
  EXPECT_NE(Task(run, "syntax").note.find("SELEC"), std::string::npos) << Task(run, "syntax").note;
  EXPECT_NE(Task(run, "template").note.find("has no attribute 'nope'"), std::string::npos)
      << Task(run, "template").note;
  EXPECT_NE(Task(run, "template").note.find("bad.yaml:6"), std::string::npos) << Task(run, "template").note;
  EXPECT_NE(Task(run, "kafka").note.find("no log"), std::string::npos);
}

TEST_F(OperatorsTest, SensorsWaitTimeOutAndSkip) {
  folder_.Write("dags/sensors.yaml", R"yaml(
default_args: {retries: 2}
tasks:
  - {task_id: file, operator: sensor.file, with: {path: "here*.txt", poke_interval: 20ms, timeout: 10s}}
  - {task_id: resched, operator: sensor.bash, with: {command: "test -e here1.txt", mode: reschedule, poke_interval: 30ms, timeout: 10s}}
  - {task_id: never, operator: sensor.file, with: {path: absent, poke_interval: 20ms, timeout: 100ms}}
  - {task_id: soft, operator: sensor.bash, with: {command: "false", poke_interval: 20ms, timeout: 100ms, soft_fail: true}}
  - {task_id: hard, operator: sensor.bash, retries: 0, with: {command: "exit 5", retry_exit_code: 1, poke_interval: 20ms}}
  - {task_id: delta, operator: sensor.time_delta, with: {delta: 100ms, poke_interval: 20ms}}
)yaml");
  Start(false);
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    folder_.Write("here1.txt", "x");
  });
  DagRunInfo run = RunToEnd("sensors");
  later.join();
  EXPECT_EQ(Task(run, "file").state, "success");
  EXPECT_NE(XCom(run, "file").find("here1.txt"), std::string::npos);
  EXPECT_EQ(Task(run, "resched").state, "success");
  EXPECT_EQ(Task(run, "resched").try_number, 1);
  EXPECT_EQ(Task(run, "never").state, "failed");
  EXPECT_EQ(Task(run, "never").try_number, 1);  // a sensor's timeout is final
  EXPECT_EQ(Task(run, "soft").state, "skipped");
  EXPECT_EQ(Task(run, "hard").state, "failed");
  EXPECT_EQ(Task(run, "delta").state, "success");
}

TEST_F(OperatorsTest, HttpPythonTriggerAndCallbacks) {
  http::Router router;
  std::atomic<int> hooks{0};
  router.Add("GET", "/data", [](const http::Request&) { return http::Response::Json(200, R"({"n": 5})"); });
  router.Add("GET", "/fail", [](const http::Request&) { return http::Response::Text(500, "oh no"); });
  router.Add("POST", "/hook", [&](const http::Request& r) {
    hooks += r.body.find("\"on_failure\"") != std::string::npos;
    return http::Response::Text(200, "ok");
  });
  auto server = http::Server::Start({}, std::move(router));
  ASSERT_TRUE(server.ok());
  std::string url = fmt::format("http://127.0.0.1:{}", (*server)->port());
  folder_.Write("dags/child.yaml",
                "params: {x: 0}\ntasks: [{task_id: c, operator: bash, with: {command: \"echo x={{ params.x }}; exit {{ "
                "dag_run.conf.code }}\"}}]\n");
  folder_.Write("dags/parent.yaml", fmt::format(R"yaml(
on_failure_callback:
  - bash: "echo {{{{ run_id }}}} {{{{ reason }}}} > failed.txt"
  - {{http: {{url: "{0}/hook"}}}}
  - {{alert: {{message: "{{{{ dag.dag_id }}}} failed", severity: critical}}}}
tasks:
  - {{task_id: get, operator: http, with: {{url: "{0}/data", contains: '"n"'}}}}
  - task_id: py
    operator: python
    upstream: get
    with:
      code: |
        import os, json
        print('log line')
        print(json.dumps({{'twice': 2 * {{{{ ti.xcom_pull(task_ids='get').n }}}}, 'task': os.environ['AIRFLOW_CTX_TASK_ID']}}))
  - {{task_id: good, operator: trigger_dag, with: {{dag_id: child, wait: true, conf: {{x: 3, code: 0}}}}}}
  - {{task_id: bad, operator: trigger_dag, with: {{dag_id: child, wait: true, conf: {{code: 1}}}}}}
  - {{task_id: broken, operator: http, with: {{url: "{0}/fail"}}}}
)yaml",
                                                url));
  Start(false);
  DagRunInfo run = RunToEnd("parent");
  EXPECT_EQ(run.state, "failed");
  EXPECT_EQ(XCom(run, "get"), R"({"n":5})");
  EXPECT_EQ(XCom(run, "py"), R"({"twice":10,"task":"py"})") << Why(run);
  EXPECT_EQ(Task(run, "good").state, "success") << Task(run, "good").note;
  EXPECT_NE(Task(run, "bad").note.find("ended as failed"), std::string::npos);
  EXPECT_EQ(Task(run, "broken").note, "status 500: oh no");
  for (int i = 0; i < 200 && scheduler_->Alerts(10)->empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_EQ(scheduler_->Alerts(10)->size(), 1u);
  EXPECT_EQ(scheduler_->Alerts(10)->at(0).message, "parent failed");
  EXPECT_EQ(hooks, 1);
  EXPECT_NE(folder_.Read("failed.txt").find(run.run_id + " failed: "), std::string::npos) << folder_.Read("failed.txt");
}

TEST_F(OperatorsTest, KafkaAndStreams) {
  folder_.Write("streams/copy.sql", R"yaml(
SET 'pipeline.name' = 'copy';
SET 'execution.checkpointing.interval' = '100ms';
CREATE TABLE raw (id BIGINT, name STRING) WITH ('connector' = 'kafka', 'topic' = 'raw', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset');
CREATE TABLE out_table (id BIGINT, name STRING) WITH ('connector' = 'duckdb', 'path' = 'serving.duckdb', 'table' = 'copied');
INSERT INTO out_table SELECT id, upper(name) FROM raw;
)yaml");
  folder_.Write("dags/stream.yaml", R"yaml(
on_success_callback: [{metrics: {topic: metrics}}]
tasks:
  - {task_id: create, operator: kafka.create_topics, with: {topics: [raw, {name: wide, partitions: 3, configs: {retention.ms: 60000}}], partitions: 1}}
  - {task_id: again, operator: kafka.create_topics, upstream: create, with: {topics: [raw]}}
  - {task_id: check, operator: kafka.check, upstream: again, with: {topics: [raw, wide], timeout: 5s}}
  - {task_id: produce, operator: kafka.produce, upstream: check, with: {topic: raw, key: k, records: [{id: 1, name: ann}, '{"id": 2, "name": "bob"}']}}
  - {task_id: arrived, operator: sensor.kafka_offset, upstream: produce, with: {topic: raw, min_records: 2, poke_interval: 20ms, timeout: 5s}}
  - {task_id: offsets, operator: kafka.offsets, upstream: produce, with: {topics: [raw, wide]}}
  - {task_id: start, operator: stream.start, upstream: arrived, with: {file: streams/copy.sql, timeout: 20s}}
  - {task_id: start_again, operator: stream.start, upstream: start, with: {file: streams/copy.sql}}
  - {task_id: stored, operator: sensor.sql, upstream: start_again, with: {sql: "SELECT count(*) FROM copied", min: 2, poke_interval: 100ms, timeout: 15s}}
  - {task_id: unhealthy, operator: sensor.stream_health, upstream: stored, with: {jobs: [copy, absent], healthy_for: 100ms, poke_interval: 50ms, timeout: 300ms, soft_fail: true}}
  - {task_id: healthy, operator: sensor.stream_health, upstream: stored, with: {job: copy, min_events_per_second: 0, healthy_for: 200ms, poke_interval: 50ms, timeout: 10s}}
  - {task_id: watches, operator: sensor.stream_health, upstream: stored, with: {job: copy, min_events_per_second: 0, healthy_for: 50ms, watch_for: 1200ms, mode: reschedule, poke_interval: 50ms, timeout: 10s}}
  - {task_id: stop, operator: stream.stop, upstream: [healthy, unhealthy, watches], trigger_rule: all_done, with: {names: [copy, absent]}}
)yaml");
  Start(true);
  DagRunInfo run = RunToEnd("stream");
  EXPECT_EQ(run.state, "success") << Why(run);
  EXPECT_EQ(XCom(run, "create"), R"(["raw","wide"])");
  EXPECT_EQ(XCom(run, "again"), "[]");
  EXPECT_EQ(XCom(run, "offsets"), R"({"raw":2,"wide":0})");
  EXPECT_EQ(XCom(run, "start"), "\"copy\"");
  EXPECT_EQ(Task(run, "unhealthy").state, "skipped") << Why(run);
  EXPECT_EQ(Task(run, "healthy").state, "success") << Why(run);
  EXPECT_EQ(Task(run, "watches").state, "success") << Why(run);
  EXPECT_GE(*Task(run, "watches").end_date_ms - *Task(run, "watches").start_date_ms, 1200);
  EXPECT_LT(*Task(run, "healthy").end_date_ms - *Task(run, "healthy").start_date_ms, 1200);
  EXPECT_NE(XCom(run, "stop").find(R"("rows_out":2)"), std::string::npos) << XCom(run, "stop");
  auto alerts = scheduler_->Alerts(10);
  ASSERT_EQ(alerts->size(), 1u);  // of a job that is missing; once, however often the sensor poked
  EXPECT_EQ(alerts->at(0).message, "job absent does not exist");
  auto offsets = broker_->client().Offsets({"alerts", 0});
  ASSERT_TRUE(offsets.ok()) << offsets.error().ToString();
  EXPECT_EQ(offsets->second, 1);
  for (int i = 0; i < 200 && !broker_->client().DescribeTopic("metrics").ok(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(broker_->client().DescribeTopic("metrics").ok());
}

}  // namespace
}  // namespace tailrace::workflow
