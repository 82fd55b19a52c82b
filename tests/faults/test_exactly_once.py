"""kill -9 at any moment loses nothing and repeats nothing."""

import json
import os
import random
import time

from confluent_kafka import Consumer, Producer, TopicPartition

from support import Platform, example, wait_for

KILLS = int(os.environ.get("TAILRACE_KILLS", "50"))


def read_all(platform, topic, isolation="read_committed", timeout=30):
    consumer = Consumer({"bootstrap.servers": platform.kafka, "group.id": f"check-{time.monotonic_ns()}", "isolation.level": isolation,
                         "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values, end = [], time.monotonic() + timeout
    while time.monotonic() < end:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            break  # the partition's end
        values.append((message.offset(), message.value()))
    consumer.close()
    return values


def test_kill_9_during_the_replay(tmp_path):
    """Each acknowledged input event is in processed_events exactly once, in the topic (read_committed) and in the table."""
    rng = random.Random(7)
    platform = Platform(tmp_path, project=example("clickstream", tmp_path))
    with platform:
        platform.run("stream", "start", "streams/stream_processor.sql")
        producer = Producer({"bootstrap.servers": platform.kafka, "enable.idempotence": True, "acks": "all", "linger.ms": 5,
                             "message.timeout.ms": 120000, "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 50})
        acknowledged, failed, n = set(), [], 0

        def delivered(error, message):
            if error:
                failed.append((error, message.key()))
            else:
                acknowledged.add(int(message.key()))

        recovery = []
        for _ in range(KILLS):
            until = time.monotonic() + rng.uniform(0.05, 0.8)
            while time.monotonic() < until:
                for _ in range(20):
                    event = {"timestamp": "2024-01-15T10:30:00Z", "user_id": f"u{n}", "event_type": "click", "data": {"page": "home"}}
                    producer.produce("raw_events", json.dumps(event).encode(), key=str(n), on_delivery=delivered)
                    n += 1
                producer.poll(0.01)
            platform.kill()
            platform.start()
            recovery.append(platform.ready_seconds)
        assert producer.flush(60) == 0
        assert not failed, failed[:3]
        assert acknowledged == set(range(n))

        raw = read_all(platform, "raw_events")
        users = [json.loads(value)["user_id"] for _, value in raw]
        assert users == [f"u{i}" for i in range(n)], "the idempotent producer's records: all, once, in order"

        wait_for("all rows in the table", lambda: platform.sql("SELECT count(*) AS n FROM streaming_data.processed_events")[0]["n"] >= n, timeout=60)
        time.sleep(1)
        table = platform.sql("SELECT count(*) AS n, count(DISTINCT user_id) AS users, count(DISTINCT id) AS ids, "
                             "min(CAST(substr(user_id, 2) AS INTEGER)) AS least, max(CAST(substr(user_id, 2) AS INTEGER)) AS most "
                             "FROM streaming_data.processed_events")
        topic = [json.loads(value)["user_id"] for _, value in read_all(platform, "processed_events")]
        assert sorted(topic) == sorted(users)
        assert table == [{"n": n, "users": n, "ids": n, "least": 0, "most": n - 1}]
        print(f"{n} events, {KILLS} kills, ready again after {max(recovery):.2f} s at most")


def test_sigterm_drains_and_ends_within_five_seconds(tmp_path):
    platform = Platform(tmp_path, project=example("clickstream", tmp_path))
    with platform:
        platform.run("stream", "start", "streams/stream_processor.sql")
        producer = Producer({"bootstrap.servers": platform.kafka})
        for i in range(5000):
            producer.produce("raw_events", json.dumps({"timestamp": "2024-01-15T10:30:00Z", "user_id": f"u{i}", "event_type": "click"}).encode())
        assert producer.flush(10) == 0
        status, seconds = platform.stop()
        assert status == 0 and seconds < 5
        platform.start()
        wait_for("every event in the table", lambda: platform.sql("SELECT count(*) AS n FROM streaming_data.processed_events")[0]["n"] == 5000)
