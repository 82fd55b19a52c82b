#pragma once
// The one table of Kafka APIs: key, name, and the versions we speak. The server advertises those of them that have a
// handler; generated messages are held against it at compile time. Read from Apache Kafka 4.4's message definitions.

#include <cstdint>
#include <string_view>

namespace tailrace::wire {

enum class ApiKey : int16_t {
  kProduce = 0,
  kFetch = 1,
  kListOffsets = 2,
  kMetadata = 3,
  kOffsetCommit = 8,
  kOffsetFetch = 9,
  kFindCoordinator = 10,
  kJoinGroup = 11,
  kHeartbeat = 12,
  kLeaveGroup = 13,
  kSyncGroup = 14,
  kDescribeGroups = 15,
  kListGroups = 16,
  kSaslHandshake = 17,
  kApiVersions = 18,
  kCreateTopics = 19,
  kDeleteTopics = 20,
  kDeleteRecords = 21,
  kInitProducerId = 22,
  kOffsetForLeaderEpoch = 23,
  kAddPartitionsToTxn = 24,
  kAddOffsetsToTxn = 25,
  kEndTxn = 26,
  kTxnOffsetCommit = 28,
  kDescribeConfigs = 32,
  kAlterConfigs = 33,
  kDescribeLogDirs = 35,
  kSaslAuthenticate = 36,
  kCreatePartitions = 37,
  kDeleteGroups = 42,
  kIncrementalAlterConfigs = 44,
  kOffsetDelete = 47,
  kDescribeCluster = 60,
  kDescribeProducers = 61,
  kDescribeTransactions = 65,
  kListTransactions = 66,
  kConsumerGroupDescribe = 69,
  kListConfigResources = 74,
  kDescribeTopicPartitions = 75,
};

inline constexpr int16_t kNeverFlexible = 32767;

struct ApiVersionRange {
  ApiKey key;
  std::string_view name;
  int16_t min_advertised;  // below `min` only to keep old clients from giving up; such requests are refused
  int16_t min;
  int16_t max;
  int16_t first_flexible;

  constexpr bool Serves(int16_t version) const { return version >= min && version <= max; }
  constexpr bool Flexible(int16_t version) const { return version >= first_flexible; }
};

inline constexpr ApiVersionRange kApis[] = {
    // v0-v2 are advertised and refused: librdkafka takes a minimum of 3 for "no compression at all" (KAFKA-18659).
    {ApiKey::kProduce, "Produce", 0, 3, 13, 9},
    {ApiKey::kFetch, "Fetch", 4, 4, 18, 12},
    {ApiKey::kListOffsets, "ListOffsets", 1, 1, 11, 6},
    {ApiKey::kMetadata, "Metadata", 0, 0, 13, 9},
    {ApiKey::kOffsetCommit, "OffsetCommit", 2, 2, 10, 8},
    {ApiKey::kOffsetFetch, "OffsetFetch", 1, 1, 10, 6},
    {ApiKey::kFindCoordinator, "FindCoordinator", 0, 0, 6, 3},
    {ApiKey::kJoinGroup, "JoinGroup", 0, 0, 9, 6},
    {ApiKey::kHeartbeat, "Heartbeat", 0, 0, 4, 4},
    {ApiKey::kLeaveGroup, "LeaveGroup", 0, 0, 5, 4},
    {ApiKey::kSyncGroup, "SyncGroup", 0, 0, 5, 4},
    {ApiKey::kDescribeGroups, "DescribeGroups", 0, 0, 6, 5},
    {ApiKey::kListGroups, "ListGroups", 0, 0, 5, 3},
    {ApiKey::kSaslHandshake, "SaslHandshake", 0, 0, 1, kNeverFlexible},
    {ApiKey::kApiVersions, "ApiVersions", 0, 0, 5, 3},
    {ApiKey::kCreateTopics, "CreateTopics", 2, 2, 7, 5},
    {ApiKey::kDeleteTopics, "DeleteTopics", 1, 1, 6, 4},
    {ApiKey::kDeleteRecords, "DeleteRecords", 0, 0, 2, 2},
    {ApiKey::kInitProducerId, "InitProducerId", 0, 0, 5, 2},
    {ApiKey::kOffsetForLeaderEpoch, "OffsetForLeaderEpoch", 2, 2, 4, 4},
    {ApiKey::kAddPartitionsToTxn, "AddPartitionsToTxn", 0, 0, 3, 3},
    {ApiKey::kAddOffsetsToTxn, "AddOffsetsToTxn", 0, 0, 4, 3},
    // Newer EndTxn and TxnOffsetCommit need the feature transaction.version=2 (KIP-890).
    {ApiKey::kEndTxn, "EndTxn", 0, 0, 4, 3},
    {ApiKey::kTxnOffsetCommit, "TxnOffsetCommit", 0, 0, 4, 3},
    {ApiKey::kDescribeConfigs, "DescribeConfigs", 1, 1, 4, 4},
    {ApiKey::kAlterConfigs, "AlterConfigs", 0, 0, 2, 2},
    {ApiKey::kDescribeLogDirs, "DescribeLogDirs", 1, 1, 4, 2},
    {ApiKey::kSaslAuthenticate, "SaslAuthenticate", 0, 0, 2, 2},
    {ApiKey::kCreatePartitions, "CreatePartitions", 0, 0, 3, 2},
    {ApiKey::kDeleteGroups, "DeleteGroups", 0, 0, 3, 2},
    {ApiKey::kIncrementalAlterConfigs, "IncrementalAlterConfigs", 0, 0, 1, 1},
    {ApiKey::kOffsetDelete, "OffsetDelete", 0, 0, 0, kNeverFlexible},
    {ApiKey::kDescribeCluster, "DescribeCluster", 0, 0, 2, 0},
    {ApiKey::kDescribeProducers, "DescribeProducers", 0, 0, 0, 0},
    {ApiKey::kDescribeTransactions, "DescribeTransactions", 0, 0, 0, 0},
    {ApiKey::kListTransactions, "ListTransactions", 0, 0, 1, 0},
    {ApiKey::kConsumerGroupDescribe, "ConsumerGroupDescribe", 0, 0, 1, 0},
    {ApiKey::kListConfigResources, "ListConfigResources", 0, 0, 1, 0},
    {ApiKey::kDescribeTopicPartitions, "DescribeTopicPartitions", 0, 0, 0, 0},
};

/// nullptr where the key is unknown.
constexpr const ApiVersionRange* FindApi(int16_t key) {
  for (const ApiVersionRange& api : kApis) {
    if (static_cast<int16_t>(api.key) == key) return &api;
  }
  return nullptr;
}
/// REQUIRES: in the table, as every ApiKey is.
constexpr const ApiVersionRange& GetApi(ApiKey key) { return *FindApi(static_cast<int16_t>(key)); }

}  // namespace tailrace::wire
