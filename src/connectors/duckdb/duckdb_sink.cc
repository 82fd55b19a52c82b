// A table of a DuckDB file. Rows of an epoch are kept as bytes and applied in one DuckDB transaction together with the
// epoch's number once it stands, so that applying it again after a crash changes nothing (docs/decisions/0011).

#include <duckdb.h>
#include <sys/stat.h>

#include <cerrno>
#include <unordered_map>

#include "base/bytes.h"
#include "base/check.h"
#include "base/logging.h"
#include "connectors/connector_spec.h"
#include "connectors/duckdb/chunks.h"
#include "connectors/duckdb/store.h"
#include "connectors/kafka/job_log.h"
#include "data/batch_bytes.h"
#include "data/value_text.h"

namespace tailrace::connectors {

namespace {

constexpr OptionSpec kDuckDbOptions[] = {
    {"path", OptionType::kString, true, "", "", "the DuckDB file, made where missing"},
    {"table", OptionType::kString, false, "", "",
     "TABLE or SCHEMA.TABLE, made where missing; default: the table's name here"},
    {"sink.parallelism", OptionType::kInt, false, "", "", "accepted for Flink's sake"},
};

// Applying larger epochs in pieces would not be atomic; this much fits into memory twice.
constexpr size_t kEpochBytesMax = size_t{1} << 30;

struct TableName {
  std::string schema = "main";
  std::string table;
  std::string Sql() const { return QuoteIdentifier(schema) + "." + QuoteIdentifier(table); }
};

TableName ReadTableName(const sql::Table& table, const OptionValues& options) {
  std::string name = options.Has("table") ? options.String("table") : table.name;
  size_t dot = name.find('.');
  if (dot == std::string::npos) return {"main", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

Status MakeParentDirectories(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) return IoError(part, errno);
  }
  return Ok();
}

class DuckdbSink final : public stream::Sink {
 public:
  DuckdbSink(SinkArguments arguments, std::string path)
      : table_(arguments.table),
        options_(std::move(arguments.options)),
        context_(arguments.context),
        log_(arguments.log),
        job_(arguments.context.job),
        id_(std::move(arguments.id)),
        path_(std::move(path)),
        name_(ReadTableName(table_, options_)),
        schema_(table_.physical_schema()) {
    for (const data::Field& f : schema_) types_.push_back(f.type);
    for (const std::string& column : table_.primary_key) keys_.push_back(data::FindField(schema_, column));
  }
  ~DuckdbSink() override {
    if (chunk_) duckdb_destroy_data_chunk(&chunk_);
    for (auto& type : logical_) duckdb_destroy_logical_type(&type);
    if (connection_) duckdb_disconnect(&connection_);
  }

  Status Open() override {
    Status made = MakeParentDirectories(path_);
    if (!made.ok()) return std::move(made).error().At(options_.Where("path"));
    auto store = Store::Open(path_);
    if (!store.ok()) return std::move(store).error().At(options_.Where("path"));
    store_ = std::move(store).value();
    if (duckdb_connect(static_cast<duckdb_database>(store_->handle()), &connection_) != DuckDBSuccess)
      return Internal("DuckDB: no connection");
    for (const data::Type& type : types_) logical_.push_back(ToLogicalType(type));
    chunk_ = duckdb_create_data_chunk(logical_.data(), logical_.size());
    Status table = MakeTable();
    if (!table.ok())
      return std::move(table).error().Context("table " + table_.name + " in " + path_).At(options_.Where("table"));
    TRY(Run("CREATE SCHEMA IF NOT EXISTS _tailrace"));
    TRY(
        Run("CREATE TABLE IF NOT EXISTS _tailrace.epochs (job VARCHAR, sink VARCHAR, epoch UBIGINT, PRIMARY KEY (job, "
            "sink))"));
    QueryResult found = TRY(store_->Query(
        "SELECT epoch FROM _tailrace.epochs WHERE job = " + QuoteLiteral(job_) + " AND sink = " + QuoteLiteral(id_),
        {}));
    stored_epoch_ = found.rows.empty() ? 0 : strtoull(found.rows[0][0]->c_str(), nullptr, 10);
    return Ok();
  }

  Status Write(const data::Batch& batch) override {
    if (batch.rows == 0) return Ok();
    if (keys_.empty() && batch.kinds) {
      for (uint32_t row = 0; row < batch.rows; row++)
        if (batch.kinds[row] != data::RowKind::kInsert)
          return Error(ErrorCode::kUnsupported,
                       "table " + table_.name + " takes only new rows, and the query also changes (" +
                           std::string(data::RowKindName(batch.kinds[row])) + ") rows it gave before")
              .At(table_.where)
              .Remedy("declare a PRIMARY KEY (...) NOT ENFORCED, so that rows replace earlier ones");
    }
    data::AppendBatchBytes(batch, &pending_);
    if (pending_.size() > kEpochBytesMax)
      return Error(ErrorCode::kLimitExceeded, "table " + table_.name + ": one epoch has over 1 GB of rows")
          .Remedy("lower execution.checkpointing.interval");
    return Ok();
  }

  Result<std::string> Prepare(uint64_t) override {
    std::string prepared = std::move(pending_);
    pending_.clear();
    return prepared;
  }

  Status Commit(uint64_t epoch, const std::string& prepared) override {
    if (prepared.empty() || epoch <= stored_epoch_) return Ok();
    std::vector<data::Batch> batches;
    for (BytesView rest = prepared; !rest.empty();) {
      auto batch = data::ReadBatchBytes(&rest, types_);
      if (!batch.ok())
        return std::move(batch).error().Context("epoch " + std::to_string(epoch) + " of table " + table_.name);
      batches.push_back(std::move(batch).value());
    }
    Status applied = Apply(epoch, batches, true);
    if (!applied.ok() && IsAboutARow(applied.error())) {
      // The epoch stands, so its good rows go in and the others where bad records go.
      std::vector<stream::BadRecord> refused;
      TRY(RemoveRefusedRows(epoch, &batches, &refused));
      TRY(log_.WriteBadRecordsNow(refused, context_));
      applied = Apply(epoch, batches, true);
    }
    if (!applied.ok()) return std::move(applied).error().Context("table " + table_.name + " in " + path_);
    stored_epoch_ = epoch;
    return Ok();
  }

  /// An epoch is stored only after it stands. One above the last that stands is of an earlier life of the job, started
  /// anew since: its number must not hide the new epochs.
  Status Discard(uint64_t last_committed) override {
    pending_.clear();
    if (stored_epoch_ <= last_committed) return Ok();
    TRY(Run("UPDATE _tailrace.epochs SET epoch = " + std::to_string(last_committed) +
            " WHERE job = " + QuoteLiteral(job_) + " AND sink = " + QuoteLiteral(id_)));
    stored_epoch_ = last_committed;
    return Ok();
  }

 private:
  /// One transaction: the rows and the epoch. Without `keep` it is rolled back: a question whether it would do.
  Status Apply(uint64_t epoch, const std::vector<data::Batch>& batches, bool keep) {
    TRY(Run("BEGIN TRANSACTION"));
    Status applied = keys_.empty() ? Append(batches) : Upsert(batches);
    if (applied.ok() && keep)
      applied = Run("INSERT OR REPLACE INTO _tailrace.epochs VALUES (" + QuoteLiteral(job_) + ", " + QuoteLiteral(id_) +
                    ", " + std::to_string(epoch) + ")");
    if (applied.ok() && keep) applied = Run("COMMIT");
    if (!applied.ok() || !keep) (void)Run("ROLLBACK");
    return applied;
  }

  /// As opposed to a full disk or a broken file: the table has a constraint, or a type, that a row does not fit.
  static bool IsAboutARow(const Error& error) { return error.code() == ErrorCode::kInvalidArgument; }

  static Error FromDuckdb(duckdb_error_type type, const char* message) {
    std::string text = message && *message ? message : "DuckDB gives no reason";
    switch (type) {
      case DUCKDB_ERROR_CONSTRAINT:
      case DUCKDB_ERROR_CONVERSION:
      case DUCKDB_ERROR_INVALID_INPUT:
      case DUCKDB_ERROR_INVALID_TYPE:
      case DUCKDB_ERROR_MISMATCH_TYPE:
      case DUCKDB_ERROR_OUT_OF_RANGE:
      case DUCKDB_ERROR_DECIMAL: return InvalidArgument(text);
      case DUCKDB_ERROR_TRANSACTION:  // a constraint that shows only at the commit
        return text.find("onstraint") != std::string::npos ? InvalidArgument(text) : Error(ErrorCode::kConflict, text);
      case DUCKDB_ERROR_IO: return {ErrorCode::kIo, text};
      default: return Internal(text);
    }
  }

  Status RemoveRefusedRows(uint64_t epoch, std::vector<data::Batch>* batches, std::vector<stream::BadRecord>* refused) {
    auto arena = std::make_shared<data::Arena>();
    std::vector<data::Batch> good;
    for (data::Batch& batch : *batches) {
      std::vector<uint32_t> kept;
      TRY(SortOut(epoch, batch, 0, batch.rows, arena, &kept, refused));
      if (!kept.empty()) good.push_back(data::Gather(batch, kept.data(), static_cast<uint32_t>(kept.size()), arena));
    }
    *batches = std::move(good);
    return Ok();
  }

  /// By halves: rows `first` to `last` that DuckDB takes go to `kept`.
  Status SortOut(uint64_t epoch, const data::Batch& batch, uint32_t first, uint32_t last,
                 const std::shared_ptr<data::Arena>& arena, std::vector<uint32_t>* kept,
                 std::vector<stream::BadRecord>* refused) {
    std::vector<uint32_t> rows;
    for (uint32_t r = first; r < last; r++) rows.push_back(r);
    Status taken = Apply(epoch, {data::Gather(batch, rows.data(), static_cast<uint32_t>(rows.size()), arena)}, false);
    if (taken.ok()) {
      kept->insert(kept->end(), rows.begin(), rows.end());
      return Ok();
    }
    if (!IsAboutARow(taken.error())) return taken;
    if (rows.size() == 1) {
      data::FormatOptions format;
      format.schema = schema_;
      auto encoder = TRY(data::MakeEncoder("json", format));
      std::vector<BytesView> values;
      TRY(encoder->Encode(data::Gather(batch, rows.data(), 1, arena), &values));
      refused->push_back({"table " + table_.name + ": " + taken.error().message(),
                          "sink",
                          {name_.Sql(), 0},
                          -1,
                          -1,
                          "",
                          std::string(values.at(0))});
      return Ok();
    }
    uint32_t middle = first + (last - first) / 2;
    TRY(SortOut(epoch, batch, first, middle, arena, kept, refused));
    return SortOut(epoch, batch, middle, last, arena, kept, refused);
  }

  Status Run(const std::string& sql) {
    duckdb_result result;
    Status status = Ok();
    if (duckdb_query(connection_, sql.c_str(), &result) != DuckDBSuccess)
      status = FromDuckdb(duckdb_result_error_type(&result), duckdb_result_error(&result));
    duckdb_destroy_result(&result);
    return status;
  }

  std::string ColumnList() const {
    std::string list;
    for (const data::Field& f : schema_) list += (list.empty() ? "" : ", ") + QuoteIdentifier(f.name);
    return list;
  }

  Status MakeTable() {
    if (name_.schema != "main") TRY(Run("CREATE SCHEMA IF NOT EXISTS " + QuoteIdentifier(name_.schema)));
    std::string ddl = "CREATE TABLE IF NOT EXISTS " + name_.Sql() + " (";
    for (size_t i = 0; i < schema_.size(); i++)
      ddl += (i ? ", " : "") + QuoteIdentifier(schema_[i].name) + " " + DuckdbTypeName(schema_[i].type);
    if (!keys_.empty()) {
      ddl += ", PRIMARY KEY (";
      for (size_t i = 0; i < keys_.size(); i++)
        ddl += (i ? ", " : "") + QuoteIdentifier(schema_[static_cast<size_t>(keys_[i])].name);
      ddl += ")";
    }
    TRY(Run(ddl + ")"));
    // An older table of that name must have the columns, and the key where rows replace each other.
    TRY(Probe("INSERT " + std::string(keys_.empty() ? "" : "OR REPLACE ") + "INTO " + name_.Sql() + " (" +
              ColumnList() + ") SELECT " + ColumnList() + " FROM " + name_.Sql()));
    return Ok();
  }

  Status Probe(const std::string& sql) {
    duckdb_prepared_statement statement;
    Status status = Ok();
    if (duckdb_prepare(connection_, sql.c_str(), &statement) != DuckDBSuccess)
      status = Error(ErrorCode::kConflict, duckdb_prepare_error(statement))
                   .Remedy("change the declared columns or key to fit the existing table, or use another table");
    duckdb_destroy_prepare(&statement);
    return status;
  }

  Status FillAndAppend(duckdb_appender appender, const data::Batch& batch) {
    duckdb_data_chunk_reset(chunk_);
    for (size_t c = 0; c < batch.columns.size(); c++)
      WriteVector(batch.columns[c], 0, batch.rows, duckdb_data_chunk_get_vector(chunk_, c));
    duckdb_data_chunk_set_size(chunk_, batch.rows);
    if (duckdb_append_data_chunk(appender, chunk_) != DuckDBSuccess) return FromAppender(appender);
    return Ok();
  }

  static Error FromAppender(duckdb_appender appender) {
    duckdb_error_data error = duckdb_appender_error_data(appender);
    Error result = FromDuckdb(duckdb_error_data_error_type(error), duckdb_error_data_message(error));
    duckdb_destroy_error_data(&error);
    return result;
  }

  Status CloseAppender(duckdb_appender appender, Status status) {
    if (status.ok() && duckdb_appender_close(appender) != DuckDBSuccess) status = FromAppender(appender);
    duckdb_appender_destroy(&appender);
    return status;
  }

  Status Append(const std::vector<data::Batch>& batches) {
    duckdb_appender appender = nullptr;
    if (duckdb_appender_create(connection_, name_.schema.c_str(), name_.table.c_str(), &appender) != DuckDBSuccess)
      return CloseAppender(appender, FromAppender(appender));
    Status status = Ok();
    for (const data::Field& f : schema_)
      if (status.ok() && duckdb_appender_add_column(appender, f.name.c_str()) != DuckDBSuccess)
        status = FromAppender(appender);
    for (const data::Batch& batch : batches)
      if (status.ok()) status = FillAndAppend(appender, batch);
    return CloseAppender(appender, std::move(status));
  }

  /// Only the last change of each key in the epoch counts: one statement replaces, one deletes.
  Status Upsert(const std::vector<data::Batch>& batches) {
    struct Last {
      uint32_t batch, row;
    };
    std::unordered_map<std::string, Last> last;
    std::string key;
    for (uint32_t b = 0; b < batches.size(); b++) {
      for (uint32_t row = 0; row < batches[b].rows; row++) {
        if (!Key(batches[b], row, &key)) {
          if (null_keys_++ == 0)
            LogWarning("duckdb",
                       "job " + job_ + ", table " + table_.name + ": rows with a NULL in the primary key are dropped");
          continue;
        }
        last[key] = {b, row};
      }
    }
    std::vector<std::vector<uint32_t>> replaced(batches.size()), deleted(batches.size());
    size_t replaced_count = 0, deleted_count = 0;
    for (const auto& [k, l] : last) {
      data::RowKind kind = batches[l.batch].KindOf(l.row);
      bool gone = kind == data::RowKind::kDelete || kind == data::RowKind::kUpdateBefore;
      (gone ? deleted : replaced)[l.batch].push_back(l.row);
      (gone ? deleted_count : replaced_count)++;
    }
    if (deleted_count) {
      std::string condition;
      for (int k : keys_) {
        std::string column = QuoteIdentifier(schema_[static_cast<size_t>(k)].name);
        condition += (condition.empty() ? "t." : " AND t.") + column + " = c." + column;
      }
      TRY(RunOver("DELETE FROM " + name_.Sql() + " t USING changes c WHERE " + condition, batches, deleted));
    }
    if (replaced_count)
      TRY(RunOver(
          "INSERT OR REPLACE INTO " + name_.Sql() + " (" + ColumnList() + ") SELECT " + ColumnList() + " FROM changes",
          batches, replaced));
    return Ok();
  }

  /// The statement with the rows chosen as the table `changes`.
  Status RunOver(const std::string& sql, const std::vector<data::Batch>& batches,
                 std::vector<std::vector<uint32_t>>& rows) {
    std::vector<const char*> names;
    for (const data::Field& f : schema_) names.push_back(f.name.c_str());
    duckdb_appender appender = nullptr;
    if (duckdb_appender_create_query(connection_, sql.c_str(), logical_.size(), logical_.data(), "changes",
                                     names.data(), &appender) != DuckDBSuccess)
      return CloseAppender(appender, FromAppender(appender));
    Status status = Ok();
    for (size_t b = 0; b < batches.size() && status.ok(); b++) {
      if (rows[b].empty()) continue;
      std::sort(rows[b].begin(), rows[b].end());
      auto arena = std::make_shared<data::Arena>();
      status = FillAndAppend(appender,
                             data::Gather(batches[b], rows[b].data(), static_cast<uint32_t>(rows[b].size()), arena));
    }
    return CloseAppender(appender, std::move(status));
  }

  /// False where a part of the key is NULL.
  bool Key(const data::Batch& batch, uint32_t row, std::string* key) const {
    key->clear();
    for (int k : keys_) {
      const data::Column& column = batch.columns[static_cast<size_t>(k)];
      if (!column.IsValid(row)) return false;
      if (column.type.id == data::TypeId::kVarchar || column.type.id == data::TypeId::kBlob) {
        BytesView text = column.Values<data::StringRef>()[row].view();
        char length[4];
        StoreLe32(length, static_cast<uint32_t>(text.size()));
        key->append(length, 4).append(text);
      } else {
        size_t size = column.type.ValueSize();
        key->append(static_cast<const char*>(column.data) + row * size, size);
      }
    }
    return true;
  }

  const sql::Table& table_;
  OptionValues options_;
  const stream::ConnectorContext& context_;
  JobLog& log_;
  std::string job_, id_, path_;
  TableName name_;
  data::Schema schema_;
  std::vector<data::Type> types_;
  std::vector<int> keys_;
  std::shared_ptr<Store> store_;
  duckdb_connection connection_ = nullptr;
  std::vector<duckdb_logical_type> logical_;
  duckdb_data_chunk chunk_ = nullptr;
  uint64_t stored_epoch_ = 0;
  std::string pending_;
  uint64_t null_keys_ = 0;
};

Status CheckDuckDb(const sql::Table& table, const OptionValues& options) {
  TableName name = ReadTableName(table, options);
  if (name.table.empty() || name.schema.empty() || name.table.find('.') != std::string::npos)
    return options.Wrong("table", "expected TABLE or SCHEMA.TABLE");
  if (name.schema == "_tailrace") return options.Wrong("table", "the schema _tailrace is the engine's own");
  data::Schema schema = table.physical_schema();
  for (const std::string& column : table.primary_key) {
    int index = data::FindField(schema, column);
    if (index < 0)
      return Error(ErrorCode::kInvalidArgument,
                   "the primary key of table " + table.name + " names the unknown column " + column)
          .At(table.where);
    if (data::IsNested(schema[static_cast<size_t>(index)].type))
      return Error(ErrorCode::kUnsupported,
                   "the primary key of table " + table.name + " has the nested column " + column)
          .At(table.where);
  }
  return Ok();
}

}  // namespace

const ConnectorSpec& DuckdbConnector() {
  static const ConnectorSpec spec = {
      "duckdb",
      "a table of a DuckDB file: rows appended, or replaced by primary key",
      kDuckDbOptions,
      &CheckDuckDb,
      nullptr,
      [](SinkArguments arguments) -> Result<std::unique_ptr<stream::Sink>> {
        std::string path = ResolvePath(arguments.context, arguments.options.String("path"));
        return std::unique_ptr<stream::Sink>(std::make_unique<DuckdbSink>(std::move(arguments), std::move(path)));
      }};
  return spec;
}

}  // namespace tailrace::connectors
