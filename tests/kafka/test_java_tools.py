"""Kafka's own command-line tools (Java). Without Java or Maven they do not run, and say so."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from clients import produce, read_all
from support import ROOT

MISSING = [tool for tool in ("java", "mvn") if not shutil.which(tool)]
if MISSING:
    print(f"\n*** NOT RUN: Kafka's Java tools: {' and '.join(MISSING)} not found (apt install default-jre-headless maven) ***\n",
          file=sys.__stderr__, flush=True)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"NOT RUN: {' and '.join(MISSING)} not found")


@pytest.fixture(scope="module")
def tool(broker, tmp_path_factory):
    data = tmp_path_factory.mktemp("java")
    script = ROOT / "scripts" / "engines" / "kafka.sh"
    env = {"ENGINES_DATA": str(data), "KAFKA_CLI_TIER": "1"}
    subprocess.run([script, "install"], env={**os.environ, **env}, check=True, capture_output=True, timeout=600)

    def run(name, *args, text=None, check=True, server="--bootstrap-server"):
        server = [server, broker.bootstrap] if server else []
        done = subprocess.run([script, "cli", name, *server, *map(str, args)], env={**os.environ, **env}, input=text,
                              capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    return run


def test_topics(tool, topic, admin):
    name = topic() + "-java"
    tool("TopicCommand", "--create", "--topic", name, "--partitions", 3, "--config", "retention.ms=1000000")
    described = tool("TopicCommand", "--describe", "--topic", name)
    assert "PartitionCount: 3" in described and "retention.ms=1000000" in described
    assert re.search(r"Partition: 2\s+Leader: \d+\s+Replicas: \d+\s+Isr: \d+", described)
    assert name in tool("TopicCommand", "--list").split()
    tool("TopicCommand", "--delete", "--topic", name)
    assert name not in admin.list_topics(timeout=10).topics


def test_console_producer_and_consumer(tool, topic):
    name = topic()
    tool("ConsoleProducer", "--topic", name, "--reader-property", "parse.key=true", "--reader-property", "key.separator=:",
         "--compression-codec", "zstd", text="a:1\nb:2\nc:3\n")
    got = tool("ConsoleConsumer", "--topic", name, "--from-beginning", "--max-messages", 3, "--timeout-ms", 20000,
               "--formatter-property", "print.key=true", "--formatter-property", "key.separator=:")
    assert got.split() == ["a:1", "b:2", "c:3"]


def test_consumer_groups(tool, broker, topic, group):
    name = topic()
    produce(broker.bootstrap, name, [(None, f"{i}".encode()) for i in range(10)])
    got = tool("ConsoleConsumer", "--topic", name, "--from-beginning", "--group", group, "--max-messages", 4, "--timeout-ms", 20000,
               "--command-property", "auto.commit.interval.ms=100")
    assert got.split() == ["0", "1", "2", "3"]
    described = tool("ConsumerGroupCommand", "--describe", "--group", group)
    line = next(line for line in described.splitlines() if name in line).split()
    assert line[:6] == [group, name, "0", "4", "10", "6"]
    tool("ConsumerGroupCommand", "--group", group, "--topic", name, "--reset-offsets", "--to-earliest", "--execute")
    described = tool("ConsumerGroupCommand", "--describe", "--group", group)
    assert next(line for line in described.splitlines() if name in line).split()[:6] == [group, name, "0", "0", "10", "10"]
    assert "Empty" in tool("ConsumerGroupCommand", "--describe", "--group", group, "--state")
    tool("ConsumerGroupCommand", "--delete", "--group", group)
    assert group not in tool("ConsumerGroupCommand", "--list").split()


def test_producer_and_consumer_performance(tool, broker, topic):
    name = topic(partitions=4)
    out = tool("ProducerPerformance", "--topic", name, "--num-records", 200000, "--record-size", 100, "--throughput", -1,
               "--producer-props", f"bootstrap.servers={broker.bootstrap}", "acks=all", server=None)
    assert "200000 records sent" in out
    out = tool("ConsumerPerformance", "--topic", name, "--num-records", 200000, "--timeout", 20000)
    fields = out.strip().splitlines()[-1].split(", ")
    assert int(fields[4]) >= 200000


def test_transactions_by_the_java_client(tool, broker, topic):
    source, target = topic(), topic()
    produce(broker.bootstrap, source, [(None, f"{i}".encode()) for i in range(2000)])
    out = tool("TransactionalMessageCopier", "--broker-list", broker.bootstrap, "--input-topic", source, "--input-partition", 0,
               "--output-topic", target, "--consumer-group", f"copy-{source}", "--transactional-id", f"tx-{source}",
               "--transaction-size", 100, "--max-messages", 2000, "--enable-random-aborts", server=None)
    assert '"totalProcessed":2000' in out
    assert [int(m.value()) for m in read_all(broker.bootstrap, target)] == list(range(2000))


def test_configs_and_offsets(tool, broker, topic):
    name = topic()
    produce(broker.bootstrap, name, [(None, b"v")] * 3)
    tool("ConfigCommand", "--alter", "--entity-type", "topics", "--entity-name", name, "--add-config", "max.message.bytes=2000000")
    assert "max.message.bytes=2000000" in tool("ConfigCommand", "--describe", "--entity-type", "topics", "--entity-name", name)
    assert tool("GetOffsetShell", "--topic", name).strip() == f"{name}:0:3"
    assert "Produce(0)" in tool("BrokerApiVersionsCommand")
