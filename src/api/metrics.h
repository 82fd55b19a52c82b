#pragma once

#include <string>

#include "api/services.h"

namespace tailrace::api {

/// Everything, in Prometheus' text format, under the names that dashboards made for Kafka know: kafka_* as
/// kafka_exporter has them (Grafana 7589), kafka_server_*, kafka_network_*, kafka_controller_* as the JMX exporter with
/// Strimzi's rules does, process_* as every Prometheus client; our own begin with tailrace_.
std::string MetricsPage(const Services& services);

}  // namespace tailrace::api
