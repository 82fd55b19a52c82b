#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "api/services.h"
#include "app/cli/command.h"
#include "app/stop_signal.h"

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
  } catch (const CLI::ParseError& e) { return root.exit(e) == 0 ? 0 : 2; }
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
