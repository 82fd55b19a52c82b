#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace::workflow {

class CancelToken;

struct CommandRequest {
  std::vector<std::string> arguments;
  std::string cwd;
  int output_fd = -1;
  CancelToken* cancel = nullptr;  // may be null
  int64_t timeout_ms = 0;         // 0: none
};

/// Runs a short command to its end (a poke, a callback); exit status, 128 + signal. kCancelled, kTimeout: it was
/// killed.
Result<int> RunCommand(const CommandRequest& request);

}  // namespace tailrace::workflow
