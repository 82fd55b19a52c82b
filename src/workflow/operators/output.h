#pragma once

#include <string>

#include "base/result.h"

namespace tailrace::workflow {

/// The last line that the task's process wrote to its log, at most 64 KB; empty where it wrote none. Lines of the
/// scheduler ("[2024-…] INFO - ") are not the process's.
std::string LastOutputLine(const std::string& log_path);
/// The log, or its last 4 MB with a line saying so. kNotFound: none yet.
Result<std::string> ReadTaskLog(const std::string& log_path);

}  // namespace tailrace::workflow
