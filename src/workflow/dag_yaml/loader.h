#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "workflow/model/dag.h"

namespace tailrace::workflow {

struct LoadOptions {
  int max_active_runs = 16, max_active_tasks = 16;
  std::map<std::string, int> pools;  // known besides those of the file
};

/// Reads one DAG file. Errors carry file:line:column: broken YAML, unknown keys (with the nearest known one), wrong
/// types, unknown operators and parameters, unknown upstreams, cycles, templates that do not parse.
Result<std::shared_ptr<const Dag>> LoadDagFile(const std::string& path, const LoadOptions& options);
Result<std::shared_ptr<const Dag>> LoadDagText(const std::string& path, const std::string& text,
                                               const LoadOptions& options);

}  // namespace tailrace::workflow
