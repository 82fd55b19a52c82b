"""Time until ready and idle memory, beside Kafka alone."""
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import ROOT, Engine, Platform, pss_mb, row, say  # noqa: E402


def ours(project, args, rounds):
    ready, memory = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as d:
            with Platform(d, project=project, args=args) as p:
                ready.append(p.ready_seconds)
                time.sleep(3)
                memory.append(pss_mb(p.process.pid))
    return ready, memory


broker_ready, broker_memory = ours(None, ["--broker-only"], 5)
platform_ready, platform_memory = ours(ROOT / "examples" / "clickstream", [], 5)
say(f"platform ready in {statistics.median(platform_ready):.3f} s, {statistics.median(platform_memory):.0f} MB")
kafka_ready, kafka_memory = [], []
for _ in range(2):
    with Engine("kafka") as kafka:
        kafka_ready.append(kafka.start_seconds)
        time.sleep(3)
        kafka_memory.append(kafka.memory_mb())
row("broker alone: ready (Kafka)", broker_ready, kafka_ready, "seconds", "less")
row("broker alone: idle PSS (Kafka)", broker_memory, kafka_memory, "MB", "less")
row("platform: ready (Kafka alone)", platform_ready, kafka_ready, "seconds", "less")
row("platform: idle PSS (Kafka alone)", platform_memory, kafka_memory, "MB", "less")
