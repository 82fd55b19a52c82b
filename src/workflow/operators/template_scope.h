#pragma once

#include <memory>

#include "workflow/jinja/template.h"
#include "workflow/operators/operator.h"

namespace tailrace::workflow {

/// The names of Airflow's template context for one try (Airflow: Templates reference). `task` may be null (callbacks of
/// the DAG). Looks XComs, variables and connections up when they are used. Everything passed in outlives it.
class TaskScope final : public Scope {
 public:
  TaskScope(TaskEnvironment& environment, const Dag& dag, const Task* task, const RunRow& run, const TaskRow& instance);
  ~TaskScope() override;
  Result<Value> Lookup(const std::string& name) const override;
  /// Adds or replaces a name: `exception`, `reason`.
  void Set(std::string name, Value value) { extra_.Set(std::move(name), std::move(value)); }

 private:
  TaskEnvironment& environment_;
  const Dag& dag_;
  const Task* task_;
  const RunRow& run_;
  const TaskRow& instance_;
  Map extra_;
};

/// params of the DAG overridden by the run's conf (Airflow: dag_run_conf_overrides_params).
Map EffectiveParams(const Dag& dag, const RunRow& run);

}  // namespace tailrace::workflow
