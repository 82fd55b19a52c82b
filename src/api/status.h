#pragma once
// The platform's numbers: sampled every second by a thread of its own, kept for a minute, pushed to the status page,
// judged by the alert rules.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/services.h"
#include "base/waker.h"
#include "http/json_writer.h"

namespace tailrace::http {
class EventHub;
}

namespace tailrace::api {

struct ComponentHealth {
  std::string name;
  std::string status;  // ok, off (not a role of this process), failed
  std::string detail;
};

/// Thread-safe.
class StatusService {
 public:
  explicit StatusService(const Services& services);
  ~StatusService();
  /// Begins to sample. `services` no longer changes. Called once.
  void Start();

  /// The schema Status of openapi.yaml.
  std::string StatusJson();
  /// Every component, with a round trip through it where that is cheap.
  std::vector<ComponentHealth> Health();
  /// The schema Health; `ok` says whether no component failed.
  std::string HealthJson(bool* ok);
  /// Messages per second into a topic, over the last 5 s.
  double TopicRate(const std::string& topic) const;
  /// The schema Topic's list.
  void WriteTopics(http::JsonWriter& json, const std::string& only, bool partitions) const;
  const std::shared_ptr<http::EventHub>& events() const { return events_; }

 private:
  struct Sample {
    int64_t monotonic_ms = 0;
    uint64_t messages_in = 0, bytes_in = 0, bytes_out = 0;
    double cpu_seconds = 0;
    std::map<std::string, int64_t> topic_ends;
    std::map<std::string, std::pair<double, double>> job_rates;  // in, out per second
  };
  void Loop();
  void TakeSample();
  void WriteHistory(http::JsonWriter& json) const;

  const Services& services_;
  std::shared_ptr<http::EventHub> events_;
  Waker waker_;
  bool stop_ = false;
  mutable std::mutex mutex_;
  std::deque<Sample> samples_;
  std::thread thread_;
};

}  // namespace tailrace::api
