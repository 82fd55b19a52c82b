"""What acknowledging after fsync costs: tailrace with it against tailrace without, and against Apache Kafka told to flush each
batch (flush.messages=1). Records a second by the wall clock, 1 KB records, 64 KB batches, acks=all, one partition."""
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import ROOT, Engine, Platform, row, say  # noqa: E402

LOAD = ROOT / "build" / "kafka_load"
QUICK = "--quick" in sys.argv
RECORDS, ROUNDS = (150_000, 2) if QUICK else (400_000, 5)


def produce(address, topic, configs):
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": address})
    list(admin.create_topics([NewTopic(topic, 1, 1, config=dict({"file.delete.delay.ms": "500"}, **configs))]).values())[0].result()
    done = subprocess.run([str(LOAD), "produce", address, topic, str(RECORDS), "1000"], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise SystemExit(done.stderr[-1000:])
    records, seconds = map(float, done.stdout.split())
    list(admin.delete_topics([topic]).values())[0].result()
    return records / seconds


subprocess.run([str(ROOT / "dev"), "build", "kafka_load"], check=True, stdout=subprocess.DEVNULL)
with tempfile.TemporaryDirectory() as d, tempfile.TemporaryDirectory() as e, Engine("kafka") as kafka, \
        Platform(d, args=["--broker-only"]) as synced, \
        Platform(e, args=["--broker-only", "--broker-flush-before-ack", "false"]) as unsynced:
    rates = {"synced": [], "unsynced": [], "kafka": []}
    produce(kafka.vars["KAFKA_BOOTSTRAP"], "warm", {})
    produce(synced.kafka, "warm", {})
    produce(unsynced.kafka, "warm", {})
    for r in range(ROUNDS):
        rates["synced"].append(produce(synced.kafka, f"s{r}", {}))
        rates["unsynced"].append(produce(unsynced.kafka, f"u{r}", {}))
        rates["kafka"].append(produce(kafka.vars["KAFKA_BOOTSTRAP"], f"k{r}", {"flush.messages": "1"}))
        say("  ".join(f"{name} {values[-1]:,.0f}/s" for name, values in rates.items()))
row("produce with fsync (Kafka flush.messages=1)", rates["synced"], rates["kafka"], "records/s")
row("produce with fsync (tailrace without)", rates["synced"], rates["unsynced"], "records/s")
