#pragma once
// The connectors there are, in one list (registry.cc), and the factory the engine gets them from.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "connectors/options.h"
#include "stream/connector.h"

namespace tailrace::log {
class Client;
}

namespace tailrace::connectors {

/// What connectors work on besides their tables. Everything outlives the factory.
struct Services {
  log::Client* embedded = nullptr;         // the log in this process; null: there is none
  std::vector<std::string> own_addresses;  // "127.0.0.1:9092": bootstrap servers that mean `embedded`
  std::string default_bootstrap;           // of tables without 'properties.bootstrap.servers'; empty: `embedded`
  Clock* clock = nullptr;                  // null: the system's
  std::string data_dir;                    // without any log, bad records go to data_dir/errors/JOB.jsonl; may be empty
};

/// Thread-safe; each ForJob() belongs to one job's thread.
std::unique_ptr<stream::ConnectorFactory> MakeConnectors(Services services);

/// Name, what it is for, its options: for the reference, `validate` and completion.
struct ConnectorInfo {
  const char* name;
  const char* doc;
  bool source;
  bool sink;
  std::span<const OptionSpec> options;
};
std::vector<ConnectorInfo> AllConnectors();

}  // namespace tailrace::connectors
