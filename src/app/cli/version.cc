
#include "api/services.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "http/json_writer.h"

namespace tailrace::app {

void AddVersion(Command& root) {
  Command command = root.Add("version", "The version of this program", "tailrace version -o json");
  command.OutputOption();
  command.Action([](const Invocation& i) -> Result<int> {
    http::JsonWriter json;
    json.BeginObject().Field("version", api::kVersion).EndObject();
    if (i.output == "table") std::printf("tailrace %s\n", api::kVersion);
    else PrintJson(i.output, json.Take());
    return 0;
  });
}

}  // namespace tailrace::app
