"""Frames and record batches that no client sends: answered as Apache Kafka does, and the broker stays up."""

import gzip
import random
import socket
import struct
import time

import pytest
from clients import produce, read_all
from raw import CLOSED, SILENT, Raw, batch, frame, outcome, produce_error, produce_v3, record, request, string, varint

API_VERSIONS, METADATA, PRODUCE, FETCH = 18, 3, 0, 1


def still_serves(broker):
    with Raw(broker) as raw:
        answer = raw.ask(API_VERSIONS, 0)
        assert isinstance(answer, bytes) and answer[:6] == struct.pack(">ih", 7, 0)


@pytest.mark.parametrize("data", [
    pytest.param(struct.pack(">i", -1) + b"x" * 20, id="negative length"),
    pytest.param(struct.pack(">i", 0x7FFFFFFF), id="two gigabytes announced"),
    pytest.param(struct.pack(">i", 104857601) + b"x" * 100, id="one byte over socket.request.max.bytes"),
    pytest.param(struct.pack(">i", 0), id="empty frame"),
    pytest.param(frame(b"\0"), id="one byte"),
    pytest.param(frame(request(9999, 0)), id="unknown api"),
    pytest.param(frame(request(-5, 0)), id="negative api"),
    pytest.param(frame(request(METADATA, 99)), id="unknown version"),
    pytest.param(frame(request(METADATA, -1)), id="negative version"),
    pytest.param(frame(request(FETCH, 0)), id="version no longer served"),
    pytest.param(frame(request(PRODUCE, 2)), id="Produce v2"),
    pytest.param(frame(request(METADATA, 1, struct.pack(">i", 0x7FFFFFFF))), id="huge array"),
    pytest.param(frame(request(METADATA, 1, struct.pack(">ih", 1, 500) + b"x")), id="string longer than the frame"),
    pytest.param(frame(request(METADATA, 1, struct.pack(">ih", 1, -1))), id="null where none is allowed"),
    pytest.param(frame(request(METADATA, 12, b"\xff\xff\xff\xff\xff\xff\xff\xff", flexible=True)), id="endless varint"),
    pytest.param(frame(struct.pack(">hhih", METADATA, 1, 7, 30000)), id="client id longer than the frame"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", id="HTTP"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50, id="TLS hello"),
])
def test_the_connection_is_closed(broker, data):
    assert outcome(broker, data) == CLOSED
    still_serves(broker)


def test_any_negative_count_is_null(broker):
    with Raw(broker) as raw:
        assert isinstance(raw.ask(METADATA, 1, struct.pack(">i", -7)), bytes)


def test_an_incomplete_frame_just_waits(broker):
    with Raw(broker) as raw:
        whole = frame(request(API_VERSIONS, 0))
        raw.send(whole[:7])
        assert raw.receive(0.5) == SILENT
        raw.send(whole[7:])
        assert isinstance(raw.receive(5), bytes)


def test_api_versions_from_the_future_is_answered_in_v0(broker):
    with Raw(broker) as raw:
        answer = raw.ask(API_VERSIONS, 99, b"\0" * 10)
        correlation, error, count = struct.unpack_from(">ihi", answer)
        assert (correlation, error) == (7, 35)
        keys = [struct.unpack_from(">hhh", answer, 10 + 6 * i) for i in range(count)]
        assert (API_VERSIONS, 0) in [(k, low) for k, low, _ in keys]
        assert isinstance(raw.ask(API_VERSIONS, 0), bytes)  # and the connection lives on


def test_api_versions_advertises_what_clients_look_for(broker):
    with Raw(broker) as raw:
        answer = raw.ask(API_VERSIONS, 0)
    _, _, count = struct.unpack_from(">ihi", answer)
    served = {k: (low, high) for k, low, high in (struct.unpack_from(">hhh", answer, 10 + 6 * i) for i in range(count))}
    assert served[PRODUCE][0] == 0  # librdkafka takes a higher minimum for an old broker (KAFKA-18659)
    for key, low, high in [(PRODUCE, 3, 9), (FETCH, 4, 12), (2, 1, 6), (METADATA, 0, 9), (8, 2, 8), (9, 1, 8), (10, 0, 4), (11, 0, 7),
                           (12, 0, 4), (13, 0, 4), (14, 0, 5), (15, 0, 5), (16, 0, 4), (19, 2, 7), (20, 1, 6), (22, 0, 4), (32, 1, 4)]:
        assert key in served and served[key][0] <= low and served[key][1] >= high, (key, served.get(key))


def test_requests_of_one_connection_are_answered_in_order(broker):
    with Raw(broker) as raw:
        raw.send(b"".join(frame(request(API_VERSIONS, 0, correlation=i)) for i in range(200)))
        assert [struct.unpack_from(">i", raw.receive(5))[0] for _ in range(200)] == list(range(200))


def test_bytes_one_at_a_time(broker):
    with Raw(broker) as raw:
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(request(API_VERSIONS, 0)):
            raw.send(bytes([byte]))
            time.sleep(0.001)
        assert isinstance(raw.receive(5), bytes)


def test_random_frames(broker):
    rng = random.Random(20261121)
    apis = [0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 32, 33, 35, 37, 42, 44, 47, 60, 61, 65, 66, 74, 75]
    for i in range(400):
        key, version = rng.choice(apis), rng.randrange(0, 14)
        body = rng.randbytes(rng.randrange(0, 120))
        if rng.random() < 0.3:
            body = bytes(rng.choice((0, 0, 0, 1, 255)) for _ in range(rng.randrange(0, 80)))
        with Raw(broker) as raw:
            raw.send(frame(request(key, version, body, flexible=rng.random() < 0.5)))
            raw.receive(0.02)  # any answer, or a close, or a wait for the group
        if i % 50 == 0:
            still_serves(broker)
    still_serves(broker)


def test_many_connections_that_say_nothing(broker):
    idle = [socket.create_connection((broker.host, broker.port)) for _ in range(300)]
    still_serves(broker)
    for s in idle:
        s.close()
    still_serves(broker)


GOOD = record(0, b"v0") + record(1, b"v1")


@pytest.mark.parametrize("data, error", [
    pytest.param(batch(GOOD, 2), 0, id="good"),
    pytest.param(b"", 87, id="no records"),
    pytest.param(batch(GOOD, 2)[:-1], 87, id="cut off"),
    pytest.param(batch(GOOD, 2) + batch(GOOD, 2), 87, id="two batches"),
    pytest.param(batch(GOOD, 2)[:-1] + b"X", 2, id="damaged"),
    pytest.param(batch(GOOD, 2, magic=1), 87, id="magic 1"),
    pytest.param(batch(GOOD, 2, last_delta=5), 87, id="offsets beyond the count"),
    pytest.param(batch(GOOD, 3), 87, id="more records announced"),
    pytest.param(batch(GOOD, 2, attributes=0x20), 87, id="control batch"),
    pytest.param(batch(GOOD, 2, producer=(5, 0, -1)), 87, id="producer id without sequence"),
])
def test_record_batches(broker, topic, data, error):
    name = topic()
    with Raw(broker) as raw:
        assert produce_error(raw.ask(PRODUCE, 3, produce_v3(name, data))) == error
    produce(broker.bootstrap, name, [(None, b"after")])
    assert [m.value() for m in read_all(broker.bootstrap, name)] == ([b"v0", b"v1"] if error == 0 else []) + [b"after"]


def test_unknown_topic_and_partition(broker, topic):
    name = topic()
    with Raw(broker) as raw:
        assert produce_error(raw.ask(PRODUCE, 3, produce_v3(name, batch(GOOD, 2), partition=9))) == 3
        assert produce_error(raw.ask(PRODUCE, 3, produce_v3(name, batch(GOOD, 2), partition=-1))) == 3
        assert produce_error(raw.ask(PRODUCE, 3, produce_v3("never-made", batch(GOOD, 2)))) == 3


def test_bad_acks(broker, topic):
    with Raw(broker) as raw:
        assert produce_error(raw.ask(PRODUCE, 3, produce_v3(topic(), batch(GOOD, 2), acks=5))) == 21


def test_sequences(broker, topic):
    """Duplicates are acknowledged with their first offset, gaps refused (KIP-98)."""
    name = topic()
    with Raw(broker) as raw:
        answer = raw.ask(22, 0, struct.pack(">hi", -1, 60000))  # InitProducerId
        error, producer_id, epoch = struct.unpack_from(">hqh", answer, 8)
        assert error == 0

        def send(sequence):
            return raw.ask(PRODUCE, 3, produce_v3(name, batch(GOOD, 2, producer=(producer_id, epoch, sequence))))

        def base_offset(answer):
            return struct.unpack_from(">q", answer, 4 + 4 + 2 + len(name) + 4 + 4 + 2)[0]

        answers = [send(s) for s in (0, 2, 2, 0, 4)]
        assert [produce_error(a) for a in answers] == [0, 0, 0, 0, 0]
        assert [base_offset(a) for a in answers] == [0, 2, 2, 0, 4]
        assert produce_error(send(10)) == 45  # OUT_OF_ORDER_SEQUENCE_NUMBER
    assert len(read_all(broker.bootstrap, name)) == 6


def test_gzip_bomb(broker, topic):
    """300 MB of zeros in 300 KB: refused, without taking the memory of it."""
    if broker.apache:
        pytest.skip("Apache Kafka inflates it")
    size = 300 << 20
    head = b"\0" + varint(0) + varint(0) + varint(-1) + varint(size)
    head = varint(len(head) + size + 1) + head
    # A gzip file may have many members, which follow each other.
    bomb = gzip.compress(head) + gzip.compress(bytes(1 << 20)) * 300 + gzip.compress(varint(0))
    with Raw(broker, timeout=30) as raw:
        assert produce_error(raw.ask(PRODUCE, 3, produce_v3(topic(), batch(bomb, 1, attributes=1)))) == 10
    still_serves(broker)


def test_damaged_compressed_records(broker, topic):
    name = topic()
    for codec, data in ((1, b"\x1f\x8b\x08nonsense"), (2, b"\xff\xff\xff\xff\xff"), (3, b"\x04\x22\x4d\x18zzz"), (4, b"\x28\xb5\x2f\xfdzz")):
        with Raw(broker) as raw:
            answer = raw.ask(PRODUCE, 3 if codec < 4 else 7, produce_v3(name, batch(data, 1, attributes=codec)))
            assert answer == CLOSED or produce_error(answer) != 0
    assert read_all(broker.bootstrap, name) == []
    still_serves(broker)


def test_string_that_is_no_utf8(broker):
    with Raw(broker) as raw:
        answer = raw.ask(METADATA, 1, struct.pack(">ih", 1, 3) + b"\xff\xfe\xfd")
        assert answer == CLOSED or isinstance(answer, bytes)
    still_serves(broker)


def test_a_client_that_never_reads_its_answers(broker):
    with Raw(broker) as raw:
        raw.socket.settimeout(0.5)
        ask = frame(request(API_VERSIONS, 0)) * 200
        try:
            for _ in range(2000):
                raw.socket.sendall(ask)
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass  # the broker stops reading: back-pressure, not memory
        still_serves(broker)
