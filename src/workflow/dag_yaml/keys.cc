#include "workflow/dag_yaml/keys.h"

namespace tailrace::workflow {

const std::vector<KeySpec>& DagKeys() {
  using enum KeyType;
  static const std::vector<KeySpec> keys = {
      {"dag_id", kText, "Name of the DAG. Default: the file's name without .yaml"},
      {"description", kText, "One line for lists"},
      {"doc_md", kText, "Longer text in Markdown"},
      {"owner", kText, "Who is asked about it. Default: tailrace"},
      {"tags", kTextList, "For filtering"},
      {"schedule", kScheduleText,
       "null, @once, @continuous, @hourly @daily @weekly @monthly @quarterly @yearly, a cron expression, or a duration "
       "such as 10m"},
      {"data_intervals", kBoolean,
       "true: a run covers the time since the run before it and starts at its end. Default: false (Airflow 3)"},
      {"timezone", kText, "IANA name for schedule and dates. Default: UTC"},
      {"start_date", kDate, "No scheduled run before it"},
      {"end_date", kDate, "No scheduled run after it"},
      {"catchup", kBoolean, "true: also the runs missed since start_date. Default: false"},
      {"max_active_runs", kInteger, "Runs at a time. Default: 16"},
      {"max_active_tasks", kInteger, "Tasks of one run at a time. Default: 16"},
      {"dagrun_timeout", kDuration, "A run that takes longer fails; its unfinished tasks are skipped"},
      {"is_paused_upon_creation", kBoolean, "true: nothing runs until it is unpaused. Default: false"},
      {"params", kMap, "Defaults of {{ params.NAME }}; the conf of a run overrides them"},
      {"pools", kPools, "Pools with their slots, for this file alone unless tailrace.yaml names them"},
      {"default_args", kMap, "Keys for every task that does not set them itself"},
      {"on_success_callback", kCallbacks, "When a run succeeds"},
      {"on_failure_callback", kCallbacks, "When a run fails"},
      {"sla_miss_callback", kCallbacks, "When a task misses its sla"},
      {"tasks", kTasks, "The tasks"},
  };
  return keys;
}

const std::vector<KeySpec>& TaskKeys() {
  using enum KeyType;
  static const std::vector<KeySpec> keys = {
      {"task_id", kText, "Name, unique in the DAG"},
      {"operator", kText, "What it does"},
      {"with", kMap, "Parameters of the operator; every string is a Jinja template"},
      {"upstream", kTextList, "Tasks that come before it"},
      {"depends_on", kTextList, "The same as upstream"},
      {"trigger_rule", kText, "When it runs, given how its upstreams ended. Default: all_success"},
      {"setup", kBoolean, "A setup task"},
      {"teardown", kBoolean,
       "A teardown task: runs once its setups succeeded and the rest is done; its failure does not fail the run"},
      {"on_failure_fail_dagrun", kBoolean, "A teardown whose failure fails the run all the same"},
      {"doc", kText, "What it is for"},
  };
  return keys;
}

const std::vector<KeySpec>& DefaultArgKeys() {
  using enum KeyType;
  static const std::vector<KeySpec> keys = {
      {"owner", kText, "Who is asked about it"},
      {"retries", kInteger, "Further tries after the first fails. Default: 0"},
      {"retry_delay", kDuration, "Wait before the next try. Default: 5m"},
      {"retry_exponential_backoff", kNumberOrBoolean,
       "true: the wait doubles with every try, with jitter; a number: multiplies by it"},
      {"max_retry_delay", kDuration, "Longest wait with backoff (24h at most anyway)"},
      {"pool", kText, "Pool whose slots it takes. Default: default_pool (128)"},
      {"pool_slots", kInteger, "How many. Default: 1"},
      {"queue", kText, "Queue of the executor. Default: default"},
      {"priority_weight", kInteger, "Higher starts first. Default: 1"},
      {"weight_rule", kText, "downstream (default), upstream or absolute: what is added to priority_weight"},
      {"execution_timeout", kDuration, "A try that takes longer fails"},
      {"sla", kDuration, "Time from the run's expected start within which it should have ended"},
      {"depends_on_past", kBoolean, "Waits until the same task succeeded in the run before"},
      {"wait_for_downstream", kBoolean, "And until what is directly downstream of it there did, too"},
      {"max_active_tis_per_dag", kInteger, "Instances of it at a time over all runs"},
      {"do_xcom_push", kBoolean, "false: its result is not kept as XCom return_value"},
      {"on_execute_callback", kCallbacks, "When a try begins"},
      {"on_success_callback", kCallbacks, "When it succeeds"},
      {"on_failure_callback", kCallbacks, "When it fails for good"},
      {"on_retry_callback", kCallbacks, "When a try fails and another follows"},
      {"on_skipped_callback", kCallbacks, "When it skips itself or a branch skips it"},
  };
  return keys;
}

const std::vector<CallbackKind>& CallbackKinds() {
  static const std::vector<CallbackKind> kinds = {
      {"alert", {"message", "severity"}, "message"}, {"kafka", {"topic", "key", "value"}, "topic"},
      {"bash", {"command", "timeout"}, "command"},   {"http", {"url", "method", "headers", "body", "timeout"}, "url"},
      {"metrics", {"topic", "labels"}, "topic"},     {"trigger_dag", {"dag_id", "conf"}, "dag_id"},
  };
  return kinds;
}

std::vector<std::string_view> NamesOf(const std::vector<KeySpec>& keys) {
  std::vector<std::string_view> names;
  for (const KeySpec& key : keys) names.push_back(key.name);
  return names;
}

}  // namespace tailrace::workflow
