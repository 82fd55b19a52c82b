// DescribeLogDirs: the one data directory and what each partition takes of it.

#include <map>
#include <set>

#include "broker/apis/registry.h"
#include "broker/broker.h"
#include "broker/topics.h"
#include "io/file.h"
#include "log/partition.h"
#include "wire/messages/describe_log_dirs.h"

namespace tailrace::broker {

Status HandleDescribeLogDirs(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::DescribeLogDirsRequest::Decode(call->body(), call->version()));
  wire::DescribeLogDirsResponse response;
  auto& dir = response.log_dirs.emplace_back();
  dir.log_dir = parts.options.data_dir;
  std::map<std::string, std::set<int32_t>> wanted;
  if (request.topics) {
    for (auto& topic : *request.topics) wanted[topic.topic].insert(topic.partitions.begin(), topic.partitions.end());
  }
  int64_t used = 0;
  for (const TopicPtr& topic : parts.topics.List()) {
    auto it = wanted.find(topic->name);
    bool named = !request.topics || it != wanted.end();
    wire::DescribeLogDirsResponse::LogDir::Topic answer;
    answer.name = topic->name;
    for (size_t i = 0; i < topic->partitions.size(); ++i) {
      int64_t size = topic->partitions[i]->SizeBytes();
      used += size;
      auto index = static_cast<int32_t>(i);
      if (!named || (request.topics && it->second.count(index) == 0)) continue;
      answer.partitions.push_back({index, size, 0, false});
    }
    if (!answer.partitions.empty()) dir.topics.push_back(std::move(answer));
  }
  if (auto free = io::FreeBytes(parts.options.data_dir); free.ok()) {
    dir.usable_bytes = static_cast<int64_t>(*free);
    dir.total_bytes = dir.usable_bytes + used;
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
