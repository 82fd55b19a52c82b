#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "connectors/kafka/rdkafka_handle.h"
#include "log/client.h"

namespace tailrace::connectors {

/// Consumers of one cluster, shared by readers: one has a thread for itself and one a broker, so few are made. A
/// consumer reads a partition once at a time; a second reader of it gets another. Thread-safe.
class ConsumerPool {
 public:
  explicit ConsumerPool(ClusterConfig cluster) : cluster_(std::move(cluster)) {}
  /// `offset` is a concrete one.
  Result<std::unique_ptr<log::Reader>> OpenReader(const TopicPartition& partition, int64_t offset,
                                                  log::Isolation isolation, Waker* waker);

  struct Consumer;

 private:
  ClusterConfig cluster_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<Consumer>> consumers_;
};

}  // namespace tailrace::connectors
