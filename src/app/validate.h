#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace::app {

/// One file of a project, looked at without starting anything.
struct FileCheck {
  std::string kind;             // project, stream, dag, generator
  std::string file;             // as errors name it
  std::vector<Error> problems;  // empty: good
};

/// tailrace.yaml; every SQL file parsed, planned, its connectors' options checked; every DAG and generator loaded;
/// names that one file uses of another. Errors: kNotFound where there is no project.
Result<std::vector<FileCheck>> ValidateProject(const std::string& dir);

}  // namespace tailrace::app
