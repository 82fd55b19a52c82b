#include "workflow/metadata/sqlite.h"

#include <fmt/format.h>
#include <sqlite3.h>

namespace tailrace::workflow {
namespace {

Error SqliteError(sqlite3* db, std::string_view what) {
  int code = sqlite3_errcode(db) & 0xff;
  std::string message = fmt::format("metadata: {}: {}", what, sqlite3_errmsg(db));
  switch (code) {
    case SQLITE_FULL: return Error(ErrorCode::kIo, message).Remedy("free disk space");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error(ErrorCode::kCorrupt, message).Remedy("restore metadata.sqlite from a backup, or move it away");
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return {ErrorCode::kUnavailable, message};
    case SQLITE_CONSTRAINT: return {ErrorCode::kAlreadyExists, message};
    default: return {ErrorCode::kIo, message};
  }
}

}  // namespace

Statement::~Statement() {
  if (stmt_ == nullptr) return;
  sqlite3_reset(stmt_);
  sqlite3_clear_bindings(stmt_);
}

Statement& Statement::Bind(std::string_view text) {
  sqlite3_bind_text(stmt_, next_++, text.data() == nullptr ? "" : text.data(), static_cast<int>(text.size()),
                    SQLITE_TRANSIENT);
  return *this;
}

Statement& Statement::Bind(int64_t value) {
  sqlite3_bind_int64(stmt_, next_++, value);
  return *this;
}

Statement& Statement::Bind(std::optional<int64_t> value) {
  if (value) sqlite3_bind_int64(stmt_, next_++, *value);
  else sqlite3_bind_null(stmt_, next_++);
  return *this;
}

Result<bool> Statement::Step() {
  switch (sqlite3_step(stmt_)) {
    case SQLITE_ROW: return true;
    case SQLITE_DONE: return false;
    default: return SqliteError(db_, sqlite3_sql(stmt_));
  }
}

Status Statement::Run() {
  while (TRY(Step())) {}
  sqlite3_reset(stmt_);
  next_ = 1;
  return {};
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(stmt_, column));
  return text == nullptr ? std::string() : std::string(text, static_cast<size_t>(sqlite3_column_bytes(stmt_, column)));
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(stmt_, column); }

std::optional<int64_t> Statement::MaybeInt(int column) const {
  if (sqlite3_column_type(stmt_, column) == SQLITE_NULL) return std::nullopt;
  return sqlite3_column_int64(stmt_, column);
}

Result<std::unique_ptr<Database>> Database::Open(const std::string& path, bool read_only) {
  sqlite3* db = nullptr;
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI |
              (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (sqlite3_open_v2(path.c_str(), &db, flags, nullptr) != SQLITE_OK) {
    Error error = SqliteError(db, "open " + path);
    sqlite3_close(db);
    return error;
  }
  sqlite3_busy_timeout(db, 10'000);
  return std::unique_ptr<Database>(new Database(db));
}

Database::~Database() {
  for (auto& [sql, stmt] : statements_) sqlite3_finalize(stmt);
  sqlite3_close(db_);
}

Status Database::Execute(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return SqliteError(db_, "statement");
  return {};
}

Result<Statement> Database::Prepare(const char* sql) {
  sqlite3_stmt*& stmt = statements_[sql];
  if (stmt == nullptr && sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, nullptr) != SQLITE_OK)
    return SqliteError(db_, sql);
  return Statement(db_, stmt);
}

int64_t Database::last_insert_id() const { return sqlite3_last_insert_rowid(db_); }
int Database::changes() const { return sqlite3_changes(db_); }

}  // namespace tailrace::workflow
