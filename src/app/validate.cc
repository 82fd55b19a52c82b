#include "app/validate.h"

#include <algorithm>
#include <map>
#include <memory>

#include "base/clock.h"
#include "config/project.h"
#include "config/suggest.h"
#include "connectors/generator/generator_spec.h"
#include "connectors/registry.h"
#include "io/file.h"
#include "sql/planner.h"
#include "workflow/dag_yaml/loader.h"

extern char** environ;

namespace tailrace::app {
namespace {

constexpr size_t kFileBytesMax = 4 << 20;

std::vector<std::string> FilesIn(const std::string& dir, const std::vector<std::string>& suffixes) {
  std::vector<std::string> out;
  auto names = io::ListDirectory(dir);
  if (!names.ok()) return out;
  for (const std::string& name : *names)
    if (std::any_of(suffixes.begin(), suffixes.end(),
                    [&](const auto& s) { return name.ends_with(s) && !name.starts_with('.'); }))
      out.push_back(name);
  std::sort(out.begin(), out.end());
  return out;
}

Status CheckStream(const std::string& file, const config::Project& project,
                   const stream::ConnectorFactory& connectors) {
  std::map<std::string, std::string> variables = project.variables;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    if (const size_t equals = text.find('='); equals != std::string_view::npos)
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  variables.emplace("TAILRACE_KAFKA", "127.0.0.1:9092");
  const std::string text = TRY(sql::SubstituteVariables(file, TRY(io::ReadFile(file, kFileBytesMax)), variables));
  auto script = std::make_shared<sql::Script>(TRY(sql::ParseScript(file, text)));
  for (const sql::Table& table : script->tables) TRY(connectors.Validate(table));
  TRY(sql::MakePlan(std::move(script)));
  return Ok();
}

Status CheckGenerator(const std::string& file) {
  TRY(connectors::ParseGenerator(file, TRY(io::ReadFile(file, kFileBytesMax)), {}));
  return Ok();
}

}  // namespace

Result<std::vector<FileCheck>> ValidateProject(const std::string& dir) {
  std::vector<FileCheck> out(1);
  const config::Project project = TRY(config::LoadProject(dir, &out[0].problems));
  out[0].kind = "project";
  out[0].file = project.file;
  const std::string base = project.file.substr(0, project.file.size() - std::string("tailrace.yaml").size());

  auto add = [&](const char* kind, const std::string& file, Status status) {
    FileCheck check{kind, file, {}};
    if (!status.ok()) check.problems.push_back(std::move(status).error());
    out.push_back(std::move(check));
  };
  auto connectors = connectors::MakeConnectors({});
  std::vector<std::string> streams, dags;
  for (const std::string& name : FilesIn(base + "streams", {".sql"})) {
    streams.push_back(name.substr(0, name.size() - 4));
    add("stream", base + "streams/" + name, CheckStream(base + "streams/" + name, project, *connectors));
  }
  workflow::LoadOptions load;
  for (const auto& pool : project.pools) load.pools[pool.name] = pool.slots;
  for (const std::string& name : FilesIn(base + "dags", {".yaml", ".yml"})) {
    auto dag = workflow::LoadDagFile(base + "dags/" + name, load);
    if (dag.ok()) dags.push_back((*dag)->dag_id);
    add("dag", base + "dags/" + name, dag.ok() ? Ok() : Status(std::move(dag).error()));
  }
  for (const std::string& name : FilesIn(base + project.generators_dir, {".yaml", ".yml"}))
    add("generator", base + project.generators_dir + "/" + name,
        CheckGenerator(base + project.generators_dir + "/" + name));

  for (const std::string& name : project.autostart)
    if (std::find(streams.begin(), streams.end(), name) == streams.end())
      out[0].problems.push_back(NotFound("autostart names the stream '" + name + "', which is not in streams/")
                                    .Remedy(config::SuggestRemedy(name, streams))
                                    .At(project.file, 0, 0));
  if (!project.run.trigger.empty() && std::find(dags.begin(), dags.end(), project.run.trigger) == dags.end())
    out[0].problems.push_back(NotFound("run triggers the DAG '" + project.run.trigger + "', which is not in dags/")
                                  .Remedy(config::SuggestRemedy(project.run.trigger, dags))
                                  .At(project.file, 0, 0));
  return out;
}

}  // namespace tailrace::app
