"""Transactions over the wire: commit, abort, offsets inside, fencing, read_committed."""

import pytest
from clients import consumer, produce, read_all, take
from confluent_kafka import KafkaException, Producer, TopicPartition


def transactional(broker, name, **config):
    producer = Producer({"log_level": 0, "bootstrap.servers": broker.bootstrap, "transactional.id": name, **config})
    producer.init_transactions(20)
    return producer


def test_only_committed_records_are_seen(broker, topic, group):
    name = topic(partitions=2)
    producer = transactional(broker, group)
    for round_number, commit in enumerate([True, False, True, False]):
        producer.begin_transaction()
        for i in range(100):
            producer.produce(name, f"{round_number}-{i}".encode(), partition=i % 2)
        if commit:
            producer.commit_transaction(20)
        else:
            producer.flush(10)
            producer.abort_transaction(20)
    produce(broker.bootstrap, name, [(None, b"plain")])
    committed = {m.value().decode() for m in read_all(broker.bootstrap, name, 2)}
    assert committed == {f"{r}-{i}" for r in (0, 2) for i in range(100)} | {"plain"}
    every = {m.value().decode() for m in read_all(broker.bootstrap, name, 2, isolation="read_uncommitted")}
    assert every == {f"{r}-{i}" for r in range(4) for i in range(100)} | {"plain"}


def test_an_open_transaction_holds_back_read_committed(broker, topic, group):
    name = topic()
    producer = transactional(broker, group)
    producer.begin_transaction()
    producer.produce(name, b"held")
    producer.flush(10)
    produce(broker.bootstrap, name, [(None, b"after")])
    reader = consumer(broker.bootstrap, isolation_level="read_committed")
    reader.assign([TopicPartition(name, 0, 0)])
    assert reader.poll(1.0) is None  # the last stable offset stands before the transaction
    low, high = reader.get_watermark_offsets(TopicPartition(name, 0), 5)
    producer.commit_transaction(20)
    assert [m.value() for m in take(reader, 2)] == [b"held", b"after"]
    reader.close()


def test_offsets_commit_with_the_transaction(broker, topic, group):
    source, target = topic(), topic()
    produce(broker.bootstrap, source, [(None, f"{i}".encode()) for i in range(20)])
    reader = consumer(broker.bootstrap, group, isolation_level="read_committed")
    reader.subscribe([source])
    producer = transactional(broker, group + "-tx")
    for start, commit in ((0, False), (0, True), (10, True)):
        if start == 0:
            reader.unsubscribe()
            reader.subscribe([source])
        messages = take(reader, 10)
        assert int(messages[0].value()) == start
        producer.begin_transaction()
        for m in messages:
            producer.produce(target, m.value())
        producer.send_offsets_to_transaction([TopicPartition(source, 0, messages[-1].offset() + 1)], reader.consumer_group_metadata(), 20)
        if commit:
            producer.commit_transaction(20)
        else:
            producer.abort_transaction(20)
    reader.close()
    assert [int(m.value()) for m in read_all(broker.bootstrap, target)] == list(range(20))
    again = consumer(broker.bootstrap, group)
    assert again.committed([TopicPartition(source, 0)], 10)[0].offset == 20
    again.close()


def test_a_newer_producer_fences_the_old_and_aborts_its_transaction(broker, topic, group):
    name = topic()
    old = transactional(broker, group)
    old.begin_transaction()
    old.produce(name, b"from the old")
    old.flush(10)
    new = transactional(broker, group)
    new.begin_transaction()
    new.produce(name, b"from the new")
    new.commit_transaction(20)
    with pytest.raises(KafkaException) as failure:
        old.produce(name, b"late")
        old.commit_transaction(20)
    assert failure.value.args[0].fatal()
    assert [m.value() for m in read_all(broker.bootstrap, name)] == [b"from the new"]


def test_a_forgotten_transaction_times_out(broker, topic, group):
    name = topic()
    producer = transactional(broker, group, **{"transaction.timeout.ms": 1500})
    producer.begin_transaction()
    producer.produce(name, b"forgotten")
    producer.flush(10)
    produce(broker.bootstrap, name, [(None, b"after")])
    reader = consumer(broker.bootstrap, isolation_level="read_committed")
    reader.assign([TopicPartition(name, 0, 0)])
    # Apache Kafka looks for timed-out transactions every 10 s.
    assert [m.value() for m in take(reader, 1, timeout=30)] == [b"after"]
    reader.close()
