"""Short ways to write and read with the clients under test."""

import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition


def produce(bootstrap, topic, messages, **config):
    """messages: (key, value) or (key, value, headers). Returns [(partition, offset)] as acknowledged."""
    acknowledged, errors = [], []

    def done(error, message):
        if error:
            errors.append(error)
        else:
            acknowledged.append((message.partition(), message.offset()))

    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0, **{k.replace("_", "."): v for k, v in config.items()}})
    for message in messages:
        key, value, *headers = message
        producer.produce(topic, key=key, value=value, headers=headers[0] if headers else None, on_delivery=done)
        producer.poll(0)
    left = producer.flush(30)
    assert not errors, errors[0]
    assert left == 0, f"{left} messages not acknowledged"
    return acknowledged


def consumer(bootstrap, group="none", **config):
    return Consumer({
        "bootstrap.servers": bootstrap, "log_level": 0, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
        "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "fetch.wait.max.ms": 100,
        **{k.replace("_", "."): v for k, v in config.items()},
    })


def take(reader, count, timeout=20):
    """The next `count` messages of a consumer."""
    got, end = [], time.monotonic() + timeout
    while len(got) < count and time.monotonic() < end:
        message = reader.poll(0.2)
        if message is None or (message.error() and message.error().code() == KafkaError._PARTITION_EOF):
            continue
        assert not message.error(), message.error()
        got.append(message)
    assert len(got) == count, f"{len(got)} of {count} messages within {timeout} s"
    return got


def read_all(bootstrap, topic, partitions=1, isolation="read_committed", timeout=20):
    """All messages of a topic up to its end, by assignment, without a group."""
    reader = consumer(bootstrap, enable_partition_eof=True, isolation_level=isolation)
    reader.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    got, ends, deadline = [], set(), time.monotonic() + timeout
    while len(ends) < partitions:
        assert time.monotonic() < deadline, f"no end of {topic} within {timeout} s"
        message = reader.poll(0.2)
        if message is None:
            continue
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            ends.add(message.partition())
        else:
            got.append(message)
    reader.close()
    return got
