#include <sys/stat.h>
#include <unistd.h>

#include "app/cli/command.h"
#include "io/file.h"

namespace tailrace::app {
namespace {

struct Template {
  const char* path;
  const char* text;
};

// A project that works as it is: made-up orders, counted by a streaming job into a table, watched by a DAG.
constexpr Template kFiles[] = {
    {"tailrace.yaml", R"(name: @NAME@

topics:
  orders: {partitions: 1}

stores:
  serving: {path: serving.duckdb}

# What 'tailrace run' triggers, and what it shows at the end.
run:
  trigger: hello
  show:
    - title: orders by city, per 5 seconds
      store: serving
      sql: SELECT window_start, city, orders, revenue FROM orders_by_city ORDER BY window_start DESC, city LIMIT 12
)"},
    {"streams/make_orders.sql",
     R"(-- Made-up orders, 200 a second, into the topic orders. Replace it by your own producer on the Kafka port.
SET 'pipeline.name' = 'make_orders';

CREATE TABLE made_up (
  order_id   BIGINT,
  city_no    INT,
  amount     DOUBLE,
  ordered_at TIMESTAMP_LTZ(3)
) WITH (
  'connector' = 'datagen',
  'rows-per-second' = '200',
  'fields.order_id.kind' = 'sequence', 'fields.order_id.start' = '1',
  'fields.city_no.min' = '0', 'fields.city_no.max' = '3',
  'fields.amount.min' = '1', 'fields.amount.max' = '200'
);

CREATE TABLE orders (
  order_id   BIGINT,
  city       STRING,
  amount     DOUBLE,
  ordered_at TIMESTAMP_LTZ(3)
) WITH ('connector' = 'kafka', 'topic' = 'orders', 'format' = 'json');

INSERT INTO orders
SELECT order_id,
       CASE city_no WHEN 0 THEN 'Lisbon' WHEN 1 THEN 'Oslo' WHEN 2 THEN 'Turin' ELSE 'Warsaw' END,
       round(amount, 2),
       ordered_at
FROM made_up;
)"},
    {"streams/orders_by_city.sql",
     R"(-- Counts the orders of each city in windows of 5 seconds, into a table of the serving store.
SET 'pipeline.name' = 'orders_by_city';
SET 'execution.checkpointing.interval' = '500ms';

CREATE TABLE orders (
  order_id   BIGINT NOT NULL,
  city       STRING NOT NULL,
  amount     DOUBLE,
  ordered_at TIMESTAMP_LTZ(3) NOT NULL,
  WATERMARK FOR ordered_at AS ordered_at - INTERVAL '1' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'orders', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset');

CREATE TABLE orders_by_city (
  window_start TIMESTAMP(3),
  city         STRING,
  orders       BIGINT,
  revenue      DOUBLE,
  PRIMARY KEY (window_start, city) NOT ENFORCED
) WITH ('connector' = 'duckdb', 'path' = 'serving.duckdb', 'table' = 'orders_by_city');

INSERT INTO orders_by_city
SELECT window_start, city, count(*), round(sum(amount), 2)
FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ordered_at), INTERVAL '5' SECOND))
GROUP BY window_start, window_end, city;
)"},
    {"dags/hello.yaml", R"(dag_id: hello
description: Starts both jobs, waits until windows have closed, checks what they wrote
schedule: null            # on demand; "@daily" or a cron line otherwise
start_date: 2024-01-01

tasks:
  - task_id: start_jobs
    operator: stream.start
    with: {files: [streams/make_orders.sql, streams/orders_by_city.sql]}

  - task_id: check_table
    operator: check.sql
    upstream: [start_jobs]
    retries: 15
    retry_delay: 1s
    with:
      store: serving
      checks:
        - {name: windows were closed, sql: SELECT count(*) FROM orders_by_city, min: 4}
        - {name: no window without orders, sql: SELECT count(*) FROM orders_by_city WHERE orders = 0, equals: 0}

  - task_id: say_hello
    operator: bash
    upstream: [check_table]
    with: {command: 'echo "the orders flow; see them with: tailrace sql \"FROM orders_by_city\""'}
)"},
    {".gitignore", ".tailrace/\n*.duckdb\n*.duckdb.wal\n"},
};

Result<int> Init(const std::string& dir) {
  struct stat info {};
  if (::stat((dir + "/tailrace.yaml").c_str(), &info) == 0)
    return Error(ErrorCode::kAlreadyExists, dir + " already has a tailrace.yaml")
        .Remedy("name another directory, or start it with 'tailrace up " + dir + "'");
  for (const Template& file : kFiles)  // never overwrite what is the user's
    if (::stat((dir + "/" + file.path).c_str(), &info) == 0 && std::string(file.path) != ".gitignore")
      return Error(ErrorCode::kAlreadyExists, dir + "/" + file.path + " is already there")
          .Remedy("name an empty directory");
  TRY(io::MakeDirectories(dir));
  char absolute[4096];
  if (!::realpath(dir.c_str(), absolute)) return IoError("looking at " + dir, errno);
  const std::string full = absolute, stem = full.substr(full.rfind('/') + 1);
  for (const Template& file : kFiles) {
    const std::string path = dir + "/" + file.path;
    if (::stat(path.c_str(), &info) == 0) continue;
    if (const size_t slash = path.rfind('/'); slash != std::string::npos)
      TRY(io::MakeDirectories(path.substr(0, slash)));
    std::string text = file.text;
    if (const size_t at = text.find("@NAME@"); at != std::string::npos)
      text.replace(at, 6, stem.empty() ? "my-project" : "\"" + stem + "\"");
    TRY(io::WriteFileAtomically(path, text));
    std::printf("  %s\n", path.c_str());
  }
  std::printf("\nNext:\n  tailrace run %s\n", dir.c_str());
  return 0;
}

}  // namespace

void AddInit(Command& root) {
  Command command =
      root.Add("init", "Write a small project that works", "tailrace init my-project && tailrace run my-project");
  auto dir = std::make_shared<std::string>(".");
  command.Value("DIR", *dir, "where; default: here");
  command.Action([dir](const Invocation&) { return Init(*dir); });
}

}  // namespace tailrace::app
