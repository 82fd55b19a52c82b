#pragma once
// What every command is made of. One file a command beside this; the list of them is in commands.cc.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace tailrace::app {

/// Filled by the command line's parser. The chosen command sets `run`, which main calls: 0 = done, 1 = failed, 2 = the
/// command line is wrong.
struct Invocation {
  std::string output = "table";
  std::string url, bootstrap;
  std::function<Result<int>()> run;
};

/// Flags for every setting, from the one table.
struct SettingFlags {
  std::map<std::string, std::string> given;
  Status Apply(config::Settings* settings) const;
};

/// What else is to say of an option.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option& Required();
  Option& Type(const char* name);  // as help calls its value: "SECONDS"
  Option& Between(int64_t least, int64_t most);
  Option& OneOf(const std::vector<std::string>& values);

 private:
  CLI::Option* option_;
};

/// A command, or a group of them, while the command line is being declared.
class Command {
 public:
  Command(CLI::App* app, Invocation* invocation) : app_(app), invocation_(invocation) {}
  /// A command of this group. `example` is printed under its options, one command a line.
  Command Add(const char* name, const char* help, const std::string& example = "");
  /// `names`: "-f,--file", or "FILE" for what stands by its place. `value` holds the default; it is written before
  /// Action's function is called. Lists: the option may be given again.
  Option Value(const char* names, std::string& value, const std::string& help);
  Option Value(const char* names, int& value, const std::string& help);
  Option Value(const char* names, int64_t& value, const std::string& help);
  Option Value(const char* names, double& value, const std::string& help);
  Option Value(const char* names, std::vector<std::string>& value, const std::string& help);
  void Flag(const char* names, bool& value, const std::string& help);
  // -o, --url, --bootstrap, and a flag for every setting
  void OutputOption();
  void UrlOption();
  void BootstrapOption();
  void SettingOptions(SettingFlags& flags);
  void Action(std::function<Result<int>(const Invocation&)> action);

 private:
  CLI::App* app_;
  Invocation* invocation_;
};

/// Parses. A value: it has ended here (--help: 0, a wrong command line: 2), and what there is to say has been said.
std::optional<int> ParseCommandLine(int argc, char** argv, Invocation* invocation);

/// Of the platform: --url, TAILRACE_URL, the one running on ./.tailrace, http://127.0.0.1:8080.
std::string PlatformUrl(const Invocation& invocation);
/// Of Kafka: --bootstrap, TAILRACE_KAFKA, the platform running on ./.tailrace, 127.0.0.1:9092.
std::string KafkaBootstrap(const Invocation& invocation);

// commands.cc: all of these, which are one a file.
void AddAllCommands(Command& root);
void AddUp(Command& root);
void AddRun(Command& root);
void AddInit(Command& root);
void AddProjectCommands(Command& root);  // validate, plan, apply
void AddTopic(Command& root);
void AddGroup(Command& root);
void AddSql(Command& root);
void AddStream(Command& root);
void AddDag(Command& root);
void AddTask(Command& root);
void AddStatus(Command& root);
void AddDoctor(Command& root);
void AddBench(Command& root);
void AddVersion(Command& root);

}  // namespace tailrace::app
