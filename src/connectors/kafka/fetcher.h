#pragma once
// Reads partitions of a cluster by Fetch requests of our own. librdkafka makes an object of every record, which costs
// three times what our decoding of the record costs; here an answer stays one buffer and records are views into it.
// One thread a broker, each with one request under way for all partitions that have room, as the Java consumer does it.
// For clusters without encryption and authentication; log_reader.h reads the others.

#include <functional>
#include <memory>
#include <string>

#include "log/client.h"

namespace tailrace::connectors {

/// Thread-safe. Readers may outlive it.
class Fetcher {
 public:
  explicit Fetcher(const std::string& bootstrap_servers);
  ~Fetcher();
  /// `offset` is a concrete one. kNotFound: no such partition; kUnavailable: no broker answers.
  Result<std::unique_ptr<log::Reader>> OpenReader(const TopicPartition& partition, int64_t offset,
                                                  log::Isolation isolation, Waker* waker);

  class Cluster;

 private:
  std::shared_ptr<Cluster> cluster_;
};

}  // namespace tailrace::connectors
