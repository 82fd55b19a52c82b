#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "workflow/dag_yaml/loader.h"

namespace tailrace::workflow {

/// What a folder of DAG files holds: DAGs by id, and the files that do not load with the reason.
struct FolderContents {
  std::map<std::string, std::shared_ptr<const Dag>> dags;
  std::map<std::string, std::string> errors;  // file -> why
};

/// Every *.yaml and *.yml of the folder, hidden ones and those below it left out. Two files with one dag_id: the second
/// (by name) is the error. At most 10,000 files.
FolderContents LoadFolder(const std::string& folder, const LoadOptions& options);

/// Watches a folder with inotify and calls back on a thread of its own shortly after a file changed. The folder may
/// come and go; what it lies in must be there.
class FolderWatch {
 public:
  virtual ~FolderWatch() = default;
  static std::unique_ptr<FolderWatch> Start(const std::string& folder, std::function<void()> changed);
};

}  // namespace tailrace::workflow
