#pragma once
// Processes of tasks. Each is led by a small shell that waits for a word on a pipe before it runs anything, and writes
// the exit status to a file: so the scheduler can record the process first, and a scheduler started later can tell how
// a process ended that outlived its own.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace::workflow {

struct SpawnRequest {
  std::vector<std::string> arguments;    // REQUIRES: not empty
  std::vector<std::string> environment;  // "NAME=value"
  std::string cwd;
  std::string exit_path;  // empty: no leader, the program itself, at once (pokes of sensors, callbacks)
  int output_fd = -1;     // stdout and stderr; not taken over
};

struct Spawned {
  int64_t pid = 0, pid_start = 0;
  int pidfd = -1;  // readable once it has ended; the caller closes it
  int go_fd = -1;  // write a line and close: it runs. Close: it ends without having run
};

/// In a session and process group of its own. Errors: kIo (no such program shows as exit status 127 later).
Result<Spawned> SpawnProcess(const SpawnRequest& request);
void SignalGo(int go_fd);
/// Readable once the process has ended; -1 where there is none. The caller closes it.
int OpenPidfd(int64_t pid);
/// REQUIRES: it has ended and is our child. Exit status, 128 + signal where a signal ended it.
int ReapProcess(int64_t pid);
/// To the whole group.
void SignalGroup(int64_t pid, int signal);

enum class ExitFile : uint8_t { kNone, kStarted, kEnded };
/// What a leader wrote: nothing (never ran), that it began, or how it ended.
ExitFile ReadExitFile(const std::string& path, int* code);

}  // namespace tailrace::workflow
