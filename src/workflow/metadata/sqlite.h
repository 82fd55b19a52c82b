#pragma once
// The little of SQLite's interface we need, with errors as values.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace tailrace::workflow {

/// A prepared statement in use; returned to its connection when destroyed. Bind in order, then Step.
class Statement {
 public:
  Statement(sqlite3* db, sqlite3_stmt* stmt) : db_(db), stmt_(stmt) {}
  Statement(Statement&& other) noexcept : db_(other.db_), stmt_(other.stmt_), next_(other.next_) {
    other.stmt_ = nullptr;
  }
  Statement(const Statement&) = delete;
  ~Statement();

  Statement& Bind(std::string_view text);
  Statement& Bind(int64_t value);
  Statement& Bind(int value) { return Bind(int64_t{value}); }
  Statement& Bind(std::optional<int64_t> value);
  /// True: a row is there. kIo and others as SQLite says.
  Result<bool> Step();
  /// Runs to the end and makes ready for the next set of values.
  Status Run();

  std::string Text(int column) const;
  int64_t Int(int column) const;
  std::optional<int64_t> MaybeInt(int column) const;

 private:
  sqlite3* db_;
  sqlite3_stmt* stmt_;
  int next_ = 1;
};

/// One thread at a time.
class Database {
 public:
  static Result<std::unique_ptr<Database>> Open(const std::string& path, bool read_only);
  ~Database();
  Status Execute(const char* sql);
  /// Prepared once per text, which must live for ever (a literal).
  Result<Statement> Prepare(const char* sql);
  int64_t last_insert_id() const;
  int changes() const;

 private:
  explicit Database(sqlite3* db) : db_(db) {}
  sqlite3* db_;
  std::map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace tailrace::workflow
