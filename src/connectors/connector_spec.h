#pragma once
// What each connector's folder gives to the registry.

#include <memory>
#include <span>

#include "connectors/options.h"
#include "stream/connector.h"

namespace tailrace::connectors {

class JobLog;

struct SourceArguments {
  const stream::ScanSpec& scan;
  OptionValues options;
  const stream::ConnectorContext& context;
  JobLog& log;
};

struct SinkArguments {
  const sql::Table& table;
  OptionValues options;
  const stream::ConnectorContext& context;
  JobLog& log;
  std::string id;  // unique among the job's sinks and the same at every start: "orders", "orders.2"
};

struct ConnectorSpec {
  const char* name;
  const char* doc;
  std::span<const OptionSpec> options;
  /// What the option table can't say: options that exclude each other, formats and types. May be null.
  Status (*check)(const sql::Table& table, const OptionValues& options);
  Result<std::unique_ptr<stream::Source>> (*make_source)(SourceArguments arguments);  // null: not a source
  Result<std::unique_ptr<stream::Sink>> (*make_sink)(SinkArguments arguments);        // null: not a sink
};

// One a connector; each is defined in its folder.
const ConnectorSpec& KafkaConnector();
const ConnectorSpec& UpsertKafkaConnector();
const ConnectorSpec& FilesystemConnector();
const ConnectorSpec& DatagenConnector();
const ConnectorSpec& PrintConnector();
const ConnectorSpec& BlackholeConnector();
const ConnectorSpec& DuckdbConnector();

/// `path` against the job's base directory where it is relative.
std::string ResolvePath(const stream::ConnectorContext& context, const std::string& path);

}  // namespace tailrace::connectors
