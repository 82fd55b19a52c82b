#pragma once

#include <string>

#include "app/cli/command.h"

namespace tailrace::app {

/// The file's text with ${NAME} replaced from the environment. Errors have their place.
Result<std::string> ReadSqlFile(const std::string& path);
void AddStreamRun(Command& stream);

}  // namespace tailrace::app
