"""Produce and consume beside Apache Kafka: the same librdkafka client and settings (linger 5 ms, 64 KB batches, acks=all),
records per CPU-second of the broker process, in turn, Kafka after two rounds of warming up.

tailrace acknowledges after fsync, Kafka from the page cache (its default). Pages are touched first: on a virtual machine the
first use of a page costs the host's fault, which would drown both. --quick: fewer records; --latency: only the latency."""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import ROOT, Engine, Platform, cpu_seconds, row, say  # noqa: E402

LOAD = ROOT / "build" / "kafka_load"
QUICK = "--quick" in sys.argv
ROUNDS = 2 if QUICK else 3
# name, bytes a record, records, partitions
CASES = [("100 B, 1 partition", 100, 2_000_000, 1), ("100 B, 12 partitions", 100, 2_000_000, 12),
         ("1 KB, 1 partition", 1000, 600_000, 1), ("1 KB, 12 partitions", 1000, 600_000, 12)]
if QUICK:
    CASES = [(name, size, n // 2, parts) for name, size, n, parts in CASES]
if "--latency" in sys.argv:
    CASES = []


def load(*args):
    done = subprocess.run([str(LOAD), *map(str, args)], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise SystemExit(f"kafka_load {' '.join(map(str, args))}: {done.stderr[-1000:]}")
    return [float(x) for x in done.stdout.split()]


def topic(address, name, partitions):
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": address})
    # A deleted topic's pages come back at once, on either side.
    list(admin.create_topics([NewTopic(name, partitions, 1, config={"file.delete.delay.ms": "500"})]).values())[0].result()
    return admin


def touch_pages():
    with tempfile.NamedTemporaryFile(dir=os.environ.get("TMPDIR", "/tmp")) as f:
        chunk = bytes(1 << 20)
        for _ in range(6000):
            f.write(chunk)


class Side:
    def __init__(self, name, address, cpu):
        self.name, self.address, self.cpu = name, address, cpu
        self.produced, self.consumed = {}, {}
        self.round = 0

    def run(self, case, keep=True):
        name, size, records, partitions = case
        self.round += 1
        t = f"bench-{self.round}"
        admin = topic(self.address, t, partitions)
        time.sleep(0.5)
        before = self.cpu()
        load("produce", self.address, t, records, size)
        time.sleep(0.3)
        middle = self.cpu()
        load("consume", self.address, t, records)
        time.sleep(0.3)
        after = self.cpu()
        list(admin.delete_topics([t]).values())[0].result()
        if keep:
            self.produced.setdefault(name, []).append(records / max(middle - before, 0.01))
            self.consumed.setdefault(name, []).append(records / max(after - middle, 0.01))
        say(f"{self.name:<9} {name:<22} in {records / max(middle - before, 0.01) / 1e6:6.2f} M/s, "
            f"out {records / max(after - middle, 0.01) / 1e6:6.2f} M/s per CPU-second")


subprocess.run([str(ROOT / "dev"), "build", "kafka_load"], check=True, stdout=subprocess.DEVNULL)
if CASES:
    touch_pages()
with tempfile.TemporaryDirectory() as d, Platform(d, args=["--broker-only"]) as ours, Engine("kafka") as kafka:
    address = kafka.vars["KAFKA_BOOTSTRAP"]
    a = Side("tailrace", ours.kafka, lambda: cpu_seconds(ours.process.pid))
    b = Side("kafka", address, kafka.cpu)
    for case in CASES[:2] if QUICK else CASES * 2:
        b.run(case, keep=False)
    for _ in range(ROUNDS):
        for case in CASES:
            a.run(case)
            b.run(case)
    say("latency at 2,000 records/s, one at a time")
    latency = {}
    for side in (a, b):
        os.sync()  # else each fsync waits behind what the load above left to write
        topic(side.address, "latency", 1)
        load("latency", side.address, "latency", 2000, 10)  # warms up: threads, connections, the JIT
        latency[side.name] = load("latency", side.address, "latency", 2000, 10 if QUICK else 20)
        say(f"{side.name:<9} p50 {latency[side.name][0]:.0f} p99 {latency[side.name][1]:.0f} p99.9 {latency[side.name][2]:.0f} "
            f"max {latency[side.name][3]:.0f} microseconds")
for name, *_ in CASES:
    row(f"produce {name} (Kafka)", a.produced[name], b.produced[name], "records per CPU-second")
for name, *_ in CASES:
    row(f"consume {name} (Kafka)", a.consumed[name], b.consumed[name], "records per CPU-second")
for i, q in enumerate(("p50", "p99", "p99.9")):
    row(f"end to end at 2,000/s, {q} (Kafka)", [latency["tailrace"][i]], [latency["kafka"][i]], "microseconds", "less")
