#include "connectors/kafka/job_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/logging.h"
#include "connectors/kafka/log_client.h"

namespace tailrace::connectors {

namespace {

// What a topic takes by default (max.message.bytes) less room for key and headers.
constexpr size_t kErrorValueBytesMax = 950'000;
/// What a broker grants at most by default (transaction.max.timeout.ms), for jobs with a long checkpoint interval.
/// Others keep a shorter one: as long as it is, a crash can hold readers of committed records back.
constexpr int64_t kTransactionMaxMs = 900'000, kLongIntervalMs = 20'000;
constexpr size_t kErrorOriginalBytesLeast = 2048;
/// Holds no records: what jobs that only write to the log commit their epochs on, so that no topic of theirs seems to
/// have a consumer that falls behind.
constexpr const char* kEpochsTopic = "__tailrace_epochs";

std::string Setting(const sql::Options& settings, const std::string& name, const std::string& otherwise) {
  auto it = settings.find(name);
  return it == settings.end() ? otherwise : it->second.value;
}

Status CreateTopicWhereMissing(log::Client* client, const std::string& topic) {
  auto described = client->DescribeTopic(topic);
  if (described.ok()) return Ok();
  if (described.error().code() != ErrorCode::kNotFound) return std::move(described).error();
  Status created = client->CreateTopic({.name = topic});
  if (!created.ok() && created.error().code() != ErrorCode::kAlreadyExists) return created;
  return Ok();
}

}  // namespace

LogClients::LogClients(Services services) : services_(std::move(services)) {
  if (!services_.clock) services_.clock = &Clock::System();
}
LogClients::~LogClients() = default;

Result<log::Client*> LogClients::For(const std::string& bootstrap,
                                     const std::map<std::string, std::string>& properties) {
  std::string address = bootstrap.empty() ? services_.default_bootstrap : bootstrap;
  bool own = address.empty() || address == "embedded";
  auto numeric = [](const std::string& a) { return a.rfind("localhost:", 0) == 0 ? "127.0.0.1" + a.substr(9) : a; };
  for (const std::string& mine : services_.own_addresses) own |= numeric(address) == numeric(mine);
  if (own) {
    if (services_.embedded) return services_.embedded;
    return Error(ErrorCode::kInvalidArgument, "there is no log in this process")
        .Remedy("set 'properties.bootstrap.servers' = 'HOST:PORT', or run inside `tailrace up`");
  }
  std::string key = address;
  for (const auto& [name, value] : properties) key += "\n" + name + "=" + value;
  std::lock_guard lock(mutex_);
  auto& client = clusters_[key];
  if (!client) client = TRY(OpenKafkaClient(address, properties));
  return client.get();
}

log::Client* LogClients::Default() {
  if (services_.default_bootstrap.empty()) return services_.embedded;
  auto client = For("", {});
  return client.ok() ? *client : nullptr;
}

struct JobLog::State {
  LogClients& clients;
  sql::Options settings;

  struct SourceTopic {
    log::Client* client;
    std::string topic;
    std::string group;
  };
  std::vector<SourceTopic> sources;
  log::Client* transaction_client = nullptr;  // of the sinks; else of the first source
  std::string sink_topic;                     // a topic of the transaction
  std::string transactional_id_prefix;
  std::unique_ptr<log::TransactionalWriter> transaction;
  std::map<log::Client*, std::unique_ptr<log::Writer>> writers;  // outside the transaction
  bool has_commit_point = false;
  bool exactly_once = true;
  std::set<std::pair<log::Client*, std::string>> error_topics_made;

  Result<log::Writer*> PlainWriter(log::Client* client) {
    auto& writer = writers[client];
    if (!writer) writer = TRY(client->OpenWriter());
    return writer.get();
  }

  std::string Group(const std::string& job) const {
    for (const SourceTopic& s : sources)
      if (!s.group.empty() && s.client == transaction_client) return s.group;
    return "tailrace-" + job;
  }
};

namespace {

/// The epoch stands where the log's transaction does: results and offsets with the epoch as their metadata.
class LogCommitPoint final : public stream::CommitPoint {
 public:
  LogCommitPoint(JobLog::State& state, std::string job)
      : state_(state), job_(std::move(job)), group_(state.Group(job_)) {}

  Result<uint64_t> Recover() override {
    // Opening fences an older run first: what it has not committed by now, it never will.
    if (state_.exactly_once) {
      std::string id =
          state_.transactional_id_prefix.empty() ? "tailrace-" + job_ : state_.transactional_id_prefix + "-" + job_;
      state_.transaction = TRY(state_.transaction_client->OpenTransactionalWriter(id));
    }
    uint64_t epoch = 0;
    std::set<std::string> topics;
    for (const auto& source : state_.sources)
      if (source.client == state_.transaction_client) topics.insert(source.topic);
    if (topics.empty()) {
      TRY(FindCarrier());
      if (!state_.sink_topic.empty()) topics.insert(state_.sink_topic);  // where earlier versions kept it
    }
    topics.insert(kEpochsTopic);
    for (const std::string& topic : topics) {
      auto described = state_.transaction_client->DescribeTopic(topic);
      if (!described.ok()) {
        if (described.error().code() == ErrorCode::kNotFound) continue;
        return std::move(described).error();
      }
      for (int32_t p = 0; p < described->partitions; p++) epoch = std::max(epoch, TRY(EpochAt({topic, p})));
    }
    return epoch;
  }

  Status Begin(uint64_t) override { return state_.exactly_once ? state_.transaction->Begin() : Ok(); }

  Status Commit(uint64_t epoch, const std::vector<std::pair<TopicPartition, int64_t>>& offsets) override {
    std::vector<log::OffsetToCommit> mine;
    std::map<log::Client*, std::vector<log::OffsetToCommit>> others;
    for (const auto& [from, offset] : offsets) {
      log::Client* client = ClientOf(from.topic);
      log::OffsetToCommit commit{from, offset, EpochMetadata(job_, epoch)};
      if (client == state_.transaction_client) mine.push_back(std::move(commit));
      else if (client) others[client].push_back(std::move(commit));
    }
    if (mine.empty()) {
      if (carrier_.empty()) TRY(FindCarrier());
      mine.push_back({{carrier_, 0}, 0, EpochMetadata(job_, epoch)});
    }
    if (state_.exactly_once) {
      TRY(state_.transaction->Commit(group_, mine));
    } else {
      for (auto& [client, writer] : state_.writers) TRY(writer->Flush());
      TRY(state_.transaction_client->CommitOffsets(group_, mine));
    }
    // Offsets on other clusters are for lag only: the checkpoint holds the positions that count.
    for (auto& [client, commits] : others) {
      for (auto& commit : commits) commit.metadata.clear();
      Status committed = client->CommitOffsets("tailrace-" + job_, commits);
      if (!committed.ok())
        LogWarning("kafka", "job " + job_ + ": offsets for the lag: " + committed.error().ToString());
    }
    return Ok();
  }

  Status Abort() override { return state_.exactly_once && state_.transaction ? state_.transaction->Abort() : Ok(); }

 private:
  /// The topic that the epoch of a job without source offsets is committed on: offset 0 of an empty one is no lag.
  Status FindCarrier() {
    Status made = CreateTopicWhereMissing(state_.transaction_client, kEpochsTopic);
    if (made.ok()) {
      carrier_ = kEpochsTopic;
      return Ok();
    }
    if (made.error().retriable() || state_.sink_topic.empty()) return made;
    LogWarning("kafka", "job " + job_ + ": its epochs are kept as offsets of " + state_.sink_topic +
                            ", where they look like lag, because the topic " + std::string(kEpochsTopic) +
                            " could not be made: " + made.error().ToString());
    carrier_ = state_.sink_topic;
    return Ok();
  }
  Result<uint64_t> EpochAt(const TopicPartition& from) {
    auto committed = state_.transaction_client->Committed(group_, from);
    if (!committed.ok()) {
      if (committed.error().code() == ErrorCode::kNotFound) return uint64_t{0};
      return std::move(committed).error();
    }
    return EpochOfMetadata(committed->metadata, job_);
  }
  log::Client* ClientOf(const std::string& topic) const {
    for (const auto& source : state_.sources)
      if (source.topic == topic) return source.client;
    return nullptr;
  }

  JobLog::State& state_;
  std::string job_;
  std::string group_;
  std::string carrier_;
};

}  // namespace

JobLog::JobLog(LogClients& clients, sql::Options settings) : state_(new State{clients, std::move(settings)}) {}
JobLog::~JobLog() = default;

Result<log::Client*> JobLog::ClientFor(const OptionValues& options) {
  std::map<std::string, std::string> properties = options.WithPrefix("properties.");
  for (const char* ours : {"bootstrap.servers", "group.id", "auto.offset.reset", "isolation.level", "max.request.size"})
    properties.erase(ours);
  if (options.Has("properties.max.request.size"))  // as librdkafka calls it
    properties["message.max.bytes"] = options.String("properties.max.request.size");
  // librdkafka's default is a minute.
  int64_t interval_ms = 0;
  if (ParseDurationMs(Setting(state_->settings, "execution.checkpointing.interval", ""), &interval_ms) &&
      interval_ms > kLongIntervalMs)
    properties.insert({"transaction.timeout.ms", std::to_string(kTransactionMaxMs)});
  auto client = state_->clients.For(options.String("properties.bootstrap.servers"), properties);
  if (!client.ok() && !client.error().where())
    return std::move(client).error().At(options.Where("properties.bootstrap.servers"));
  return client;
}

void JobLog::AddSource(log::Client* client, const std::string& topic, const std::string& group) {
  state_->sources.push_back({client, topic, group});
}

Status JobLog::AddSink(log::Client* client, const std::string& topic, const std::string& table, bool exactly_once,
                       const std::string& transactional_id_prefix) {
  TRY(CreateTopicWhereMissing(client, topic));
  if (!exactly_once) return Ok();
  if (state_->transaction_client && state_->transaction_client != client)
    return Error(ErrorCode::kUnsupported, "table " + table + ": one job's transaction can't span two Kafka clusters")
        .Remedy("set 'sink.delivery-guarantee' = 'at-least-once' on this table");
  state_->transaction_client = client;
  if (state_->sink_topic.empty()) state_->sink_topic = topic;
  if (state_->transactional_id_prefix.empty()) state_->transactional_id_prefix = transactional_id_prefix;
  return Ok();
}

Result<log::Writer*> JobLog::WriterFor(log::Client* client, bool exactly_once) {
  if (exactly_once && state_->exactly_once && client == state_->transaction_client) {
    if (!state_->transaction) return Internal("a sink on the log wrote before the job's transaction was open");
    return state_->transaction.get();
  }
  return state_->PlainWriter(client);
}

Result<std::unique_ptr<stream::CommitPoint>> JobLog::MakeCommitPoint(const stream::ConnectorContext& context) {
  State& state = *state_;
  state.exactly_once = context.exactly_once;
  if (!state.transaction_client && !state.sources.empty()) state.transaction_client = state.sources[0].client;
  if (!state.transaction_client) return std::unique_ptr<stream::CommitPoint>();
  state.has_commit_point = true;
  return std::unique_ptr<stream::CommitPoint>(std::make_unique<LogCommitPoint>(state, context.job));
}

Status JobLog::WriteBadRecords(const std::vector<stream::BadRecord>& bad, const stream::ConnectorContext& context) {
  if (bad.empty()) return Ok();
  if (!state_->has_commit_point) return WriteBadRecordsNow(bad, context);
  log::Client* client = state_->transaction_client;
  return WriteBadRecordsTo(client, TRY(WriterFor(client, true)), bad, context);
}

Status JobLog::WriteBadRecordsNow(const std::vector<stream::BadRecord>& bad, const stream::ConnectorContext& context) {
  if (bad.empty()) return Ok();
  log::Client* client = state_->transaction_client ? state_->transaction_client : state_->clients.Default();
  if (!client) return WriteBadRecordsToFile(bad, context);
  log::Writer* writer = TRY(state_->PlainWriter(client));
  TRY(WriteBadRecordsTo(client, writer, bad, context));
  return writer->Flush();
}

Status JobLog::WriteBadRecordsTo(log::Client* client, log::Writer* writer, const std::vector<stream::BadRecord>& bad,
                                 const stream::ConnectorContext& context) {
  State& state = *state_;
  std::string topic = Setting(state.settings, "errors.topic", "error_events");
  if (!state.error_topics_made.contains({client, topic})) {
    TRY(CreateTopicWhereMissing(client, topic));
    state.error_topics_made.insert({client, topic});
  }
  int64_t now_ms = state.clients.services().clock->NowMs();
  for (const stream::BadRecord& record : bad) {
    std::string value = BadRecordJson(record, context.job, now_ms);
    // Escapes can make a text six times as long.
    if (value.size() > kErrorValueBytesMax) value = BadRecordJson(record, context.job, now_ms, kErrorValueBytesMax / 8);
    std::string partition = std::to_string(record.from.partition), offset = std::to_string(record.offset);
    std::string reason = record.reason.substr(0, 4096);
    // Kafka Connect's names for the headers of its dead letter queue.
    HeaderView headers[] = {
        {"__connect.errors.topic", record.from.topic}, {"__connect.errors.partition", partition},
        {"__connect.errors.offset", offset},           {"__connect.errors.connector.name", context.job},
        {"__connect.errors.stage", record.stage},      {"__connect.errors.exception.message", reason}};
    log::RecordToWrite out;
    if (!record.key.empty() && record.key.size() < kErrorValueBytesMax / 16) out.key = record.key;
    out.value = value;
    out.headers = headers;
    Status appended = writer->Append(topic, -1, {&out, 1});
    if (!appended.ok() && appended.error().code() == ErrorCode::kLimitExceeded) {
      // The topic takes less than the default: the coordinates and a beginning are better than nothing.
      value = BadRecordJson(record, context.job, now_ms, kErrorOriginalBytesLeast);
      out.value = value;
      appended = writer->Append(topic, -1, {&out, 1});
    }
    TRY(std::move(appended));
  }
  return Ok();
}

Status JobLog::WriteBadRecordsToFile(const std::vector<stream::BadRecord>& bad,
                                     const stream::ConnectorContext& context) {
  const std::string& base = state_->clients.services().data_dir;
  std::string dir = (base.empty() ? context.base_dir.empty() ? "." : context.base_dir : base) + "/errors";
  if (mkdir(dir.c_str(), 0777) != 0 && errno != EEXIST) return IoError(dir, errno);
  std::string path = dir + "/" + context.job + ".jsonl";
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return IoError(path, errno);
  std::string lines;
  int64_t now_ms = state_->clients.services().clock->NowMs();
  for (const stream::BadRecord& record : bad) lines += BadRecordJson(record, context.job, now_ms) + "\n";
  for (std::string_view rest = lines; !rest.empty();) {
    ssize_t n = write(fd, rest.data(), rest.size());
    if (n < 0) {
      int error = errno;
      if (error == EINTR) continue;
      close(fd);
      return IoError(path, error);
    }
    rest.remove_prefix(static_cast<size_t>(n));
  }
  close(fd);
  return Ok();
}

std::string BadRecordJson(const stream::BadRecord& bad, const std::string& job, int64_t now_ms,
                          size_t original_bytes_max) {
  nlohmann::ordered_json json;
  json["job"] = job;
  json["stage"] = bad.stage;
  json["reason"] = bad.reason;
  json["topic"] = bad.from.topic;
  json["partition"] = bad.from.partition;
  json["offset"] = bad.offset;
  if (bad.timestamp_ms >= 0) json["timestamp"] = FormatIso8601Ms(bad.timestamp_ms);
  else json["timestamp"] = nullptr;
  if (bad.key.empty() || bad.key.size() > original_bytes_max) json["key"] = nullptr;
  else if (IsUtf8(bad.key)) json["key"] = bad.key;
  else json["key_base64"] = Base64Encode(bad.key);
  std::string_view original = bad.original;
  if (original.size() > original_bytes_max) {
    json["original_size"] = original.size();
    original = original.substr(0, original_bytes_max);
    while (!original.empty() && (static_cast<unsigned char>(original.back()) & 0xC0) == 0x80) original.remove_suffix(1);
    if (!original.empty() && (static_cast<unsigned char>(original.back()) & 0x80)) original.remove_suffix(1);
  }
  if (IsUtf8(original)) json["original"] = original;
  else json["original_base64"] = Base64Encode(original);
  json["failed_at"] = FormatIso8601Ms(now_ms);
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string EpochMetadata(const std::string& job, uint64_t epoch) {
  return "epoch " + std::to_string(epoch) + " of " + job;
}

uint64_t EpochOfMetadata(const std::string& metadata, const std::string& job) {
  if (metadata.rfind("epoch ", 0) != 0) return 0;
  uint64_t epoch = 0;
  auto [rest, error] = std::from_chars(metadata.data() + 6, metadata.data() + metadata.size(), epoch);
  if (error != std::errc()) return 0;
  return std::string_view(rest, static_cast<size_t>(metadata.data() + metadata.size() - rest)) == " of " + job ? epoch
                                                                                                               : 0;
}

}  // namespace tailrace::connectors
