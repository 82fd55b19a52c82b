#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/output.h"
#include "app/cli/rest.h"
#include "app/data_dir.h"
#include "app/validate.h"
#include "config/project.h"
#include "http/json_writer.h"

namespace tailrace::app {
namespace {

struct ProjectOptions {
  std::string dir = ".";
};

Result<int> Validate(const Invocation& i, const ProjectOptions& o) {
  const auto checks = TRY(ValidateProject(o.dir));
  size_t problems = 0;
  http::JsonWriter json;
  json.BeginArray();
  for (const FileCheck& check : checks) {
    problems += check.problems.size();
    json.BeginObject()
        .Field("kind", check.kind)
        .Field("file", check.file)
        .Field("status", check.problems.empty() ? "ok" : "wrong")
        .Key("problems")
        .BeginArray();
    for (const Error& e : check.problems) {
      json.BeginObject().Field("message", e.message()).Field("remedy", e.remedy());
      if (e.where())
        json.Field("file", e.where()->file).Field("line", e.where()->line).Field("column", e.where()->column);
      json.EndObject();
    }
    json.EndArray().EndObject();
  }
  json.EndArray();
  if (i.output != "table") {
    PrintJson(i.output, json.Take());
    return problems ? 1 : 0;
  }
  for (const FileCheck& check : checks) {
    std::printf("%s %-9s %s\n", check.problems.empty() ? "✔" : "✖", check.kind.c_str(), check.file.c_str());
    for (const Error& e : check.problems) {
      std::string where;
      if (e.where() && e.where()->line > 0)
        where =
            e.where()->file + ":" + std::to_string(e.where()->line) + ":" + std::to_string(e.where()->column) + ": ";
      std::printf("    %s%s\n", where.c_str(), e.message().c_str());
      if (!e.remedy().empty()) std::printf("      what to do: %s\n", e.remedy().c_str());
    }
  }
  if (problems) std::printf("%zu problems\n", problems);
  return problems ? 1 : 0;
}

/// The platform that runs this project, if one does.
std::string UrlOf(const Invocation& i, const std::string& dir) {
  if (!i.url.empty()) return PlatformUrl(i);
  if (auto running = FindRunning(dir + "/.tailrace")) return running->http;
  return PlatformUrl(i);
}

Result<int> Plan(const Invocation& i, const ProjectOptions& o) {
  const config::Project project = TRY(config::LoadProject(o.dir));
  const Rest rest(UrlOf(i, project.dir));
  std::map<std::string, int> topics;
  bool running = false;
  if (auto text = rest.Get("/api/v1/topics"); text.ok()) {
    running = true;
    for (const auto& topic : nlohmann::json::parse(*text))
      topics[topic.value("name", "")] = topic.value("partitions", 0);
  } else if (text.error().code() != ErrorCode::kUnavailable) {
    return std::move(text).error();
  }
  http::JsonWriter json;
  json.BeginArray();
  auto add = [&](const char* kind, const std::string& name, const std::string& action) {
    json.BeginObject().Field("kind", kind).Field("name", name).Field("action", action).EndObject();
  };
  for (const auto& topic : project.topics) {
    auto there = topics.find(topic.name);
    if (there == topics.end())
      add("topic", topic.name, "create with " + std::to_string(topic.partitions) + " partitions");
    else if (there->second != topic.partitions)
      add("topic", topic.name,
          "stays at " + std::to_string(there->second) + " partitions, the project says " +
              std::to_string(topic.partitions));
    else add("topic", topic.name, "nothing to do");
  }
  for (const auto& pool : project.pools) add("pool", pool.name, "set to " + std::to_string(pool.slots) + " slots");
  for (const auto& store : project.stores) add("store", store.name, "open " + store.path);
  for (const FileCheck& check : TRY(ValidateProject(o.dir))) {
    if (check.kind == "dag")
      add("dag", check.file, check.problems.empty() ? "load" : "does not load: " + check.problems[0].ToString());
    if (check.kind == "stream") {
      const std::string stem = check.file.substr(check.file.rfind('/') + 1);
      const bool starts = std::find(project.autostart.begin(), project.autostart.end(),
                                    stem.substr(0, stem.size() - 4)) != project.autostart.end();
      add("stream", check.file,
          !check.problems.empty() ? "does not plan: " + check.problems[0].ToString()
          : starts                ? "start"
                                  : "ready to be started");
    }
  }
  json.EndArray();
  PrintRecords(i.output, json.Take(), {{"KIND", "kind"}, {"NAME", "name"}, {"ACTION", "action"}},
               "the project holds nothing yet");
  if (i.output == "table")
    std::printf("\n%s\n", running
                              ? ("compared with the platform at " + rest.url() + "; 'tailrace apply' does it").c_str()
                              : "no platform runs: 'tailrace up' does all of it");
  return 0;
}

Result<int> ApplyProject(const Invocation& i, const ProjectOptions& o) {
  const config::Project project = TRY(config::LoadProject(o.dir));
  const Rest rest(UrlOf(i, project.dir));
  auto status = rest.Get("/api/v1/status");
  if (!status.ok()) {
    if (status.error().code() != ErrorCode::kUnavailable) return std::move(status).error();
    return Error(ErrorCode::kUnavailable, status.error().message())
        .Remedy("'tailrace up " + o.dir + "' starts one and applies the project");
  }
  const std::string runs = nlohmann::json::parse(*status).value("project_dir", "");
  if (runs != project.dir)
    return Error(ErrorCode::kConflict,
                 "the platform at " + rest.url() + (runs.empty() ? " runs no project" : " runs the project " + runs))
        .Remedy("start this one with 'tailrace up " + o.dir + "'");
  const auto applied = nlohmann::json::parse(TRY(rest.Post("/api/v1/apply", "")));
  PrintRecords(i.output, applied["applied"].dump(), {{"KIND", "kind"}, {"NAME", "name"}, {"RESULT", "result"}},
               "the project holds nothing yet");
  for (const auto& item : applied["applied"])
    if (item.value("failed", false)) return 1;
  return 0;
}

}  // namespace

void AddProjectCommands(Command& root) {
  auto add = [&](const char* name, const char* help, const char* example, bool url, auto act) {
    Command command = root.Add(name, help, example);
    auto options = std::make_shared<ProjectOptions>();
    command.Value("PROJECT", options->dir, "directory with a tailrace.yaml; default: this one");
    command.OutputOption();
    if (url) command.UrlOption();
    command.Action([options, act](const Invocation& i) -> Result<int> { return act(i, *options); });
  };
  add("validate", "Check every file of a project without starting anything", "tailrace validate examples/clickstream",
      false, Validate);
  add("plan", "What apply would do", "tailrace plan", true, Plan);
  add("apply", "Bring the running platform up to date with its project's files", "tailrace apply", true, ApplyProject);
}

}  // namespace tailrace::app
