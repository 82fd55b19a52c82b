#pragma once

#include "connectors/connector_spec.h"

namespace tailrace::connectors {

std::span<const OptionSpec> KafkaOptions();
Status CheckKafkaTable(const sql::Table& table, const OptionValues& options);

/// How a table's columns lie in a record. Indices are into the table's physical schema.
struct KafkaLayout {
  data::FormatOptions value;  // schema and options of the value
  std::string value_format;
  std::vector<int> value_columns;     // physical columns in the value, in order
  std::vector<int> key_columns;       // 'key.fields', or the primary key of a sink; may be empty
  std::string key_format;             // raw or json or csv
  std::vector<std::string> metadata;  // one a physical column: its metadata key, or ""
  bool upsert = false;                // rows replace the row with the same key; deletes are tombstones
};
Result<KafkaLayout> ReadLayout(const sql::Table& table, const OptionValues& options);

Result<std::unique_ptr<stream::Source>> MakeKafkaSource(SourceArguments arguments);
Result<std::unique_ptr<stream::Sink>> MakeKafkaSink(SinkArguments arguments);

}  // namespace tailrace::connectors
