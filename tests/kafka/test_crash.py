"""kill -9 and damaged files: what was acknowledged is served, once and in order; what was torn is dropped."""

import threading
import time

import pytest
from clients import consumer, produce, read_all
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from support import wait_for


def create(platform, name, partitions=1, **config):
    admin = AdminClient({"log_level": 0, "bootstrap.servers": platform.kafka})
    admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(10)


def last_segment(platform, name):
    return sorted(platform.data_dir.rglob(f"{name}-0/*.log"))[-1]


def test_an_idempotent_producer_loses_and_repeats_nothing_over_kills(platform):
    create(platform, "orders", 3)
    acknowledged, failed, stop = [], [], threading.Event()

    def write():
        producer = Producer({"log_level": 0, "bootstrap.servers": platform.kafka, "enable.idempotence": True, "linger.ms": 2,
                             "message.timeout.ms": 120000, "retry.backoff.ms": 50, "reconnect.backoff.max.ms": 200})

        def done(error, message):
            (failed if error else acknowledged).append(int(message.value()) if not error else error)

        n = 0
        while not stop.is_set():
            try:
                producer.produce("orders", f"{n}".encode(), key=f"{n % 97}".encode(), on_delivery=done)
                n += 1
                producer.poll(0)
            except BufferError:  # its queue is full while the broker is away
                producer.poll(0.05)
            if n % 50 == 0:
                time.sleep(0.002)
        assert producer.flush(60) == 0

    writer = threading.Thread(target=write)
    writer.start()
    starts = []
    for round_number in range(8):
        wait_for("acknowledgements after a start", lambda enough=len(acknowledged) + 500: len(acknowledged) > enough)
        time.sleep(0.05 * round_number)
        platform.kill()
        platform.start()
        starts.append(platform.ready_seconds)
    time.sleep(0.3)
    stop.set()
    writer.join(90)
    assert not writer.is_alive() and not failed, failed[:3]
    got = [(m.partition(), m.offset(), m.key(), int(m.value())) for m in read_all(platform.kafka, "orders", 3, timeout=60)]
    assert sorted(v for *_, v in got) == sorted(acknowledged) == list(range(len(acknowledged)))
    assert len(acknowledged) > 4000
    last = {}
    for _, _, key, value in got:
        assert last.get(key, -1) < value
        last[key] = value
    assert max(starts) < 5, starts


@pytest.mark.parametrize("damage", ["garbage appended", "half a batch appended", "cut inside the last batch", "a bit flipped in the last batch"])
def test_a_torn_tail_is_dropped(platform, damage):
    create(platform, "torn")
    for i in range(20):
        produce(platform.kafka, "torn", [(None, f"{i}".encode() * 50)])
    platform.kill()
    segment = last_segment(platform, "torn")
    data = segment.read_bytes().rstrip(b"\0")  # a preallocated tail is zeros
    last = data.rindex(b"19" * 50)
    if damage == "garbage appended":
        segment.write_bytes(data + bytes(range(256)) * 3)
        kept = 20
    elif damage == "half a batch appended":
        segment.write_bytes(data + data[:80])
        kept = 20
    elif damage == "cut inside the last batch":
        segment.write_bytes(data[:last + 10])
        kept = 19
    else:
        segment.write_bytes(data[:last] + b"X" + data[last + 1:])
        kept = 19
    platform.start()
    assert [m.value() for m in read_all(platform.kafka, "torn")] == [f"{i}".encode() * 50 for i in range(kept)]
    assert produce(platform.kafka, "torn", [(None, b"next")]) == [(0, kept)]
    platform.kill()
    platform.start()
    assert len(read_all(platform.kafka, "torn")) == kept + 1


def test_lost_index_files_are_made_again(platform):
    create(platform, "indexed", **{"segment.bytes": "65536"})
    produce(platform.kafka, "indexed", [(None, f"{i:05d}".encode() * 20) for i in range(3000)], batch_size=16000)
    platform.kill()
    partition = last_segment(platform, "indexed").parent
    removed = [f for f in partition.iterdir() if "index" in f.suffix]
    for file in removed:
        file.unlink()
    assert len(list(partition.glob("*.log"))) > 1
    platform.start()
    assert [int(m.value()[:5]) for m in read_all(platform.kafka, "indexed")] == list(range(3000))
    reader = consumer(platform.kafka)
    reader.assign([TopicPartition("indexed", 0, 1234)])
    message = reader.poll(10)
    assert message.offset() == 1234
    reader.close()


def test_an_open_transaction_is_aborted_or_goes_on_after_a_kill(platform):
    create(platform, "tx")
    producer = Producer({"log_level": 0, "bootstrap.servers": platform.kafka, "transactional.id": "survivor"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce("tx", b"committed")
    producer.commit_transaction(20)
    producer.begin_transaction()
    producer.produce("tx", b"open")
    producer.flush(10)
    platform.kill()
    platform.start()
    other = Producer({"log_level": 0, "bootstrap.servers": platform.kafka, "transactional.id": "survivor"})
    other.init_transactions(20)  # fences the first and aborts what it left
    other.begin_transaction()
    other.produce("tx", b"second")
    other.commit_transaction(20)
    assert [m.value() for m in read_all(platform.kafka, "tx")] == [b"committed", b"second"]
