#pragma once
// A DAG as its file declares it. Immutable once loaded; runs keep the version they started with.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "workflow/model/retry.h"
#include "workflow/model/trigger_rule.h"
#include "workflow/model/value.h"

namespace tailrace::workflow {

class Timetable;

inline constexpr int kTasksMax = 5'000;  // of one DAG
inline constexpr int kRetriesMax = 1'000;
inline constexpr size_t kDagFileBytesMax = 4 << 20;
inline constexpr const char* kDefaultPool = "default_pool";
inline constexpr int kDefaultPoolSlots = 128;

/// One step of an on_*_callback list: `{alert: {message: ...}}`. The strings in `config` are templates.
struct Callback {
  std::string kind;  // alert kafka bash http metrics trigger_dag
  Value config;
};

struct Callbacks {
  std::vector<Callback> on_execute, on_success, on_failure, on_retry, on_skipped;
};

enum class WeightRule : uint8_t { kDownstream, kUpstream, kAbsolute };

struct Task {
  std::string task_id;
  std::string operator_name;
  Value with = Map();                     // the operator's parameters; strings are templates
  std::vector<int> upstream, downstream;  // indices into Dag::tasks
  TriggerRule trigger_rule = TriggerRule::kAllSuccess;
  RetryPolicy retry;
  std::string pool = kDefaultPool;
  int pool_slots = 1;
  std::string queue = "default";
  std::string owner = "tailrace";
  int64_t priority_weight = 1;
  WeightRule weight_rule = WeightRule::kDownstream;
  int64_t total_weight = 1;          // by the rule; higher starts first
  int64_t execution_timeout_ms = 0;  // 0: none
  int64_t sla_ms = 0;                // 0: none
  bool depends_on_past = false;
  bool wait_for_downstream = false;
  int max_active_tis_per_dag = 0;  // 0: no limit of its own
  bool setup = false, teardown = false;
  bool on_failure_fail_dagrun = false;  // a teardown's failure counts for the run
  bool do_xcom_push = true;
  Callbacks callbacks;
  std::string doc;
  int line = 0;  // in the file
};

struct Dag {
  std::string dag_id, file, source, description, owner;
  std::vector<std::string> tags;
  std::string schedule_text;                   // as written; "None" where there is none
  std::shared_ptr<const Timetable> timetable;  // null: only triggered
  std::string timezone = "UTC";
  std::optional<int64_t> start_date_ms, end_date_ms;
  bool catchup = false;
  int max_active_runs = 16, max_active_tasks = 16;
  int64_t dagrun_timeout_ms = 0;  // 0: none
  bool is_paused_upon_creation = false;
  Value params = Map();
  std::map<std::string, int> pools;  // declared in this file
  std::vector<Callback> on_success, on_failure, sla_miss;
  std::vector<Task> tasks;  // in topological order; ties keep the file's order
  std::vector<int> leaves;  // that decide about the run: without teardowns (unless on_failure_fail_dagrun)
  std::string version;      // sha1 of the source

  const Task* Find(const std::string& task_id) const;
  int Index(const std::string& task_id) const;  // -1: none

  /// Fills upstream from `upstream_ids` (parallel to tasks), downstream, leaves, total weights, and puts tasks into
  /// topological order. kInvalidArgument with the cycle named: "a -> b -> a".
  Status Link(std::vector<std::vector<std::string>> upstream_ids);
  /// Tasks reachable from `index`, itself not included.
  std::vector<int> Descendants(int index) const;

 private:
  std::map<std::string, int> index_;
};

}  // namespace tailrace::workflow
