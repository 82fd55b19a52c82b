"""Filter + projection (Nexmark q1 and q22-like) and a TUMBLE count from Kafka JSON, beside Flink: events per CPU-second."""
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import nexmark  # noqa: E402
from common import PROGRAM, Engine, Platform, cpu_seconds, row, say  # noqa: E402

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
ROUNDS = 3

TABLE = """
CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` TIMESTAMP(3), extra VARCHAR,
  WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND)
WITH ('connector' = 'kafka', 'topic' = 'bids', 'properties.bootstrap.servers' = '{bootstrap}', 'properties.group.id' = '{group}',
  'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json');
"""
QUERIES = {
    "projection (q1)": ("auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), `dateTime` TIMESTAMP(3), extra VARCHAR",
                        "SELECT auction, bidder, 0.908 * price AS price, `dateTime`, extra FROM bid"),
    "filter + projection (q2)": ("auction BIGINT, price BIGINT", "SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0"),
    "TUMBLE count": ("auction BIGINT, window_start TIMESTAMP(3), window_end TIMESTAMP(3), bids BIGINT",
                     "SELECT auction, window_start, window_end, count(*) AS bids FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))"
                     " GROUP BY auction, window_start, window_end"),
}


def script(name, bootstrap, group):
    columns, query = QUERIES[name]
    return (TABLE.format(bootstrap=bootstrap, group=group) +
            f"CREATE TABLE sink ({columns}) WITH ('connector' = 'blackhole');\nINSERT INTO sink {query};\n")


def run_tailrace(name, bootstrap, directory, data_dir=None):
    """CPU seconds and wall seconds of one `tailrace stream run`."""
    file = Path(directory) / "q.sql"
    text = script(name, bootstrap, f"b{time.monotonic_ns()}")
    if bootstrap == "embedded":
        text = text.replace("'properties.bootstrap.servers' = 'embedded', ", "")
    file.write_text(f"SET 'pipeline.name' = 'bench{time.monotonic_ns()}';\n" + text)
    out = subprocess.run(["/usr/bin/env", "bash", "-c", f"TIMEFORMAT='%R %U %S'; time {PROGRAM} stream run {file} --data-dir {data_dir or directory + '/state'} >/dev/null 2>{directory}/err"],
                         capture_output=True, text=True)
    if out.returncode:
        raise SystemExit(Path(directory, "err").read_text()[-2000:])
    wall, user, system = map(float, out.stderr.split())
    return user + system, wall


def run_flink(flink, name, bootstrap, directory):
    file = Path(directory) / "flink.sql"
    file.write_text("SET 'execution.checkpointing.interval' = '1s';\nSET 'parallelism.default' = '1';\n" + script(name, bootstrap, "flink"))
    before = {p: cpu_seconds(p) for p in flink.pids()}
    printed = flink.call("sql", str(file))
    job = re.search(r"^job ([0-9a-f]{32})$", printed, re.M).group(1)
    deadline = time.monotonic() + 300
    while True:
        try:
            state = json.load(urllib.request.urlopen(f"{flink.vars['FLINK_REST']}/jobs/{job}"))
        except urllib.error.HTTPError as error:  # not known there yet
            if error.code != 404 or time.monotonic() > deadline:
                raise SystemExit(f"Flink does not know job {job}: {printed[-500:]}")
            time.sleep(0.2)
            continue
        if state["state"] in ("FINISHED", "FAILED"):
            break
        time.sleep(0.2)
    assert state["state"] == "FINISHED", state
    return sum(cpu_seconds(p) - before.get(p, 0) for p in flink.pids()), state["duration"] / 1000


with tempfile.TemporaryDirectory() as directory, Engine("kafka") as kafka, Engine("flink") as flink:
    say(f"loading {COUNT:,} bids into Kafka and into tailrace's own log")
    nexmark.load(kafka.vars["KAFKA_BOOTSTRAP"], "bids", COUNT)
    with Platform(directory, args=["--broker-only"]) as own:
        nexmark.load(own.kafka, "bids", COUNT)
        data_dir = str(own.data_dir)
    for name in QUERIES:
        ours_kafka, ours_own, theirs = [], [], []
        for i in range(ROUNDS):
            cpu, wall = run_tailrace(name, kafka.vars["KAFKA_BOOTSTRAP"], directory)
            ours_kafka.append(COUNT / cpu)
            cpu, wall_own = run_tailrace(name, "embedded", directory, data_dir)
            ours_own.append(COUNT / cpu)
            flink_cpu, flink_wall = run_flink(flink, name, kafka.vars["KAFKA_BOOTSTRAP"], directory)
            if i or ROUNDS == 1:  # the first round warms the JVM
                theirs.append(COUNT / flink_cpu)
            say(f"{name}: tailrace {wall:.1f} s from Kafka, {wall_own:.1f} s from its own log, Flink {flink_wall:.1f} s")
        row(f"{name}, from Kafka", ours_kafka, theirs, "events/CPU-second")
        row(f"{name}, from the own log", ours_own, theirs, "events/CPU-second")
