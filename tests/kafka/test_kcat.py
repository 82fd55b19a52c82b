"""kcat (librdkafka's command line)."""

import json
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("kcat"), reason="kcat is not installed: ./dev setup brings it")


def kcat(broker, *args, text=None):
    done = subprocess.run(["kcat", "-b", broker.bootstrap, *args], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_metadata(broker, topic):
    name = topic(partitions=2)
    listed = json.loads(kcat(broker, "-L", "-J"))
    assert [b["name"] for b in listed["brokers"]] == [broker.bootstrap]
    assert len(next(t for t in listed["topics"] if t["topic"] == name)["partitions"]) == 2


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_produce_and_consume(broker, topic, codec):
    name = topic()
    lines = "".join(f"key{i}:value {i}\n" for i in range(500))
    kcat(broker, "-P", "-t", name, "-K:", "-z", codec, "-H", "source=kcat", text=lines)
    assert kcat(broker, "-C", "-t", name, "-e", "-q", "-K:") == lines
    assert kcat(broker, "-C", "-t", name, "-e", "-q", "-o", "-1", "-f", "%o %h %S").strip() == "499 source=kcat 9"


def test_group(broker, topic, group):
    name = topic()
    kcat(broker, "-P", "-t", name, text="a\nb\nc\n")
    assert kcat(broker, "-G", group, "-e", "-q", "-X", "auto.offset.reset=earliest", name) == "a\nb\nc\n"
    assert kcat(broker, "-G", group, "-e", "-q", "-X", "auto.offset.reset=earliest", name) == ""


def test_query_offsets(broker, topic):
    name = topic()
    kcat(broker, "-P", "-t", name, text="a\nb\nc\n")
    assert kcat(broker, "-Q", "-t", f"{name}:0:-1").split()[-1] == "3"
