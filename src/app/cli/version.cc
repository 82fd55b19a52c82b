#include <CLI/CLI.hpp>

#include "api/services.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "http/json_writer.h"

namespace tailrace::app {

void AddVersion(CLI::App& root, Invocation& invocation) {
  CLI::App* command = AddCommand(root, "version", "The version of this program", "tailrace version -o json");
  AddOutputOption(*command, invocation);
  command->callback([&invocation] {
    invocation.run = [&invocation]() -> Result<int> {
      http::JsonWriter json;
      json.BeginObject().Field("version", api::kVersion).EndObject();
      if (invocation.output == "table") std::printf("tailrace %s\n", api::kVersion);
      else PrintJson(invocation.output, json.Take());
      return 0;
    };
  });
}

}  // namespace tailrace::app
