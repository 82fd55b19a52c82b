#pragma once

#include <memory>
#include <string>

#include "connectors/kafka/rdkafka_handle.h"
#include "log/client.h"

namespace tailrace::connectors {

Result<std::unique_ptr<log::Writer>> OpenKafkaWriter(const ClusterConfig& cluster);
/// Fences an older writer of that id and aborts its transaction.
Result<std::unique_ptr<log::TransactionalWriter>> OpenKafkaTransactionalWriter(const ClusterConfig& cluster,
                                                                               const std::string& transactional_id);

}  // namespace tailrace::connectors
