#pragma once

#include <string>

namespace tailrace::workflow {

/// The last line that the task's process wrote to its log, at most 64 KB; empty where it wrote none. Lines of the
/// scheduler ("[2024-…] INFO - ") are not the process's.
std::string LastOutputLine(const std::string& log_path);

}  // namespace tailrace::workflow
