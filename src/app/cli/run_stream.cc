#include "app/cli/run_stream.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/cli/output.h"
#include "app/cli/start.h"
#include "app/platform.h"
#include "app/stop_signal.h"
#include "base/clock.h"
#include "base/logging.h"
#include "connectors/registry.h"
#include "sql/planner.h"
#include "stream/job_manager.h"

extern char** environ;

namespace tailrace::app {
namespace {

constexpr size_t kSqlBytesMax = 4 << 20;

struct RunOptions {
  std::string file, name;
  bool fresh = false, keep = false;
  double for_s = 0;
  SettingFlags flags;
};

/// Whether a table is on Kafka and says no address: then it means the embedded broker.
bool NeedsBroker(const sql::Script& script) {
  for (const sql::Table& table : script.tables) {
    const std::string connector = table.Get("connector");
    if ((connector == "kafka" || connector == "upsert-kafka") && table.Get("properties.bootstrap.servers").empty())
      return true;
  }
  return false;
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

/// Relative paths of a project's streams/x.sql start at the project, of any other file at its own directory.
std::string BaseDir(const std::string& file) {
  const std::string dir = DirectoryOf(file);
  for (const std::string& candidate : {dir, dir + "/.."})
    if (::access((candidate + "/tailrace.yaml").c_str(), R_OK) == 0) return candidate;
  return dir;
}

/// Where this job keeps its checkpoints when it is not the platform's: a directory that goes away with the process.
class TemporaryDirectory {
 public:
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Result<std::string> Make() {
    const char* base = std::getenv("TMPDIR");
    std::string pattern = std::string(base && *base ? base : "/tmp") + "/tailrace-XXXXXX";
    if (!::mkdtemp(pattern.data())) return IoError("making a directory like " + pattern, errno);
    return path_ = pattern;
  }

 private:
  std::string path_;
};

Result<int> Follow(stream::JobManager& jobs, const std::string& name, const RunOptions& options) {
  const int64_t end =
      options.for_s > 0 ? Clock::System().MonotonicMs() + static_cast<int64_t>(options.for_s * 1000) : INT64_MAX;
  const bool terminal = isatty(STDERR_FILENO);
  bool drawn = false;
  int64_t drawn_at = Clock::System().MonotonicMs();
  while (true) {
    auto ended = jobs.Wait(name, 50);
    if (!ended.ok() && ended.error().code() != ErrorCode::kTimeout) return std::move(ended).error();
    const bool stop = StopSignal::requested() || Clock::System().MonotonicMs() >= end;
    stream::JobInfo job = ended.ok() ? *ended : TRY(jobs.Describe(name));
    if (!ended.ok() && stop) {
      TRY(jobs.Stop(name));
      job = TRY(jobs.Describe(name));
    }
    const bool over = ended.ok() || stop;
    if (terminal && !over && Clock::System().MonotonicMs() - drawn_at >= 1000) {
      std::fprintf(stderr, "\r\033[K%s: %s read, %s written, %s bad, %s/s", name.c_str(),
                   FormatCount(double(job.records_in)).c_str(), FormatCount(double(job.rows_out)).c_str(),
                   FormatCount(double(job.bad_records)).c_str(), FormatCount(job.records_in_per_second).c_str());
      drawn = true;
      drawn_at = Clock::System().MonotonicMs();
    }
    if (!over) continue;
    if (drawn) std::fputs("\r\033[K", stderr);
    std::fflush(stdout);
    std::fprintf(stderr, "%s: %s; %s read, %s written, %s bad, %s late\n", name.c_str(),
                 stream::JobStateName(job.state), FormatCount(double(job.records_in)).c_str(),
                 FormatCount(double(job.rows_out)).c_str(), FormatCount(double(job.bad_records)).c_str(),
                 FormatCount(double(job.late_records)).c_str());
    if (job.state == stream::JobState::kFailed)
      return Error(ErrorCode::kInternal, job.error.empty() ? "the job failed" : job.error);
    return 0;
  }
}

Result<int> Run(const RunOptions& options) {
  const std::string text = TRY(ReadSqlFile(options.file));
  auto script = std::make_shared<sql::Script>(TRY(sql::ParseScript(options.file, text)));
  config::Settings settings;
  TRY(options.flags.Apply(&settings));
  // Log lines of a working job are not what a person who runs one file wants to read.
  if (settings.Origin("log.level") == config::SettingOrigin::kDefault)
    TRY(settings.Set("log.level", "warning", config::SettingOrigin::kDefault));
  const std::string base_dir = BaseDir(options.file);
  stream::JobOptions job;
  job.name = options.name;
  job.base_dir = base_dir;
  job.resume = !options.fresh;

  const bool keep = options.keep || options.flags.given.contains("data.dir");
  if (NeedsBroker(*script)) {
    TRY(ResolveSettings(std::nullopt, &settings));
    SetUpLogging(settings.String("log.level") == "warning" ? LogLevel::kWarning : LogLevel::kInfo,
                 settings.Bool("log.json"));
    for (const char* port : {"port.kafka", "port.http"})
      if (settings.Origin(port) == config::SettingOrigin::kDefault)
        TRY(settings.Set(port, "0", config::SettingOrigin::kFlag));
    PlatformOptions p;
    p.settings = settings;
    auto platform = Platform::Start(std::move(p));
    if (!platform.ok()) {
      if (platform.error().code() != ErrorCode::kConflict) return std::move(platform).error();
      const std::string remedy = platform.error().remedy();
      return std::move(platform).error().Remedy("run the job there with 'tailrace stream start " + options.file +
                                                "', or " + remedy);
    }
    const std::string name = TRY((*platform)->jobs()->Start(options.file, text, job));
    auto result = Follow(*(*platform)->jobs(), name, options);
    (*platform)->Stop();
    return result;
  }

  TRY(ResolveSettings(std::nullopt, &settings));
  SetUpLogging(settings.String("log.level") == "warning" ? LogLevel::kWarning : LogLevel::kInfo,
               settings.Bool("log.json"));
  TemporaryDirectory temporary;
  std::unique_ptr<DataDir> data_dir;
  connectors::Services services;
  stream::JobManagerOptions manager;
  if (keep) {
    data_dir = TRY(DataDir::Open(settings.String("data.dir")));
    services.data_dir = data_dir->path();
  } else {
    services.data_dir = TRY(temporary.Make());
  }
  manager.checkpoint_dir = services.data_dir + "/checkpoints";
  manager.max_restarts = static_cast<int>(settings.Int("stream.max.restarts"));
  auto connectors = connectors::MakeConnectors(services);
  auto jobs = stream::JobManager::Create(manager, *connectors, Clock::System());
  const std::string name = TRY(jobs->Start(options.file, text, job));
  auto result = Follow(*jobs, name, options);
  jobs->Shutdown(2000);
  return result;
}

}  // namespace

Result<std::string> ReadSqlFile(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return NotFound("there is no file " + path).Remedy("name a .sql file");
  if (S_ISDIR(info.st_mode)) return InvalidArgument(path + " is a directory").Remedy("name a .sql file");
  if (static_cast<size_t>(info.st_size) > kSqlBytesMax)
    return Error(ErrorCode::kLimitExceeded, path + " is larger than 4 MB");
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return IoError("reading " + path, errno);
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view variable = *entry;
    const size_t equals = variable.find('=');
    if (equals != std::string_view::npos) variables.emplace(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return sql::SubstituteVariables(path, text.str(), variables);
}

void AddStreamRun(Command& stream) {
  Command command =
      stream.Add("run", "Run a SQL file in this process until it ends or Ctrl-C; no project needed",
                 "tailrace stream run wordcount.sql\ntailrace stream run job.sql --data-dir /var/lib/tailrace      "
                 "with checkpoints that stay");
  auto options = std::make_shared<RunOptions>();
  command.Value("FILE", options->file, "the SQL file; ${NAME} in it is taken from the environment").Required();
  command.Value("--name", options->name, "default: pipeline.name of the file, else the file's name").Type("NAME");
  command.Value("--for", options->for_s, "stop after this many seconds").Type("SECONDS");
  command.Flag("--keep", options->keep, "keep checkpoints in the data directory, and go on from them the next time");
  command.Flag("--fresh", options->fresh, "from the beginning, not from the last checkpoint");
  command.SettingOptions(options->flags);
  command.Action([options](const Invocation&) { return Run(*options); });
}

}  // namespace tailrace::app
