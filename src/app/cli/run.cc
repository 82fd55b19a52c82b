#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "api/services.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "app/cli/progress.h"
#include "app/cli/start.h"
#include "app/platform.h"
#include "app/stop_signal.h"
#include "base/clock.h"
#include "base/logging.h"
#include "connectors/duckdb/store.h"
#include "io/file.h"
#include "workflow/model/value.h"
#include "workflow/scheduler.h"

namespace tailrace::app {
namespace {

constexpr int64_t kStopMs = 4'500;  // SIGTERM promises 5 s

constexpr int64_t kFinishMs = 10'000;  // what --for adds for DAG runs that are about to end

constexpr int64_t kIdleMs = 3'000;  // nothing moved for so long: the project is idle

struct RunOptions {
  std::string project = ".", profile, duration;
  bool until_idle = false;
  SettingFlags flags;
};

/// Log lines go to the data directory's file: on the terminal they would tear the live picture.
Status LogToFile(const std::string& data_dir) {
  TRY(io::MakeDirectories(data_dir));
  const std::string file = data_dir + "/tailrace.log";
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return IoError("opening " + file, errno);
  ::dup2(fd, STDERR_FILENO);
  ::close(fd);
  return Ok();
}

void ShowRows(const Platform& platform, const config::ShowConfig& show) {
  const auto& stores = platform.services().stores;
  std::string path;
  for (const api::Store& store : stores)
    if (show.store == store.name || (show.store.empty() && stores.size() == 1)) path = store.path;
  if (!show.title.empty()) std::printf("\n%s\n", show.title.c_str());
  auto result = [&]() -> Result<connectors::QueryResult> {
    auto store = TRY(connectors::Store::Open(path.empty() ? ":memory:" : path));
    connectors::QueryOptions options;
    options.row_limit = 50;
    return store->Query(show.sql, options);
  }();
  if (!result.ok()) return void(std::printf("  %s\n", result.error().ToString().c_str()));
  std::vector<std::string> names;
  for (const auto& column : result->columns) names.push_back(column.name);
  TextTable table(names);
  for (const auto& row : result->rows) {
    std::vector<std::string> cells;
    for (const auto& value : row) {
      std::string text = value.value_or("NULL");
      for (char& c : text)
        if (c == '\n') c = ' ';
      cells.push_back(CutText(text, 60));
    }
    table.Row(std::move(cells));
  }
  std::fputs(table.ToString(isatty(STDOUT_FILENO) ? TerminalWidth() : 0).c_str(), stdout);
}

/// Whether all that was triggered has ended, and whether it succeeded.
struct RunsState {
  bool any = false, active = false, failed = false;
};
RunsState LookAtRuns(Platform& platform, int64_t since_ms) {
  RunsState out;
  if (!platform.scheduler()) return out;
  auto runs = platform.scheduler()->Runs("", 50);
  if (!runs.ok()) return out;
  for (const auto& run : *runs) {
    const bool over = run.state == "success" || run.state == "failed";
    if (over && run.queued_at_ms.value_or(run.start_date_ms.value_or(0)) < since_ms) continue;  // of an earlier start
    out.any = true;
    out.active |= !over;
    out.failed |= run.state == "failed";
  }
  return out;
}

/// The project's conf. A DAG that has to end in time finds how long the run lasts: `run_for`, seconds.
Result<std::string> Conf(const config::RunConfig& run, int64_t for_ms) {
  workflow::Value conf = TRY(workflow::ParseJson(run.conf_json));
  if (for_ms > 0) conf.MutableMap().Set("run_for", for_ms / 1000);
  return workflow::ToJson(conf);
}

Result<int> Run(const RunOptions& options) {
  int64_t for_ms = 0;
  if (!options.duration.empty() && (!ParseDurationMs(options.duration, &for_ms) || for_ms <= 0))
    return InvalidArgument("'" + options.duration + "' is not possible for --for")
        .Remedy("use a duration such as 60s or 5m");
  auto [settings, project] = TRY(Prepare(options.project, options.flags));
  TRY(LogToFile(settings.String("data.dir")));
  PlatformOptions p;
  p.settings = settings;
  p.project = project;
  p.profile = options.profile;
  // The error of a failed start must reach the terminal: stderr is the log file by now.
  auto started = Platform::Start(std::move(p));
  if (!started.ok()) return std::move(started).error();
  Platform& platform = **started;
  const int64_t ready_ms = MsSinceProcessStart(), begun_ms = Clock::System().NowMs();
  LogInfo("platform", fmt::format("ready in {} ms", ready_ms));
  std::printf("%s: ready in %lld ms   console %s   Kafka %s\n", project->name.c_str(), static_cast<long long>(ready_ms),
              platform.endpoint().http.c_str(), platform.endpoint().kafka.c_str());
  for (const Applied& a : platform.Apply(*project))
    if (a.failed || a.result == "created" || a.result == "started")
      std::printf("  %s %s: %s\n", a.kind.c_str(), a.name.c_str(), a.result.c_str());
  std::string run_id;
  if (!project->run.trigger.empty()) {
    const auto run =
        TRY(platform.scheduler()->Trigger(project->run.trigger, TRY(Conf(project->run, for_ms)), "", std::nullopt));
    run_id = run.run_id;
    std::printf("  dag %s: triggered %s\n", run.dag_id.c_str(), run.run_id.c_str());
  }
  std::printf("%s\n\n", for_ms ? ("runs for " + FormatMs(double(for_ms)) + "; Ctrl-C stops it earlier").c_str()
                        : options.until_idle ? "runs until nothing moves any more; Ctrl-C stops it earlier"
                                             : "Ctrl-C stops it");
  std::fflush(stdout);

  Progress progress(platform, isatty(STDOUT_FILENO) && ColoursWanted());
  const int64_t start = Clock::System().MonotonicMs();
  int64_t quiet_since = start;
  uint64_t moved = 0;
  while (!StopSignal::Wait(500)) {
    progress.Draw();
    const int64_t now = Clock::System().MonotonicMs();
    const bool active = LookAtRuns(platform, begun_ms).active;
    if (for_ms && now - start >= for_ms + (active ? kFinishMs : 0)) break;
    const uint64_t moved_now = progress.EventsMoved();
    if (moved_now != moved || active) quiet_since = now;
    moved = moved_now;
    if (options.until_idle && now - quiet_since >= kIdleMs) break;
  }
  progress.Finish();

  const RunsState runs = LookAtRuns(platform, begun_ms);
  for (const config::ShowConfig& show : project->run.show) ShowRows(platform, show);
  if (!project->run.report.empty()) {
    const std::string path =
        project->run.report.starts_with('/') ? project->run.report : project->dir + "/" + project->run.report;
    std::printf("\nreport: %s%s\n", path.c_str(),
                ::access(path.c_str(), R_OK) == 0 ? "" : "  (not written: see the DAG's state above)");
  }
  std::printf("log:    %s/tailrace.log\n", platform.endpoint().data_dir.c_str());
  if (runs.failed)
    std::printf("a DAG run failed: see the tasks above and 'tailrace up %s' with its console\n",
                options.project.c_str());
  std::fflush(stdout);
  const int64_t stopping = Clock::System().MonotonicMs();
  StopWithin(platform, kStopMs);
  LogInfo("platform", fmt::format("stopped in {} ms", Clock::System().MonotonicMs() - stopping));
  std::printf("stopped cleanly\n");
  return runs.failed ? 1 : 0;
}

}  // namespace

void AddRun(Command& root) {
  Command command = root.Add("run", "Start the platform with a project, run it, show what happens",
                             "tailrace run examples/clickstream\ntailrace run examples/clickstream --for 60s");
  auto options = std::make_shared<RunOptions>();
  command.Value("PROJECT", options->project, "directory with a tailrace.yaml; default: this one");
  command
      .Value("--for", options->duration,
             "stop after this long; DAGs read it as params.run_for, in seconds, and get 10 s more to end")
      .Type("DURATION");
  command.Flag("--until-idle", options->until_idle, "stop once no DAG runs and no event moves");
  command.Value("--profile", options->profile, "which engines to use, as 'profiles:' of tailrace.yaml names them");
  command.SettingOptions(options->flags);
  command.Action([options](const Invocation&) {
    const int terminal = ::dup(STDERR_FILENO);
    auto result = Run(*options);
    ::dup2(terminal, STDERR_FILENO);  // an error is for the person, not for the log file
    ::close(terminal);
    return result;
  });
}

}  // namespace tailrace::app
