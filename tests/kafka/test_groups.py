"""Classic consumer groups: sharing, rebalancing, offsets that survive, administration."""

import subprocess
import sys
import time

import pytest
from clients import consumer, produce, take
from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaConsumer
from kafka import TopicPartition as PyTopicPartition
from support import wait_for


def poll_until(members, condition, what, timeout=30):
    """Keeps all consumers polling until the condition holds; returns the messages that came."""
    got, end = [], time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {timeout} s"
        for member in members:
            message = member.poll(0.05)
            if message is not None and not message.error():
                got.append(message)
    return got


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_two_members_share_the_partitions_and_one_takes_over(broker, topic, group, strategy):
    name = topic(partitions=4)
    first = consumer(broker.bootstrap, group, partition_assignment_strategy=strategy)
    second = consumer(broker.bootstrap, group, partition_assignment_strategy=strategy)
    first.subscribe([name])
    poll_until([first], lambda: len(first.assignment()) == 4, "the first member has all")
    second.subscribe([name])
    poll_until([first, second], lambda: len(first.assignment()) == 2 and len(second.assignment()) == 2, "both have half")
    owned = {p.partition for p in first.assignment()} | {p.partition for p in second.assignment()}
    assert owned == {0, 1, 2, 3}
    first.close()
    poll_until([second], lambda: len(second.assignment()) == 4, "the second takes over")
    second.close()


def test_nothing_is_read_twice_across_a_rebalance_with_commits(broker, topic, group):
    name, total = topic(partitions=6), 3000
    produce(broker.bootstrap, name, [(f"{i}".encode(), f"{i}".encode()) for i in range(total)])
    seen = []

    def commit_on_revoke(member, _partitions):
        try:
            member.commit(asynchronous=False)
        except KafkaException as error:  # nothing consumed yet
            assert error.args[0].name() == "_NO_OFFSET", error

    members = []
    for _ in range(3):
        member = consumer(broker.bootstrap, group)
        member.subscribe([name], on_revoke=commit_on_revoke)
        members.append(member)
        end = time.monotonic() + 2
        while time.monotonic() < end and len(seen) < total:
            for m in members:
                message = m.poll(0.01)
                if message is not None and not message.error():
                    seen.append(int(message.value()))
    seen += [int(m.value()) for m in poll_until(members, lambda: all(m.position(m.assignment()) is not None for m in members) and drained(members, name), "all is read")]
    for member in members:
        member.close()
    assert sorted(seen) == list(range(total))


def drained(members, name):
    left = 0
    for member in members:
        for p in member.position(member.assignment()):
            low, high = member.get_watermark_offsets(TopicPartition(name, p.partition), 5)
            left += high - max(p.offset, 0) if p.offset >= 0 else high
    return left == 0


def test_committed_offsets_and_metadata(broker, topic, group):
    name = topic(partitions=2)
    member = consumer(broker.bootstrap, group)
    member.commit(offsets=[TopicPartition(name, 0, 42, "from a test"), TopicPartition(name, 1, 7)], asynchronous=False)
    found = {p.partition: p for p in member.committed([TopicPartition(name, 0), TopicPartition(name, 1)], 10)}
    assert (found[0].offset, found[1].offset) == (42, 7)
    member.close()
    other = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group)
    assert other.committed(PyTopicPartition(name, 0)) == 42
    # confluent-kafka sends the terminating NUL of its string along.
    assert other.committed(PyTopicPartition(name, 0), metadata=True).metadata.rstrip("\0") == "from a test"
    other.close()


def test_kafka_python_group(broker, topic, group):
    name = topic(partitions=2)
    produce(broker.bootstrap, name, [(None, f"{i}".encode()) for i in range(100)])
    for expect in (100, 0):
        reader = KafkaConsumer(name, bootstrap_servers=broker.bootstrap, group_id=group, auto_offset_reset="earliest",
                               enable_auto_commit=False, consumer_timeout_ms=4000)
        got = []
        for message in reader:
            got.append(message)
            if len(got) == 100:
                break
        reader.commit()
        reader.close()
        assert len(got) == expect


MEMBER = """
import sys
sys.path[:0] = {path!r}
from clients import consumer
member = consumer({bootstrap!r}, {group!r})
member.subscribe([{topic!r}])
while True:
    member.poll(0.1)
    if member.assignment():
        print("assigned", flush=True)
"""


def test_a_member_that_dies_is_dropped_after_its_session(broker, topic, group):
    name = topic(partitions=2)
    stays = consumer(broker.bootstrap, group)
    stays.subscribe([name])
    poll_until([stays], lambda: len(stays.assignment()) == 2, "the member has both")
    code = MEMBER.format(path=sys.path, bootstrap=broker.bootstrap, group=group, topic=name)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as dies:
        poll_until([stays], lambda: len(stays.assignment()) == 1, "both have one")
        assert dies.stdout.readline() == b"assigned\n"
        dies.kill()
    started = time.monotonic()
    poll_until([stays], lambda: len(stays.assignment()) == 2, "the dead member is dropped")
    assert 2 < time.monotonic() - started < 15  # its session is 6 s
    stays.close()


def test_static_membership_keeps_its_partitions_over_a_restart(broker, topic, group):
    name = topic(partitions=2)
    other = consumer(broker.bootstrap, group, group_instance_id="other")
    static = consumer(broker.bootstrap, group, group_instance_id="static")
    for member in (other, static):
        member.subscribe([name])
    poll_until([other, static], lambda: len(other.assignment()) == 1 and len(static.assignment()) == 1, "both have one")
    before = static.assignment()
    static.close()  # static members do not leave
    static = consumer(broker.bootstrap, group, group_instance_id="static")
    static.subscribe([name])
    poll_until([other, static], lambda: len(static.assignment()) == 1, "it is back")
    assert static.assignment() == before
    assert len(other.assignment()) == 1
    other.close()
    static.close()


def test_describe_list_delete(broker, admin, topic, group):
    name = topic(partitions=2)
    produce(broker.bootstrap, name, [(None, b"v")] * 10)
    member = consumer(broker.bootstrap, group, client_id="the-client")
    member.subscribe([name])
    poll_until([member], lambda: len(member.assignment()) == 2, "it has both")
    member.commit(offsets=[TopicPartition(name, 0, 1)], asynchronous=False)

    description = admin.describe_consumer_groups([group])[group].result(10)
    assert description.state == ConsumerGroupState.STABLE
    assert [m.client_id for m in description.members] == ["the-client"]
    assert {p.partition for p in description.members[0].assignment.topic_partitions} == {0, 1}
    listed = admin.list_consumer_groups().result(10)
    assert group in [g.group_id for g in listed.valid]
    with pytest.raises(KafkaException, match="NON_EMPTY_GROUP|not empty"):
        admin.delete_consumer_groups([group])[group].result(10)

    member.close()
    wait_for("the group is empty", lambda: admin.describe_consumer_groups([group])[group].result(10).state == ConsumerGroupState.EMPTY)
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(10)
    assert [(p.partition, p.offset) for p in offsets.topic_partitions] == [(0, 1)]
    admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [TopicPartition(name, 0, 5)])])[group].result(10)
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(10)
    assert [(p.partition, p.offset) for p in offsets.topic_partitions] == [(0, 5)]
    admin.delete_consumer_groups([group])[group].result(10)
    assert group not in [g.group_id for g in admin.list_consumer_groups().result(10).valid]


def test_committed_offsets_and_records_survive_kill_and_stop(platform):
    admin = AdminClient({"log_level": 0, "bootstrap.servers": platform.kafka})
    admin.create_topics([NewTopic("kept", 3, 1, config={"retention.ms": "123456789"})])["kept"].result(10)
    produce(platform.kafka, "kept", [(f"{i}".encode(), f"{i}".encode()) for i in range(999)])
    member = consumer(platform.kafka, "keepers")
    member.commit(offsets=[TopicPartition("kept", 0, 11), TopicPartition("kept", 2, 33)], asynchronous=False)
    member.close()
    for end in (platform.kill, platform.stop):
        end()
        platform.start()
        admin = AdminClient({"log_level": 0, "bootstrap.servers": platform.kafka})
        metadata = admin.list_topics(timeout=10)
        assert len(metadata.topics["kept"].partitions) == 3
        member = consumer(platform.kafka, "keepers")
        found = member.committed([TopicPartition("kept", p) for p in range(3)], 10)
        assert [p.offset for p in found] == [11, -1001, 33]
        ends = [member.get_watermark_offsets(TopicPartition("kept", p), 10)[1] for p in range(3)]
        assert sum(ends) == 999
        member.close()
