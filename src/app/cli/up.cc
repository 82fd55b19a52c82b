#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "api/services.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "app/cli/start.h"
#include "app/platform.h"
#include "app/stop_signal.h"
#include "base/clock.h"
#include "base/logging.h"
#include "io/file.h"

namespace tailrace::app {
namespace {

constexpr int64_t kStopMs = 4'500;  // SIGTERM promises 5 s

struct UpOptions {
  std::string project, profile;
  bool detach = false, broker_only = false;
  SettingFlags flags;
};

std::string ReadyText(const std::string& output, const Platform& platform, int64_t ready_ms) {
  const Endpoint& at = platform.endpoint();
  if (output != "table") return at.ToJson();
  std::string text = fmt::format("tailrace {} is ready in {} ms\n", api::kVersion, ready_ms);
  if (!platform.services().project_name.empty())
    text += fmt::format("  project   {} ({})\n", platform.services().project_name, at.project);
  text += fmt::format("  Kafka     {}\n", at.kafka);
  if (!at.http.empty()) text += fmt::format("  console   {}\n", at.http);
  text += fmt::format("  data      {}", at.data_dir);
  return text;
}

/// `ready_fd`: gets the ready text where this is the detached child, else -1.
Result<int> Serve(const UpOptions& options, const std::string& output, config::Settings settings,
                  std::optional<config::Project> project, int ready_fd) {
  PlatformOptions p;
  p.settings = std::move(settings);
  p.project = std::move(project);
  p.profile = options.profile;
  p.broker_only = options.broker_only;
  auto platform = TRY(Platform::Start(p));
  bool broken = false;
  if (p.project)
    for (const Applied& applied : platform->Apply(*p.project)) {
      const std::string line = applied.kind + " " + applied.name + ": " + applied.result;
      if (applied.failed) LogError("project", line);
      else if (applied.result != "ready") LogInfo("project", line);
      broken |= applied.failed;
    }
  const int64_t ready_ms = MsSinceProcessStart();
  LogInfo("platform", fmt::format("ready in {} ms", ready_ms));
  const std::string text = ReadyText(output, *platform, ready_ms);
  if (ready_fd >= 0) {
    [[maybe_unused]] const ssize_t written = ::write(ready_fd, text.data(), text.size());
    ::close(ready_fd);
  } else {
    PrintJson(output, output == "yaml" ? platform->endpoint().ToJson() : text);
    if (output == "table") std::puts("Ctrl-C stops it.");
    std::fflush(stdout);
  }
  StopSignal::Wait(-1);
  LogInfo("platform", "stopping");
  const int64_t begun = Clock::System().MonotonicMs();
  StopWithin(*platform, kStopMs);
  LogInfo("platform", fmt::format("stopped in {} ms", Clock::System().MonotonicMs() - begun));
  return 0;
}

/// Forks before any thread exists. The parent waits until the child is ready or has failed.
Result<int> Detach(const UpOptions& options, const std::string& output, config::Settings settings,
                   std::optional<config::Project> project) {
  TRY(io::MakeDirectories(settings.String("data.dir")));
  const std::string log_file = settings.String("data.dir") + "/tailrace.log";
  const int log_fd = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_fd < 0) return IoError("opening " + log_file, errno);
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) return IoError("pipe", errno);
  const off_t log_start = ::lseek(log_fd, 0, SEEK_END);
  const pid_t child = ::fork();
  if (child < 0) return IoError("fork", errno);
  if (child == 0) {
    ::close(ready[0]);
    ::setsid();
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(null, STDIN_FILENO);
    ::dup2(log_fd, STDOUT_FILENO);
    ::dup2(log_fd, STDERR_FILENO);
    auto result = Serve(options, output == "yaml" ? "json" : output, std::move(settings), std::move(project), ready[1]);
    if (result.ok()) ::_exit(*result);
    const std::string text = "!" + result.error().message() + "\n" + result.error().remedy();
    [[maybe_unused]] const ssize_t written = ::write(ready[1], text.data(), text.size());
    ::_exit(1);
  }
  ::close(ready[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ready[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  if (text.empty() || text[0] == '!') {
    int status = 0;
    ::waitpid(child, &status, 0);
    if (text.empty())
      return Error(ErrorCode::kInternal, "tailrace ended before it was ready")
          .Remedy("see " + log_file + " from byte " + std::to_string(log_start));
    const size_t line = text.find('\n');
    return Error(ErrorCode::kConflict, text.substr(1, line - 1)).Remedy(text.substr(line + 1));
  }
  PrintJson(output, text);
  if (output == "table")
    std::puts(fmt::format("  log       {}\nIt runs in the background; 'kill {}' stops it.", log_file, child).c_str());
  return 0;
}

}  // namespace

void AddUp(Command& root) {
  Command command =
      root.Add("up", "Start the platform: broker, engine, scheduler, console",
               "tailrace up                                   in the foreground, with the project in this directory "
               "if there is one\n"
               "tailrace up examples/clickstream -d            in the background\n"
               "tailrace up --port-kafka 0 --port-http 0 -o json   on free ports, printed as JSON once ready");
  auto options = std::make_shared<UpOptions>();
  command.Value("PROJECT", options->project, "directory with a tailrace.yaml; default: this one, if it is one");
  command.Flag("-d,--detach", options->detach, "run in the background; returns once ready");
  command.Flag("--broker-only", options->broker_only, "the Kafka broker alone");
  command.Value("--profile", options->profile, "which engines to use, as 'profiles:' of tailrace.yaml names them");
  command.OutputOption();
  command.SettingOptions(options->flags);
  command.Action([options](const Invocation& i) -> Result<int> {
    auto [settings, project] = TRY(Prepare(options->project, options->flags));
    if (options->detach) return Detach(*options, i.output, std::move(settings), std::move(project));
    return Serve(*options, i.output, std::move(settings), std::move(project), -1);
  });
}

}  // namespace tailrace::app
