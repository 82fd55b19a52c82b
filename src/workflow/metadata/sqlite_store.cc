#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "base/bytes.h"
#include "workflow/executor/process_table.h"
#include "workflow/metadata/schema.h"
#include "workflow/metadata/sqlite.h"
#include "workflow/metadata/store.h"

namespace tailrace::workflow {
namespace {

// In the order that ReadRun and ReadTask read. Macros: Prepare keeps its statements by the address of a literal.
#define SELECT_RUNS                                                                                           \
  "SELECT dag_id, run_id, run_type, state, conf, note, logical_date_ms, interval_start_ms, interval_end_ms, " \
  "queued_ms, start_ms, end_ms, dag_version FROM dag_run "
#define SELECT_TASKS                                                                                          \
  "SELECT dag_id, run_id, task_id, state, operator, pool, queue, note, try_number, max_tries, scheduled_ms, " \
  "queued_ms, start_ms, end_ms, due_ms, first_poke_ms, pokes, pid, pid_start, scheduler_id FROM task_instance "

Result<RunRow> ReadRun(const Statement& s) {
  RunRow row;
  row.dag_id = s.Text(0);
  row.run_id = s.Text(1);
  row.run_type = s.Text(2);
  std::optional<RunState> state = ParseRunState(s.Text(3));
  if (!state) return Corrupt(fmt::format("metadata: run {} has the unknown state '{}'", row.run_id, s.Text(3)));
  row.state = *state;
  row.conf_json = s.Text(4);
  row.note = s.Text(5);
  row.logical_date_ms = s.Int(6);
  row.interval_start_ms = s.Int(7);
  row.interval_end_ms = s.Int(8);
  row.queued_ms = s.MaybeInt(9);
  row.start_ms = s.MaybeInt(10);
  row.end_ms = s.MaybeInt(11);
  row.dag_version = s.Text(12);
  return row;
}

Result<TaskRow> ReadTask(const Statement& s) {
  TaskRow row;
  row.dag_id = s.Text(0);
  row.run_id = s.Text(1);
  row.task_id = s.Text(2);
  std::optional<TaskState> state = ParseTaskState(s.Text(3));
  if (!state) return Corrupt(fmt::format("metadata: task {} has the unknown state '{}'", row.task_id, s.Text(3)));
  row.state = *state;
  row.operator_name = s.Text(4);
  row.pool = s.Text(5);
  row.queue = s.Text(6);
  row.note = s.Text(7);
  row.try_number = static_cast<int>(s.Int(8));
  row.max_tries = static_cast<int>(s.Int(9));
  row.scheduled_ms = s.MaybeInt(10);
  row.queued_ms = s.MaybeInt(11);
  row.start_ms = s.MaybeInt(12);
  row.end_ms = s.MaybeInt(13);
  row.due_ms = s.MaybeInt(14);
  row.first_poke_ms = s.MaybeInt(15);
  row.pokes = static_cast<int>(s.Int(16));
  row.pid = s.Int(17);
  row.pid_start = s.Int(18);
  row.scheduler_id = s.Text(19);
  return row;
}

class SqliteStore final : public MetadataStore {
 public:
  SqliteStore(std::unique_ptr<Database> writer, std::unique_ptr<Database> reader)
      : writer_(std::move(writer)), reader_(std::move(reader)) {}

  Status Apply(Batch& batch) override {
    if (batch.empty()) return {};
    return Transaction(batch.durable, [&] { return Write(batch); });
  }

  Status AcquireLease(const LeaseRow& lease) override {
    return Transaction(true, [&] { return TakeLease(lease); });
  }

  Status ReleaseLease(const std::string& scheduler_id) override {
    std::lock_guard lock(write_mutex_);
    return TRY(writer_->Prepare("DELETE FROM job WHERE scheduler_id = ?")).Bind(scheduler_id).Run();
  }

  Result<std::vector<RunRow>> ActiveRuns() override {
    std::lock_guard lock(read_mutex_);
    Statement s = TRY(reader_->Prepare(SELECT_RUNS "WHERE state IN ('queued', 'running') ORDER BY id"));
    return ReadRuns(s);
  }

  Result<std::vector<RunRow>> Runs(const std::string& dag_id, int limit) override {
    std::lock_guard lock(read_mutex_);
    if (dag_id.empty()) {
      Statement s = TRY(reader_->Prepare(SELECT_RUNS "ORDER BY id DESC LIMIT ?"));
      s.Bind(limit);
      return ReadRuns(s);
    }
    Statement s = TRY(reader_->Prepare(SELECT_RUNS "WHERE dag_id = ? ORDER BY logical_date_ms DESC, id DESC "
                                                   "LIMIT ?"));
    s.Bind(dag_id).Bind(limit);
    return ReadRuns(s);
  }

  Result<RunRow> Run(const std::string& dag_id, const std::string& run_id) override {
    std::lock_guard lock(read_mutex_);
    Statement s = TRY(reader_->Prepare(SELECT_RUNS "WHERE dag_id = ? AND run_id = ?"));
    s.Bind(dag_id).Bind(run_id);
    if (!TRY(s.Step()))
      return NotFound(fmt::format("DAG '{}' has no run '{}'", dag_id, run_id))
          .Remedy(fmt::format("see 'tailrace dag runs {}'", dag_id));
    return ReadRun(s);
  }

  Result<std::optional<RunRow>> PreviousRun(const std::string& dag_id, int64_t logical_date_ms) override {
    return MaybeRun(SELECT_RUNS
                    "WHERE dag_id = ? AND logical_date_ms < ? "
                    "ORDER BY logical_date_ms DESC, id DESC LIMIT 1",
                    dag_id, logical_date_ms);
  }
  Result<std::optional<RunRow>> PreviousSuccess(const std::string& dag_id, int64_t logical_date_ms) override {
    return MaybeRun(SELECT_RUNS
                    "WHERE dag_id = ? AND logical_date_ms < ? AND "
                    "state = 'success' ORDER BY logical_date_ms DESC, id DESC LIMIT 1",
                    dag_id, logical_date_ms);
  }
  Result<std::optional<RunRow>> LastScheduledRun(const std::string& dag_id) override {
    return MaybeRun(SELECT_RUNS
                    "WHERE dag_id = ? AND run_type = 'scheduled' AND "
                    "logical_date_ms < ? ORDER BY logical_date_ms DESC LIMIT 1",
                    dag_id, INT64_MAX);
  }

  Result<std::vector<TaskRow>> Tasks(const std::string& dag_id, const std::string& run_id) override {
    std::lock_guard lock(read_mutex_);
    Statement s = TRY(reader_->Prepare(SELECT_TASKS "WHERE dag_id = ? AND run_id = ?"));
    s.Bind(dag_id).Bind(run_id);
    std::vector<TaskRow> rows;
    while (TRY(s.Step())) rows.push_back(TRY(ReadTask(s)));
    return rows;
  }

  Result<std::vector<TaskRow>> Tries(const std::string& dag_id, const std::string& run_id,
                                     const std::string& task_id) override {
    std::lock_guard lock(read_mutex_);
    Statement s =
        TRY(reader_->Prepare("SELECT try_number, state, start_ms, end_ms, pid, scheduler_id, note FROM task_try "
                             "WHERE dag_id = ? AND run_id = ? AND task_id = ? ORDER BY try_number"));
    s.Bind(dag_id).Bind(run_id).Bind(task_id);
    std::vector<TaskRow> rows;
    while (TRY(s.Step())) {
      TaskRow row;
      row.dag_id = dag_id;
      row.run_id = run_id;
      row.task_id = task_id;
      row.try_number = static_cast<int>(s.Int(0));
      row.state = ParseTaskState(s.Text(1)).value_or(TaskState::kNone);
      row.start_ms = s.MaybeInt(2);
      row.end_ms = s.MaybeInt(3);
      row.pid = s.Int(4);
      row.scheduler_id = s.Text(5);
      row.note = s.Text(6);
      rows.push_back(std::move(row));
    }
    return rows;
  }

  Result<std::vector<TransitionRow>> Transitions(const std::string& dag_id, const std::string& run_id) override {
    std::lock_guard lock(read_mutex_);
    Statement s =
        TRY(reader_->Prepare("SELECT at_ms, task_id, try_number, from_state, to_state, reason FROM transition WHERE "
                             "dag_id = ? AND run_id = ? ORDER BY id"));
    s.Bind(dag_id).Bind(run_id);
    std::vector<TransitionRow> rows;
    while (TRY(s.Step()))
      rows.push_back(
          {s.Int(0), dag_id, run_id, s.Text(1), static_cast<int>(s.Int(2)), s.Text(3), s.Text(4), s.Text(5)});
    return rows;
  }

  Result<std::string> XCom(const std::string& dag_id, const std::string& run_id, const std::string& task_id,
                           const std::string& key) override {
    std::lock_guard lock(read_mutex_);
    Statement s =
        TRY(reader_->Prepare("SELECT value FROM xcom WHERE dag_id = ? AND run_id = ? AND task_id = ? AND key = ?"));
    s.Bind(dag_id).Bind(run_id).Bind(task_id).Bind(key);
    if (!TRY(s.Step())) return NotFound(fmt::format("task '{}' of run '{}' pushed no XCom '{}'", task_id, run_id, key));
    return s.Text(0);
  }

  Result<std::map<std::string, std::string>> XComs(const std::string& dag_id, const std::string& run_id,
                                                   const std::string& key) override {
    std::lock_guard lock(read_mutex_);
    Statement s = TRY(reader_->Prepare("SELECT task_id, value FROM xcom WHERE dag_id = ? AND run_id = ? AND key = ?"));
    s.Bind(dag_id).Bind(run_id).Bind(key);
    std::map<std::string, std::string> values;
    while (TRY(s.Step())) values[s.Text(0)] = s.Text(1);
    return values;
  }

  Result<std::string> Variable(const std::string& key) override {
    std::lock_guard lock(read_mutex_);
    Statement s = TRY(reader_->Prepare("SELECT value FROM variable WHERE key = ?"));
    s.Bind(key);
    if (!TRY(s.Step())) return NotFound(fmt::format("no variable '{}'", key));
    return s.Text(0);
  }
  Status SetVariable(const std::string& key, const std::string& value) override {
    std::lock_guard lock(write_mutex_);
    TRY(SyncFull());
    return TRY(writer_->Prepare("INSERT OR REPLACE INTO variable VALUES (?, ?)")).Bind(key).Bind(value).Run();
  }
  Result<std::map<std::string, std::string>> Variables() override {
    std::lock_guard lock(read_mutex_);
    Statement s = TRY(reader_->Prepare("SELECT key, value FROM variable"));
    std::map<std::string, std::string> values;
    while (TRY(s.Step())) values[s.Text(0)] = s.Text(1);
    return values;
  }

  Result<ConnectionRow> Connection(const std::string& conn_id) override {
    std::lock_guard lock(read_mutex_);
    Statement s = TRY(reader_->Prepare(
        "SELECT conn_type, host, port, login, password, schema, extra, description FROM connection WHERE conn_id = ?"));
    s.Bind(conn_id);
    if (!TRY(s.Step())) return NotFound(fmt::format("no connection '{}'", conn_id));
    ConnectionRow row;
    row.conn_id = conn_id;
    row.conn_type = s.Text(0);
    row.host = s.Text(1);
    row.port = static_cast<int>(s.Int(2));
    row.login = s.Text(3);
    row.password = s.Text(4);
    row.schema = s.Text(5);
    row.extra_json = s.Text(6);
    row.description = s.Text(7);
    return row;
  }
  Status SetConnection(const ConnectionRow& c) override {
    std::lock_guard lock(write_mutex_);
    TRY(SyncFull());
    return TRY(writer_->Prepare("INSERT OR REPLACE INTO connection VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .Bind(c.conn_id)
        .Bind(c.conn_type)
        .Bind(c.host)
        .Bind(c.port)
        .Bind(c.login)
        .Bind(c.password)
        .Bind(c.schema)
        .Bind(c.extra_json)
        .Bind(c.description)
        .Run();
  }

  Result<std::map<std::string, int>> Pools() override {
    std::lock_guard lock(read_mutex_);
    Statement s = TRY(reader_->Prepare("SELECT name, slots FROM pool"));
    std::map<std::string, int> pools;
    while (TRY(s.Step())) pools[s.Text(0)] = static_cast<int>(s.Int(1));
    return pools;
  }
  Status SetPool(const std::string& name, int slots) override {
    std::lock_guard lock(write_mutex_);
    TRY(SyncFull());
    return TRY(writer_->Prepare("INSERT OR REPLACE INTO pool VALUES (?, ?)")).Bind(name).Bind(slots).Run();
  }

  Result<std::vector<DagRow>> Dags() override {
    std::lock_guard lock(read_mutex_);
    Statement s =
        TRY(reader_->Prepare("SELECT dag_id, file, schedule, description, source, error, version, paused, next_run_ms "
                             "FROM dag ORDER BY dag_id"));
    std::vector<DagRow> rows;
    while (TRY(s.Step()))
      rows.push_back(
          {s.Text(0), s.Text(1), s.Text(2), s.Text(3), s.Text(4), s.Text(5), s.Text(6), s.Int(7) != 0, s.MaybeInt(8)});
    return rows;
  }
  Status PutDags(const std::vector<DagRow>& dags) override {
    return Transaction(true, [&]() -> Status {
      for (const DagRow& d : dags)
        TRY(TRY(writer_->Prepare(
                    "INSERT INTO dag VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(dag_id) DO UPDATE SET "
                    "file = excluded.file, schedule = excluded.schedule, description = excluded.description, "
                    "source = excluded.source, error = excluded.error, version = excluded.version, "
                    "next_run_ms = excluded.next_run_ms"))
                .Bind(d.dag_id)
                .Bind(d.file)
                .Bind(d.schedule)
                .Bind(d.description)
                .Bind(d.source)
                .Bind(d.error)
                .Bind(d.version)
                .Bind(d.paused)
                .Bind(d.next_run_ms)
                .Run());
      return {};
    });
  }
  Status SetPaused(const std::string& dag_id, bool paused) override {
    std::lock_guard lock(write_mutex_);
    TRY(SyncFull());
    return TRY(writer_->Prepare("UPDATE dag SET paused = ? WHERE dag_id = ?")).Bind(paused).Bind(dag_id).Run();
  }

  Result<std::vector<RunKey>> ExpiredRuns(int64_t ended_before_ms, int runs_kept, int limit) override {
    std::lock_guard lock(read_mutex_);
    Statement s = TRY(reader_->Prepare(
        "SELECT dag_id, run_id FROM ("
        "  SELECT id, dag_id, run_id, run_type, state, end_ms,"
        "    row_number() OVER (PARTITION BY dag_id ORDER BY logical_date_ms DESC, id DESC) AS place,"
        "    row_number() OVER (PARTITION BY dag_id, run_type ORDER BY logical_date_ms DESC, id DESC) AS of_type "
        "  FROM dag_run) "
        "WHERE state IN ('success', 'failed') AND place > 1 AND (run_type <> 'scheduled' OR of_type > 1) "
        "  AND (end_ms < ?1 OR (?2 > 0 AND place > ?2)) ORDER BY id LIMIT ?3"));
    s.Bind(ended_before_ms).Bind(runs_kept).Bind(limit);
    std::vector<RunKey> runs;
    while (TRY(s.Step())) runs.push_back({s.Text(0), s.Text(1)});
    return runs;
  }
  Status DeleteRuns(const std::vector<RunKey>& runs) override {
    return Transaction(false, [&]() -> Status {
      for (const RunKey& run : runs) {
        TRY(TRY(writer_->Prepare(
                    "DELETE FROM dag_run WHERE dag_id = ? AND run_id = ? AND state IN ('success', 'failed')"))
                .Bind(run.dag_id)
                .Bind(run.run_id)
                .Run());
        if (writer_->changes() == 0) continue;
        for (const char* sql : {"DELETE FROM task_instance WHERE dag_id = ? AND run_id = ?",
                                "DELETE FROM task_try WHERE dag_id = ? AND run_id = ?",
                                "DELETE FROM task_reschedule WHERE dag_id = ? AND run_id = ?",
                                "DELETE FROM xcom WHERE dag_id = ? AND run_id = ?",
                                "DELETE FROM sla_miss WHERE dag_id = ? AND run_id = ?",
                                "DELETE FROM transition WHERE dag_id = ? AND run_id = ?"})
          TRY(TRY(writer_->Prepare(sql)).Bind(run.dag_id).Bind(run.run_id).Run());
      }
      return {};
    });
  }
  Result<int> DeleteAlerts(int64_t before_ms, int limit) override {
    int deleted = 0;
    TRY(Transaction(false, [&]() -> Status {
      TRY(TRY(writer_->Prepare("DELETE FROM alert WHERE id IN (SELECT id FROM alert WHERE at_ms < ? LIMIT ?)"))
              .Bind(before_ms)
              .Bind(limit)
              .Run());
      deleted = writer_->changes();
      return {};
    }));
    return deleted;
  }

  Result<std::vector<CallbackRow>> OwedCallbacks() override {
    std::lock_guard lock(read_mutex_);
    Statement s = TRY(reader_->Prepare(
        "SELECT id, dag_id, run_id, task_id, event, try_number, reason FROM callback_request ORDER BY id"));
    std::vector<CallbackRow> rows;
    while (TRY(s.Step()))
      rows.push_back({s.Int(0), s.Text(1), s.Text(2), s.Text(3), s.Text(4), static_cast<int>(s.Int(5)), s.Text(6)});
    return rows;
  }
  Result<std::vector<SlaMissRow>> SlaMisses(const std::string& dag_id, int limit) override {
    std::lock_guard lock(read_mutex_);
    Statement s =
        TRY(reader_->Prepare("SELECT dag_id, run_id, task_id, at_ms, sla_ms FROM sla_miss WHERE ?1 = '' OR dag_id = ?1 "
                             "ORDER BY at_ms DESC LIMIT ?2"));
    s.Bind(dag_id).Bind(limit);
    std::vector<SlaMissRow> rows;
    while (TRY(s.Step())) rows.push_back({s.Text(0), s.Text(1), s.Text(2), s.Int(3), s.Int(4)});
    return rows;
  }
  Status AddAlert(const AlertRow& a) override {
    std::lock_guard lock(write_mutex_);
    return TRY(writer_->Prepare("INSERT INTO alert(at_ms, severity, source, message, detail) VALUES (?, ?, ?, ?, ?)"))
        .Bind(a.at_ms)
        .Bind(a.severity)
        .Bind(a.source)
        .Bind(a.message)
        .Bind(a.detail_json)
        .Run();
  }
  Result<std::vector<AlertRow>> Alerts(int limit) override {
    std::lock_guard lock(read_mutex_);
    Statement s =
        TRY(reader_->Prepare("SELECT at_ms, severity, source, message, detail FROM alert ORDER BY id DESC LIMIT ?"));
    s.Bind(limit);
    std::vector<AlertRow> rows;
    while (TRY(s.Step())) rows.push_back({s.Int(0), s.Text(1), s.Text(2), s.Text(3), s.Text(4)});
    return rows;
  }

 private:
  /// All of `write` or nothing. Not `durable`: it may be lost with the machine's power, not with the process.
  template <typename Function>
  Status Transaction(bool durable, Function write) {
    std::lock_guard lock(write_mutex_);
    TRY(Synchronous(durable));
    TRY(writer_->Execute("BEGIN IMMEDIATE"));
    Status done = write();
    if (done.ok()) done = writer_->Execute("COMMIT");
    if (!done.ok()) (void)writer_->Execute("ROLLBACK");
    return done;
  }

  /// REQUIRES: write_mutex_ is held.
  Status Synchronous(bool full) {
    if (synchronous_full_ == full) return {};
    TRY(writer_->Execute(full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
    synchronous_full_ = full;
    return {};
  }
  Status SyncFull() { return Synchronous(true); }  // for single statements that a user waits for

  static Result<std::vector<RunRow>> ReadRuns(Statement& s) {
    std::vector<RunRow> rows;
    while (TRY(s.Step())) rows.push_back(TRY(ReadRun(s)));
    return rows;
  }

  Result<std::optional<RunRow>> MaybeRun(const char* sql, const std::string& dag_id, int64_t before_ms) {
    std::lock_guard lock(read_mutex_);
    Statement s = TRY(reader_->Prepare(sql));
    s.Bind(dag_id).Bind(before_ms);
    if (!TRY(s.Step())) return std::optional<RunRow>();
    return std::optional<RunRow>(TRY(ReadRun(s)));
  }

  Status TakeLease(const LeaseRow& lease) {
    {
      Statement s = TRY(writer_->Prepare("SELECT scheduler_id, hostname, pid, pid_start FROM job"));
      while (TRY(s.Step())) {
        bool here = s.Text(1) == lease.hostname;
        bool alive =
            here && ProcessStartTicks(s.Int(2)) == s.Int(3) && s.Int(3) != 0 && s.Text(0) != lease.scheduler_id;
        if (alive)
          return Error(ErrorCode::kConflict,
                       fmt::format("another scheduler (process {}) works on this metadata", s.Int(2)))
              .Remedy("stop it, or name another data directory");
      }
    }
    TRY(writer_->Execute("DELETE FROM job"));
    return WriteLease(lease);
  }

  Status WriteLease(const LeaseRow& lease) {
    return TRY(writer_->Prepare("INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?, ?, ?)"))
        .Bind(lease.scheduler_id)
        .Bind(lease.hostname)
        .Bind(lease.pid)
        .Bind(lease.pid_start)
        .Bind(lease.started_ms)
        .Bind(lease.heartbeat_ms)
        .Run();
  }

  Status Write(Batch& batch) {
    for (const Batch::RunChange& change : batch.runs) TRY(WriteRun(change));
    for (const Batch::TaskChange& change : batch.tasks) TRY(WriteTask(change));
    for (const Batch::TaskChange& change : batch.removed) TRY(WriteTask(change));
    for (const TaskRow& t : batch.clear_xcoms)
      TRY(TRY(writer_->Prepare("DELETE FROM xcom WHERE dag_id = ? AND run_id = ? AND task_id = ?"))
              .Bind(t.dag_id)
              .Bind(t.run_id)
              .Bind(t.task_id)
              .Run());
    for (const XComRow& x : batch.xcoms)
      TRY(TRY(writer_->Prepare("INSERT OR REPLACE INTO xcom VALUES (?, ?, ?, ?, ?)"))
              .Bind(x.dag_id)
              .Bind(x.run_id)
              .Bind(x.task_id)
              .Bind(x.key)
              .Bind(x.value_json)
              .Run());
    for (const TransitionRow& t : batch.transitions)
      TRY(TRY(writer_->Prepare(
                  "INSERT INTO transition(at_ms, dag_id, run_id, task_id, try_number, from_state, to_state, "
                  "reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"))
              .Bind(t.at_ms)
              .Bind(t.dag_id)
              .Bind(t.run_id)
              .Bind(t.task_id)
              .Bind(t.try_number)
              .Bind(t.from)
              .Bind(t.to)
              .Bind(t.reason)
              .Run());
    for (const SlaMissRow& m : batch.sla_misses)
      TRY(TRY(writer_->Prepare("INSERT OR IGNORE INTO sla_miss VALUES (?, ?, ?, ?, ?)"))
              .Bind(m.dag_id)
              .Bind(m.run_id)
              .Bind(m.task_id)
              .Bind(m.at_ms)
              .Bind(m.sla_ms)
              .Run());
    for (CallbackRow& c : batch.callbacks) {
      TRY(TRY(writer_->Prepare("INSERT INTO callback_request(dag_id, run_id, task_id, event, try_number, reason) "
                               "VALUES (?, ?, ?, ?, ?, ?)"))
              .Bind(c.dag_id)
              .Bind(c.run_id)
              .Bind(c.task_id)
              .Bind(c.event)
              .Bind(c.try_number)
              .Bind(c.reason)
              .Run());
      c.id = writer_->last_insert_id();
    }
    for (int64_t id : batch.callbacks_done)
      TRY(TRY(writer_->Prepare("DELETE FROM callback_request WHERE id = ?")).Bind(id).Run());
    for (const TaskRow& t : batch.reschedules)
      TRY(TRY(writer_->Prepare(
                  "INSERT INTO task_reschedule(dag_id, run_id, task_id, try_number, start_ms, end_ms, due_ms) "
                  "VALUES (?, ?, ?, ?, ?, ?, ?)"))
              .Bind(t.dag_id)
              .Bind(t.run_id)
              .Bind(t.task_id)
              .Bind(t.try_number)
              .Bind(t.start_ms)
              .Bind(t.end_ms)
              .Bind(t.due_ms)
              .Run());
    if (batch.heartbeat) TRY(WriteLease(*batch.heartbeat));
    return {};
  }

  /// What changes, then the key: an UPDATE and an INSERT name them in this order.
  static Statement& Bind(Statement& s, const RunRow& r) {
    return s.Bind(Name(r.state))
        .Bind(r.note)
        .Bind(r.queued_ms)
        .Bind(r.start_ms)
        .Bind(r.end_ms)
        .Bind(r.dag_version)
        .Bind(r.dag_id)
        .Bind(r.run_id);
  }
  static Statement& Bind(Statement& s, const TaskRow& t) {
    return s.Bind(Name(t.state))
        .Bind(t.operator_name)
        .Bind(t.pool)
        .Bind(t.queue)
        .Bind(t.note)
        .Bind(t.try_number)
        .Bind(t.max_tries)
        .Bind(t.scheduled_ms)
        .Bind(t.queued_ms)
        .Bind(t.start_ms)
        .Bind(t.end_ms)
        .Bind(t.due_ms)
        .Bind(t.first_poke_ms)
        .Bind(t.pokes)
        .Bind(t.pid)
        .Bind(t.pid_start)
        .Bind(t.scheduler_id)
        .Bind(t.dag_id)
        .Bind(t.run_id)
        .Bind(t.task_id);
  }

  Status WriteRun(const Batch::RunChange& change) {
    const RunRow& r = change.row;
    if (!change.from) {
      Statement insert = TRY(writer_->Prepare(
          "INSERT INTO dag_run(state, note, queued_ms, start_ms, end_ms, dag_version, dag_id, run_id, run_type, conf, "
          "logical_date_ms, interval_start_ms, interval_end_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
      return Bind(insert, r)
          .Bind(r.run_type)
          .Bind(r.conf_json)
          .Bind(r.logical_date_ms)
          .Bind(r.interval_start_ms)
          .Bind(r.interval_end_ms)
          .Run();
    }
    Statement update = TRY(writer_->Prepare(
        "UPDATE dag_run SET state = ?, note = ?, queued_ms = ?, start_ms = ?, end_ms = ?, dag_version = ? "
        "WHERE dag_id = ? AND run_id = ? AND state = ?"));
    TRY(Bind(update, r).Bind(Name(*change.from)).Run());
    if (writer_->changes() != 1)
      return Error(ErrorCode::kConflict,
                   fmt::format("run {} of {} is not {} any more", r.run_id, r.dag_id, Name(*change.from)));
    return {};
  }

  Status WriteTask(const Batch::TaskChange& change) {
    const TaskRow& t = change.row;
    if (!change.from) {
      Statement insert = TRY(writer_->Prepare(
          "INSERT INTO task_instance(state, operator, pool, queue, note, try_number, max_tries, scheduled_ms, "
          "queued_ms, start_ms, end_ms, due_ms, first_poke_ms, pokes, pid, pid_start, scheduler_id, dag_id, run_id, "
          "task_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
      TRY(Bind(insert, t).Run());
    } else {
      Statement update = TRY(writer_->Prepare(
          "UPDATE task_instance SET state = ?, operator = ?, pool = ?, queue = ?, note = ?, try_number = ?, "
          "max_tries = ?, scheduled_ms = ?, queued_ms = ?, start_ms = ?, end_ms = ?, due_ms = ?, first_poke_ms = ?, "
          "pokes = ?, pid = ?, pid_start = ?, scheduler_id = ? "
          "WHERE dag_id = ? AND run_id = ? AND task_id = ? AND state = ? AND try_number = ?"));
      TRY(Bind(update, t).Bind(Name(*change.from)).Bind(change.from_try).Run());
      if (writer_->changes() != 1)
        return Error(ErrorCode::kConflict,
                     fmt::format("task {} of run {} is not {} any more", t.task_id, t.run_id, Name(*change.from)));
    }
    if (!change.ended_try || t.try_number == 0) return {};
    return TRY(writer_->Prepare("INSERT OR REPLACE INTO task_try VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .Bind(t.dag_id)
        .Bind(t.run_id)
        .Bind(t.task_id)
        .Bind(t.try_number)
        .Bind(Name(t.state))
        .Bind(t.start_ms)
        .Bind(t.end_ms)
        .Bind(t.pid)
        .Bind(t.scheduler_id)
        .Bind(t.note)
        .Run();
  }

  std::mutex write_mutex_, read_mutex_;
  bool synchronous_full_ = true;  // what the writer's pragma says now
  std::unique_ptr<Database> writer_, reader_;
};

#undef SELECT_RUNS
#undef SELECT_TASKS

}  // namespace

Result<std::unique_ptr<MetadataStore>> OpenSqliteStore(const std::string& path) {
  // In memory: a name of its own, shared by the two connections.
  static std::atomic<int> memory_count{0};
  std::string where = path;
  if (path.empty()) where = fmt::format("file:tailrace-{}-{}?mode=memory&cache=shared", getpid(), memory_count++);
  auto writer = TRY(Database::Open(where, false));
  TRY(writer->Execute("PRAGMA journal_mode=WAL"));
  TRY(writer->Execute("PRAGMA synchronous=FULL"));
  TRY(writer->Execute("PRAGMA temp_store=MEMORY"));
  TRY(PrepareSchema(*writer));
  auto reader = TRY(Database::Open(where, !path.empty()));
  if (path.empty()) TRY(reader->Execute("PRAGMA read_uncommitted=1"));  // shared cache locks tables otherwise
  return std::unique_ptr<MetadataStore>(std::make_unique<SqliteStore>(std::move(writer), std::move(reader)));
}

}  // namespace tailrace::workflow
