#pragma once
// The wiring: the one place that chooses implementations and the order in which they start and stop.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/data_dir.h"
#include "base/result.h"
#include "config/project.h"
#include "config/settings.h"

namespace tailrace::broker {
class Broker;
}
namespace tailrace::log {
class Client;
}
namespace tailrace::stream {
class JobManager;
}
namespace tailrace::workflow {
class Scheduler;
struct OperatorServices;
}  // namespace tailrace::workflow
namespace tailrace::api {
struct Services;
}

namespace tailrace::app {

struct PlatformOptions {
  config::Settings settings;  // data.dir is set
  std::optional<config::Project> project;
  std::string profile;  // empty: everything embedded
  bool broker_only = false;
};

/// One thing that apply did or found.
struct Applied {
  std::string kind, name, result;  // "topic", "raw_events", "created"
  bool failed = false;
};

/// Broker, engine, scheduler, REST interface in this process. Thread-safe once started.
class Platform {
 public:
  /// On return everything serves. kConflict: the data directory or a port is taken.
  static Result<std::unique_ptr<Platform>> Start(PlatformOptions options);
  virtual ~Platform() = default;  // stops

  virtual const Endpoint& endpoint() const = 0;
  /// Creates the project's missing topics, starts its autostart streams (once), looks at its DAGs. Idempotent.
  virtual std::vector<Applied> Apply(const config::Project& project) = 0;
  /// Tasks, generators, jobs, HTTP, broker, in this order; within 5 s.
  virtual void Stop() = 0;

  virtual const api::Services& services() const = 0;
  virtual log::Client& log() = 0;
  virtual stream::JobManager* jobs() = 0;        // null: broker only
  virtual workflow::Scheduler* scheduler() = 0;  // null: broker only, or no project
  virtual workflow::OperatorServices operator_services() = 0;
  virtual broker::Broker* broker() = 0;  // null: the profile's Kafka cluster
};

/// DIR for its lookups, set from flags or "", and the settings that the project and the environment give.
/// Flags already set in `settings` win. Unknown profile: an error with the nearest one.
Status ResolveSettings(const std::optional<config::Project>& project, config::Settings* settings);

}  // namespace tailrace::app
