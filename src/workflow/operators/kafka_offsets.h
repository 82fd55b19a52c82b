#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace tailrace::log {
class Client;
}

namespace tailrace::workflow {

struct TopicOffsets {
  int64_t first = 0, end = 0, records = 0;  // summed over the partitions
};
Result<TopicOffsets> OffsetsOfTopic(log::Client& client, const std::string& topic);

}  // namespace tailrace::workflow
