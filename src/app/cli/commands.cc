#include <CLI/CLI.hpp>

#include "app/cli/command.h"
#include "app/data_dir.h"

namespace tailrace::app {

// The one list, in the order --help shows.
void AddAllCommands(CLI::App& root, Invocation& invocation) {
  AddUp(root, invocation);
  AddRun(root, invocation);
  AddInit(root, invocation);
  AddProjectCommands(root, invocation);
  AddStream(root, invocation);
  AddDag(root, invocation);
  AddTask(root, invocation);
  AddSql(root, invocation);
  AddTopic(root, invocation);
  AddGroup(root, invocation);
  AddStatus(root, invocation);
  AddDoctor(root, invocation);
  AddBench(root, invocation);
  AddVersion(root, invocation);
}

CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& help, const std::string& example) {
  CLI::App* command = parent.add_subcommand(name, help);
  std::string footer;
  for (size_t start = 0; start < example.size();) {
    const size_t end = std::min(example.size(), example.find('\n', start));
    footer += (footer.empty() ? "" : "\n") + ("  " + example.substr(start, end - start));
    start = end + 1;
  }
  if (!footer.empty()) command->footer("Example:\n" + footer);
  return command;
}

void AddOutputOption(CLI::App& command, Invocation& invocation) {
  command.add_option("-o,--output", invocation.output, "table, json or yaml")
      ->check(CLI::IsMember({"table", "json", "yaml"}))
      ->type_name("FORMAT");
}
void AddUrlOption(CLI::App& command, Invocation& invocation) {
  command
      .add_option("--url", invocation.url,
                  "address of the platform; default: TAILRACE_URL, then the one running in this directory, then "
                  "http://127.0.0.1:8080")
      ->type_name("URL");
}
void AddBootstrapOption(CLI::App& command, Invocation& invocation) {
  command
      .add_option(
          "--bootstrap", invocation.bootstrap,
          "Kafka to talk to; default: TAILRACE_KAFKA, then the platform running in this directory, then 127.0.0.1:9092")
      ->type_name("HOST:PORT");
}

void AddSettingOptions(CLI::App& command, SettingFlags& flags) {
  for (const config::Setting& setting : config::AllSettings()) {
    const std::string name = setting.name;
    const bool common = name == "data.dir" || name.starts_with("port.") || name == "bind.address";
    std::string help = setting.doc;
    if (setting.type == config::SettingType::kChoice) help += " (" + std::string(setting.choices) + ")";
    if (*setting.otherwise) help += " [" + std::string(setting.otherwise) + "]";
    CLI::Option* option = command.add_option(
        config::FlagName(setting),
        [&flags, name](const CLI::results_t& values) {
          flags.given[name] = values.back();
          return true;
        },
        help);
    option->type_name(config::SettingTypeName(setting.type))
        ->group(common ? "Options" : "Settings (also under 'settings:' in tailrace.yaml)");
  }
}

Status SettingFlags::Apply(config::Settings* settings) const {
  for (const auto& [name, text] : given)
    if (auto status = settings->Set(name, text, config::SettingOrigin::kFlag); !status.ok())
      return std::move(status).error().Context(config::FlagName(*config::FindSetting(name)));
  return Ok();
}

std::string PlatformUrl(const Invocation& invocation) {
  std::string url = invocation.url;
  if (url.empty())
    if (const char* env = std::getenv("TAILRACE_URL")) url = env;
  if (url.empty())
    if (auto running = FindRunning(".tailrace")) url = running->http;
  if (url.empty()) url = "http://127.0.0.1:8080";
  while (url.ends_with('/')) url.pop_back();
  return url;
}

std::string KafkaBootstrap(const Invocation& invocation) {
  if (!invocation.bootstrap.empty()) return invocation.bootstrap;
  if (const char* env = std::getenv("TAILRACE_KAFKA"); env && *env) return env;
  if (auto running = FindRunning(".tailrace"); running && !running->kafka.empty()) return running->kafka;
  return "127.0.0.1:9092";
}

}  // namespace tailrace::app
