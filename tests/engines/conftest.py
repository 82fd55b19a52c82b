"""Apache Kafka, started once for all files that ask it."""

import os
import shutil
import socket
import subprocess

import pytest

from support import ROOT

SCRIPT = ROOT / "scripts" / "engines" / "kafka.sh"
MISSING = [tool for tool in ("java", "mvn") if not shutil.which(tool)]


@pytest.fixture(scope="session")
def kafka_script():
    """scripts/engines/kafka.sh, where it can work."""
    if MISSING:
        pytest.fail(f"NOT RUN: Apache Kafka needs {' and '.join(MISSING)}: apt install default-jdk-headless maven")
    return SCRIPT


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


@pytest.fixture(scope="session")
def apache(kafka_script, tmp_path_factory):
    """HOST:PORT of a Kafka of its own."""
    port = two_free_ports_100_apart()
    env = {**os.environ, "ENGINES_DATA": str(tmp_path_factory.mktemp("apache")), "KAFKA_PORT": str(port), "KAFKA_HEAP": "384m"}
    started = subprocess.run([kafka_script, "start"], env=env, capture_output=True, text=True, timeout=600)
    assert started.returncode == 0, started.stderr
    yield f"127.0.0.1:{port}"
    subprocess.run([kafka_script, "stop"], env=env, capture_output=True, timeout=60)
