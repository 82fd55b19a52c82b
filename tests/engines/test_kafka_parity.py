"""Apache Kafka itself as the judge: the suite tests/kafka holds for it too, and its codec reads and writes every message
byte for byte as ours does."""

import os
import shutil
import socket
import subprocess
import sys

import pytest

from support import ROOT

SCRIPT = ROOT / "scripts" / "engines" / "kafka.sh"
MISSING = [tool for tool in ("java", "mvn") if not shutil.which(tool)]


def require_java():
    if MISSING:
        pytest.fail(f"NOT RUN: Apache Kafka needs {' and '.join(MISSING)}: apt install default-jdk-headless maven")


def two_free_ports_100_apart():
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 100))
                return port
            except (OSError, OverflowError):
                continue
    raise AssertionError("no free ports")


@pytest.fixture(scope="module")
def apache(tmp_path_factory):
    require_java()
    port = two_free_ports_100_apart()
    env = {**os.environ, "ENGINES_DATA": str(tmp_path_factory.mktemp("apache")), "KAFKA_PORT": str(port), "KAFKA_HEAP": "384m"}
    started = subprocess.run([SCRIPT, "start"], env=env, capture_output=True, text=True, timeout=600)
    assert started.returncode == 0, started.stderr
    yield f"127.0.0.1:{port}"
    subprocess.run([SCRIPT, "stop"], env=env, capture_output=True, timeout=60)


def test_the_kafka_suite_expects_what_apache_kafka_does(apache):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", ROOT / "tests" / "kafka"],
                          env={**os.environ, "KAFKA_UNDER_TEST": apache}, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-5000:]


def test_every_message_is_the_same_byte_for_byte_in_kafkas_codec(tmp_path):
    require_java()
    subprocess.run([SCRIPT, "install"], check=True, capture_output=True, timeout=600)
    subprocess.run([ROOT / "dev", "build", "wire_messages_dump"], check=True, capture_output=True, timeout=600)
    messages = tmp_path / "messages.txt"
    with open(messages, "w", encoding="ascii") as file:
        subprocess.run([ROOT / "build" / "wire_messages_dump"], check=True, stdout=file, timeout=60)
    classpath = subprocess.run([SCRIPT, "env"], check=True, capture_output=True, text=True).stdout
    classpath = classpath.split("KAFKA_CLASSPATH='")[1].split("'")[0]
    done = subprocess.run(["java", "-cp", classpath, ROOT / "tests" / "engines" / "KafkaCodec.java", messages],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    compared, differ = (int(word) for word in done.stdout.split()[:2])
    assert differ == 0, done.stdout
    assert compared > 5000
