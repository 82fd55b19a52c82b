#include "workflow/executor/run_command.h"

#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "workflow/executor/process.h"
#include "workflow/operators/operator.h"

extern char** environ;

namespace tailrace::workflow {

Result<int> RunCommand(const CommandRequest& request) {
  SpawnRequest spawn;
  spawn.arguments = request.arguments;
  for (char** e = environ; *e != nullptr; ++e) spawn.environment.emplace_back(*e);
  spawn.cwd = request.cwd;
  spawn.output_fd = request.output_fd;
  Spawned process = TRY(SpawnProcess(spawn));
  constexpr int64_t kSliceMs = 50;
  pollfd poll_fd{process.pidfd, POLLIN, 0};
  std::optional<Error> ended;
  for (int64_t waited_ms = 0; poll(&poll_fd, 1, kSliceMs) == 0; waited_ms += kSliceMs) {
    if (request.cancel != nullptr && request.cancel->cancelled()) ended = Error(ErrorCode::kCancelled, "cancelled");
    else if (request.timeout_ms > 0 && waited_ms >= request.timeout_ms)
      ended = Error(ErrorCode::kTimeout, "the command took too long");
    if (!ended) continue;
    SignalGroup(process.pid, SIGTERM);
    if (poll(&poll_fd, 1, 2'000) == 0) SignalGroup(process.pid, SIGKILL);
    break;
  }
  close(process.pidfd);
  int code = ReapProcess(process.pid);
  if (ended) return *std::move(ended);
  return code;
}

}  // namespace tailrace::workflow
