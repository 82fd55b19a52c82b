#include "workflow/metadata/schema.h"

#include <fmt/format.h>

#include "workflow/metadata/sqlite.h"

namespace tailrace::workflow {
namespace {

// docs/formats/metadata.md explains each table. Times are epoch milliseconds, UTC.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE dag(
  dag_id TEXT PRIMARY KEY, file TEXT NOT NULL, schedule TEXT NOT NULL, description TEXT NOT NULL, source TEXT NOT NULL,
  error TEXT NOT NULL, version TEXT NOT NULL, paused INTEGER NOT NULL, next_run_ms INTEGER) WITHOUT ROWID;
CREATE TABLE dag_run(
  id INTEGER PRIMARY KEY, dag_id TEXT NOT NULL, run_id TEXT NOT NULL, run_type TEXT NOT NULL, state TEXT NOT NULL,
  conf TEXT NOT NULL, note TEXT NOT NULL, logical_date_ms INTEGER NOT NULL, interval_start_ms INTEGER NOT NULL,
  interval_end_ms INTEGER NOT NULL, queued_ms INTEGER, start_ms INTEGER, end_ms INTEGER, dag_version TEXT NOT NULL,
  UNIQUE(dag_id, run_id));
CREATE INDEX dag_run_by_state ON dag_run(state) WHERE state IN ('queued', 'running');
CREATE INDEX dag_run_by_date ON dag_run(dag_id, logical_date_ms);
CREATE TABLE task_instance(
  dag_id TEXT NOT NULL, run_id TEXT NOT NULL, task_id TEXT NOT NULL, state TEXT NOT NULL, operator TEXT NOT NULL,
  pool TEXT NOT NULL, queue TEXT NOT NULL, note TEXT NOT NULL, try_number INTEGER NOT NULL, max_tries INTEGER NOT NULL,
  scheduled_ms INTEGER, queued_ms INTEGER, start_ms INTEGER, end_ms INTEGER, due_ms INTEGER, first_poke_ms INTEGER,
  pokes INTEGER NOT NULL, pid INTEGER NOT NULL, pid_start INTEGER NOT NULL, scheduler_id TEXT NOT NULL,
  PRIMARY KEY(dag_id, run_id, task_id)) WITHOUT ROWID;
CREATE TABLE task_try(
  dag_id TEXT NOT NULL, run_id TEXT NOT NULL, task_id TEXT NOT NULL, try_number INTEGER NOT NULL, state TEXT NOT NULL,
  start_ms INTEGER, end_ms INTEGER, pid INTEGER NOT NULL, scheduler_id TEXT NOT NULL, note TEXT NOT NULL,
  PRIMARY KEY(dag_id, run_id, task_id, try_number)) WITHOUT ROWID;
CREATE TABLE task_reschedule(
  id INTEGER PRIMARY KEY, dag_id TEXT NOT NULL, run_id TEXT NOT NULL, task_id TEXT NOT NULL, try_number INTEGER NOT NULL,
  start_ms INTEGER, end_ms INTEGER, due_ms INTEGER);
CREATE INDEX task_reschedule_by_task ON task_reschedule(dag_id, run_id, task_id);
CREATE TABLE xcom(
  dag_id TEXT NOT NULL, run_id TEXT NOT NULL, task_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY(dag_id, run_id, task_id, key)) WITHOUT ROWID;
CREATE TABLE variable(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE connection(
  conn_id TEXT PRIMARY KEY, conn_type TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL, login TEXT NOT NULL,
  password TEXT NOT NULL, schema TEXT NOT NULL, extra TEXT NOT NULL, description TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE pool(name TEXT PRIMARY KEY, slots INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sla_miss(
  dag_id TEXT NOT NULL, run_id TEXT NOT NULL, task_id TEXT NOT NULL, at_ms INTEGER NOT NULL, sla_ms INTEGER NOT NULL,
  PRIMARY KEY(dag_id, run_id, task_id)) WITHOUT ROWID;
CREATE TABLE callback_request(
  id INTEGER PRIMARY KEY AUTOINCREMENT, dag_id TEXT NOT NULL, run_id TEXT NOT NULL, task_id TEXT NOT NULL,
  event TEXT NOT NULL, try_number INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE alert(
  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, severity TEXT NOT NULL, source TEXT NOT NULL, message TEXT NOT NULL,
  detail TEXT NOT NULL);
CREATE TABLE job(
  scheduler_id TEXT PRIMARY KEY, hostname TEXT NOT NULL, pid INTEGER NOT NULL, pid_start INTEGER NOT NULL,
  started_ms INTEGER NOT NULL, heartbeat_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE transition(
  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, dag_id TEXT NOT NULL, run_id TEXT NOT NULL, task_id TEXT NOT NULL,
  try_number INTEGER NOT NULL, from_state TEXT NOT NULL, to_state TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX transition_by_run ON transition(dag_id, run_id);
)sql";

constexpr int64_t kApplicationId = 0x74725744;  // "trWD": this file is ours

}  // namespace

Status PrepareSchema(Database& db) {
  int64_t id, version;
  {
    Statement s = TRY(db.Prepare("PRAGMA application_id"));
    TRY(s.Step());
    id = s.Int(0);
  }
  {
    Statement s = TRY(db.Prepare("PRAGMA user_version"));
    TRY(s.Step());
    version = s.Int(0);
  }
  if (version == kMetadataVersion && id == kApplicationId) return {};
  if (version > kMetadataVersion)
    return Error(ErrorCode::kCorrupt,
                 fmt::format("metadata.sqlite has version {}, this program knows {}", version, kMetadataVersion))
        .Remedy("start the newer program that wrote it");
  if (version != 0 || (id != 0 && id != kApplicationId))
    return Error(ErrorCode::kCorrupt, "metadata.sqlite is another program's database")
        .Remedy("name another data directory");
  TRY(db.Execute("BEGIN IMMEDIATE"));
  Status made = db.Execute(kVersion1);
  if (made.ok())
    made = db.Execute(
        fmt::format("PRAGMA application_id={}; PRAGMA user_version={}; COMMIT", kApplicationId, kMetadataVersion)
            .c_str());
  if (!made.ok()) (void)db.Execute("ROLLBACK");
  return made;
}

}  // namespace tailrace::workflow
