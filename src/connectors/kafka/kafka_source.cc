#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"
#include "connectors/kafka/job_log.h"
#include "connectors/kafka/kafka_options.h"

namespace tailrace::connectors {

namespace {

// What one Poll takes at most: enough for full batches, little enough for the checkpoint not to wait.
constexpr uint64_t kPollBytesMax = 2 << 20;
constexpr uint64_t kPollRecordsMax = 16'384;
constexpr uint32_t kReadBytes = 512 << 10;

class KafkaSource final : public stream::Source {
 public:
  KafkaSource(SourceArguments arguments, log::Client* client, KafkaLayout layout, std::vector<std::string> topics)
      : options_(std::move(arguments.options)),
        context_(arguments.context),
        clock_(arguments.context.clock ? *arguments.context.clock : Clock::System()),
        client_(client),
        layout_(std::move(layout)),
        topics_(std::move(topics)),
        bounded_(options_.String("scan.bounded.mode") == "latest-offset"),
        discovery_ms_(options_.Int("scan.topic-partition-discovery.interval")),
        ignores_errors_(IgnoresParseErrors(options_)) {
    group_ = options_.String("properties.group.id");
    if (group_.empty()) group_ = "tailrace-" + context_.job;
    isolation_ = options_.String("properties.isolation.level") == "read_uncommitted" ? log::Isolation::kReadUncommitted
                                                                                     : log::Isolation::kReadCommitted;
  }

  Status Prepare(const stream::ScanSpec& scan) {
    data::FormatOptions format = layout_.value, key = layout_.value;
    key.schema.clear();
    data::Schema physical = scan.table->physical_schema();
    for (int column : scan.columns) {
      const std::string& metadata = layout_.metadata.at(static_cast<size_t>(column));
      const data::Type& type = physical[static_cast<size_t>(column)].type;
      auto in_value = std::find(layout_.value_columns.begin(), layout_.value_columns.end(), column);
      bool from_key = metadata.empty() && in_value == layout_.value_columns.end();
      if (from_key) {
        key.columns.push_back(static_cast<int>(
            std::find(layout_.key_columns.begin(), layout_.key_columns.end(), column) - layout_.key_columns.begin()));
      } else if (metadata.empty()) {
        format.columns.push_back(static_cast<int>(in_value - layout_.value_columns.begin()));
      }
      wanted_.push_back({metadata, type, from_key});
      decoded_only_ &= metadata.empty() && !from_key;
    }
    if (!key.columns.empty()) {
      for (int c : layout_.key_columns) key.schema.push_back(physical[static_cast<size_t>(c)]);
      key_decoder_ = TRY(data::MakeDecoder(layout_.key_format, key));
    }
    decoder_ = TRY(data::MakeDecoder(layout_.value_format, format));
    return Ok();
  }

  Status Open(const std::string& position) override {
    std::map<TopicPartition, int64_t> saved;
    bool resumed = !position.empty();
    if (resumed) TRY(ReadPosition(position, &saved));
    for (const std::string& topic : topics_) {
      auto described = client_->DescribeTopic(topic);
      if (!described.ok()) {
        if (described.error().code() != ErrorCode::kNotFound) return std::move(described).error();
        return Error(ErrorCode::kNotFound, "there is no topic '" + topic + "'")
            .At(options_.Where("topic"))
            .Remedy("create it: tailrace topic create " + topic);
      }
      for (int32_t p = 0; p < described->partitions; p++) {
        TopicPartition from{topic, p};
        auto it = saved.find(from);
        int64_t start;
        if (it != saved.end()) start = it->second;
        else if (resumed) start = -1;  // made after the checkpoint
        else start = TRY(StartOffset(from));
        TRY(OpenPartition(from, start));
      }
    }
    if (bounded_) {
      for (auto& p : partitions_) {
        auto it = ends_.find(p->from);
        p->end = it != ends_.end() ? it->second : TRY(p->reader->EndOffset());
        ends_[p->from] = p->end;
      }
    }
    next_discovery_ms_ = clock_.MonotonicMs() + discovery_ms_;
    return Ok();
  }

  Result<stream::PollState> Poll(stream::Polled* out) override {
    if (discovery_ms_ > 0 && !bounded_ && clock_.MonotonicMs() >= next_discovery_ms_) TRY(Discover());
    uint64_t records = 0, bytes = 0;
    bool more = false;
    size_t count = partitions_.size();
    for (size_t i = 0; i < count; i++) {
      Partition& p = *partitions_[(next_partition_ + i) % count];
      if (p.done()) continue;
      set_.Clear();
      Status polled = p.reader->Poll(kReadBytes, &set_);
      if (!polled.ok()) {
        if (polled.error().code() != ErrorCode::kInvalidArgument) return std::move(polled).error();
        TRY(SkipToFirst(p));
        more = true;
        continue;
      }
      std::span<const RecordView> taken = set_.records;
      if (p.end >= 0)
        while (!taken.empty() && taken.back().offset >= p.end) taken = taken.first(taken.size() - 1);
      if (taken.empty()) continue;
      for (const RecordView& r : taken) bytes += r.key.size() + r.value.size();
      records += taken.size();
      TRY(Decode(p, taken, out));
      more = true;
      if (records >= kPollRecordsMax || bytes >= kPollBytesMax) {
        next_partition_ = (next_partition_ + i + 1) % count;
        break;
      }
    }
    out->records += records;
    out->bytes += bytes;
    if (more) return stream::PollState::kMore;
    if (bounded_) {
      bool all = true;
      for (auto& p : partitions_) all &= p->done();
      if (all) return stream::PollState::kEnd;
    }
    return stream::PollState::kIdle;
  }

  std::string Position() const override {
    nlohmann::json json = {{"v", 1}};
    for (const auto& p : partitions_) json["offsets"][p->from.topic][std::to_string(p->from.partition)] = p->position();
    for (const auto& [from, end] : ends_) json["ends"][from.topic][std::to_string(from.partition)] = end;
    return json.dump();
  }

  bool bounded() const override { return bounded_; }

  std::vector<std::pair<TopicPartition, int64_t>> LogOffsets() const override {
    std::vector<std::pair<TopicPartition, int64_t>> offsets;
    for (const auto& p : partitions_) offsets.emplace_back(p->from, p->position());
    return offsets;
  }

  int64_t Lag() override {
    int64_t lag = 0;
    for (auto& p : partitions_) {
      auto end = p->reader->EndOffset();
      if (!end.ok()) return -1;
      lag += std::max<int64_t>(0, (p->end >= 0 ? std::min(p->end, *end) : *end) - p->reader->position());
    }
    return lag;
  }

 private:
  struct Partition {
    TopicPartition from;
    std::unique_ptr<log::Reader> reader;
    int64_t end = -1;  // of a bounded scan
    bool done() const { return end >= 0 && reader->position() >= end; }
    /// Behind the last record given: the reader may have gone past the end of a bounded scan.
    int64_t position() const { return end >= 0 ? std::min(end, reader->position()) : reader->position(); }
  };
  struct Wanted {
    std::string metadata;
    data::Type type;
    bool from_key;  // 'value.fields-include' = 'EXCEPT_KEY'
  };

  Status ReadPosition(const std::string& position, std::map<TopicPartition, int64_t>* saved) {
    auto json = nlohmann::json::parse(position, nullptr, false);
    if (!json.is_object() || json.value("v", 0) != 1)
      return Corrupt("the checkpoint's position of a kafka source is not one: " + position.substr(0, 80));
    auto read = [&](const char* name, std::map<TopicPartition, int64_t>* out) {
      if (!json.contains(name)) return;
      for (auto& [topic, offsets] : json[name].items())
        for (auto& [partition, offset] : offsets.items())
          (*out)[{topic, static_cast<int32_t>(atoi(partition.c_str()))}] = offset.get<int64_t>();
    };
    read("offsets", saved);
    read("ends", &ends_);
    return Ok();
  }

  /// -1 earliest, -2 latest, or an offset.
  Result<int64_t> StartOffset(const TopicPartition& from) {
    std::string mode = options_.String("scan.startup.mode");
    if (mode == "earliest-offset") return int64_t{-1};
    if (mode == "latest-offset") return int64_t{-2};
    if (mode == "timestamp") return client_->OffsetForTime(from, options_.Int("scan.startup.timestamp-millis"));
    auto committed = client_->Committed(group_, from);
    if (!committed.ok() && committed.error().code() != ErrorCode::kNotFound) return std::move(committed).error();
    if (committed.ok() && committed->offset >= 0) return committed->offset;
    std::string reset = options_.String("properties.auto.offset.reset");
    if (reset == "none")
      return options_.Wrong("properties.auto.offset.reset", "the group " + group_ + " has no offset for " + from.topic +
                                                                "-" + std::to_string(from.partition));
    return reset == "latest" ? int64_t{-2} : int64_t{-1};
  }

  Status OpenPartition(const TopicPartition& from, int64_t start) {
    auto p = std::make_unique<Partition>();
    p->from = from;
    p->reader = TRY(client_->OpenReader(from, start, isolation_, context_.waker));
    partitions_.push_back(std::move(p));
    return Ok();
  }

  Status Discover() {
    next_discovery_ms_ = clock_.MonotonicMs() + discovery_ms_;
    for (const std::string& topic : topics_) {
      auto described = client_->DescribeTopic(topic);
      if (!described.ok()) continue;  // the readers report a topic that is gone
      for (int32_t p = 0; p < described->partitions; p++) {
        TopicPartition from{topic, p};
        bool known = false;
        for (auto& have : partitions_) known |= have->from == from;
        if (known) continue;
        LogInfo("kafka", "job " + context_.job + ": new partition " + topic + "-" + std::to_string(p));
        TRY(OpenPartition(from, -1));
      }
    }
    return Ok();
  }

  /// The position was deleted by retention: go on with the first record there is, and say so.
  Status SkipToFirst(Partition& p) {
    auto [first, end] = TRY(client_->Offsets(p.from));
    int64_t was = p.reader->position();
    int64_t next = was > end ? end : first;
    LogWarning("kafka", "job " + context_.job + ": " + p.from.topic + "-" + std::to_string(p.from.partition) +
                            ": offset " + std::to_string(was) + " is gone (the topic has " + std::to_string(first) +
                            " to " + std::to_string(end) + "), going on at " + std::to_string(next));
    p.reader->Seek(next);
    return Ok();
  }

  Status Decode(Partition& p, std::span<const RecordView> records, stream::Polled* out) {
    while (!records.empty()) {
      data::Batch batch;
      failures_.clear();
      uint32_t n = decoder_->Decode(p.from, records, &batch, &failures_);
      CHECK(n > 0);
      if (!ignores_errors_) {
        for (auto& failure : failures_) {
          const RecordView& r = records[failure.record];
          out->bad.push_back({std::move(failure.reason), "decode", p.from, r.offset, r.timestamp_ms, std::string(r.key),
                              std::string(r.value)});
        }
      }
      if (batch.rows > 0) {
        for (const auto& owner : set_.owners) batch.owners.push_back(owner);
        data::Batch keys;
        if (key_decoder_) DecodeKeys(p, &batch, &keys, out);
        if (!decoded_only_) AddColumns(p, records.first(n), keys, &batch);
        if (batch.rows > 0) out->batches.push_back(std::move(batch));
      }
      records = records.subspan(n);
    }
    return Ok();
  }

  /// The key columns of the batch's rows. Rows whose key does not decode leave the batch.
  void DecodeKeys(const Partition& p, data::Batch* batch, data::Batch* keys, stream::Polled* out) {
    std::vector<RecordView> records;
    std::vector<std::pair<uint32_t, std::string>> failed;
    for (uint32_t row = 0; row < batch->rows; row++) {
      // The row's number as the offset: it comes back in the origins.
      if (batch->origins[row].key.data()) records.push_back({.offset = row, .value = batch->origins[row].key});
      else failed.emplace_back(row, "the record has no key");
    }
    failures_.clear();
    key_decoder_->Decode(p.from, records, keys, &failures_);
    for (auto& f : failures_)
      failed.emplace_back(static_cast<uint32_t>(records[f.record].offset), "key: " + std::move(f.reason));
    if (failed.empty()) return;
    if (!ignores_errors_) {
      for (auto& [row, reason] : failed) {
        const data::RowOrigin& o = batch->origins[row];
        out->bad.push_back(
            {std::move(reason), "decode", p.from, o.offset, o.timestamp_ms, std::string(o.key), std::string(o.value)});
      }
    }
    std::vector<uint32_t> kept;
    for (uint32_t row = 0; row < keys->rows; row++) kept.push_back(static_cast<uint32_t>(keys->origins[row].offset));
    *batch = data::Gather(*batch, kept.data(), keys->rows, std::make_shared<data::Arena>());
  }

  void AddColumns(const Partition& p, std::span<const RecordView> records, data::Batch& keys, data::Batch* batch) {
    auto arena = std::make_shared<data::Arena>();
    data::StringRef topic = arena->Copy(p.from.topic);
    std::vector<data::Column> columns;
    size_t decoded = 0, decoded_keys = 0;
    for (const auto& owner : keys.owners) batch->owners.push_back(owner);
    for (const Wanted& wanted : wanted_) {
      if (wanted.from_key) {
        columns.push_back(std::move(keys.columns[decoded_keys++]));
        continue;
      }
      if (wanted.metadata.empty()) {
        columns.push_back(std::move(batch->columns[decoded++]));
        continue;
      }
      data::Column column = data::AllocateColumn(*arena, wanted.type, batch->rows);
      if (wanted.metadata == "headers") {
        FillHeaders(*arena, records, *batch, column);
      } else {
        for (uint32_t row = 0; row < batch->rows; row++) {
          const data::RowOrigin& origin = batch->origins[row];
          if (wanted.metadata == "topic") {
            column.Values<data::StringRef>()[row] = topic;
          } else if (wanted.metadata == "partition") {
            if (wanted.type.id == data::TypeId::kInteger) column.Values<int32_t>()[row] = p.from.partition;
            else column.Values<int64_t>()[row] = p.from.partition;
          } else if (wanted.metadata == "offset") {
            column.Values<int64_t>()[row] = origin.offset;
          } else if (wanted.metadata == "timestamp") {
            // Producers write what they like: seconds, nanoseconds, nothing.
            bool fits = origin.timestamp_ms >= 0 && origin.timestamp_ms <= INT64_MAX / 1000;
            column.Values<int64_t>()[row] = fits ? origin.timestamp_ms * 1000 : 0;
            if (!fits) column.SetNull(row);
          } else {  // key
            column.Values<data::StringRef>()[row] = data::StringRef(origin.key.data() ? origin.key : BytesView(""));
            if (!origin.key.data() || (wanted.type.id == data::TypeId::kVarchar && !IsUtf8(origin.key)))
              column.SetNull(row);
          }
        }
      }
      columns.push_back(std::move(column));
    }
    batch->columns = std::move(columns);
    batch->owners.push_back(arena);
  }

  static void FillHeaders(data::Arena& arena, std::span<const RecordView> records, const data::Batch& batch,
                          data::Column& column) {
    // Rows are the records in order without those that failed: the same value means the same record.
    std::vector<const RecordView*> of_row;
    uint64_t total = 0;
    for (const RecordView& r : records) {
      if (of_row.size() == batch.rows) break;
      if (batch.origins[of_row.size()].offset != r.offset) continue;
      of_row.push_back(&r);
      total += r.header_count;
    }
    CHECK(of_row.size() == batch.rows);
    data::AllocateChild(arena, column, total);
    data::Column& keys = column.children[0].children[0];
    data::Column& values = column.children[0].children[1];
    uint64_t at = 0;
    for (uint32_t row = 0; row < batch.rows; row++) {
      const RecordView& r = *of_row[row];
      column.Values<data::ListEntry>()[row] = {at, r.header_count};
      for (uint32_t h = 0; h < r.header_count; h++, at++) {
        keys.Values<data::StringRef>()[at] = data::StringRef(r.headers[h].key);
        values.Values<data::StringRef>()[at] = data::StringRef(r.headers[h].value);
        if (!r.headers[h].value.data() || (values.type.id == data::TypeId::kVarchar && !IsUtf8(r.headers[h].value)))
          values.SetNull(at);
      }
    }
  }

  OptionValues options_;
  const stream::ConnectorContext& context_;
  Clock& clock_;
  log::Client* client_;
  KafkaLayout layout_;
  std::vector<std::string> topics_;
  std::string group_;
  log::Isolation isolation_;
  bool bounded_;
  int64_t discovery_ms_;
  int64_t next_discovery_ms_ = 0;
  bool ignores_errors_;
  std::vector<Wanted> wanted_;
  bool decoded_only_ = true;  // every wanted column is in the value
  std::unique_ptr<data::Decoder> decoder_, key_decoder_;
  std::vector<std::unique_ptr<Partition>> partitions_;
  std::map<TopicPartition, int64_t> ends_;
  size_t next_partition_ = 0;
  RecordSet set_;
  std::vector<data::DecodeFailure> failures_;
};

}  // namespace

Result<std::unique_ptr<stream::Source>> MakeKafkaSource(SourceArguments arguments) {
  log::Client* client = TRY(arguments.log.ClientFor(arguments.options));
  KafkaLayout layout = TRY(ReadLayout(*arguments.scan.table, arguments.options));
  std::vector<std::string> topics;
  std::string text = arguments.options.String("topic");
  for (size_t at = 0; at <= text.size();) {
    size_t end = std::min(text.find(';', at), text.size());
    if (end > at) topics.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  for (const std::string& topic : topics)
    arguments.log.AddSource(client, topic, arguments.options.String("properties.group.id"));
  const stream::ScanSpec& scan = arguments.scan;
  auto source = std::make_unique<KafkaSource>(std::move(arguments), client, std::move(layout), std::move(topics));
  TRY(source->Prepare(scan));
  return std::unique_ptr<stream::Source>(std::move(source));
}

}  // namespace tailrace::connectors
