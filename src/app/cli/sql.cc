#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/to_json.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "app/cli/rest.h"
#include "app/data_dir.h"
#include "config/project.h"
#include "config/suggest.h"
#include "connectors/duckdb/store.h"
#include "http/json_writer.h"

namespace tailrace::app {
namespace {

using Json = nlohmann::ordered_json;

struct SqlOptions {
  std::string sql, file, store, database, project;
  bool write = false;
  int64_t rows = 1000;
  double timeout_s = 30;
};

/// The shape of the REST answer (SqlResult), whoever ran the query.
void Print(const std::string& format, const Json& result) {
  std::vector<std::string> names;
  for (const auto& column : result["columns"]) names.push_back(column.value("name", ""));
  if (format != "table") {
    auto records = Json::array();
    for (const auto& row : result["rows"]) {
      auto record = Json::object();
      for (size_t i = 0; i < names.size() && i < row.size(); ++i) record[names[i]] = row[i];
      records.push_back(std::move(record));
    }
    return PrintJson(format, records.dump());
  }
  std::vector<bool> right;
  for (const auto& column : result["columns"]) {
    const std::string type = column.value("type", "");
    right.push_back(type.find("INT") != std::string::npos || type.starts_with("DOUBLE") || type.starts_with("FLOAT") ||
                    type.starts_with("DECIMAL"));
  }
  TextTable table(names, right);
  for (const auto& row : result["rows"]) {
    std::vector<std::string> cells;
    for (const auto& value : row) {
      std::string text = value.is_null() ? "NULL" : value.is_string() ? value.get<std::string>() : value.dump();
      for (char& c : text)
        if (c == '\n') c = ' ';
      cells.push_back(std::move(text));
    }
    table.Row(std::move(cells));
  }
  if (!names.empty()) std::fputs(table.ToString().c_str(), stdout);
  const size_t rows = result["rows"].size();
  if (isatty(STDOUT_FILENO) || rows == 0)
    std::printf("(%zu rows%s, %.1f ms)\n", rows,
                result.value("truncated", false) ? " shown, there are more: --rows" : "", result.value("time_ms", 0.0));
}

Result<Json> AskStore(const std::string& path, const SqlOptions& options, const std::string& sql) {
  auto store = TRY(connectors::Store::Open(path));
  connectors::QueryOptions query;
  query.row_limit = static_cast<uint64_t>(options.rows);
  query.timeout_ms = static_cast<int64_t>(options.timeout_s * 1000);
  const auto answer = TRY(store->Query(sql, query));
  Json out;
  out["columns"] = Json::array();
  for (const auto& column : answer.columns)
    out["columns"].push_back({{"name", column.name}, {"type", column.type.ToString()}});
  http::JsonWriter rows;
  rows.BeginArray();
  for (const auto& row : answer.rows) {
    rows.BeginArray();
    for (size_t i = 0; i < row.size(); ++i) api::WriteSqlValue(rows, answer.columns[i].type, row[i]);
    rows.EndArray();
  }
  rows.EndArray();
  out["rows"] = Json::parse(rows.Take());
  out["truncated"] = answer.truncated;
  out["time_ms"] = static_cast<double>(answer.elapsed_us) / 1000;
  return out;
}

/// Whether a platform that could hold the store's file runs: asked for by name, or found on this directory.
bool PlatformRuns(const Invocation& invocation, const std::string& project_dir) {
  if (!invocation.url.empty()) return true;
  if (const char* env = std::getenv("TAILRACE_URL"); env && *env) return true;
  return FindRunning((project_dir.empty() ? "." : project_dir) + "/.tailrace").has_value();
}

Result<Json> Ask(const Invocation& invocation, const SqlOptions& options, const std::string& sql) {
  if (!options.database.empty()) return AskStore(options.database, options, sql);
  if (PlatformRuns(invocation, options.project)) {
    http::JsonWriter body;
    body.BeginObject().Field("sql", sql).Field("write", options.write).Field("max_rows", options.rows);
    body.Field("timeout_ms", static_cast<int64_t>(options.timeout_s * 1000));
    if (!options.store.empty()) body.Field("store", options.store);
    body.EndObject();
    std::string url = PlatformUrl(invocation);
    if (!options.project.empty() && invocation.url.empty())
      if (auto running = FindRunning(options.project + "/.tailrace")) url = running->http;
    return Json::parse(
        TRY(Rest(url).Post("/api/v1/sql", body.Take(), static_cast<int64_t>(options.timeout_s * 1000) + 5000)));
  }
  const std::string dir = options.project.empty() ? "." : options.project;
  auto project = config::LoadProject(dir);
  if (!project.ok()) {
    if (!options.project.empty() || !options.store.empty() || project.error().code() != ErrorCode::kNotFound)
      return std::move(project).error();
    return AskStore(":memory:", options, sql);  // no project here: an empty database, which still reads files
  }
  std::vector<std::string> names;
  for (const auto& store : project->stores) {
    names.push_back(store.name);
    if (options.store == store.name || (options.store.empty() && project->stores.size() == 1))
      return AskStore(store.path.starts_with('/') ? store.path : project->dir + "/" + store.path, options, sql);
  }
  if (options.store.empty() && names.empty()) return AskStore(":memory:", options, sql);
  if (options.store.empty())
    return InvalidArgument("the project has several stores")
        .Remedy("name one with --store: " + config::SuggestRemedy("", names));
  return NotFound("there is no store '" + options.store + "'").Remedy(config::SuggestRemedy(options.store, names));
}

/// A shell: statements end with ';' at the end of a line.
Result<int> Shell(const Invocation& invocation, const SqlOptions& options) {
  std::puts("SQL over the project's store. A statement ends with ';'. Ctrl-D leaves.");
  std::string statement, line;
  while (true) {
    std::fputs(statement.empty() ? "sql> " : "...> ", stdout);
    std::fflush(stdout);
    if (!std::getline(std::cin, line)) break;
    statement += line + "\n";
    const size_t last = statement.find_last_not_of(" \n\t");
    if (last == std::string::npos) {
      statement.clear();
      continue;
    }
    if (statement[last] != ';') continue;
    auto answer = Ask(invocation, options, statement);
    if (answer.ok()) Print(invocation.output, *answer);
    else std::printf("%s\n", answer.error().ToString().c_str());
    statement.clear();
  }
  std::puts("");
  return 0;
}

Result<int> Run(const Invocation& invocation, const SqlOptions& options) {
  std::string sql = options.sql;
  if (!options.file.empty()) {
    std::ifstream in(options.file, std::ios::binary);
    if (!in) return IoError("reading " + options.file, errno);
    std::ostringstream text;
    text << in.rdbuf();
    sql = text.str();
  }
  if (sql.empty() && isatty(STDIN_FILENO)) return Shell(invocation, options);
  if (sql.empty()) {
    std::ostringstream text;
    text << std::cin.rdbuf();
    sql = text.str();
  }
  Print(invocation.output, TRY(Ask(invocation, options, sql)));
  return 0;
}

}  // namespace

void AddSql(Command& root) {
  Command command = root.Add("sql", "Batch SQL over the project's stores, and over CSV, JSON and Parquet files",
                             "tailrace sql 'SELECT count(*) FROM streaming_data.processed_events'\n"
                             "tailrace sql -f report.sql -o json\n"
                             "tailrace sql --database my.duckdb 'SHOW TABLES'\n"
                             "tailrace sql                                   a shell");
  auto options = std::make_shared<SqlOptions>();
  command.Value("SQL", options->sql, "the statement");
  command.Value("-f,--file", options->file, "read the statements from a file").Type("FILE");
  command.Value("--store", options->store, "which store of the project; default: the only one").Type("NAME");
  command.Value("--database", options->database, "a DuckDB file, no project").Type("FILE");
  command.Value("--project", options->project, "directory with the tailrace.yaml; default: this one").Type("DIR");
  command.Flag("--write", options->write, "allow changes where the running platform is asked");
  command.Value("--rows", options->rows, "rows at most").Between(1, 10'000'000);
  command.Value("--timeout", options->timeout_s, "stop the query after this many seconds").Type("SECONDS");
  command.OutputOption();
  command.UrlOption();
  command.Action([options](const Invocation& i) { return Run(i, *options); });
}

}  // namespace tailrace::app
