#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/patient_clock.h"
#include "workflow/executor/thread_pool.h"
#include "workflow/operators/alert_sink.h"
#include "workflow/operators/operator.h"
#include "workflow/scheduler.h"
#include "workflow/scheduler/dag_folder.h"
#include "workflow/scheduler/engine.h"

namespace tailrace::workflow {

/// The engine on a thread of its own that sleeps until an event; the executor; the folder of DAG files. Reads go
/// straight to the metadata, so that nobody sees what has not been committed.
class SchedulerImpl final : public Scheduler {
 public:
  SchedulerImpl(SchedulerOptions options, OperatorServices services, Clock& clock);
  ~SchedulerImpl() override;
  /// `only_file` not empty: that DAG file instead of the folder.
  Status Open(const std::string& only_file);

  std::vector<DagSummary> Dags() override;
  Result<std::string> DagSource(const std::string& dag_id) override;
  Result<DagRunInfo> Trigger(const std::string& dag_id, const std::string& conf_json, const std::string& run_id,
                             std::optional<int64_t> logical_date_ms) override;
  Result<DagRunInfo> Run(const std::string& dag_id, const std::string& run_id) override;
  Result<DagRunInfo> WaitRun(const std::string& dag_id, const std::string& run_id, int64_t timeout_ms) override;
  Result<std::vector<DagRunInfo>> Runs(const std::string& dag_id, int limit) override;
  Result<std::vector<TaskInstanceInfo>> Tasks(const std::string& dag_id, const std::string& run_id) override;
  Result<std::string> TaskLog(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                              int try_number) override;
  Result<std::string> XCom(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                           const std::string& key) override;
  Result<std::vector<TaskTryInfo>> Tries(const std::string& dag_id, const std::string& run_id,
                                         const std::string& task_id) override;
  Result<std::vector<AlertInfo>> Alerts(int limit) override;
  Result<std::vector<SlaMissInfo>> SlaMisses(const std::string& dag_id, int limit) override;
  Result<std::string> Variable(const std::string& key) override;
  Status SetVariable(const std::string& key, const std::string& value) override;
  Result<std::map<std::string, std::string>> Variables() override;
  Status SetPools(std::map<std::string, int> pools) override;
  Status SetPaused(const std::string& dag_id, bool paused) override;
  Status Clear(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
               bool downstream) override;
  Status SetTaskState(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                      const std::string& state) override;
  Result<std::vector<std::pair<int64_t, int64_t>>> NextRuns(const std::string& dag_id, int count) override;
  void Shutdown(int64_t grace_ms) override;

 private:
  void Post(std::function<void()> event);
  /// Runs `work` on the engine's thread, then a tick; returns once its transaction stands.
  Status OnEngine(const std::function<Status()>& work);
  Result<DagRunInfo> TriggerAs(const std::string& dag_id, const std::string& conf_json, const std::string& run_id,
                               std::optional<int64_t> logical_date_ms, const std::string& run_type);
  Status TakeFolder(const std::string& data_dir);
  void Loop();
  /// Reads the folder again and tells the engine.
  Status LoadDags(bool at_start);
  void LoadDagsAgain();
  // retention.cc
  void KeepTidy();
  Status Tidy();
  std::shared_ptr<const Dag> FindDag(const std::string& dag_id);

  SchedulerOptions options_;
  OperatorServices services_;
  Clock& clock_;
  PatientClock patient_clock_{clock_};  // for what is deleted by age
  std::string scheduler_id_, only_file_;
  int lock_fd_ = -1;
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<AlertSink> alerts_;
  std::unique_ptr<TaskEnvironment> environment_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Engine> engine_;  // used by thread_ only, once that runs
  std::unique_ptr<FolderWatch> watch_;
  CancelToken stopping_;  // for what waits: callbacks, retention
  std::unique_ptr<ThreadPool> callback_pool_;
  std::thread thread_, tidy_thread_;

  std::mutex mutex_;
  std::condition_variable wake_, ended_;
  std::deque<std::function<void()>> events_;
  std::vector<std::function<void(const Status&)>> after_tick_;  // of thread_ only
  bool stop_ = false, shut_down_ = false;
  uint64_t ended_count_ = 0;

  std::mutex load_mutex_;  // one load at a time; guards pools_
  std::map<std::string, int> pools_;
  std::mutex dags_mutex_;  // guards contents_
  FolderContents contents_;
};

}  // namespace tailrace::workflow
