#include <algorithm>

#include "api/json_body.h"
#include "api/routes.h"
#include "api/to_json.h"
#include "config/suggest.h"
#include "connectors/duckdb/store.h"

namespace tailrace::api {

using http::Request;
using http::Response;

namespace {

/// The store of that name; of the project's only one where the name is empty; an empty path where there is none at all.
Result<std::string> StorePath(const Services& services, const std::string& name) {
  if (name.empty()) {
    if (services.stores.empty()) return std::string();
    if (services.stores.size() == 1) return services.stores[0].path;
  }
  std::vector<std::string> names;
  for (const Store& store : services.stores) {
    if (store.name == name) return store.path;
    names.push_back(store.name);
  }
  if (name.empty())
    return InvalidArgument("the project has several stores").Remedy("name one: " + config::SuggestRemedy("", names));
  return NotFound("there is no store '" + name + "'")
      .Remedy(names.empty() ? "declare it under 'stores:' in tailrace.yaml" : config::SuggestRemedy(name, names));
}

/// The first word of every statement, in capitals; comments and quoted text skipped.
std::vector<std::string> FirstWords(const std::string& sql) {
  std::vector<std::string> out;
  bool at_start = true;
  for (size_t i = 0; i < sql.size();) {
    const char c = sql[i];
    if (sql.compare(i, 2, "--") == 0) {
      i = std::min(sql.size(), sql.find('\n', i));
    } else if (sql.compare(i, 2, "/*") == 0) {
      const size_t end = sql.find("*/", i + 2);
      i = end == std::string::npos ? sql.size() : end + 2;
    } else if (c == ';') {
      at_start = true;
      ++i;
    } else if (isspace(static_cast<unsigned char>(c)) || c == '(') {
      ++i;
    } else if (c == '\'' || c == '"') {
      const size_t end = sql.find(c, i + 1);  // a doubled quote only starts another quoted piece
      i = end == std::string::npos ? sql.size() : end + 1;
      at_start = false;
    } else if (isalpha(static_cast<unsigned char>(c)) || c == '_') {
      std::string word;
      while (i < sql.size() && (isalnum(static_cast<unsigned char>(sql[i])) || sql[i] == '_'))
        word += static_cast<char>(toupper(static_cast<unsigned char>(sql[i++])));
      if (at_start) out.push_back(std::move(word));
      at_start = false;
    } else {
      at_start = false;
      ++i;
    }
  }
  return out;
}

Status CheckReadOnly(const std::string& sql) {
  static const std::vector<std::string> allowed = {"SELECT",   "WITH", "FROM",      "VALUES",  "TABLE", "SHOW",
                                                   "DESCRIBE", "DESC", "SUMMARIZE", "EXPLAIN", "PIVOT", "UNPIVOT"};
  for (const std::string& word : FirstWords(sql))
    if (std::find(allowed.begin(), allowed.end(), word) == allowed.end())
      return Error(ErrorCode::kPermissionDenied, word + " is not a query, and the request is read-only")
          .Remedy("ask with \"write\": true, or 'tailrace sql --write'");
  return Ok();
}

}  // namespace

void AddSqlRoutes(http::Router& router, const Services& services) {
  router.Add("GET", "/api/v1/stores", [&services](const Request&) {
    http::JsonWriter json;
    json.BeginArray();
    for (const Store& store : services.stores)
      json.BeginObject().Field("name", store.name).Field("path", store.path).EndObject();
    json.EndArray();
    return Response::Json(200, json.Take() + "\n");
  });
  router.Add("POST", "/api/v1/sql", [&services](const Request& r) -> Response {
    const JsonBody body = TRY_HTTP(JsonBody::Parse(r, {"sql", "store", "write", "max_rows", "timeout_ms"}));
    std::string sql = TRY_HTTP(body.RequiredText("sql"));
    const std::string path = TRY_HTTP(StorePath(services, TRY_HTTP(body.Text("store")).value_or("")));
    if (!TRY_HTTP(body.Bool("write")).value_or(false)) {
      TRY_HTTP(CheckReadOnly(sql));
      // WITH … INSERT passes that check; this one nothing passes. The connection ends with the call, and so does this.
      sql = "BEGIN TRANSACTION READ ONLY; " + sql;
    }
    const int64_t rows_most = services.settings.Int("sql.max.rows"),
                  time_most = services.settings.DurationMs("sql.timeout");
    connectors::QueryOptions options;
    options.row_limit =
        static_cast<uint64_t>(std::clamp<int64_t>(TRY_HTTP(body.Int("max_rows")).value_or(rows_most), 1, rows_most));
    options.timeout_ms = std::clamp<int64_t>(TRY_HTTP(body.Int("timeout_ms")).value_or(time_most), 1, time_most);
    auto store = TRY_HTTP(connectors::Store::Open(path.empty() ? ":memory:" : path));
    const connectors::QueryResult answer = TRY_HTTP(store->Query(sql, options));
    http::JsonWriter json;
    json.BeginObject().Key("columns").BeginArray();
    for (const auto& column : answer.columns)
      json.BeginObject().Field("name", column.name).Field("type", column.type.ToString()).EndObject();
    json.EndArray().Key("rows").BeginArray();
    for (const auto& row : answer.rows) {
      json.BeginArray();
      for (size_t i = 0; i < row.size(); ++i) WriteSqlValue(json, answer.columns[i].type, row[i]);
      json.EndArray();
    }
    json.EndArray().Field("rows_changed", answer.rows_changed).Field("truncated", answer.truncated);
    json.Field("time_ms", static_cast<double>(answer.elapsed_us) / 1000).EndObject();
    return Response::Json(200, json.Take() + "\n");
  });
}

}  // namespace tailrace::api
