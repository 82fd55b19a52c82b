#include "workflow/operators/sql_support.h"

#include <fmt/format.h>

#include <cstdio>

#include "workflow/jinja/template.h"

namespace tailrace::workflow {

Result<std::string> ReadTextFile(const std::string& path) {
  constexpr size_t kBytesMax = 16 << 20;
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) return IoError("open " + path, errno);
  std::string text;
  char buffer[65536];
  size_t n;
  while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0 && text.size() <= kBytesMax) text.append(buffer, n);
  fclose(file);
  if (text.size() > kBytesMax) return Error(ErrorCode::kLimitExceeded, path + ": more than 16 MB");
  return text;
}

Result<connectors::QueryResult> RunSql(TaskContext& context, const Map& with, uint64_t row_limit) {
  const auto& stores = context.environment.options.stores;
  std::string store;
  if (const Value* v = with.Find("store"); v && v->is_string()) store = v->string();
  else if (stores.size() == 1) store = stores.begin()->second;
  else
    return InvalidArgument(stores.empty() ? "no store: name one with 'store' (a DuckDB file)"
                                          : "several stores: name one with 'store'");
  if (auto named = stores.find(store); named != stores.end()) store = named->second;
  if (store != ":memory:") store = context.Path(store);
  std::string sql;
  if (const Value* v = with.Find("sql")) {
    if (v->is_list()) {
      for (const Value& statement : v->list()) sql += PythonStr(statement) + ";\n";
    } else {
      sql = PythonStr(*v);
    }
  } else if (const Value* file = with.Find("file"); file && file->is_string()) {
    sql = TRY(ReadTextFile(context.Path(file->string())));
  }
  if (sql.empty()) return InvalidArgument("no SQL: give 'sql' or 'file'");
  context.log.Info("Running SQL: " + sql.substr(0, 2000));
  connectors::QueryOptions options;
  options.row_limit = row_limit;
  options.timeout_ms = TRY(context.DurationMs("timeout", 600'000));
  if (context.task.execution_timeout_ms > 0)
    options.timeout_ms = std::min(options.timeout_ms, context.task.execution_timeout_ms);
  std::shared_ptr<connectors::Store> opened = TRY(connectors::Store::Open(store));
  connectors::QueryResult result = TRY(opened->Query(sql, options));
  context.log.Info(fmt::format("{} rows, {} changed, {:.1f} ms", result.row_count, result.rows_changed,
                               static_cast<double>(result.elapsed_us) / 1000));
  return result;
}

bool TextHolds(const std::string& text) {
  for (const char* no : {"", "0", "0.0", "false", "False", "FALSE", "none", "None", "null", "NULL", "[]", "{}"})
    if (text == no) return false;
  return true;
}

Value Cell(const connectors::QueryResult& result, size_t row, size_t column) {
  const std::optional<std::string>& text = result.rows[row][column];
  if (!text) return Value();
  char* end = nullptr;
  errno = 0;
  long long i = strtoll(text->c_str(), &end, 10);
  if (!text->empty() && *end == '\0' && errno == 0) return Value(static_cast<int64_t>(i));
  double d = strtod(text->c_str(), &end);
  if (!text->empty() && *end == '\0') return Value(d);
  if (*text == "true") return Value(true);
  if (*text == "false") return Value(false);
  return Value(*text);
}

Value RowsAsValue(const connectors::QueryResult& result) {
  List rows;
  for (const std::string& json : result.json) {
    Result<Value> row = ParseJson(json);
    rows.push_back(row.ok() ? std::move(*row) : Value(json));
  }
  return Value(std::move(rows));
}

Result<std::vector<std::string>> CheckFirstRow(const Map& with, const connectors::QueryResult& result) {
  std::vector<std::string> why;
  if (result.rows.empty()) return std::vector<std::string>{"the query gave no row"};
  Value first = Cell(result, 0, 0);
  auto bound = [&](const char* name) -> std::optional<double> {
    const Value* v = with.Find(name);
    if (v == nullptr || v->is_null()) return std::nullopt;
    return v->is_number() ? v->number() : strtod(PythonStr(*v).c_str(), nullptr);
  };
  std::optional<double> least = bound("min"), most = bound("max");
  if ((least || most) && !first.is_number()) why.push_back(fmt::format("'{}' is no number", PythonStr(first)));
  else if (least && first.number() < *least) why.push_back(fmt::format("{} is less than {}", PythonStr(first), *least));
  else if (most && first.number() > *most) why.push_back(fmt::format("{} is more than {}", PythonStr(first), *most));
  const Value* equals = with.Find("equals");
  if (equals && !equals->is_null() && PythonStr(*equals) != PythonStr(first) && !Equal(*equals, first))
    why.push_back(fmt::format("'{}' is not '{}'", PythonStr(first), PythonStr(*equals)));
  if (!least && !most && !equals)
    for (size_t c = 0; c < result.rows[0].size(); ++c)
      if (!TextHolds(result.rows[0][c].value_or("")))
        why.push_back(fmt::format("column {} is {}", c + 1, result.rows[0][c].value_or("NULL")));
  return why;
}

}  // namespace tailrace::workflow
