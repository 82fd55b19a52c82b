"""Every version of every API that the broker advertises is asked for once, by kafka-python's message classes, and answers
without an error code."""

import importlib
import struct
import time
import uuid

import pytest
from clients import consumer, produce
from confluent_kafka import TopicCollection, TopicPartition
from kafka.protocol.data_container import DataContainer
from raw import Raw, batch, record, string

MODULES = [importlib.import_module(f"kafka.protocol.{m}") for m in ("admin", "consumer", "producer", "metadata")]


def message(name):
    for module in MODULES:
        if hasattr(module, name):
            return getattr(module, name)
    return None


def errors(answer):
    """All error codes in an answer, at any depth."""
    found = set()
    for name, field in answer.fields.items():
        value = getattr(answer, name, None)
        if name == "error_code" or name.endswith("_error_code"):
            found.add(value or 0)
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, DataContainer):
                found |= errors(item)
    return found


class Case:
    """What each API is asked; fields that a version does not have are not sent."""

    def __init__(self, broker, topic, topic_id, group, node):
        self.broker, self.topic, self.id, self.group, self.node = broker, topic, topic_id, group, node

    def Produce(self, R, v):
        part = R.TopicProduceData.PartitionProduceData(version=v, index=0, records=batch(record(0, b"v"), 1))
        return dict(acks=-1, timeout_ms=5000, topic_data=[R.TopicProduceData(version=v, name=self.topic, topic_id=self.id, partition_data=[part])])

    def Fetch(self, R, v):
        part = R.FetchTopic.FetchPartition(version=v, partition=0, fetch_offset=0, partition_max_bytes=1000, current_leader_epoch=-1)
        return dict(max_wait_ms=10, min_bytes=1, max_bytes=10000, topics=[R.FetchTopic(version=v, topic=self.topic, topic_id=self.id, partitions=[part])])

    def ListOffsets(self, R, v):
        part = R.ListOffsetsTopic.ListOffsetsPartition(version=v, partition_index=0, timestamp=-1, current_leader_epoch=-1)
        return dict(replica_id=-1, topics=[R.ListOffsetsTopic(version=v, name=self.topic, partitions=[part])])

    def Metadata(self, R, v):
        return dict(topics=[R.MetadataRequestTopic(version=v, name=self.topic)])

    def OffsetCommit(self, R, v):
        part = R.OffsetCommitRequestTopic.OffsetCommitRequestPartition(version=v, partition_index=0, committed_offset=v, committed_metadata="m")
        return dict(group_id=self.group, generation_id_or_member_epoch=-1, member_id="",
                    topics=[R.OffsetCommitRequestTopic(version=v, name=self.topic, topic_id=self.id, partitions=[part])])

    def OffsetFetch(self, R, v):
        if v < 8:
            return dict(group_id=self.group, topics=[R.OffsetFetchRequestTopic(version=v, name=self.topic, partition_indexes=[0])])
        one = R.OffsetFetchRequestGroup.OffsetFetchRequestTopics(version=v, name=self.topic, topic_id=self.id, partition_indexes=[0])
        return dict(groups=[R.OffsetFetchRequestGroup(version=v, group_id=self.group, member_id=None, member_epoch=-1, topics=[one])])

    def FindCoordinator(self, R, v):
        return dict(key=self.group, key_type=0, coordinator_keys=[self.group])

    def DescribeGroups(self, R, v):
        member = consumer(self.broker.bootstrap, self.group)  # v6 wants a group that exists
        member.commit(offsets=[TopicPartition(self.topic, 0, 1)], asynchronous=False)
        member.close()
        return dict(groups=[self.group])

    def ListGroups(self, R, v):
        return dict(states_filter=[], types_filter=[])

    def ApiVersions(self, R, v):
        return dict(client_software_name="test", client_software_version="1")

    def CreateTopics(self, R, v):
        return dict(topics=[R.CreatableTopic(version=v, name=f"new-{uuid.uuid4().hex[:8]}", num_partitions=1, replication_factor=1, assignments=[], configs=[])],
                    timeout_ms=5000, validate_only=False)

    def DeleteTopics(self, R, v):
        name = f"old-{uuid.uuid4().hex[:8]}"
        produce(self.broker.bootstrap, name, [(None, b"v")])
        return dict(topics=[R.DeleteTopicState(version=v, name=name)] if v >= 6 else [], topic_names=[name], timeout_ms=5000)

    def DeleteRecords(self, R, v):
        part = R.DeleteRecordsTopic.DeleteRecordsPartition(version=v, partition_index=0, offset=0)
        return dict(topics=[R.DeleteRecordsTopic(version=v, name=self.topic, partitions=[part])], timeout_ms=5000)

    def InitProducerId(self, R, v):
        return dict(transactional_id=None, transaction_timeout_ms=60000)

    def OffsetForLeaderEpoch(self, R, v):
        part = R.OffsetForLeaderTopic.OffsetForLeaderPartition(version=v, partition=0, current_leader_epoch=-1, leader_epoch=0)
        return dict(replica_id=-1, topics=[R.OffsetForLeaderTopic(version=v, topic=self.topic, partitions=[part])])

    def DescribeConfigs(self, R, v):
        return dict(resources=[R.DescribeConfigsResource(version=v, resource_type=2, resource_name=self.topic, configuration_keys=None),
                               R.DescribeConfigsResource(version=v, resource_type=4, resource_name=str(self.node), configuration_keys=None)])

    def AlterConfigs(self, R, v):
        config = R.AlterConfigsResource.AlterableConfig(version=v, name="retention.ms", value="1000000")
        return dict(resources=[R.AlterConfigsResource(version=v, resource_type=2, resource_name=self.topic, configs=[config])], validate_only=False)

    def IncrementalAlterConfigs(self, R, v):
        config = R.AlterConfigsResource.AlterableConfig(version=v, name="retention.ms", config_operation=0, value="1000000")
        return dict(resources=[R.AlterConfigsResource(version=v, resource_type=2, resource_name=self.topic, configs=[config])], validate_only=False)

    def CreatePartitions(self, R, v):
        return dict(topics=[R.CreatePartitionsTopic(version=v, name=self.topic, count=100 + v, assignments=None)], timeout_ms=5000, validate_only=True)

    def DescribeCluster(self, R, v):
        return dict(endpoint_type=1)

    def DescribeTopicPartitions(self, R, v):
        return dict(topics=[R.TopicRequest(version=v, name=self.topic)])

    def DescribeProducers(self, R, v):
        return dict(topics=[R.TopicRequest(version=v, name=self.topic, partition_indexes=[0])])

    def ListTransactions(self, R, v):
        return dict(state_filters=[], producer_id_filters=[], duration_filter=-1)

    def DescribeLogDirs(self, R, v):
        return dict(topics=None)

    def ListConfigResources(self, R, v):
        return dict(resource_types=[])

    def JoinGroup(self, R, v):
        return None  # the groups' life is in test_old_group_protocols

    SyncGroup = Heartbeat = LeaveGroup = DeleteGroups = OffsetDelete = JoinGroup
    AddPartitionsToTxn = AddOffsetsToTxn = EndTxn = TxnOffsetCommit = DescribeTransactions = JoinGroup  # test_transactions


@pytest.fixture
def case(broker, admin, topic, group):
    name = topic()
    produce(broker.bootstrap, name, [(None, b"v")] * 3)
    described = admin.describe_topics(TopicCollection([name]))[name].result(10)
    high, low = (described.topic_id.get_most_significant_bits(), described.topic_id.get_least_significant_bits())
    topic_id = uuid.UUID(bytes=struct.pack(">qq", high, low))
    return Case(broker, name, topic_id, group, admin.describe_cluster().result(10).nodes[0].id)


def ask(raw, name, version, fields):
    """The answer; a coordinator that is still starting (Apache Kafka's right after its first use) is asked again."""
    for _ in range(100):
        answer = ask_once(raw, name, version, fields)
        if not errors(answer) & {14, 15, 16}:
            return answer
        time.sleep(0.2)
    return answer


def ask_once(raw, name, version, fields):
    request = message(name + "Request")(version=version, **fields)
    request.with_header(correlation_id=99, client_id="every-version")
    raw.send(request.encode(version=version, header=True, framed=True))
    answer = raw.receive(10)
    assert isinstance(answer, bytes), f"{name} v{version}: {answer}"
    return message(name + "Response").decode(answer, version=version, header=True)


def advertised(raw):
    return {k.api_key: (k.min_version, k.max_version) for k in ask(raw, "ApiVersions", 0, {}).api_keys}


@pytest.mark.parametrize("name", [n for n in vars(Case) if n[0].isupper()])
def test_every_version(case, name):
    Request = message(name + "Request")
    if Request is None:
        pytest.skip("kafka-python has no such message")
    with Raw(case.broker, timeout=10) as raw:
        low, high = advertised(raw)[Request.API_KEY]
        low = max(low, 3 if name == "Produce" else low)
        for version in range(low, min(high, Request.max_version) + 1):
            fields = getattr(case, name)(Request, version)
            if fields is None:
                return
            answer = ask(raw, name, version, fields)
            assert errors(answer) <= {0}, f"v{version}: {answer}"


# What consumers put there (ConsumerProtocol v0): version, topics, user data. Apache Kafka reads it and leaves a member
# unanswered whose bytes it cannot read.
SUBSCRIPTION = struct.pack(">hi", 0, 1) + string("a-topic") + struct.pack(">i", -1)
ASSIGNMENT = struct.pack(">hi", 0, 1) + string("a-topic") + struct.pack(">iii", 1, 0, -1)


@pytest.mark.parametrize("version", range(10))
def test_the_life_of_a_member_at_every_version(broker, topic, group, version):
    """JoinGroup, SyncGroup, Heartbeat, OffsetCommit, DescribeGroups, LeaveGroup, OffsetDelete, DeleteGroups by hand."""
    name, group = topic(), f"{group}-{version}"
    with Raw(broker, timeout=10) as raw:
        served = advertised(raw)

        def step(api, **fields):
            Request = message(api + "Request")
            v = min(version, served[Request.API_KEY][1], Request.max_version)
            return ask(raw, api, max(v, served[Request.API_KEY][0]), fields), v

        Join = message("JoinGroupRequest")
        protocols = [Join.JoinGroupRequestProtocol(version=version, name="range", metadata=SUBSCRIPTION)]
        fields = dict(group_id=group, session_timeout_ms=10000, rebalance_timeout_ms=10000, member_id="", group_instance_id=None,
                      protocol_type="consumer", protocols=protocols, reason=None)
        joined, _ = step("JoinGroup", **fields)
        if joined.error_code == 79:  # MEMBER_ID_REQUIRED, from v4 on (KIP-394)
            assert version >= 4
            joined, _ = step("JoinGroup", **{**fields, "member_id": joined.member_id})
        assert joined.error_code == 0 and joined.leader == joined.member_id and joined.protocol_name == "range"
        assert [m.metadata for m in joined.members] == [SUBSCRIPTION]
        me = dict(group_id=group, generation_id=joined.generation_id, member_id=joined.member_id)

        Sync = message("SyncGroupRequest")
        v = min(version, 5)
        synced, _ = step("SyncGroup", **me, protocol_type="consumer", protocol_name="range", assignments=[
            Sync.SyncGroupRequestAssignment(version=v, member_id=joined.member_id, assignment=ASSIGNMENT)])
        assert (synced.error_code, synced.assignment) == (0, ASSIGNMENT)
        assert step("Heartbeat", **me)[0].error_code == 0
        assert step("Heartbeat", **{**me, "generation_id": joined.generation_id + 5})[0].error_code == 22
        assert step("Heartbeat", **{**me, "member_id": "stranger"})[0].error_code == 25

        Commit = message("OffsetCommitRequest")
        v = min(max(version, 2), 9)
        part = Commit.OffsetCommitRequestTopic.OffsetCommitRequestPartition(version=v, partition_index=0, committed_offset=5, committed_metadata="")
        fields = dict(group_id=group, generation_id_or_member_epoch=joined.generation_id, member_id=joined.member_id,
                      topics=[Commit.OffsetCommitRequestTopic(version=v, name=name, partitions=[part])])
        assert errors(ask(raw, "OffsetCommit", v, fields)) == {0}
        described, _ = step("DescribeGroups", groups=[group])
        assert described.groups[0].group_state == "Stable"
        assert described.groups[0].members[0].member_assignment == ASSIGNMENT
        assert errors(step("DeleteGroups", groups_names=[group])[0]) == {68}  # NON_EMPTY_GROUP

        Leave = message("LeaveGroupRequest")
        v = min(version, 5)
        members = [Leave.MemberIdentity(version=v, member_id=joined.member_id, group_instance_id=None, reason="done")] if v >= 3 else []
        assert errors(step("LeaveGroup", group_id=group, member_id=joined.member_id, members=members)[0]) == {0}
        assert step("Heartbeat", **me)[0].error_code == 25
        assert errors(step("DeleteGroups", groups_names=[group])[0]) == {0}
