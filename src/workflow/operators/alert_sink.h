#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "workflow/model/value.h"

namespace tailrace {
class Clock;
}
namespace tailrace::log {
class Client;
}

namespace tailrace::workflow {

class MetadataStore;

struct Alert {
  std::string severity = "warning";  // info warning critical
  std::string source;                // "streaming_pipeline.monitor_pipeline"
  std::string message;
  Value detail = Map();
  std::string once;  // not empty: an alert with this key is sent once a process
};

/// Where alerts of callbacks and health sensors go. Thread-safe; never fails its caller: what could not be sent is
/// logged.
class AlertSink {
 public:
  virtual ~AlertSink() = default;
  virtual void Send(const Alert& alert) = 0;
};

/// A log line, a row of the metadata, and a JSON record on `topic` where there is a log and `topic` is not empty.
std::unique_ptr<AlertSink> MakeAlertSink(MetadataStore& store, log::Client* log, std::string topic, Clock& clock);

}  // namespace tailrace::workflow
