#pragma once
// The one list of Kafka APIs that this broker serves. Versions: wire/api_versions.h.

#include <span>

#include "base/result.h"
#include "broker/call.h"
#include "broker/parts.h"
#include "wire/api_versions.h"

namespace tailrace::broker {

/// Answers the call, now or later. An error means that the request is malformed: its connection is closed.
using HandleFn = Status (*)(Parts& parts, const CallPtr& call);

/// Where a handler runs. One that waits for the disk (topics and configs change with one journal flush) must not hold
/// up the connections of a loop.
enum class RunsOn : uint8_t { kLoop, kHouse };

struct ApiHandler {
  wire::ApiKey key;
  HandleFn handle;
  RunsOn where = RunsOn::kLoop;
};

std::span<const ApiHandler> ApiHandlers();
/// nullptr where the API is not served.
const ApiHandler* FindHandler(wire::ApiKey key);

// One file each.
Status HandleAddOffsetsToTxn(Parts&, const CallPtr&);
Status HandleAddPartitionsToTxn(Parts&, const CallPtr&);
Status HandleAlterConfigs(Parts&, const CallPtr&);
Status HandleApiVersions(Parts&, const CallPtr&);
Status HandleConsumerGroupDescribe(Parts&, const CallPtr&);
Status HandleCreatePartitions(Parts&, const CallPtr&);
Status HandleCreateTopics(Parts&, const CallPtr&);
Status HandleDeleteGroups(Parts&, const CallPtr&);
Status HandleDeleteRecords(Parts&, const CallPtr&);
Status HandleDeleteTopics(Parts&, const CallPtr&);
Status HandleDescribeCluster(Parts&, const CallPtr&);
Status HandleDescribeConfigs(Parts&, const CallPtr&);
Status HandleDescribeGroups(Parts&, const CallPtr&);
Status HandleDescribeLogDirs(Parts&, const CallPtr&);
Status HandleDescribeProducers(Parts&, const CallPtr&);
Status HandleDescribeTopicPartitions(Parts&, const CallPtr&);
Status HandleDescribeTransactions(Parts&, const CallPtr&);
Status HandleEndTxn(Parts&, const CallPtr&);
Status HandleFetch(Parts&, const CallPtr&);
Status HandleFindCoordinator(Parts&, const CallPtr&);
Status HandleHeartbeat(Parts&, const CallPtr&);
Status HandleIncrementalAlterConfigs(Parts&, const CallPtr&);
Status HandleInitProducerId(Parts&, const CallPtr&);
Status HandleJoinGroup(Parts&, const CallPtr&);
Status HandleLeaveGroup(Parts&, const CallPtr&);
Status HandleListConfigResources(Parts&, const CallPtr&);
Status HandleListGroups(Parts&, const CallPtr&);
Status HandleListOffsets(Parts&, const CallPtr&);
Status HandleListTransactions(Parts&, const CallPtr&);
Status HandleMetadata(Parts&, const CallPtr&);
Status HandleOffsetCommit(Parts&, const CallPtr&);
Status HandleOffsetDelete(Parts&, const CallPtr&);
Status HandleOffsetFetch(Parts&, const CallPtr&);
Status HandleOffsetForLeaderEpoch(Parts&, const CallPtr&);
Status HandleProduce(Parts&, const CallPtr&);
Status HandleSyncGroup(Parts&, const CallPtr&);
Status HandleTxnOffsetCommit(Parts&, const CallPtr&);

}  // namespace tailrace::broker
