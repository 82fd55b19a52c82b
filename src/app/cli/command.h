#pragma once
// What every command is made of. One file a command beside this; the list of them is in commands.cc.

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/result.h"
#include "config/settings.h"

namespace CLI {
class App;
}

namespace tailrace::app {

/// Filled by the command line's parser. The chosen command sets `run`, which main calls: 0 = done, 1 = failed, 2 = the
/// command line is wrong.
struct Invocation {
  std::string output = "table";
  std::string url, bootstrap;
  std::function<Result<int>()> run;
};

/// A subcommand with its help and an example. `example` is printed under the options, one command a line.
CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& help, const std::string& example);
void AddOutputOption(CLI::App& command, Invocation& invocation);
void AddUrlOption(CLI::App& command, Invocation& invocation);
void AddBootstrapOption(CLI::App& command, Invocation& invocation);

/// Flags for every setting, from the one table.
struct SettingFlags {
  std::map<std::string, std::string> given;
  Status Apply(config::Settings* settings) const;
};
void AddSettingOptions(CLI::App& command, SettingFlags& flags);

/// Of the platform: --url, TAILRACE_URL, the one running on ./.tailrace, http://127.0.0.1:8080.
std::string PlatformUrl(const Invocation& invocation);
/// Of Kafka: --bootstrap, TAILRACE_KAFKA, the platform running on ./.tailrace, 127.0.0.1:9092.
std::string KafkaBootstrap(const Invocation& invocation);

// commands.cc
void AddAllCommands(CLI::App& root, Invocation& invocation);
// One a file.
void AddUp(CLI::App& root, Invocation& invocation);
void AddRun(CLI::App& root, Invocation& invocation);
void AddInit(CLI::App& root, Invocation& invocation);
void AddProjectCommands(CLI::App& root, Invocation& invocation);  // validate, plan, apply
void AddTopic(CLI::App& root, Invocation& invocation);
void AddGroup(CLI::App& root, Invocation& invocation);
void AddSql(CLI::App& root, Invocation& invocation);
void AddStream(CLI::App& root, Invocation& invocation);
void AddDag(CLI::App& root, Invocation& invocation);
void AddTask(CLI::App& root, Invocation& invocation);
void AddStatus(CLI::App& root, Invocation& invocation);
void AddDoctor(CLI::App& root, Invocation& invocation);
void AddBench(CLI::App& root, Invocation& invocation);
void AddVersion(CLI::App& root, Invocation& invocation);

}  // namespace tailrace::app
