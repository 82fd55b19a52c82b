#pragma once
// What commands that start something in this process share.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "app/cli/command.h"
#include "config/project.h"
#include "config/settings.h"

namespace tailrace::app {

class Platform;

/// Settings and project for a start: `dir` as named, or "" for this directory where it has a tailrace.yaml. Sets up
/// logging. A project that does not load is an error that counts its other problems.
Result<std::pair<config::Settings, std::optional<config::Project>>> Prepare(const std::string& dir,
                                                                            const SettingFlags& flags);

/// Stops the platform. Ends the process with status 0 after `deadline_ms` whatever still runs (an HTTP request that
/// waits for a query): by then jobs and broker have closed, and files survive a sudden end anyway.
void StopWithin(Platform& platform, int64_t deadline_ms);

/// Since this program began (its libraries were loaded just before).
int64_t MsSinceProcessStart();

}  // namespace tailrace::app
