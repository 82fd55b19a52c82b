#include "api/to_json.h"

#include "base/clock.h"

#include <algorithm>
#include <cstdint>

namespace tailrace::api {
namespace {

constexpr int64_t kWatermarkMsMax = 253'402'300'800'000;  // the year 10000

/// -1 and INT64_MIN stand for "not known".
std::optional<int64_t> Known(int64_t value) { return value < 0 ? std::nullopt : std::optional<int64_t>(value); }

}  // namespace

void Write(http::JsonWriter& json, const stream::JobInfo& job) {
  json.BeginObject().Field("name", job.name).Field("file", job.file).Field("state", stream::JobStateName(job.state));
  json.Field("error", job.error)
      .Field("started_ms", job.started_ms)
      .Field("ended_ms", job.ended_ms)
      .Field("restarts", job.restarts);
  json.Field("records_in", job.records_in).Field("bytes_in", job.bytes_in).Field("rows_out", job.rows_out);
  json.Field("bad_records", job.bad_records).Field("late_records", job.late_records);
  // An average over the last 10 s says nothing about a job that has ended.
  const bool running = job.state == stream::JobState::kRunning;
  json.Field("records_in_per_second", running ? job.records_in_per_second : 0.0)
      .Field("rows_out_per_second", running ? job.rows_out_per_second : 0.0);
  json.Field("lag", running ? Known(job.lag) : std::nullopt);
  // A bounded job ends with a watermark behind all time.
  const bool has_watermark = job.watermark_ms != INT64_MIN && job.watermark_ms < kWatermarkMsMax;
  json.Field("watermark_ms", has_watermark ? std::optional<int64_t>(job.watermark_ms) : std::nullopt);
  json.Field("epoch", job.epoch).Field("last_checkpoint_ms", job.last_checkpoint_ms);
  json.Field("checkpoint_duration_ms", job.checkpoint_duration_ms).Field("state_bytes", job.state_bytes);
  json.Key("latency")
      .BeginObject()
      .Field("p50_us", Known(job.latency.p50_us))
      .Field("p99_us", Known(job.latency.p99_us));
  json.Field("max_us", Known(job.latency.max_us)).EndObject().EndObject();
}

/// Times go out twice: in milliseconds for programs, and as text under the names that Airflow's clients know.
static std::optional<std::string> Iso(std::optional<int64_t> ms) {
  if (!ms) return std::nullopt;
  return FormatIso8601Ms(*ms);
}

void Write(http::JsonWriter& json, const workflow::DagSummary& dag) {
  json.BeginObject().Field("dag_id", dag.dag_id).Field("file", dag.file).Field("schedule", dag.schedule);
  json.Field("description", dag.description).Field("error", dag.error).Field("paused", dag.paused);
  json.Field("task_ids", dag.task_ids)
      .Field("next_run_ms", dag.next_run_ms)
      .Field("last_run_state", dag.last_run_state)
      .EndObject();
}

void Write(http::JsonWriter& json, const workflow::DagRunInfo& run) {
  json.BeginObject()
      .Field("dag_id", run.dag_id)
      .Field("run_id", run.run_id)
      .Field("run_type", run.run_type)
      .Field("state", run.state);
  json.Key("conf").Raw(run.conf_json.empty() ? "{}" : run.conf_json);
  json.Field("logical_date_ms", run.logical_date_ms).Field("data_interval_start_ms", run.data_interval_start_ms);
  json.Field("data_interval_end_ms", run.data_interval_end_ms).Field("queued_at_ms", run.queued_at_ms);
  json.Field("start_date_ms", run.start_date_ms).Field("end_date_ms", run.end_date_ms);
  json.Field("logical_date", Iso(run.logical_date_ms)).Field("data_interval_start", Iso(run.data_interval_start_ms));
  json.Field("data_interval_end", Iso(run.data_interval_end_ms)).Field("queued_at", Iso(run.queued_at_ms));
  json.Field("start_date", Iso(run.start_date_ms)).Field("end_date", Iso(run.end_date_ms)).EndObject();
}

void Write(http::JsonWriter& json, const workflow::TaskInstanceInfo& task) {
  json.BeginObject()
      .Field("dag_id", task.dag_id)
      .Field("run_id", task.run_id)
      .Field("task_id", task.task_id)
      .Field("state", task.state);
  json.Field("operator", task.operator_name)
      .Field("pool", task.pool)
      .Field("queue", task.queue)
      .Field("note", task.note);
  json.Field("try_number", task.try_number).Field("max_tries", task.max_tries).Field("queued_at_ms", task.queued_at_ms);
  json.Field("start_date_ms", task.start_date_ms)
      .Field("end_date_ms", task.end_date_ms)
      .Field("next_retry_ms", task.next_retry_ms);
  json.Field("queued_at", Iso(task.queued_at_ms))
      .Field("start_date", Iso(task.start_date_ms))
      .Field("end_date", Iso(task.end_date_ms))
      .EndObject();
}

void Write(http::JsonWriter& json, const broker::GroupStats& group) {
  int64_t lag = 0;
  for (const auto& partition : group.partitions) lag += std::max<int64_t>(0, partition.lag);
  json.BeginObject()
      .Field("group", group.group)
      .Field("state", group.state)
      .Field("members", group.members)
      .Field("lag", lag);
  json.Key("partitions").BeginArray();
  for (const auto& p : group.partitions)
    json.BeginObject()
        .Field("topic", p.topic)
        .Field("partition", p.partition)
        .Field("committed", p.committed)
        .Field("lag", p.lag)
        .EndObject();
  json.EndArray().EndObject();
}

void Write(http::JsonWriter& json, const GeneratorStatus& generator) {
  json.BeginObject().Field("name", generator.name).Field("file", generator.file).Field("running", generator.running);
  json.Field("sent", generator.sent).Field("rate", generator.rate).Field("error", generator.error).EndObject();
}

int HttpStatus(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return 400;
    case ErrorCode::kNotFound: return 404;
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kConflict: return 409;
    case ErrorCode::kLimitExceeded: return 413;
    case ErrorCode::kTimeout: return 408;
    case ErrorCode::kPermissionDenied: return 403;
    case ErrorCode::kUnsupported: return 501;
    case ErrorCode::kUnavailable:
    case ErrorCode::kCancelled: return 503;
    case ErrorCode::kIo:
    case ErrorCode::kCorrupt:
    case ErrorCode::kInternal: return 500;
  }
  return 500;
}

http::Response ErrorToResponse(const Error& error) {
  http::JsonWriter json;
  json.BeginObject()
      .Key("error")
      .BeginObject()
      .Field("code", ErrorCodeName(error.code()))
      .Field("message", error.message());
  if (!error.remedy().empty()) json.Field("remedy", error.remedy());
  if (error.where())
    json.Key("where")
        .BeginObject()
        .Field("file", error.where()->file)
        .Field("line", error.where()->line)
        .Field("column", error.where()->column)
        .EndObject();
  json.EndObject().EndObject();
  return http::Response::Json(HttpStatus(error.code()), json.Take() + "\n");
}

void WriteSqlValue(http::JsonWriter& json, const data::Type& type, const std::optional<std::string>& text) {
  using data::TypeId;
  if (!text) {
    json.Null();
    return;
  }
  bool bare = false;
  switch (type.id) {
    case TypeId::kBoolean:
    case TypeId::kStruct:
    case TypeId::kList:
    case TypeId::kMap: bare = true; break;
    case TypeId::kTinyInt:
    case TypeId::kSmallInt:
    case TypeId::kInteger:
    case TypeId::kBigInt:
    case TypeId::kHugeInt:
    case TypeId::kFloat:
    case TypeId::kDouble:
    case TypeId::kDecimal: {
      const char last = text->empty() ? ' ' : text->back();
      bare = last >= '0' && last <= '9';  // not nan, inf
      break;
    }
    default: break;
  }
  if (bare) json.Raw(*text);
  else json.Value(*text);
}

}  // namespace tailrace::api
