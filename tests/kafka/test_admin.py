"""Topics, configs and cluster through the admin API."""

import uuid

import pytest
from clients import produce, read_all
from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec,
                                   ResourceType)
from support import wait_for


def configs(admin, kind, name):
    resource = ConfigResource(kind, name)
    return next(iter(admin.describe_configs([resource]).values())).result(10)


def test_cluster(broker, admin):
    cluster = admin.describe_cluster().result(10)
    assert cluster.cluster_id and cluster.controller is not None
    assert [(n.host, n.port) for n in cluster.nodes] == [(broker.host, broker.port)]


def test_create_describe_delete(admin):
    name = f"t-{uuid.uuid4().hex[:8]}"
    admin.create_topics([NewTopic(name, 3, 1, config={"retention.ms": "3600000", "cleanup.policy": "compact"})])[name].result(10)
    described = admin.describe_topics(TopicCollection([name]))[name].result(10)
    assert [p.id for p in described.partitions] == [0, 1, 2]
    assert all(p.leader is not None and len(p.isr) == 1 for p in described.partitions)
    entries = configs(admin, ResourceType.TOPIC, name)
    assert entries["retention.ms"].value == "3600000" and not entries["retention.ms"].is_default
    assert entries["cleanup.policy"].value == "compact"
    assert entries["segment.bytes"].value == "1073741824" and entries["segment.bytes"].is_default
    with pytest.raises(KafkaException, match="TOPIC_ALREADY_EXISTS"):
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(10)
    admin.delete_topics([name])[name].result(10)
    wait_for("it is gone", lambda: name not in admin.list_topics(timeout=5).topics)
    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC_OR_PART"):
        admin.delete_topics([name])[name].result(10)


@pytest.mark.parametrize("change, error", [
    ({"num_partitions": 0}, "INVALID_PARTITIONS"),
    ({"config": {"retention.ms": "soon"}}, "INVALID_CONFIG"),
    ({"config": {"no.such.config": "1"}}, "INVALID_CONFIG"),
])
def test_topics_that_cannot_be(admin, change, error):
    name = f"t-{uuid.uuid4().hex[:8]}"
    with pytest.raises(KafkaException, match=error):
        admin.create_topics([NewTopic(name, **{"num_partitions": 1, "replication_factor": 1, **change})])[name].result(10)
    assert name not in admin.list_topics(timeout=5).topics


def test_validate_only(admin):
    name = f"t-{uuid.uuid4().hex[:8]}"
    admin.create_topics([NewTopic(name, 1, 1)], validate_only=True)[name].result(10)
    assert name not in admin.list_topics(timeout=5).topics


@pytest.mark.parametrize("name, error", [("", "INVALID|invalid"), ("..", "TOPIC_EXCEPTION"), ("a b", "TOPIC_EXCEPTION"), ("x" * 250, "TOPIC_EXCEPTION")])
def test_names_that_cannot_be(admin, name, error):
    with pytest.raises((KafkaException, ValueError), match=error):
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(10)


def test_more_partitions(broker, admin, topic):
    name = topic()
    admin.create_partitions([NewPartitions(name, 4)])[name].result(10)
    wait_for("four partitions", lambda: len(admin.list_topics(name, timeout=5).topics[name].partitions) == 4)
    produce(broker.bootstrap, name, [(f"{i}".encode(), b"v") for i in range(200)])
    assert {m.partition() for m in read_all(broker.bootstrap, name, 4)} == {0, 1, 2, 3}
    with pytest.raises(KafkaException, match="INVALID_PARTITIONS"):
        admin.create_partitions([NewPartitions(name, 2)])[name].result(10)


def test_incremental_alter_configs(admin, topic):
    name = topic()
    entry = ConfigEntry("retention.ms", "60000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    next(iter(admin.incremental_alter_configs([resource]).values())).result(10)
    assert configs(admin, ResourceType.TOPIC, name)["retention.ms"].value == "60000"
    entry = ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    next(iter(admin.incremental_alter_configs([resource]).values())).result(10)
    assert configs(admin, ResourceType.TOPIC, name)["retention.ms"].is_default
    entry = ConfigEntry("retention.ms", "never", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    with pytest.raises(KafkaException, match="INVALID_CONFIG"):
        next(iter(admin.incremental_alter_configs([resource]).values())).result(10)


def test_broker_configs(admin):
    node = admin.describe_cluster().result(10).nodes[0].id
    entries = configs(admin, ResourceType.BROKER, str(node))
    assert entries["message.max.bytes"].value == "1048588"
    assert "log.dirs" in entries or "log.dir" in entries


def test_list_offsets(broker, admin, topic):
    name = topic()
    produce(broker.bootstrap, name, [(None, b"v")] * 7)
    place = TopicPartition(name, 0)
    for spec, offset in ((OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 7), (OffsetSpec.for_timestamp(1), 0)):
        assert admin.list_offsets({place: spec})[place].result(10).offset == offset
    assert 0 <= admin.list_offsets({place: OffsetSpec.max_timestamp()})[place].result(10).offset <= 6


def test_delete_records(broker, admin, topic):
    name = topic()
    produce(broker.bootstrap, name, [(None, f"{i}".encode()) for i in range(10)])
    place = TopicPartition(name, 0, 4)
    assert admin.delete_records([place])[place].result(10).low_watermark == 4
    assert [m.offset() for m in read_all(broker.bootstrap, name)] == list(range(4, 10))
    assert admin.list_offsets({TopicPartition(name, 0): OffsetSpec.earliest()})[TopicPartition(name, 0)].result(10).offset == 4
