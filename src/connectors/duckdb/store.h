#pragma once
// DuckDB files, opened once a process and shared by sinks, SQL tasks, `tailrace sql` and the REST API.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/types.h"

namespace tailrace::connectors {

struct QueryOptions {
  uint64_t row_limit = 10'000;  // rows beyond are not fetched; QueryResult::truncated then
  int64_t timeout_ms = 60'000;  // the query is interrupted (kTimeout); 0 = no limit
  bool text = true;             // fill QueryResult::rows
  bool json = true;             // fill QueryResult::json
};

struct QueryResult {
  data::Schema columns;
  /// Values as text; nullopt is NULL. Nested values as JSON.
  std::vector<std::vector<std::optional<std::string>>> rows;
  /// One JSON object a row.
  std::vector<std::string> json;
  uint64_t row_count = 0;
  bool truncated = false;     // there were more rows than the limit
  uint64_t rows_changed = 0;  // of INSERT, UPDATE, DELETE
  int64_t elapsed_us = 0;
};

/// Thread-safe: every call has a connection of its own, but those of one Session.
class Store {
 public:
  /// The open database at `path`, opened where it is not; ":memory:" is a new one each time. kConflict: another process
  /// has it. kCorrupt: not a DuckDB file.
  static Result<std::shared_ptr<Store>> Open(const std::string& path);
  virtual ~Store() = default;
  virtual const std::string& path() const = 0;
  /// Several statements are run in order; the last one's rows are the result. Errors are DuckDB's, kInvalidArgument.
  virtual Result<QueryResult> Query(const std::string& sql, const QueryOptions& options) = 0;
  /// As Query, without rows and without a limit of time.
  virtual Status Execute(const std::string& sql) = 0;
  /// Writes the log into the file (CHECKPOINT).
  virtual Status Checkpoint() = 0;

  /// A duckdb_database of the C API, for the sink in this folder.
  virtual void* handle() = 0;
};

/// `name` as an SQL identifier: "na""me".
std::string QuoteIdentifier(const std::string& name);
/// 'te''xt'.
std::string QuoteLiteral(const std::string& text);

}  // namespace tailrace::connectors
