#include "base/clock.h"
#include "connectors/kafka/job_log.h"
#include "connectors/kafka/kafka_options.h"

namespace tailrace::connectors {

namespace {

class KafkaSink final : public stream::Sink {
 public:
  KafkaSink(SinkArguments arguments, log::Client* client, KafkaLayout layout, bool exactly_once)
      : table_(arguments.table),
        options_(std::move(arguments.options)),
        context_(arguments.context),
        log_(arguments.log),
        client_(client),
        layout_(std::move(layout)),
        exactly_once_(exactly_once),
        topic_(options_.String("topic")),
        record_bytes_max_(static_cast<size_t>(options_.Int("properties.max.request.size"))) {
    std::string partitioner = options_.String("sink.partitioner");
    partition_ = partitioner == "fixed" ? 0 : -1;
    keyed_ = !layout_.key_columns.empty();
    for (size_t i = 0; i < layout_.metadata.size(); i++)
      if (layout_.metadata[i] == "timestamp") timestamp_column_ = static_cast<int>(i);
  }

  Status Open() override {
    values_encoder_ = TRY(data::MakeEncoder(layout_.value_format, layout_.value));
    if (keyed_) {
      data::FormatOptions key = layout_.value;
      key.schema.clear();
      data::Schema physical = table_.physical_schema();
      for (int c : layout_.key_columns) key.schema.push_back(physical[static_cast<size_t>(c)]);
      keys_encoder_ = TRY(data::MakeEncoder(layout_.key_format, key));
    }
    return Ok();
  }

  Status Write(const data::Batch& batch) override {
    if (batch.rows == 0) return Ok();
    log::Writer* writer = TRY(log_.WriterFor(client_, exactly_once_));
    values_.clear();
    keys_.clear();
    TRY(values_encoder_->Encode(Subset(batch, layout_.value_columns), &values_));
    if (keyed_) TRY(keys_encoder_->Encode(Subset(batch, layout_.key_columns), &keys_));
    records_.clear();
    records_.reserve(batch.rows);
    for (uint32_t row = 0; row < batch.rows; row++) {
      data::RowKind kind = batch.KindOf(row);
      log::RecordToWrite record;
      record.value = values_[row];
      if (keyed_) record.key = keys_[row];
      if (kind != data::RowKind::kInsert) {
        if (!layout_.upsert)
          return Error(ErrorCode::kUnsupported, "table " + table_.name +
                                                    " takes only new rows, and the query also changes (" +
                                                    std::string(data::RowKindName(kind)) + ") rows it gave before")
              .At(table_.where)
              .Remedy("declare a PRIMARY KEY ... NOT ENFORCED, so that rows replace earlier ones");
        if (kind == data::RowKind::kUpdateBefore) continue;
        if (kind == data::RowKind::kDelete) record.value = BytesView();
      }
      if (timestamp_column_ >= 0) {
        const data::Column& column = batch.columns[static_cast<size_t>(timestamp_column_)];
        int64_t micros = column.IsValid(row) ? column.Values<int64_t>()[row] : -1;
        if (micros >= 0) record.timestamp_ms = micros / 1000;  // a record has no time before 1970
      }
      records_.push_back(record);
    }
    return Append(*writer);
  }

  /// The log's transaction makes the rows visible; nothing is left for the checkpoint.
  Result<std::string> Prepare(uint64_t) override {
    TRY(FlushPlain());
    return std::string();
  }
  Status Commit(uint64_t, const std::string&) override { return Ok(); }
  Status Flush() override { return FlushPlain(); }

 private:
  /// A row that is too large does not stop the job: it goes where bad records go.
  Status Append(log::Writer& writer) {
    std::vector<stream::BadRecord> refused;
    std::span<const log::RecordToWrite> rest = records_;
    while (!rest.empty()) {
      size_t fitting = 0;
      while (fitting < rest.size() && rest[fitting].key.size() + rest[fitting].value.size() <= record_bytes_max_)
        fitting++;
      if (fitting) TRY(writer.Append(topic_, partition_, rest.first(fitting)));
      rest = rest.subspan(fitting);
      if (rest.empty()) break;
      refused.push_back({"table " + table_.name + ": the row has " +
                             std::to_string(rest[0].key.size() + rest[0].value.size()) + " bytes, over the limit of " +
                             std::to_string(record_bytes_max_) + " (properties.max.request.size)",
                         "sink",
                         {topic_, partition_},
                         -1,
                         -1,
                         std::string(rest[0].key),
                         std::string(rest[0].value)});
      rest = rest.subspan(1);
    }
    if (refused.empty()) return Ok();
    return exactly_once_ ? log_.WriteBadRecords(refused, context_) : log_.WriteBadRecordsNow(refused, context_);
  }

  Status FlushPlain() {
    if (exactly_once_) return Ok();
    return TRY(log_.WriterFor(client_, false))->Flush();
  }

  static data::Batch Subset(const data::Batch& batch, const std::vector<int>& columns) {
    data::Batch subset;
    subset.rows = batch.rows;
    for (int c : columns) subset.columns.push_back(batch.columns[static_cast<size_t>(c)]);
    return subset;
  }

  const sql::Table& table_;
  OptionValues options_;
  const stream::ConnectorContext& context_;
  JobLog& log_;
  log::Client* client_;
  KafkaLayout layout_;
  bool exactly_once_;
  std::string topic_;
  size_t record_bytes_max_;
  int32_t partition_ = -1;
  bool keyed_ = false;
  int timestamp_column_ = -1;
  std::unique_ptr<data::Encoder> values_encoder_, keys_encoder_;
  std::vector<BytesView> values_, keys_;
  std::vector<log::RecordToWrite> records_;
};

}  // namespace

Result<std::unique_ptr<stream::Sink>> MakeKafkaSink(SinkArguments arguments) {
  log::Client* client = TRY(arguments.log.ClientFor(arguments.options));
  KafkaLayout layout = TRY(ReadLayout(arguments.table, arguments.options));
  bool exactly_once =
      arguments.context.exactly_once && arguments.options.String("sink.delivery-guarantee") == "exactly-once";
  Status added = arguments.log.AddSink(client, arguments.options.String("topic"), arguments.table.name, exactly_once,
                                       arguments.options.String("sink.transactional-id-prefix"));
  if (!added.ok()) {
    if (added.error().where()) return std::move(added).error();
    return std::move(added).error().At(arguments.options.Where("topic"));
  }
  auto sink = std::make_unique<KafkaSink>(std::move(arguments), client, std::move(layout), exactly_once);
  return std::unique_ptr<stream::Sink>(std::move(sink));
}

}  // namespace tailrace::connectors
