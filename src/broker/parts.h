#pragma once
// What the handlers of Kafka's APIs work with. One per broker; each part is thread-safe.

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace tailrace {
class Clock;
}
namespace tailrace::io {
class EventLoop;
}
namespace tailrace::broker {

struct BrokerOptions;
struct Metrics;
class FetchSessions;
class GroupCoordinator;
class OffsetStore;
class ProducerIds;
class TopicManager;
class TransactionCoordinator;

struct Parts {
  const BrokerOptions& options;
  Clock& clock;
  Metrics& metrics;
  TopicManager& topics;
  OffsetStore& offsets;
  GroupCoordinator& groups;
  FetchSessions& fetch_sessions;
  ProducerIds& producer_ids;
  TransactionCoordinator& transactions;
  io::EventLoop& house;                      // for work that waits for the disk
  std::atomic<int32_t> port{0};              // what Metadata tells clients to come back to
  std::atomic<int64_t> produces_pending{0};  // appended, not yet answered
};

}  // namespace tailrace::broker
