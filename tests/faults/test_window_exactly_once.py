"""Windowed results of a job that is killed over and over equal the answer over all the data: each window and key once."""

import json
import os
import random
import time
from collections import defaultdict

from confluent_kafka import Consumer, Producer, TopicPartition

from support import Platform, wait_for

KILLS = int(os.environ.get("TAILRACE_WINDOW_KILLS", "15"))
PARTITIONS = 3
BASE_MS = 1_700_000_000_000

PROJECT = """
name: windows
topics:
  numbers: {partitions: 3}
  counts:  {partitions: 1}
stores:
  serving: {path: serving.duckdb}
"""

JOB = """
SET 'pipeline.name' = 'windows';
SET 'execution.checkpointing.interval' = '100 ms';
CREATE TABLE numbers (k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
WITH ('connector' = 'kafka', 'topic' = 'numbers', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset');
CREATE TABLE counts (window_start TIMESTAMP(3), k STRING, n BIGINT, total BIGINT, users BIGINT)
WITH ('connector' = 'kafka', 'topic' = 'counts', 'format' = 'json');
CREATE TABLE hops (window_start TIMESTAMP(3), n BIGINT, highest BIGINT)
WITH ('connector' = 'duckdb', 'path' = 'serving.duckdb', 'table' = 'hops');
INSERT INTO counts SELECT window_start, k, COUNT(*), SUM(v), COUNT(DISTINCT v)
FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO hops SELECT window_start, COUNT(*), MAX(v)
FROM TABLE(HOP(TABLE numbers, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) GROUP BY window_start, window_end;
"""


def iso(ms):
    seconds, milli = divmod(ms, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{milli:03d}Z"


def read_committed(platform, topic):
    consumer = Consumer({"bootstrap.servers": platform.kafka, "group.id": f"check-{time.monotonic_ns()}", "isolation.level": "read_committed",
                         "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    rows, end = [], time.monotonic() + 30
    while time.monotonic() < end:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            break
        rows.append(json.loads(message.value()))
    consumer.close()
    return rows


def test_windows_across_kill_9(tmp_path):
    rng = random.Random(11)
    project = tmp_path / "project"
    (project / "streams").mkdir(parents=True)
    (project / "tailrace.yaml").write_text(PROJECT)
    (project / "streams" / "windows.sql").write_text(JOB)
    events = []
    with Platform(tmp_path, project=project) as platform:
        platform.run("apply")
        platform.run("stream", "start", "streams/windows.sql")
        producer = Producer({"bootstrap.servers": platform.kafka, "enable.idempotence": True, "acks": "all", "linger.ms": 5,
                             "message.timeout.ms": 120000, "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 50})

        def send(partition, key, value, ms):
            producer.produce("numbers", json.dumps({"k": key, "v": value, "ts": iso(ms)}).encode(), partition=partition)

        now = BASE_MS
        for _ in range(KILLS):
            until = time.monotonic() + rng.uniform(0.05, 0.8)
            while time.monotonic() < until:
                for _ in range(50):
                    now += rng.randrange(0, 60)
                    event = (rng.randrange(PARTITIONS), f"key{rng.randrange(20)}", rng.randrange(500), now - rng.randrange(900))
                    events.append(event[1:])
                    send(*event)
                producer.poll(0.01)
            platform.kill()
            platform.start()
        for partition in range(PARTITIONS):
            send(partition, "end", 0, now + 3_600_000)  # closes every window before it
        assert producer.flush(60) == 0

        tumble = defaultdict(list)
        hop = defaultdict(list)
        for key, value, ms in events:
            tumble[iso(ms // 10_000 * 10_000), key].append(value)
            start = ms // 5_000 * 5_000
            for window in (start, start - 5_000, start - 10_000):
                hop[window].append(value)
        expected = sorted((start, key, len(v), sum(v), len(set(v))) for (start, key), v in tumble.items())
        wait_for("every window in the topic", lambda: len(read_committed(platform, "counts")) >= len(expected), timeout=60, every=1)
        assert platform.json("stream", "describe", "windows")["late_records"] == 0
        time.sleep(1)
        counts = sorted((r["window_start"], r["k"], r["n"], r["total"], r["users"]) for r in read_committed(platform, "counts"))
        assert counts == expected
        rows = platform.sql("SELECT epoch_ms(window_start) AS start, n, highest FROM hops ORDER BY 1")
        assert [(int(r["start"]), int(r["n"]), int(r["highest"])) for r in rows] == sorted((start, len(v), max(v)) for start, v in hop.items())
        print(f"{len(events)} events, {KILLS} kills, {len(expected)} windows by key, {len(hop)} hops")
