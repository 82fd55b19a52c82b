#pragma once
// What the REST interface shows and drives. Made by app/; everything pointed at outlives the server. A null pointer is
// a role this process does not play (up --broker-only): its routes answer so.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace tailrace {
class Clock;
}
namespace tailrace::broker {
class Broker;
}
namespace tailrace::log {
class Client;
}
namespace tailrace::stream {
class ConnectorFactory;
class JobManager;
}  // namespace tailrace::stream
namespace tailrace::workflow {
class Scheduler;
}
namespace tailrace::observe {
class AlertEngine;
class RecentLog;
}  // namespace tailrace::observe

namespace tailrace::api {

struct Store {
  std::string name;
  std::string path;  // absolute, of the DuckDB file
};

struct GeneratorStatus {
  std::string name, file;  // file: relative to the project
  bool running = false;
  uint64_t sent = 0;
  double rate = 0;  // asked for, events per second; 0: as fast as it goes
  std::string error;
};

struct Services {
  std::string project_name;
  std::string project_dir;  // absolute; empty: there is no project
  std::string data_dir;
  std::string kafka;  // "127.0.0.1:9092"; of the cluster in use where it is not the embedded one
  std::string http;   // "http://127.0.0.1:8080"; set before the server starts
  int64_t started_ms = 0;
  config::Settings settings;
  std::vector<Store> stores;
  std::map<std::string, std::string> variables;  // ${NAME} in SQL files

  Clock* clock = nullptr;
  broker::Broker* broker = nullptr;
  log::Client* log = nullptr;
  stream::JobManager* jobs = nullptr;
  stream::ConnectorFactory* connectors = nullptr;
  workflow::Scheduler* scheduler = nullptr;
  observe::AlertEngine* alerts = nullptr;
  observe::RecentLog* recent = nullptr;
  // Generators of the project. `rate` 0: as the file says.
  std::function<std::vector<GeneratorStatus>()> generators;
  std::function<Result<GeneratorStatus>(const std::string& name, double rate)> start_generator;
  std::function<Result<GeneratorStatus>(const std::string& name)> stop_generator;
  /// True once the platform stops: handlers that wait give up. May be empty.
  std::function<bool()> stopping;
  /// Reads the project again and creates what is missing; JSON of what was done.
  std::function<Result<std::string>()> apply;
};

extern const char* const kVersion;

}  // namespace tailrace::api
