#include "app/cli/start.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include "app/platform.h"
#include "base/logging.h"

namespace tailrace::app {

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
  // Field 22 of /proc/self/stat, in clock ticks since boot; the fields after the command begin with the 3rd.
  std::ifstream stat("/proc/self/stat");
  std::string line;
  std::getline(stat, line);
  const size_t close = line.rfind(')');
  if (close == std::string::npos) return 0;
  std::istringstream rest(line.substr(close + 1));
  std::string field;
  for (int n = 3; n <= 22; ++n) rest >> field;
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return static_cast<int64_t>(static_cast<double>(now.tv_sec) * 1000 + static_cast<double>(now.tv_nsec) / 1e6 -
                              std::stod(field) / ticks * 1000);
}

}  // namespace tailrace::app
