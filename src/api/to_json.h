#pragma once
// The schemas of openapi.yaml, written.

#include "api/services.h"
#include "base/result.h"
#include "broker/broker.h"
#include "data/types.h"
#include "http/json_writer.h"
#include "http/message.h"
#include "stream/job_manager.h"
#include "workflow/scheduler.h"

namespace tailrace::api {

void Write(http::JsonWriter& json, const stream::JobInfo& job);
void Write(http::JsonWriter& json, const workflow::DagSummary& dag);
void Write(http::JsonWriter& json, const workflow::DagRunInfo& run);
void Write(http::JsonWriter& json, const workflow::TaskInstanceInfo& task);
void Write(http::JsonWriter& json, const broker::GroupStats& group);
void Write(http::JsonWriter& json, const GeneratorStatus& generator);

/// The error as a response, with the status of its code.
http::Response ErrorToResponse(const Error& error);
int HttpStatus(ErrorCode code);

template <typename T>
http::Response JsonResponse(int status, const T& value) {
  http::JsonWriter json;
  Write(json, value);
  return http::Response::Json(status, json.Take() + "\n");
}
template <typename T>
http::Response JsonListResponse(const std::vector<T>& values) {
  http::JsonWriter json;
  json.BeginArray();
  for (const T& value : values) Write(json, value);
  json.EndArray();
  return http::Response::Json(200, json.Take() + "\n");
}

/// A query's value, given as text, under its column's type: numbers, booleans and nested values bare, the rest a
/// string. (NaN and infinities are strings: JSON has none.)
void WriteSqlValue(http::JsonWriter& json, const data::Type& type, const std::optional<std::string>& text);

}  // namespace tailrace::api
