"""The broker that the tests of this suite talk to.

All share one `tailrace up`, on free ports, with a data directory of its own; a test that kills or restarts takes
`platform` (tests/conftest.py). With KAFKA_UNDER_TEST=HOST:PORT the suite asks that broker instead: tests/engines runs it
against Apache Kafka, which proves that the tests expect what Kafka does.
"""

import os
import uuid

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from support import Platform, wait_for


class Broker:
    def __init__(self, bootstrap, apache):
        self.bootstrap = bootstrap
        self.host, port = bootstrap.rsplit(":", 1)
        self.port = int(port)
        self.apache = apache  # Apache Kafka answers, not tailrace


def pytest_collection_modifyitems(items):
    if not os.environ.get("KAFKA_UNDER_TEST"):
        return
    for item in items:
        if "platform" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="kills or restarts tailrace"))


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    address = os.environ.get("KAFKA_UNDER_TEST")
    if address:
        yield Broker(address, apache=True)
        return
    with Platform(tmp_path_factory.mktemp("broker")) as platform:
        yield Broker(platform.kafka, apache=False)
        assert platform.process.poll() is None, f"the broker ended: {platform.log_path.read_text()[-3000:]}"


@pytest.fixture(scope="session")
def admin(broker):
    return AdminClient({"log_level": 0, "bootstrap.servers": broker.bootstrap})


@pytest.fixture
def topic(broker, admin):
    """topic(partitions=1, **configs) makes a topic with a name of its own."""
    def make(partitions=1, **configs):
        name = f"t-{uuid.uuid4().hex[:12]}"
        config = {k.replace("_", "."): str(v) for k, v in configs.items()}
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(20)
        if broker.apache:  # its controller answers before its broker knows
            wait_for(name, lambda: len(admin.list_topics(name, timeout=5).topics[name].partitions) == partitions)
        return name
    return make


@pytest.fixture
def group():
    return f"g-{uuid.uuid4().hex[:12]}"
