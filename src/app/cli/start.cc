#include "app/cli/start.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "app/platform.h"
#include "base/logging.h"

namespace tailrace::app {
namespace {
// Not the kernel's start time of the process: a shell that exec'ed us may be minutes old.
const std::chrono::steady_clock::time_point kProcessStart = std::chrono::steady_clock::now();
}  // namespace

Result<std::pair<config::Settings, std::optional<config::Project>>> Prepare(const std::string& dir,
                                                                            const SettingFlags& flags) {
  config::Settings settings;
  TRY(flags.Apply(&settings));
  std::optional<config::Project> project;
  if (!dir.empty() || ::access("tailrace.yaml", R_OK) == 0) {
    std::vector<Error> problems;
    project = TRY(config::LoadProject(dir.empty() ? "." : dir, &problems));
    if (!problems.empty()) {
      Error first = std::move(problems.front());
      if (problems.size() == 1) return first;
      std::string remedy = first.remedy();
      remedy += (remedy.empty() ? "" : "; ") + std::string("'tailrace validate ") + (dir.empty() ? "." : dir) +
                "' shows the other " + std::to_string(problems.size() - 1);
      return std::move(first).Remedy(remedy);
    }
  }
  TRY(ResolveSettings(project, &settings));
  const std::string& level = settings.String("log.level");
  SetUpLogging(level == "debug"     ? LogLevel::kDebug
               : level == "warning" ? LogLevel::kWarning
               : level == "error"   ? LogLevel::kError
                                    : LogLevel::kInfo,
               settings.Bool("log.json"));
  return std::make_pair(std::move(settings), std::move(project));
}

void StopWithin(Platform& platform, int64_t deadline_ms) {
  std::thread([deadline_ms] {
    std::this_thread::sleep_for(std::chrono::milliseconds(deadline_ms));
    LogWarning("platform", "something still runs after " + std::to_string(deadline_ms) + " ms: ending without it");
    std::fflush(stdout);
    ::_exit(0);
  }).detach();
  platform.Stop();
}

int64_t MsSinceProcessStart() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - kProcessStart)
      .count();
}

}  // namespace tailrace::app
