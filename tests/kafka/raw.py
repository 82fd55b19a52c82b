"""The Kafka protocol by hand, for what no client would send."""

import socket
import struct

CLOSED = "closed"
SILENT = "silent"


class Raw:
    def __init__(self, broker, timeout=5):
        self.socket = socket.create_connection((broker.host, broker.port), timeout=timeout)
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """True unless the other side has closed."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def receive(self, timeout=None):
        """One answer's bytes without the length, CLOSED, or SILENT after the timeout."""
        if timeout is not None:
            self.socket.settimeout(timeout)
        try:
            while len(self.unread) < 4 or len(self.unread) < 4 + struct.unpack(">i", self.unread[:4])[0]:
                more = self.socket.recv(65536)
                if not more:
                    return CLOSED
                self.unread += more
        except (ConnectionResetError, BrokenPipeError):
            return CLOSED
        except TimeoutError:
            return SILENT
        end = 4 + struct.unpack(">i", self.unread[:4])[0]
        answer, self.unread = self.unread[4:end], self.unread[end:]
        return answer

    def ask(self, key, version, body=b"", correlation=7, timeout=None):
        self.send(frame(request(key, version, body, correlation)))
        return self.receive(timeout)


def string(text):
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def request(key, version, body=b"", correlation=7, client="raw", flexible=False):
    return struct.pack(">hhi", key, version, correlation) + string(client) + (b"\0" if flexible else b"") + body


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def outcome(broker, data, timeout=2):
    """What happens to one connection that sends this."""
    with Raw(broker) as raw:
        raw.send(data)
        return raw.receive(timeout)


def produce_v3(topic, batch, partition=0, acks=-1):
    """Body of Produce v3 with these bytes as records."""
    return (struct.pack(">hhi", -1, acks, 10000) + struct.pack(">i", 1) + string(topic) +
            struct.pack(">ii", 1, partition) + struct.pack(">i", len(batch)) + batch)


def produce_error(answer):
    """Error code of the one partition in a Produce v3 answer."""
    assert isinstance(answer, bytes), answer
    at = 4 + 4
    at += 2 + struct.unpack_from(">h", answer, at)[0] + 4 + 4
    return struct.unpack_from(">h", answer, at)[0]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _entry(c):
    for _ in range(8):
        c = 0x82F63B78 ^ (c >> 1) if c & 1 else c >> 1
    return c


TABLE = [_entry(i) for i in range(256)]


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def record(index, value, key=b"k"):
    body = b"\0" + varint(0) + varint(index)
    body += varint(-1) if key is None else varint(len(key)) + key
    body += varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def batch(records, count, attributes=0, producer=(-1, -1, -1), last_delta=None, magic=2, timestamp=1_700_000_000_000):
    """A record batch around these record bytes (already compressed where attributes say so)."""
    tail = struct.pack(">hiqqqhii", attributes, count - 1 if last_delta is None else last_delta, timestamp, timestamp,
                       *producer, count) + records
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, magic, crc32c(tail)) + tail
