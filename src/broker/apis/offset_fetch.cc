// OffsetFetch: committed offsets, of one group up to v7, of several from v8 on.

#include "wire/messages/offset_fetch.h"
#include "broker/apis/registry.h"
#include "broker/groups/coordinator.h"
#include "broker/offsets.h"
#include "broker/topics.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;

template <typename Partition>
void Fill(Parts& parts, const CallPtr& call, const std::string& group, const TopicPartition& from, bool require_stable,
          Partition* answer) {
  answer->partition_index = from.partition;
  answer->committed_offset = -1;
  answer->committed_leader_epoch = -1;
  answer->metadata = "";
  if (require_stable && parts.offsets.HasPending(group, from)) {
    answer->error_code = call->Code(KafkaError::kUnstableOffsetCommit);
    return;
  }
  if (auto value = parts.offsets.Fetch(group, from)) {
    answer->committed_offset = value->offset;
    answer->committed_leader_epoch = value->leader_epoch;
    answer->metadata = std::move(value->metadata);
  }
}

/// All offsets of the group, as topics of the response type.
template <typename Topic>
void FillAll(Parts& parts, const CallPtr& call, const std::string& group, bool require_stable,
             std::vector<Topic>* topics) {
  for (const OffsetCommitItem& item : parts.offsets.FetchAll(group)) {
    if (topics->empty() || topics->back().name != item.from.topic) topics->emplace_back().name = item.from.topic;
    Fill(parts, call, group, item.from, require_stable, &topics->back().partitions.emplace_back());
  }
}

}  // namespace

Status HandleOffsetFetch(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::OffsetFetchRequest::Decode(call->body(), call->version()));
  wire::OffsetFetchResponse response;
  if (call->version() < 8) {
    if (!request.topics) {
      FillAll(parts, call, request.group_id, request.require_stable, &response.topics);
    } else {
      for (auto& topic : *request.topics) {
        auto& topic_answer = response.topics.emplace_back();
        topic_answer.name = topic.name;
        for (int32_t index : topic.partition_indexes) {
          Fill(parts, call, request.group_id, {topic.name, index}, request.require_stable,
               &topic_answer.partitions.emplace_back());
        }
      }
    }
    call->Respond(response);
    return Ok();
  }
  bool by_id = call->version() >= 10;
  for (auto& group : request.groups) {
    auto& answer = response.groups.emplace_back();
    answer.group_id = group.group_id;
    // A member of the new protocol (KIP-848) says its epoch; classic members say -1.
    if (group.member_epoch >= 0 && group.member_id) {
      GroupDescription d = parts.groups.Describe(group.group_id);
      if (d.error != KafkaError::kNone) {
        answer.error_code = call->Code(KafkaError::kGroupIdNotFound);
        continue;
      }
    }
    if (!group.topics) {
      FillAll(parts, call, group.group_id, request.require_stable, &answer.topics);
      if (by_id) {
        std::erase_if(answer.topics, [&](auto& t) { return !parts.topics.Find(t.name); });
        for (auto& t : answer.topics) {
          if (TopicPtr topic = parts.topics.Find(t.name)) t.topic_id.bytes = topic->id;
        }
      }
      continue;
    }
    for (auto& topic : *group.topics) {
      auto& topic_answer = answer.topics.emplace_back();
      topic_answer.name = topic.name;
      topic_answer.topic_id = topic.topic_id;
      TopicPtr found = by_id ? parts.topics.FindById(topic.topic_id.bytes) : nullptr;
      const std::string& name = found ? found->name : topic.name;
      for (int32_t index : topic.partition_indexes) {
        auto& p = topic_answer.partitions.emplace_back();
        Fill(parts, call, group.group_id, {name, index}, request.require_stable, &p);
        if (by_id && !found) p.error_code = call->Code(KafkaError::kUnknownTopicId);
      }
    }
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
