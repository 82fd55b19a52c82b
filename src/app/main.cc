#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "api/services.h"
#include "app/cli/command.h"
#include "app/stop_signal.h"
#include "config/suggest.h"

namespace {

void PrintError(const tailrace::Error& error) {
  std::string where;
  if (error.where()) {
    where = error.where()->file;
    if (error.where()->line > 0) where += ":" + std::to_string(error.where()->line);
    if (error.where()->column > 0) where += ":" + std::to_string(error.where()->column);
    where += ": ";
  }
  std::fflush(stdout);
  std::fprintf(stderr, "tailrace: %s%s\n", where.c_str(), error.message().c_str());
  if (!error.remedy().empty()) std::fprintf(stderr, "  what to do: %s\n", error.remedy().c_str());
}

/// Says what is wrong with the names on the command line, where they are; the parser alone would only say that a
/// subcommand is missing. True: said.
bool ExplainNames(CLI::App& root, int argc, char** argv) {
  CLI::App* command = &root;
  std::string path = "tailrace";
  int at = 1;
  for (; at < argc && argv[at][0] != '-'; ++at) {
    std::vector<std::string> names;
    CLI::App* next = nullptr;
    for (CLI::App* sub : command->get_subcommands([](CLI::App*) { return true; })) {
      names.push_back(sub->get_name());
      if (sub->get_name() == argv[at]) next = sub;
    }
    if (names.empty()) break;  // what follows are the command's own arguments
    if (!next) {
      std::fprintf(stderr, "tailrace: there is no command '%s %s'\n  what to do: %s\n", path.c_str(), argv[at],
                   tailrace::config::SuggestRemedy(argv[at], names).c_str());
      return true;
    }
    command = next;
    path += " " + next->get_name();
  }
  std::vector<std::string> names, options;
  for (CLI::App* sub : command->get_subcommands([](CLI::App*) { return true; })) names.push_back(sub->get_name());
  if (!names.empty() && at >= argc) {
    std::fprintf(stderr, "tailrace: '%s' needs a command\n  what to do: %s; '%s --help' says more\n", path.c_str(),
                 tailrace::config::SuggestRemedy("", names).c_str(), path.c_str());
    return true;
  }
  for (const CLI::Option* option : command->get_options())
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  for (; at < argc; ++at) {
    std::string name = argv[at];
    name = name.substr(0, name.find('='));
    if (name == "--") return false;
    if (!name.starts_with("--") || std::find(options.begin(), options.end(), name) != options.end()) continue;
    const std::string nearest = tailrace::config::Nearest(name, options);
    std::fprintf(stderr, "tailrace: '%s' has no option %s\n  what to do: %s\n", path.c_str(), name.c_str(),
                 nearest.empty() ? ("see '" + path + " --help'").c_str() : ("did you mean '" + nearest + "'?").c_str());
    return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tailrace;
  CLI::App root("tailrace: Kafka, streaming SQL, workflows, serving and monitoring in one program");
  root.name("tailrace");
  root.require_subcommand(1);
  root.set_version_flag("--version", std::string("tailrace ") + api::kVersion);
  root.footer(
      "Begin:\n  tailrace init my-project && tailrace run my-project\n\nEvery command has --help with an example. Exit "
      "status: 0 done, 1 failed, 2 wrong command line.");
  app::Invocation invocation;
  app::AddAllCommands(root, invocation);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return root.exit(e);  // --help, --version
    if (!ExplainNames(root, argc, argv)) root.exit(e);
    return 2;
  }
  app::StopSignal::Install();
  try {
    auto status = invocation.run();
    if (status.ok()) return *status;
    PrintError(status.error());
    return 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "tailrace: unexpected: %s\n  what to do: please report this with the command you ran\n",
                 e.what());
    return 1;
  }
}
