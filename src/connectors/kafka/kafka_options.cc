#include "connectors/kafka/kafka_options.h"

#include <algorithm>

namespace tailrace::connectors {

namespace {

// Flink's names: https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/table/kafka/
constexpr OptionSpec kOwn[] = {
    {"topic", OptionType::kString, true, "", "", "name of the topic; a source takes several, separated by ';'"},
    {"properties.bootstrap.servers", OptionType::kString, false, "", "",
     "HOST:PORT,…; absent or 'embedded': the log of this process"},
    {"properties.group.id", OptionType::kString, false, "", "",
     "group whose offsets are committed; default tailrace-JOB"},
    {"properties.auto.offset.reset", OptionType::kChoice, false, "earliest", "earliest|latest|none",
     "where group-offsets starts without committed ones"},
    {"properties.isolation.level", OptionType::kChoice, false, "read_committed", "read_committed|read_uncommitted",
     "what of open and aborted transactions is read"},
    {"properties.max.request.size", OptionType::kInt, false, "1000000", "",
     "bytes of a record at most; larger rows go to the error topic"},
    {"properties.*", OptionType::kString, false, "", "", "any librdkafka property, for clusters outside this process"},
    {"format", OptionType::kChoice, false, "", "json|csv|raw", "of the value"},
    {"value.format", OptionType::kChoice, false, "", "json|csv|raw", "as 'format'"},
    {"key.format", OptionType::kChoice, false, "", "json|csv|raw",
     "of the key; default: raw for one text column, else json"},
    {"key.fields", OptionType::kString, false, "", "", "columns of the key, separated by ';'"},
    {"value.fields-include", OptionType::kChoice, false, "ALL", "ALL|EXCEPT_KEY",
     "whether the value holds the key's columns too"},
    {"scan.startup.mode", OptionType::kChoice, false, "group-offsets",
     "earliest-offset|latest-offset|group-offsets|timestamp", "where to start without a checkpoint"},
    {"scan.startup.timestamp-millis", OptionType::kInt, false, "", "", "with scan.startup.mode = timestamp"},
    {"scan.bounded.mode", OptionType::kChoice, false, "unbounded", "unbounded|latest-offset",
     "latest-offset: end at what is there at the start"},
    {"scan.topic-partition-discovery.interval", OptionType::kDuration, false, "10 s", "",
     "how often new partitions are looked for; 0: never"},
    {"scan.watermark.idle-timeout", OptionType::kDuration, false, "", "",
     "a partition without records for so long does not hold the watermark back"},
    {"sink.delivery-guarantee", OptionType::kChoice, false, "exactly-once", "exactly-once|at-least-once|none",
     "exactly-once: in the job's transaction"},
    {"sink.transactional-id-prefix", OptionType::kString, false, "", "",
     "transactional id is PREFIX-JOB; default tailrace-JOB"},
    {"sink.partitioner", OptionType::kChoice, false, "default", "default|fixed|round-robin",
     "default: by the key's hash, as Kafka's clients; fixed: partition 0"},
    {"sink.parallelism", OptionType::kInt, false, "", "", "accepted for Flink's sake; a job is one pipeline"},
    {"scan.parallelism", OptionType::kInt, false, "", "", "accepted for Flink's sake; a job is one pipeline"},
};

constexpr const char* kMetadataKeys[] = {"topic", "partition", "offset", "timestamp", "key", "headers"};

std::vector<std::string> SplitFields(const std::string& text) {
  std::vector<std::string> fields;
  for (size_t at = 0; at <= text.size();) {
    size_t end = std::min(text.find(';', at), text.size());
    std::string field = text.substr(at, end - at);
    while (!field.empty() && field.front() == ' ') field.erase(0, 1);
    while (!field.empty() && field.back() == ' ') field.pop_back();
    if (!field.empty()) fields.push_back(field);
    at = end + 1;
  }
  return fields;
}

Status CheckMetadataType(const sql::Table& table, const sql::Column& column) {
  auto wrong = [&](const std::string& expected) {
    return Error(ErrorCode::kInvalidArgument, "column " + column.name + " of table " + table.name + ": metadata '" +
                                                  *column.metadata + "' has the type " + expected + ", declared is " +
                                                  column.type.ToString())
        .At(column.where);
  };
  data::TypeId id = column.type.id;
  const std::string& key = *column.metadata;
  if (key == "topic" && id != data::TypeId::kVarchar) return wrong("VARCHAR");
  if (key == "partition" && id != data::TypeId::kInteger && id != data::TypeId::kBigInt) return wrong("INT");
  if (key == "offset" && id != data::TypeId::kBigInt) return wrong("BIGINT");
  if (key == "timestamp" && id != data::TypeId::kTimestamp && id != data::TypeId::kTimestampTz)
    return wrong("TIMESTAMP_LTZ(3)");
  if (key == "key" && id != data::TypeId::kVarchar && id != data::TypeId::kBlob) return wrong("VARCHAR or BYTES");
  if (key == "headers" && !(column.type == data::Type::Map(data::TypeId::kVarchar, data::TypeId::kVarchar) ||
                            column.type == data::Type::Map(data::TypeId::kVarchar, data::TypeId::kBlob)))
    return wrong("MAP<VARCHAR, BYTES> or MAP<VARCHAR, VARCHAR>");
  return Ok();
}

Status CheckKafka(const sql::Table& table, const OptionValues& options) {
  TRY(ReadLayout(table, options));
  if (options.String("scan.startup.mode") == "timestamp" && !options.Has("scan.startup.timestamp-millis"))
    return options.Wrong("scan.startup.mode", "'timestamp' needs 'scan.startup.timestamp-millis'");
  return Ok();
}

Status CheckUpsert(const sql::Table& table, const OptionValues& options) {
  if (table.primary_key.empty())
    return Error(ErrorCode::kInvalidArgument,
                 "table " + table.name + ": the connector 'upsert-kafka' needs a PRIMARY KEY")
        .At(table.where);
  return CheckKafka(table, options);
}

}  // namespace

std::span<const OptionSpec> KafkaOptions() {
  static const std::vector<OptionSpec> all = WithFormatOptions(kOwn);
  return all;
}

Status CheckKafkaTable(const sql::Table& table, const OptionValues& options) { return CheckKafka(table, options); }

Result<KafkaLayout> ReadLayout(const sql::Table& table, const OptionValues& options) {
  KafkaLayout layout;
  layout.value_format = options.Has("value.format") ? options.String("value.format") : options.String("format");
  if (layout.value_format.empty())
    return Error(ErrorCode::kInvalidArgument, "table " + table.name + ": the connector '" + table.Get("connector") +
                                                  "' needs the option 'format' (json, csv or raw)")
        .At(table.where);
  TRY(ReadFormatOptions(options, &layout.value));

  data::Schema physical;
  for (const sql::Column& column : table.columns) {
    if (column.computed) continue;
    physical.push_back({column.name, column.type});
    layout.metadata.push_back(column.metadata.value_or(""));
    if (!column.metadata) continue;
    if (std::find(std::begin(kMetadataKeys), std::end(kMetadataKeys), *column.metadata) == std::end(kMetadataKeys))
      return Error(ErrorCode::kInvalidArgument, "column " + column.name + " of table " + table.name +
                                                    ": there is no metadata '" + *column.metadata + "'")
          .At(column.where)
          .Remedy("use topic, partition, offset, timestamp, key or headers");
    TRY(CheckMetadataType(table, column));
  }

  std::vector<std::string> key_names = SplitFields(options.String("key.fields"));
  bool by_primary_key = key_names.empty() && !table.primary_key.empty();
  if (by_primary_key) key_names = table.primary_key;
  for (const std::string& name : key_names) {
    int index = data::FindField(physical, name);
    if (index < 0 || !layout.metadata[static_cast<size_t>(index)].empty())
      return options.Wrong("key.fields", "the table has no column '" + name + "'; " + data::DescribeFields(physical));
    layout.key_columns.push_back(index);
  }
  layout.upsert = !table.primary_key.empty();
  layout.key_format = options.String("key.format");
  if (layout.key_format.empty()) {
    bool text = layout.key_columns.size() == 1 &&
                physical[static_cast<size_t>(layout.key_columns[0])].type.id == data::TypeId::kVarchar;
    layout.key_format = text ? "raw" : "json";
  }
  bool except_key = options.String("value.fields-include") == "EXCEPT_KEY";
  if (except_key && key_names.empty()) return options.Wrong("value.fields-include", "EXCEPT_KEY needs 'key.fields'");
  for (size_t i = 0; i < physical.size(); i++) {
    if (!layout.metadata[i].empty()) continue;
    if (except_key && std::find(layout.key_columns.begin(), layout.key_columns.end(), static_cast<int>(i)) !=
                          layout.key_columns.end())
      continue;
    layout.value_columns.push_back(static_cast<int>(i));
    layout.value.schema.push_back(physical[i]);
  }
  auto value_encoder = data::MakeEncoder(layout.value_format, layout.value);
  if (!value_encoder.ok()) return std::move(value_encoder).error().At(options.Where("format"));
  if (!layout.key_columns.empty()) {
    data::FormatOptions key;
    for (int c : layout.key_columns) key.schema.push_back(physical[static_cast<size_t>(c)]);
    auto key_encoder = data::MakeEncoder(layout.key_format, key);
    if (!key_encoder.ok()) return std::move(key_encoder).error().Context("the key").At(options.Where("key.fields"));
  }
  return layout;
}

const ConnectorSpec& KafkaConnector() {
  static const ConnectorSpec spec = {"kafka",          "topics of the log: this process's own, or any Kafka cluster's",
                                     KafkaOptions(),   &CheckKafka,
                                     &MakeKafkaSource, &MakeKafkaSink};
  return spec;
}

const ConnectorSpec& UpsertKafkaConnector() {
  static const ConnectorSpec spec = {"upsert-kafka", "a topic whose records replace earlier ones with the same key",
                                     KafkaOptions(), &CheckUpsert,
                                     nullptr,        &MakeKafkaSink};
  return spec;
}

}  // namespace tailrace::connectors
