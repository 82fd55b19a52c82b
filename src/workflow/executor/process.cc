#include "workflow/executor/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <string_view>

#include "workflow/executor/process_table.h"

namespace tailrace::workflow {
namespace {

// $0 is the exit file. An empty one says that it began. The leader outlives SIGTERM to the group, so that it can write
// how the program ended; the program gets the signals' defaults back. `exec 3<&-` keeps the pipe from the program.
constexpr const char* kLeader =
    "trap : TERM INT HUP; read -r go <&3 || exit 125; exec 3<&-; : >\"$0\"; \"$@\"; c=$?; echo $c >\"$0\"; exit $c";

/// A program's place by this process's PATH, looked up once: the leader would search a long PATH at every start.
std::string Located(const std::string& program, const std::vector<std::string>& environment) {
  static std::mutex mutex;
  static auto* known = new std::map<std::string, std::string>();
  const char* path = getenv("PATH");
  if (program.find('/') != std::string::npos || path == nullptr) return program;
  for (auto it = environment.rbegin(); it != environment.rend(); ++it)
    if (it->starts_with("PATH=")) {
      if (it->compare(5, std::string::npos, path) != 0) return program;  // the task has a PATH of its own
      break;
    }
  std::lock_guard lock(mutex);
  auto it = known->find(program);
  if (it != known->end() && access(it->second.c_str(), X_OK) == 0) return it->second;
  std::string_view rest = path;
  while (!rest.empty()) {
    size_t colon = rest.find(':');
    std::string candidate = std::string(rest.substr(0, colon)) + "/" + program;
    struct stat info;
    if (candidate[0] == '/' && stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
        access(candidate.c_str(), X_OK) == 0)
      return (*known)[program] = candidate;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  return program;
}

}  // namespace

Result<Spawned> SpawnProcess(const SpawnRequest& request) {
  std::vector<std::string> arguments;
  int pipe_fds[2] = {-1, -1};
  const bool led = !request.exit_path.empty();
  if (led) {
    arguments = {"/bin/sh", "-c", kLeader, request.exit_path};
    // A socket, as a write to a pipe whose reader died would be a signal to us.
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipe_fds) != 0) return IoError("socketpair", errno);
  }
  arguments.push_back(Located(request.arguments[0], request.environment));
  arguments.insert(arguments.end(), request.arguments.begin() + 1, request.arguments.end());
  std::vector<char*> argv, envp;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  std::vector<std::string> environment = request.environment;
  for (std::string& e : environment) envp.push_back(e.data());
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (request.output_fd >= 0) {
    posix_spawn_file_actions_adddup2(&actions, request.output_fd, 1);
    posix_spawn_file_actions_adddup2(&actions, request.output_fd, 2);
  }
  if (led) posix_spawn_file_actions_adddup2(&actions, pipe_fds[0], 3);
  if (!request.cwd.empty()) posix_spawn_file_actions_addchdir_np(&actions, request.cwd.c_str());
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  int failed = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (led) close(pipe_fds[0]);
  if (failed != 0) {
    if (led) close(pipe_fds[1]);
    if (failed == ENOENT && !request.cwd.empty() && access(request.cwd.c_str(), X_OK) != 0)
      return IoError("working directory " + request.cwd, errno);
    return IoError("start " + std::string(argv[0]), failed);
  }
  Spawned spawned;
  spawned.pid = pid;
  spawned.go_fd = pipe_fds[1];
  spawned.pidfd = OpenPidfd(pid);
  if (spawned.pidfd < 0) {  // out of descriptors: nobody would see its end
    const int reason = errno;
    SignalGroup(pid, SIGKILL);
    ReapProcess(pid);
    if (led) close(pipe_fds[1]);
    return IoError("watch process " + std::to_string(pid), reason);
  }
  spawned.pid_start = ProcessStartTicks(pid);
  return spawned;
}

void SignalGo(int go_fd) {
  [[maybe_unused]] ssize_t n = send(go_fd, "go\n", 3, MSG_NOSIGNAL);
  close(go_fd);
}

int OpenPidfd(int64_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)); }

int ReapProcess(int64_t pid) {
  int status = 0;
  while (waitpid(static_cast<pid_t>(pid), &status, 0) < 0)
    if (errno != EINTR) return 255;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void SignalGroup(int64_t pid, int signal) { kill(static_cast<pid_t>(-pid), signal); }

ExitFile ReadExitFile(const std::string& path, int* code) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ExitFile::kNone;
  char text[16];
  ssize_t n = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (n <= 0 || text[n - 1] != '\n') return ExitFile::kStarted;
  text[n] = '\0';
  *code = atoi(text);
  return ExitFile::kEnded;
}

}  // namespace tailrace::workflow
