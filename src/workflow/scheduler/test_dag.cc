#include <fmt/format.h>
#include <ftw.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "workflow/scheduler/scheduler_impl.h"

namespace tailrace::workflow {
namespace {

/// A folder under $TMPDIR that goes with this object.
class ScratchFolder {
 public:
  static Result<std::unique_ptr<ScratchFolder>> Make() {
    const char* base = getenv("TMPDIR");
    std::string path = fmt::format("{}/tailrace-dag-test-XXXXXX", base && *base ? base : "/tmp");
    if (mkdtemp(path.data()) == nullptr) return IoError("mkdtemp " + path, errno);
    return std::unique_ptr<ScratchFolder>(new ScratchFolder(std::move(path)));
  }
  ~ScratchFolder() {
    nftw(
        path_.c_str(), [](const char* p, const struct stat*, int, struct FTW*) { return remove(p); }, 16,
        FTW_DEPTH | FTW_PHYS);
  }
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace

Result<DagRunInfo> TestDag(const std::string& file, const std::string& dag_id, const std::string& conf_json,
                           const SchedulerOptions& options, OperatorServices services, Clock& clock) {
  std::unique_ptr<ScratchFolder> scratch = TRY(ScratchFolder::Make());
  SchedulerOptions own = options;
  own.data_dir = scratch->path();
  own.dags_dir.clear();
  own.log_to_stdout = true;
  own.parallelism = 1;  // in order
  SchedulerImpl scheduler(own, services, clock);
  TRY(scheduler.Open(file));
  std::string id = dag_id;
  if (id.empty()) {
    std::vector<DagSummary> dags = scheduler.Dags();
    if (dags.empty()) return NotFound("the file has no DAG");
    id = dags.front().dag_id;
  }
  DagRunInfo run = TRY(scheduler.Trigger(id, conf_json, "", std::nullopt));
  while (true) {
    Result<DagRunInfo> ended = scheduler.WaitRun(id, run.run_id, 60'000);
    if (ended.ok() || ended.error().code() != ErrorCode::kTimeout) {
      scheduler.Shutdown(0);
      return ended;
    }
  }
}

}  // namespace tailrace::workflow
