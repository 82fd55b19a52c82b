"""A full disk: producers get an error, readers go on, nothing acknowledged is lost, and writing goes on once there is room."""

import os
import subprocess
import time

import pytest
from confluent_kafka import Producer

from support import Platform, wait_for
from test_exactly_once import read_all


@pytest.fixture
def small_disk(tmp_path):
    directory = tmp_path / "small"
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", directory], capture_output=True, text=True)
    if mounted.returncode:
        pytest.fail(f"this test mounts a small tmpfs and needs root for it: {mounted.stderr.strip()}")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


def test_full_disk(small_disk):
    filler = small_disk / "filler"
    filler.write_bytes(os.urandom(24 << 20))
    with Platform(small_disk, args=["--broker-only"]) as platform:
        acknowledged, errors = [], []

        def delivered(error, message):
            (errors if error else acknowledged).append(int(message.key()))

        producer = Producer({"bootstrap.servers": platform.kafka, "enable.idempotence": True, "message.timeout.ms": 4000, "linger.ms": 5})
        n = 0
        while not errors and n < 100_000:
            producer.produce("filling", os.urandom(1000), key=str(n), on_delivery=delivered)
            n += 1
            if n % 100 == 0:
                producer.poll(0.01)
        producer.flush(20)
        assert errors, "48 MB took 100 MB"
        assert platform.process.poll() is None
        keys_there = len(read_all(platform, "filling"))
        assert keys_there >= len(acknowledged) > 5000
        filler.unlink()

        def room_again():
            done = []
            again = Producer({"bootstrap.servers": platform.kafka, "message.timeout.ms": 3000})
            again.produce("filling", b"after", key="after", on_delivery=lambda e, m: done.append(e))
            again.flush(5)
            return done and done[0] is None
        wait_for("writing goes on", room_again, timeout=30, every=0.5)
        values = [v for _, v in read_all(platform, "filling")]
        assert values[-1] == b"after" and len(values) >= len(acknowledged) + 1
        platform.kill()
        platform.start()
        assert len(read_all(platform, "filling")) == len(values)
