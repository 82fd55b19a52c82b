#pragma once
// Alert rules over running jobs. A rule that holds for its time fires once and resolves once.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "config/project.h"

namespace tailrace {
class Clock;
}

namespace tailrace::observe {

/// What rules look at; made from stream::JobInfo by the caller, as observe/ lies below nothing of stream/.
struct JobSample {
  std::string job;
  bool running = false;
  int64_t running_since_ms = 0;
  double records_per_second = 0;  // over the last 10 s
  int64_t latency_p99_us = -1;    // -1: nothing seen
  int64_t lag = -1;               // -1: not known
};

enum class AlertState { kInactive, kPending, kFiring, kResolved };  // Prometheus' names, and the end
const char* AlertStateName(AlertState state);

struct Alert {
  std::string rule, job, metric, message;
  AlertState state = AlertState::kInactive;
  double value = 0, threshold = 0;
  int64_t pending_since_ms = 0, fired_ms = 0, resolved_ms = 0;
  /// For the log, the alert's topic and REST.
  std::string ToJson() const;
};

/// Thread-safe.
class AlertEngine {
 public:
  using Notify = std::function<void(const Alert& alert, const config::AlertRule& rule)>;
  /// `notify` is called from Evaluate, on firing and on resolving.
  AlertEngine(std::vector<config::AlertRule> rules, Clock& clock, Notify notify);

  void Evaluate(const std::vector<JobSample>& jobs);
  /// Pending and firing ones first, then up to 50 resolved, newest first.
  std::vector<Alert> Alerts() const;

 private:
  struct Key {
    size_t rule;
    std::string job;
    auto operator<=>(const Key&) const = default;
  };
  const std::vector<config::AlertRule> rules_;
  Clock& clock_;
  const Notify notify_;
  mutable std::mutex mutex_;
  std::map<Key, Alert> active_;
  std::deque<Alert> resolved_;
};

}  // namespace tailrace::observe
