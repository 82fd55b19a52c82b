"""kafka-python and confluent-kafka write and read each other's records in every codec."""

import uuid

import pytest
from clients import consumer, produce, read_all, take
from confluent_kafka import KafkaException, TopicPartition
from kafka import KafkaConsumer, KafkaProducer
from kafka import TopicPartition as PyTopicPartition

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def records(n):
    return [(None if i % 5 == 0 else f"key-{i}".encode(), None if i % 7 == 3 else f"value {i} ".encode() * (i % 40),
             [("trace", f"{i}".encode()), ("none", None)] if i % 3 == 0 else None) for i in range(n)]


def read_with_kafka_python(broker, topic, count):
    reader = KafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=15000,
                           enable_auto_commit=False)
    reader.assign([PyTopicPartition(topic, 0)])
    got = []
    for message in reader:
        got.append(message)
        if len(got) == count:
            break
    reader.close()
    return [(m.key, m.value, list(m.headers)) for m in got]


def read_with_confluent(broker, topic):
    return [(m.key(), m.value(), m.headers() or []) for m in read_all(broker.bootstrap, topic)]


def expected(sent):
    return [(k, v, h or []) for k, v, h in sent]


@pytest.mark.parametrize("codec", CODECS)
def test_confluent_writes_both_read(broker, topic, codec):
    name, sent = topic(), records(300)
    offsets = produce(broker.bootstrap, name, sent, compression_type=codec)
    assert [o for _, o in offsets] == list(range(300))
    assert read_with_confluent(broker, name) == expected(sent)
    assert read_with_kafka_python(broker, name, 300) == expected(sent)


@pytest.mark.parametrize("codec", CODECS)
def test_kafka_python_writes_both_read(broker, topic, codec):
    name = topic()
    sent = [(k if v else k or b"only-key", v, h and h[:1]) for k, v, h in records(300)]  # it knows no null headers
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", compression_type=None if codec == "none" else codec,
                             linger_ms=5)
    futures = [producer.send(name, key=k, value=v, headers=h or []) for k, v, h in sent]
    producer.flush(30)
    assert [f.get(10).offset for f in futures] == list(range(300))
    producer.close()
    assert read_with_confluent(broker, name) == expected(sent)
    assert read_with_kafka_python(broker, name, 300) == expected(sent)


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_acks(broker, topic, acks):
    name = topic()
    produce(broker.bootstrap, name, [(None, f"{i}".encode()) for i in range(1000)], acks=acks)
    reader = consumer(broker.bootstrap)
    reader.assign([TopicPartition(name, 0, 0)])
    # Also what nobody waits for is visible at once, not at the next periodic flush.
    assert [int(m.value()) for m in take(reader, 1000, timeout=3)] == list(range(1000))
    reader.close()


def test_idempotent_producer(broker, topic):
    name = topic(partitions=3)
    produce(broker.bootstrap, name, [(f"{i % 50}".encode(), f"{i}".encode()) for i in range(20000)], enable_idempotence=True)
    got = read_all(broker.bootstrap, name, partitions=3)
    assert sorted(int(m.value()) for m in got) == list(range(20000))
    last = {}
    for m in got:  # order within a key
        assert last.get(m.key(), -1) < int(m.value())
        last[m.key()] = int(m.value())


def test_one_record_of_a_megabyte_and_one_too_large(broker, topic):
    name = topic()
    produce(broker.bootstrap, name, [(None, b"x" * 1_000_000)], message_max_bytes=3_000_000)
    with pytest.raises(AssertionError, match="MSG_SIZE_TOO_LARGE"):
        produce(broker.bootstrap, name, [(None, b"x" * 2_000_000)], message_max_bytes=3_000_000)
    assert [len(m.value()) for m in read_all(broker.bootstrap, name)] == [1_000_000]


def test_topic_config_allows_larger_messages(broker, topic):
    name = topic(max_message_bytes=22_000_000)
    produce(broker.bootstrap, name, [(None, b"x" * 20_000_000)], message_max_bytes=21_000_000)
    reader = consumer(broker.bootstrap, fetch_message_max_bytes=1000)  # a batch larger than asked for comes all the same
    reader.assign([TopicPartition(name, 0, 0)])
    assert len(take(reader, 1)[0].value()) == 20_000_000
    reader.close()


def test_timestamps(broker, topic):
    created, appended = topic(), topic(message_timestamp_type="LogAppendTime")
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    for name in (created, appended):
        for i in range(10):
            producer.send(name, value=b"v", timestamp_ms=1_700_000_000_000 + i * 1000)
        producer.flush()
    producer.close()
    assert [m.timestamp() for m in read_all(broker.bootstrap, created)] == [(1, 1_700_000_000_000 + i * 1000) for i in range(10)]
    for m in read_all(broker.bootstrap, appended):
        kind, time_ms = m.timestamp()
        assert kind == 2 and time_ms > 1_750_000_000_000
    reader = consumer(broker.bootstrap)
    found = reader.offsets_for_times([TopicPartition(created, 0, 1_700_000_004_500), TopicPartition(appended, 0, 4_000_000_000_000)], 10)
    assert [p.offset for p in found] == [5, -1]
    assert reader.get_watermark_offsets(TopicPartition(created, 0), 10) == (0, 10)
    reader.close()


def test_offsets_out_of_range_follow_the_reset_policy(broker, topic):
    name = topic()
    produce(broker.bootstrap, name, [(None, b"v")] * 5)
    reader = consumer(broker.bootstrap)
    reader.assign([TopicPartition(name, 0, 1000)])
    assert take(reader, 1)[0].offset() == 0
    reader.close()
    strict = consumer(broker.bootstrap, auto_offset_reset="error")
    strict.assign([TopicPartition(name, 0, 1000)])
    with pytest.raises(AssertionError, match="out of range|AUTO_OFFSET_RESET"):
        take(strict, 1, timeout=10)
    strict.close()


def test_unknown_topic_is_created_on_first_use(broker):
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, max_block_ms=20000)
    name = f"auto-{uuid.uuid4().hex[:8]}"
    assert producer.send(name, b"v").get(20).offset == 0
    producer.close()


def test_invalid_topic_name(broker):
    with pytest.raises((KafkaException, AssertionError), match="TOPIC_EXCEPTION|INVALID|invalid"):
        produce(broker.bootstrap, "no/slashes", [(None, b"v")], message_timeout_ms=8000)
