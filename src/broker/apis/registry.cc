#include "broker/apis/registry.h"

namespace tailrace::broker {
namespace {

using wire::ApiKey;

constexpr ApiHandler kHandlers[] = {
    {ApiKey::kProduce, HandleProduce},
    {ApiKey::kFetch, HandleFetch},
    {ApiKey::kListOffsets, HandleListOffsets},
    {ApiKey::kMetadata, HandleMetadata},
    {ApiKey::kOffsetCommit, HandleOffsetCommit},
    {ApiKey::kOffsetFetch, HandleOffsetFetch},
    {ApiKey::kFindCoordinator, HandleFindCoordinator},
    {ApiKey::kJoinGroup, HandleJoinGroup},
    {ApiKey::kHeartbeat, HandleHeartbeat},
    {ApiKey::kLeaveGroup, HandleLeaveGroup},
    {ApiKey::kSyncGroup, HandleSyncGroup},
    {ApiKey::kDescribeGroups, HandleDescribeGroups},
    {ApiKey::kListGroups, HandleListGroups},
    {ApiKey::kApiVersions, HandleApiVersions},
    {ApiKey::kCreateTopics, HandleCreateTopics, RunsOn::kHouse},
    {ApiKey::kDeleteTopics, HandleDeleteTopics, RunsOn::kHouse},
    {ApiKey::kDeleteRecords, HandleDeleteRecords, RunsOn::kHouse},
    {ApiKey::kInitProducerId, HandleInitProducerId},
    {ApiKey::kOffsetForLeaderEpoch, HandleOffsetForLeaderEpoch},
    {ApiKey::kAddPartitionsToTxn, HandleAddPartitionsToTxn},
    {ApiKey::kAddOffsetsToTxn, HandleAddOffsetsToTxn},
    {ApiKey::kEndTxn, HandleEndTxn},
    {ApiKey::kTxnOffsetCommit, HandleTxnOffsetCommit},
    {ApiKey::kDescribeConfigs, HandleDescribeConfigs},
    {ApiKey::kAlterConfigs, HandleAlterConfigs, RunsOn::kHouse},
    {ApiKey::kDescribeLogDirs, HandleDescribeLogDirs},
    {ApiKey::kCreatePartitions, HandleCreatePartitions, RunsOn::kHouse},
    {ApiKey::kDeleteGroups, HandleDeleteGroups},
    {ApiKey::kIncrementalAlterConfigs, HandleIncrementalAlterConfigs, RunsOn::kHouse},
    {ApiKey::kOffsetDelete, HandleOffsetDelete},
    {ApiKey::kDescribeCluster, HandleDescribeCluster},
    {ApiKey::kDescribeProducers, HandleDescribeProducers},
    {ApiKey::kDescribeTransactions, HandleDescribeTransactions},
    {ApiKey::kListTransactions, HandleListTransactions},
    {ApiKey::kConsumerGroupDescribe, HandleConsumerGroupDescribe},
    {ApiKey::kListConfigResources, HandleListConfigResources},
    {ApiKey::kDescribeTopicPartitions, HandleDescribeTopicPartitions},
};

}  // namespace

std::span<const ApiHandler> ApiHandlers() { return kHandlers; }

const ApiHandler* FindHandler(ApiKey key) {
  for (const ApiHandler& handler : kHandlers) {
    if (handler.key == key) return &handler;
  }
  return nullptr;
}

}  // namespace tailrace::broker
