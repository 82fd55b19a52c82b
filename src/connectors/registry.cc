#include "connectors/registry.h"

#include "base/check.h"
#include "config/suggest.h"
#include "connectors/connector_spec.h"
#include "connectors/kafka/job_log.h"

namespace tailrace::connectors {

namespace {

// The one list.
const std::vector<const ConnectorSpec*>& Specs() {
  static const std::vector<const ConnectorSpec*> specs = {
      &KafkaConnector(), &UpsertKafkaConnector(), &FilesystemConnector(), &DatagenConnector(),
      &PrintConnector(), &BlackholeConnector(),   &DuckdbConnector(),
  };
  return specs;
}

Result<const ConnectorSpec*> FindSpec(const sql::Table& table) {
  auto it = table.options.find("connector");
  std::vector<std::string> names;
  for (const ConnectorSpec* spec : Specs()) names.emplace_back(spec->name);
  if (it == table.options.end())
    return Error(ErrorCode::kInvalidArgument, "table " + table.name + " has no 'connector' option")
        .At(table.where)
        .Remedy(config::SuggestRemedy("", names));
  for (const ConnectorSpec* spec : Specs())
    if (it->second.value == spec->name) return spec;
  return Error(ErrorCode::kInvalidArgument,
               "table " + table.name + ": there is no connector '" + it->second.value + "'")
      .At(it->second.where)
      .Remedy(config::SuggestRemedy(it->second.value, names));
}

Result<OptionValues> CheckTable(const ConnectorSpec& spec, const sql::Table& table) {
  OptionValues options = TRY(OptionValues::Check(table, spec.options));
  if (spec.check) TRY(spec.check(table, options));
  return options;
}

class JobConnectorsImpl final : public stream::JobConnectors {
 public:
  JobConnectorsImpl(LogClients& clients, const sql::Script& script) : log_(clients, script.settings) {}

  Result<std::unique_ptr<stream::Source>> MakeSource(const stream::ScanSpec& scan,
                                                     const stream::ConnectorContext& context) override {
    const ConnectorSpec* spec = TRY(FindSpec(*scan.table));
    OptionValues options = TRY(CheckTable(*spec, *scan.table));
    if (!spec->make_source)
      return Error(ErrorCode::kUnsupported,
                   "table " + scan.table->name + ": the connector '" + spec->name + "' can only be written to")
          .At(scan.table->where);
    return spec->make_source({scan, std::move(options), context, log_});
  }

  Result<std::unique_ptr<stream::Sink>> MakeSink(const sql::Table& table,
                                                 const stream::ConnectorContext& context) override {
    const ConnectorSpec* spec = TRY(FindSpec(table));
    OptionValues options = TRY(CheckTable(*spec, table));
    if (!spec->make_sink)
      return Error(ErrorCode::kUnsupported,
                   "table " + table.name + ": the connector '" + spec->name + "' can only be read from")
          .At(table.where);
    int ordinal = ++sinks_of_table_[table.name];
    std::string id = ordinal == 1 ? table.name : table.name + "." + std::to_string(ordinal);
    return spec->make_sink({table, std::move(options), context, log_, std::move(id)});
  }

  Result<std::unique_ptr<stream::CommitPoint>> MakeCommitPoint(const stream::ConnectorContext& context) override {
    return log_.MakeCommitPoint(context);
  }

  Status WriteBadRecords(const std::vector<stream::BadRecord>& bad, const stream::ConnectorContext& context) override {
    return log_.WriteBadRecords(bad, context);
  }

 private:
  JobLog log_;
  std::map<std::string, int> sinks_of_table_;
};

class Factory final : public stream::ConnectorFactory {
 public:
  explicit Factory(Services services) : clients_(std::move(services)) {}

  Status Validate(const sql::Table& table) const override {
    const ConnectorSpec* spec = TRY(FindSpec(table));
    TRY(CheckTable(*spec, table));
    return Ok();
  }

  std::unique_ptr<stream::JobConnectors> ForJob(const sql::Script& script) override {
    return std::make_unique<JobConnectorsImpl>(clients_, script);
  }

 private:
  LogClients clients_;
};

}  // namespace

std::unique_ptr<stream::ConnectorFactory> MakeConnectors(Services services) {
  return std::make_unique<Factory>(std::move(services));
}

std::vector<ConnectorInfo> AllConnectors() {
  std::vector<ConnectorInfo> all;
  for (const ConnectorSpec* spec : Specs())
    all.push_back({spec->name, spec->doc, spec->make_source != nullptr, spec->make_sink != nullptr, spec->options});
  return all;
}

std::string ResolvePath(const stream::ConnectorContext& context, const std::string& path) {
  if (path.empty() || path[0] == '/' || context.base_dir.empty()) return path;
  return context.base_dir + "/" + path;
}

}  // namespace tailrace::connectors
