#include "connectors/duckdb/store.h"

#include <duckdb.h>
#include <limits.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "connectors/duckdb/chunks.h"
#include "data/codec.h"
#include "data/value_text.h"

namespace tailrace::connectors {

namespace {

/// Interrupts a connection at its deadline unless it is destroyed before.
class Watchdog {
 public:
  Watchdog(duckdb_connection connection, int64_t timeout_ms) : connection_(connection) {
    if (timeout_ms > 0) thread_ = std::thread([this, timeout_ms] { Run(timeout_ms); });
  }
  ~Watchdog() {
    {
      std::lock_guard lock(mutex_);
      done_ = true;
    }
    cv_.notify_one();
    if (thread_.joinable()) thread_.join();
  }
  bool fired() const { return fired_; }

 private:
  void Run(int64_t timeout_ms) {
    std::unique_lock lock(mutex_);
    if (cv_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return done_; })) return;
    fired_ = true;
    // Again and again: an interrupt between two statements of one call is forgotten by DuckDB.
    while (!done_) {
      duckdb_interrupt(connection_);
      cv_.wait_for(lock, std::chrono::milliseconds(20), [this] { return done_; });
    }
  }

  duckdb_connection connection_;
  std::mutex mutex_;
  std::condition_variable cv_;
  bool done_ = false;
  std::atomic<bool> fired_ = false;
  std::thread thread_;
};

struct Connection {
  duckdb_connection handle = nullptr;
  ~Connection() {
    if (handle) duckdb_disconnect(&handle);
  }
};

struct Prepared {
  duckdb_prepared_statement handle = nullptr;
  ~Prepared() { duckdb_destroy_prepare(&handle); }
};

struct Extracted {
  duckdb_extracted_statements handle = nullptr;
  ~Extracted() { duckdb_destroy_extracted(&handle); }
};

struct Pending {
  duckdb_pending_result handle = nullptr;
  ~Pending() { duckdb_destroy_pending(&handle); }
};

struct ResultHandle {
  duckdb_result handle{};
  bool set = false;
  ~ResultHandle() {
    if (set) duckdb_destroy_result(&handle);
  }
};

Error FromDuckdb(const char* message) { return InvalidArgument(message ? message : "DuckDB gives no reason"); }

class StoreImpl final : public Store {
 public:
  StoreImpl(std::string path, duckdb_database database) : path_(std::move(path)), database_(database) {}
  ~StoreImpl() override { duckdb_close(&database_); }

  const std::string& path() const override { return path_; }
  void* handle() override { return database_; }

  Result<QueryResult> Query(const std::string& sql, const QueryOptions& options) override {
    QueryResult out;
    int64_t started_ns = Clock::System().MonotonicNs();
    Connection connection;
    if (duckdb_connect(database_, &connection.handle) != DuckDBSuccess) return Internal("DuckDB: no connection");
    Status status = Ok();
    bool fired;
    {
      Watchdog watchdog(connection.handle, options.timeout_ms);
      status = Run(connection.handle, sql, options, &out);
      fired = watchdog.fired();
    }
    if (fired && !status.ok())
      return Error(ErrorCode::kTimeout, "the query took longer than " + std::to_string(options.timeout_ms) + " ms");
    if (!status.ok()) return std::move(status).error();
    out.elapsed_us = (Clock::System().MonotonicNs() - started_ns) / 1000;
    return out;
  }

  Status Execute(const std::string& sql) override {
    Connection connection;
    if (duckdb_connect(database_, &connection.handle) != DuckDBSuccess) return Internal("DuckDB: no connection");
    duckdb_result result;
    Status status = Ok();
    if (duckdb_query(connection.handle, sql.c_str(), &result) != DuckDBSuccess)
      status = FromDuckdb(duckdb_result_error(&result));
    duckdb_destroy_result(&result);
    return status;
  }

  Status Checkpoint() override { return Execute("CHECKPOINT"); }

 private:
  static Status Run(duckdb_connection connection, const std::string& sql, const QueryOptions& options,
                    QueryResult* out) {
    Extracted statements;
    idx_t count = duckdb_extract_statements(connection, sql.c_str(), &statements.handle);
    if (count == 0) {
      const char* message = duckdb_extract_statements_error(statements.handle);
      return message && *message ? FromDuckdb(message) : InvalidArgument("there is no statement");
    }
    for (idx_t i = 0; i < count; i++) {
      Prepared prepared;
      if (duckdb_prepare_extracted_statement(connection, statements.handle, i, &prepared.handle) != DuckDBSuccess)
        return FromDuckdb(duckdb_prepare_error(prepared.handle));
      // Streaming: what is beyond the row limit is never computed.
      Pending pending;
      if (duckdb_pending_prepared_streaming(prepared.handle, &pending.handle) != DuckDBSuccess)
        return FromDuckdb(duckdb_pending_error(pending.handle));
      ResultHandle result;
      result.set = true;
      if (duckdb_execute_pending(pending.handle, &result.handle) != DuckDBSuccess)
        return FromDuckdb(duckdb_result_error(&result.handle));
      TRY(Fetch(result.handle, options, i + 1 == count, out));
    }
    return Ok();
  }

  static Status Fetch(duckdb_result& result, const QueryOptions& options, bool keep, QueryResult* out) {
    const uint64_t row_limit = options.row_limit;
    data::Schema schema;
    std::vector<duckdb_logical_type> logical;
    struct Destroy {
      std::vector<duckdb_logical_type>& types;
      ~Destroy() {
        for (auto& t : types) duckdb_destroy_logical_type(&t);
      }
    } destroy{logical};
    bool rows_come = duckdb_result_return_type(result) == DUCKDB_RESULT_TYPE_QUERY_RESULT;
    if (keep && rows_come) {
      for (idx_t c = 0; c < duckdb_column_count(&result); c++) {
        logical.push_back(duckdb_column_logical_type(&result, c));
        auto type = FromLogicalType(logical.back());
        if (!type.ok()) return std::move(type).error().Context("column " + std::string(duckdb_column_name(&result, c)));
        schema.push_back({duckdb_column_name(&result, c), *type});
      }
    }
    std::unique_ptr<data::Encoder> encoder;
    if (keep && rows_come) {
      data::FormatOptions format;
      format.schema = schema;
      encoder = TRY(data::MakeEncoder("json", format));
      out->columns = schema;
    }
    while (true) {
      duckdb_data_chunk chunk = duckdb_fetch_chunk(result);
      if (!chunk) {
        const char* message = duckdb_result_error(&result);
        if (message && *message) return FromDuckdb(message);
        return Ok();
      }
      idx_t rows = duckdb_data_chunk_get_size(chunk);
      if (keep && rows_come) {
        if (out->row_count + rows > row_limit) {
          rows = row_limit - out->row_count;
          out->truncated = true;
        }
        Status appended = rows ? Append(chunk, rows, schema, logical, options, *encoder, out) : Ok();
        out->row_count += rows;
        if (!appended.ok()) {
          duckdb_destroy_data_chunk(&chunk);
          return appended;
        }
      } else if (keep && duckdb_result_return_type(result) == DUCKDB_RESULT_TYPE_CHANGED_ROWS && rows == 1) {
        out->rows_changed = static_cast<uint64_t>(
            *static_cast<int64_t*>(duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0))));
      }
      duckdb_destroy_data_chunk(&chunk);
      if (rows == 0 || out->truncated) return Ok();
    }
  }

  static Status Append(duckdb_data_chunk chunk, idx_t rows, const data::Schema& schema,
                       std::vector<duckdb_logical_type>& logical, const QueryOptions& options, data::Encoder& encoder,
                       QueryResult* out) {
    data::Arena arena;
    data::Batch batch;
    batch.rows = static_cast<uint32_t>(rows);
    for (size_t c = 0; c < schema.size(); c++)
      batch.columns.push_back(
          ReadVector(duckdb_data_chunk_get_vector(chunk, c), logical[c], schema[c].type, rows, arena));
    if (options.json) {
      std::vector<BytesView> values;
      TRY(encoder.Encode(batch, &values));
      for (BytesView value : values) out->json.emplace_back(value);
    }
    if (!options.text) return Ok();
    size_t first = out->rows.size();
    out->rows.resize(first + rows, std::vector<std::optional<std::string>>(schema.size()));
    for (size_t c = 0; c < schema.size(); c++) {
      const data::Column& column = batch.columns[c];
      bool nested = data::IsNested(schema[c].type);
      std::vector<BytesView> cells;
      std::unique_ptr<data::Encoder> one;
      if (nested) {  // {"x":VALUE} of which VALUE is wanted
        data::FormatOptions format;
        format.schema = {{"x", schema[c].type}};
        one = TRY(data::MakeEncoder("json", format));
        data::Batch single;
        single.rows = batch.rows;
        single.columns.push_back(column);
        TRY(one->Encode(single, &cells));
      }
      for (idx_t r = 0; r < rows; r++) {
        if (!column.IsValid(r)) continue;
        std::string text;
        if (nested) text = cells[r].substr(5, cells[r].size() - 6);
        else data::AppendValueText(column, r, data::TimestampFormat::kSql, &text);
        out->rows[first + r][c] = std::move(text);
      }
    }
    return Ok();
  }

  std::string path_;
  duckdb_database database_;
};

/// A file is open once: DuckDB's lock does not hold against its own process. An entry whose store nobody holds any more
/// stays until the file is really closed.
struct OpenStore {
  std::weak_ptr<Store> store;
  std::shared_ptr<bool> closed;
};
struct OpenStores {
  std::mutex mutex;
  std::condition_variable closed;
  std::map<std::string, OpenStore> by_path;
};
OpenStores& TheOpenStores() {
  static auto* stores = new OpenStores;  // outlives every store, whatever the order of destruction at exit
  return *stores;
}

/// The path that two names of one file share: the directory resolved, the file as named.
std::string Canonical(const std::string& path) {
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved)) return resolved;
  size_t slash = path.rfind('/');
  std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (realpath(directory.c_str(), resolved)) return std::string(resolved) + "/" + name;
  return path;
}

}  // namespace

Result<std::shared_ptr<Store>> Store::Open(const std::string& path) {
  OpenStores& stores = TheOpenStores();
  bool memory = path == ":memory:";
  std::string key = memory ? path : Canonical(path);
  std::unique_lock lock(stores.mutex);
  if (!memory) {
    while (true) {
      auto it = stores.by_path.find(key);
      if (it == stores.by_path.end()) break;
      if (auto store = it->second.store.lock()) return store;
      auto closed = it->second.closed;
      stores.closed.wait(lock, [&] { return *closed; });
      it = stores.by_path.find(key);
      if (it != stores.by_path.end() && it->second.closed == closed) stores.by_path.erase(it);
    }
  }
  duckdb_config config;
  duckdb_create_config(&config);
  duckdb_set_config(config, "custom_user_agent", "tailrace");
  duckdb_set_config(config, "autoinstall_known_extensions", "false");
  duckdb_database database = nullptr;
  char* message = nullptr;
  duckdb_state state = duckdb_open_ext(memory ? nullptr : key.c_str(), &database, config, &message);
  duckdb_destroy_config(&config);
  if (state != DuckDBSuccess) {
    std::string text = message ? message : "no reason given";
    if (message) duckdb_free(message);
    if (text.find("lock") != std::string::npos)
      return Error(ErrorCode::kConflict, "another process has the store " + path + " open")
          .Remedy("stop it, or send the SQL to it (TAILRACE_URL)");
    return Error(text.find("not a valid DuckDB") != std::string::npos ? ErrorCode::kCorrupt : ErrorCode::kIo,
                 "store " + path + ": " + text);
  }
  if (memory) return std::shared_ptr<Store>(std::make_shared<StoreImpl>(path, database));
  auto closed = std::make_shared<bool>(false);
  std::shared_ptr<Store> store(new StoreImpl(path, database), [closed](StoreImpl* impl) {
    delete impl;
    OpenStores& all = TheOpenStores();
    {
      std::lock_guard guard(all.mutex);
      *closed = true;
    }
    all.closed.notify_all();
  });
  stores.by_path[key] = {store, closed};
  return store;
}

std::string QuoteIdentifier(const std::string& name) {
  std::string quoted = "\"";
  for (char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string QuoteLiteral(const std::string& text) {
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace tailrace::connectors
