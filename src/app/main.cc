#include <cstdio>
#include <exception>
#include <optional>
#include <string>

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
  app::Invocation invocation;
  if (std::optional<int> ended = app::ParseCommandLine(argc, argv, &invocation)) return *ended;
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
