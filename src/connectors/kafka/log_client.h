#pragma once
// The log on any Apache Kafka cluster, through librdkafka; partitions of a cluster without TLS and SASL are read by
// fetcher.h.

#include <map>
#include <memory>
#include <string>

#include "log/client.h"

namespace tailrace::connectors {

/// `properties` are librdkafka's and the Java client's common names ("security.protocol", "sasl.jaas.config" is not);
/// those that librdkafka does not know are an error. The client connects when it is first used; kUnavailable where no
/// broker answers within 10 s.
Result<std::unique_ptr<log::Client>> OpenKafkaClient(const std::string& bootstrap_servers,
                                                     const std::map<std::string, std::string>& properties);

}  // namespace tailrace::connectors
