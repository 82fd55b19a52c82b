"""The clickstream example does what it promises, seen through an ordinary Kafka client, SQL and the command line."""

import base64
import json
import re
import time

import pytest
from confluent_kafka import Consumer, Producer
from kafka import KafkaProducer

from support import wait_for

STREAMS = ["stream_processor", "monitor", "data_enrichment"]


def consume(platform, topic, until, timeout=30, isolation="read_committed"):
    """Messages of a topic from its start, until until(messages) is true."""
    consumer = Consumer({"bootstrap.servers": platform.kafka, "group.id": f"test-{topic}-{time.monotonic_ns()}",
                         "auto.offset.reset": "earliest", "isolation.level": isolation, "enable.auto.commit": False})
    consumer.subscribe([topic])
    messages, end = [], time.monotonic() + timeout
    while time.monotonic() < end and not until(messages):
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            messages.append(message)
    consumer.close()
    return messages


def start(platform, *names):
    for name in names:
        platform.run("stream", "start", f"streams/{name}.sql")


def test_the_guide_s_python_snippet_works_unchanged(clickstream):
    start(clickstream, "stream_processor")
    producer = KafkaProducer(bootstrap_servers=[clickstream.kafka], value_serializer=lambda x: json.dumps(x).encode("utf-8"))
    event = {"timestamp": "2024-01-15T10:30:00Z", "user_id": "user123", "event_type": "click",
             "data": {"page": "home", "session_id": "abc123"}}
    future = producer.send("raw_events", event)
    producer.flush()
    acknowledged = time.monotonic()
    assert future.get(timeout=5).offset == 0

    messages = consume(clickstream, "processed_events", lambda m: m)
    seen = time.monotonic() - acknowledged
    row = json.loads(messages[0].value())
    assert row["user_id"] == "user123" and row["event_type"] == "click"
    assert row["timestamp"].startswith("2024-01-15T10:30:00")
    processed = json.loads(row["processed_data"])
    assert processed["page"] == "home" and processed["session"] == "abc123"
    assert seen < 3  # joining a group included; the latency test below measures the pipeline alone

    rows = wait_for("the row in the table", lambda: clickstream.sql(
        "SELECT CAST(id AS VARCHAR) AS id, user_id, event_type, timestamp, processed_data, created_at FROM streaming_data.processed_events"))
    assert len(rows) == 1 and rows[0]["id"] == row["id"] and rows[0]["user_id"] == "user123"
    types = {c["column_name"]: c["data_type"] for c in clickstream.sql(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'streaming_data' AND table_name = 'processed_events'")}
    assert list(types) == ["id", "timestamp", "user_id", "event_type", "processed_data", "created_at"]
    assert types["id"] == "UUID" and types["timestamp"].startswith("TIMESTAMP") and types["processed_data"] == "VARCHAR"


BAD = [
    (b"this is no JSON", "JSON|json"),
    (b'{"timestamp": "2024-01-15T10:30:00Z", "user_id": "u", "event_type": "click"', "end|unclosed|truncated|complete"),
    (b'{"timestamp": "2024-01-15T10:30:00Z", "event_type": "click", "data": {}}', "user_id"),
    (b'{"timestamp": "yesterday", "user_id": "u", "event_type": "click", "data": {}}', "timestamp"),
    (b'{"timestamp": "2024-01-15T10:30:00Z", "user_id": "u", "event_type": "no such type", "data": {}}', "event_type_known"),
    (b'{"timestamp": "2024-01-15T10:30:00Z", "user_id": "", "event_type": "click", "data": {}}', "user_id_length"),
    (b'{"timestamp": "2024-01-15T10:30:00Z", "user_id": "\xff\xfe", "event_type": "click", "data": {}}', "UTF-8"),
    (b'{"timestamp": "9999999-01-15T10:30:00Z", "user_id": "u", "event_type": "click"}', "timestamp"),
]


def test_bad_events_go_to_error_events_with_reason_bytes_and_place(clickstream):
    start(clickstream, "stream_processor")
    producer = Producer({"bootstrap.servers": clickstream.kafka, "acks": "all"})
    good = json.dumps({"timestamp": "2024-01-15T10:30:00Z", "user_id": "u", "event_type": "click", "data": {}}).encode()
    for bad, _ in BAD:
        producer.produce("raw_events", good)
        producer.produce("raw_events", bad)
    assert producer.flush(10) == 0
    errors = consume(clickstream, "error_events", lambda m: len(m) >= len(BAD))
    assert len(errors) == len(BAD)
    errors.sort(key=lambda m: json.loads(m.value())["offset"])  # decoding and constraints are two stages
    for i, (message, (bad, reason)) in enumerate(zip(errors, BAD)):
        error = json.loads(message.value())
        assert (error["topic"], error["partition"], error["offset"]) == ("raw_events", 0, 2 * i + 1)
        original = base64.b64decode(error["original_base64"]) if error.get("original_base64") else error["original"].encode()
        assert original == bad
        assert re.search(reason, error["reason"]), error["reason"]
    assert len(consume(clickstream, "processed_events", lambda m: len(m) >= len(BAD))) == len(BAD)


def test_an_event_is_through_in_under_a_second_at_1000_a_second(clickstream):
    """p99 from the producer's send to the consumer's sight of the committed row, other stages included."""
    start(clickstream, "stream_processor")
    producer = Producer({"bootstrap.servers": clickstream.kafka, "acks": "all", "linger.ms": 0})
    consumer = Consumer({"bootstrap.servers": clickstream.kafka, "group.id": "latency", "auto.offset.reset": "earliest",
                         "isolation.level": "read_committed"})
    consumer.subscribe(["processed_events"])
    sent, latencies, count = {}, [], 8000
    begin, i = time.monotonic(), 0
    while len(latencies) < count and time.monotonic() - begin < 60:
        while i < count and time.monotonic() - begin > i / 1000:
            sent[f"u{i}"] = time.monotonic()
            producer.produce("raw_events", json.dumps({"timestamp": "2024-01-15T10:30:00Z", "user_id": f"u{i}", "event_type": "click",
                                                       "data": {"page": "home"}}).encode())
            i += 1
        producer.poll(0)
        for message in consumer.consume(200, 0.002):
            latencies.append(time.monotonic() - sent[json.loads(message.value())["user_id"]])
    consumer.close()
    assert len(latencies) == count
    steady = sorted(latencies[1000:])  # the first second is the group's first rebalance
    p50, p99 = steady[len(steady) // 2], steady[int(len(steady) * 0.99)]
    print(f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms")
    assert p99 < 1.0
    rows = wait_for("all rows in the table", lambda: [r for r in clickstream.sql(
        "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM streaming_data.processed_events") if r["n"] == count])
    assert rows[0]["ids"] == count


@pytest.mark.parametrize("speed", ["demo"])
def test_the_dag_runs_the_pipeline_and_the_batch_layer_after_it(clickstream, speed):
    done = clickstream.run("dag", "trigger", "streaming_pipeline", "--wait", "-o", "json", timeout=180)
    run = json.loads(done.stdout)
    assert run["state"] == "success"
    tasks = clickstream.json("task", "list", "streaming_pipeline", run["run_id"])
    names = ["check_kafka", "create_topics", "start_generator", "start_streaming", "monitor_pipeline", "verify_outputs",
             "generate_report", "stop_pipeline"]
    assert sorted(t["task_id"] for t in tasks) == sorted(names)
    by_name = {t["task_id"]: t for t in tasks}
    assert all(t["state"] == "success" for t in tasks)
    assert all(t["pool"] == "streaming_pool" and t["queue"] == "streaming_queue" for t in tasks)
    for earlier, later in zip(names, names[1:]):
        assert by_name[earlier]["end_date"] <= by_name[later]["start_date"]

    def batch_run():
        runs = clickstream.json("dag", "runs", "batch_layer")
        return runs and runs[0]["state"] in ("success", "failed") and runs[0]
    batch = wait_for("batch_layer", batch_run, timeout=60)
    assert batch["state"] == "success" and batch["start_date"] >= run["end_date"]
    order = [t["task_id"] for t in sorted(clickstream.json("task", "list", "batch_layer", batch["run_id"]), key=lambda t: t["start_date"])]
    assert order == ["aggregate_historical_data", "train_model", "generate_reports"]

    report = (clickstream.project / "reports" / "streaming_pipeline.html").read_text()
    assert "<svg" in report and "Events by type" in report
    assert "<svg" in (clickstream.project / "reports" / "batch_layer.html").read_text()
    quality = clickstream.sql("SELECT * FROM streaming_data.visit_model_quality")[0]
    assert quality["hours_tested"] > 0 and quality["mean_absolute_error"] >= 0
    windows = clickstream.sql("SELECT * FROM streaming_data.monitoring_events")
    assert windows and sum(w["errors"] for w in windows) > 0 and all(0 <= w["error_rate"] < 0.2 for w in windows)
    # Everything was stopped: nothing of the pipeline is left running.
    assert not [j for j in clickstream.json("stream", "list") if j["state"] == "RUNNING"]
