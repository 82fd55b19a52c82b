"""The wall clock leaps forward and back while records flow, a job runs and DAGs are triggered: all goes on, nothing is deleted."""

import json
import os
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from support import Platform, wait_for

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)

PROJECT = """
name: clocks
topics:
  numbers: {partitions: 2}
  doubles: {partitions: 1}
stores:
  serving: {path: serving.duckdb}
autostart: [doubling]
settings:
  broker.retention.check.interval: 200ms
"""

JOB = """
SET 'pipeline.name' = 'doubling';
SET 'execution.checkpointing.interval' = '50 ms';
CREATE TABLE numbers (v BIGINT) WITH ('connector' = 'kafka', 'topic' = 'numbers', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset');
CREATE TABLE doubles (v BIGINT, at TIMESTAMP(3)) WITH ('connector' = 'kafka', 'topic' = 'doubles', 'format' = 'json');
INSERT INTO doubles SELECT v * 2, now() FROM numbers;
"""

DAG = """
dag_id: steps
schedule: null
tasks:
  - {task_id: first, operator: bash, with: {command: sleep 0.3}}
  - {task_id: fails_once, operator: bash, with: {command: "test {{ ti.try_number }} -gt 1"}, retries: 2, retry_delay: 300ms, upstream: [first]}
  - {task_id: waits, operator: bash, with: {command: sleep 0.3}, execution_timeout: 20s, upstream: [fails_once]}
"""


@pytest.fixture
def leaping(tmp_path, monkeypatch):
    """A platform whose wall clock the test sets: leap(seconds) puts it that far from the true time."""
    assert LIBRARY, "NOT RUN: needs the Debian package libfaketime"
    project = tmp_path / "project"
    for folder in ("streams", "dags"):
        (project / folder).mkdir(parents=True)
    (project / "tailrace.yaml").write_text(PROJECT)
    (project / "streams" / "doubling.sql").write_text(JOB)
    (project / "dags" / "steps.yaml").write_text(DAG)
    file = tmp_path / "leap"

    def leap(seconds):
        new = file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(file)

    leap(0)
    platform = Platform(tmp_path, project=project)
    with monkeypatch.context() as patched:
        patched.setenv("LD_PRELOAD", str(LIBRARY))
        patched.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
        patched.setenv("FAKETIME_NO_CACHE", "1")
        patched.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        platform.start()
    yield platform, leap
    platform.stop()


def read(platform, topic, partitions, count):
    consumer = Consumer({"bootstrap.servers": platform.kafka, "group.id": "check", "isolation.level": "read_committed", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    messages, end = [], time.monotonic() + 30
    while len(messages) < count and time.monotonic() < end:
        message = consumer.poll(0.5)
        if message and not message.error():
            messages.append(message)
    consumer.close()
    return messages


def test_everything_goes_on_over_leaps(leaping):
    platform, leap = leaping
    day = 86_400
    # One idempotent producer and one member of a group live through all the leaps.
    producer = Producer({"bootstrap.servers": platform.kafka, "enable.idempotence": True})
    member = Consumer({"bootstrap.servers": platform.kafka, "group.id": "lives", "auto.offset.reset": "earliest", "session.timeout.ms": 6000})
    member.subscribe(["numbers"])
    received, sent, written = [], 0, []
    for seconds in (0, 400 * day, -400 * day, 2 * day, -3600, 0):
        leap(seconds)
        stated = platform.get("/api/v1/status")["now_ms"] / 1000
        assert abs(stated - time.time() - seconds) < 5, "the leap did not reach the program: this test proves nothing"
        for _ in range(200):
            # The producers' clocks leap along: Kafka refuses time stamps more than an hour ahead of the broker's clock.
            producer.produce("numbers", json.dumps({"v": sent}).encode(), timestamp=int((time.time() + seconds) * 1000),
                             on_delivery=lambda error, _: written.append(error))
            sent += 1
        assert producer.flush(10) == 0
        assert platform.run("dag", "trigger", "steps", "--wait", timeout=30).returncode == 0

        def arrived():
            message = member.poll(0.2)
            if message and not message.error():
                received.append(json.loads(message.value())["v"])
            return len(received) >= sent

        wait_for("the group's member sees what was sent", arrived, timeout=30, every=0)
        time.sleep(0.5)  # retention looks twice
    assert written == [None] * sent
    member.close()
    assert sorted(received) == list(range(sent)), "a rebalance gave records twice, or some were lost"

    doubles = [json.loads(m.value())["v"] for m in read(platform, "doubles", 1, sent)]
    assert sorted(doubles) == [2 * v for v in range(sent)]
    assert len(read(platform, "numbers", 2, sent)) == sent, "retention believed a leap"
    runs = platform.json("dag", "runs", "steps")
    assert [r["state"] for r in runs] == ["success"] * 6, runs
    status, seconds = platform.stop()
    assert status == 0 and seconds < 5
    assert "leapt forward" in (platform.log_path.read_text() + "".join(p.read_text() for p in platform.project.rglob("tailrace.log")))
