"""Long polls, sessions and isolation of Fetch."""

import statistics
import threading
import time

from clients import consumer, produce, take
from confluent_kafka import Producer, TopicPartition


def test_a_waiting_fetch_is_answered_at_once_when_a_record_comes(broker, topic):
    name = topic()
    reader = consumer(broker.bootstrap, fetch_wait_max_ms=5000)
    reader.assign([TopicPartition(name, 0, 0)])
    producer = Producer({"log_level": 0, "bootstrap.servers": broker.bootstrap, "linger.ms": 0})
    latencies = []
    for i in range(60):
        sent = time.monotonic()
        producer.produce(name, f"{i}".encode())
        producer.poll(0)
        assert int(take(reader, 1)[0].value()) == i
        latencies.append((time.monotonic() - sent) * 1000)
        producer.flush(5)
        time.sleep(0.01)
    reader.close()
    assert statistics.median(latencies[5:]) < 50, latencies  # not the 5 s of the wait, nor a poll interval


def test_an_empty_fetch_waits_as_long_as_asked(broker, topic):
    name = topic()
    reader = consumer(broker.bootstrap, fetch_wait_max_ms=400, fetch_min_bytes=1)
    reader.assign([TopicPartition(name, 0, 0)])
    started = time.monotonic()
    assert reader.poll(1.5) is None
    assert time.monotonic() - started >= 1.4
    reader.close()


def test_one_fetch_session_over_many_partitions(broker, topic):
    name = topic(partitions=50)
    reader = consumer(broker.bootstrap)
    reader.assign([TopicPartition(name, p, 0) for p in range(50)])
    reader.poll(0.5)
    for round_number in range(3):
        expect = set()
        producer = Producer({"log_level": 0, "bootstrap.servers": broker.bootstrap})
        for p in range(round_number, 50, 3):
            producer.produce(name, f"{round_number}-{p}".encode(), partition=p)
            expect.add(f"{round_number}-{p}")
        assert producer.flush(10) == 0
        assert {m.value().decode() for m in take(reader, len(expect))} == expect
    reader.close()


def test_reader_and_writer_at_the_same_time(broker, topic):
    name, total = topic(), 30000
    writer = threading.Thread(target=produce, args=(broker.bootstrap, name, [(None, f"{i}".encode()) for i in range(total)]))
    reader = consumer(broker.bootstrap)
    reader.assign([TopicPartition(name, 0, 0)])
    writer.start()
    got = take(reader, total, timeout=60)
    writer.join()
    reader.close()
    assert [m.offset() for m in got] == list(range(total))
    assert [int(m.value()) for m in got] == list(range(total))
