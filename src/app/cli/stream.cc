#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/cli/command.h"
#include "app/cli/output.h"
#include "app/cli/rest.h"
#include "app/cli/run_stream.h"
#include "http/json_writer.h"
#include "sql/planner.h"

namespace tailrace::app {
namespace {

const std::vector<TableColumn> kJobColumns = {{"STREAM", "name"},
                                              {"STATE", "state"},
                                              {"IN", "records_in_per_second", Show::kRate},
                                              {"OUT", "rows_out_per_second", Show::kRate},
                                              {"READ", "records_in", Show::kCount},
                                              {"WRITTEN", "rows_out", Show::kCount},
                                              {"BAD", "bad_records", Show::kCount},
                                              {"LAG", "lag", Show::kCount},
                                              {"P99", "latency.p99_us", Show::kUs},
                                              {"WATERMARK", "watermark_ms", Show::kTime},
                                              {"ERROR", "error"}};

struct StreamOptions {
  std::string file, name;
  bool fresh = false;
};

Result<int> Explain(const Invocation& invocation, const StreamOptions& options) {
  struct stat info {};
  if (!(options.file.ends_with(".sql") &&
        ::stat(options.file.c_str(), &info) == 0)) {  // a job of the platform, or a file of its project
    const std::string text =
        TRY(Rest(PlatformUrl(invocation)).Get("/api/v1/streams/" + PathPart(options.file) + "/plan"));
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  const std::string text = TRY(ReadSqlFile(options.file));
  auto script = std::make_shared<sql::Script>(TRY(sql::ParseScript(options.file, text)));
  std::fputs(sql::Explain(TRY(sql::MakePlan(std::move(script)))).c_str(), stdout);
  return 0;
}

Result<int> Start(const Invocation& invocation, const StreamOptions& options) {
  http::JsonWriter body;
  body.BeginObject();
  struct stat info {};
  const Rest rest(PlatformUrl(invocation));
  // A file here is sent as text where the platform's project does not have it.
  bool sent = false;
  if (options.file.ends_with(".sql") && ::stat(options.file.c_str(), &info) == 0) {
    char here[4096], project[4096];
    const auto status = nlohmann::json::parse(TRY(rest.Get("/api/v1/status")));
    const std::string dir = status.value("project_dir", "");
    const bool inside = ::realpath(options.file.c_str(), here) && !dir.empty() && ::realpath(dir.c_str(), project) &&
                        std::string_view(here).starts_with(std::string(project) + "/");
    if (inside) {
      body.Field("file", std::string(here).substr(std::string(project).size() + 1));
    } else {
      body.Field("sql", TRY(ReadSqlFile(options.file)));
      const size_t slash = options.file.rfind('/');
      const std::string stem = options.file.substr(slash == std::string::npos ? 0 : slash + 1);
      if (options.name.empty()) body.Field("name", stem.substr(0, stem.size() - 4));
    }
    sent = true;
  }
  if (!sent) body.Field("file", options.file);
  if (!options.name.empty()) body.Field("name", options.name);
  body.Field("resume", !options.fresh).EndObject();
  PrintRecords(invocation.output, TRY(rest.Post("/api/v1/streams", body.Take())), kJobColumns, "");
  return 0;
}

}  // namespace

void AddStream(Command& root) {
  Command stream = root.Add("stream", "Streaming SQL: run a file, start and watch jobs");
  AddStreamRun(stream);
  auto add = [&](const char* name, const char* help, const char* example, auto declare, auto act) {
    Command command = stream.Add(name, help, example);
    auto options = std::make_shared<StreamOptions>();
    command.OutputOption();
    command.UrlOption();
    declare(command, *options);
    command.Action([options, act](const Invocation& i) -> Result<int> { return act(i, *options); });
  };
  auto needs_name = [](Command& c, StreamOptions& o) { c.Value("NAME", o.name, "the job's name").Required(); };

  add(
      "start", "Start a job on the running platform",
      "tailrace stream start stream_processor        streams/stream_processor.sql of its project\ntailrace stream "
      "start my.sql --fresh",
      [](Command& c, StreamOptions& o) {
        c.Value("FILE", o.file, "a file of the project's streams/, or any .sql file").Required();
        c.Value("--name", o.name, "default: pipeline.name of the file, else the file's name").Type("NAME");
        c.Flag("--fresh", o.fresh, "from the beginning, not from the last checkpoint");
      },
      Start);
  add("stop", "Take a last checkpoint and stop a job", "tailrace stream stop stream_processor", needs_name,
      [](const Invocation& i, const StreamOptions& o) -> Result<int> {
        PrintRecords(i.output, TRY(Rest(PlatformUrl(i)).Post("/api/v1/streams/" + PathPart(o.name) + "/stop", "")),
                     kJobColumns, "");
        return 0;
      });
  add(
      "list", "Jobs of the running platform", "tailrace stream list", [](Command&, StreamOptions&) {},
      [](const Invocation& i, const StreamOptions&) -> Result<int> {
        PrintRecords(i.output, TRY(Rest(PlatformUrl(i)).Get("/api/v1/streams")), kJobColumns,
                     "no streaming jobs: tailrace stream start NAME");
        return 0;
      });
  add("describe", "Everything about one job", "tailrace stream describe stream_processor", needs_name,
      [](const Invocation& i, const StreamOptions& o) -> Result<int> {
        PrintJson(i.output == "table" ? "yaml" : i.output,
                  TRY(Rest(PlatformUrl(i)).Get("/api/v1/streams/" + PathPart(o.name))));
        return 0;
      });
  add(
      "explain", "The operators a file or a job is made of", "tailrace stream explain streams/stream_processor.sql",
      [](Command& c, StreamOptions& o) {
        c.Value("FILE", o.file, "a .sql file, or the name of a job of the running platform").Required();
      },
      Explain);
}

}  // namespace tailrace::app
