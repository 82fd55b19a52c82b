#include "observe/alerts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "http/json_writer.h"

namespace tailrace::observe {
namespace {

using config::AlertMetric;
using config::AlertRule;

// Rates are averages over 10 s: a job that just started has none yet.
constexpr int64_t kRateWindowMs = 10'000;
constexpr size_t kResolvedKept = 50;

struct Judgement {
  bool breached = false;
  double value = 0;
};

Judgement Judge(const AlertRule& rule, const JobSample& job, int64_t now_ms) {
  auto breached = [&rule](double value) { return rule.below ? value < rule.threshold : value > rule.threshold; };
  switch (rule.metric) {
    case AlertMetric::kLatency: {
      const double ms = static_cast<double>(job.latency_p99_us) / 1000;
      return {job.latency_p99_us >= 0 && breached(ms), ms};
    }
    case AlertMetric::kThroughput:
      return {now_ms - job.running_since_ms >= kRateWindowMs && breached(job.records_per_second),
              job.records_per_second};
    case AlertMetric::kLag:
      return {job.lag >= 0 && breached(static_cast<double>(job.lag)), static_cast<double>(job.lag)};
  }
  return {};
}

std::string Describe(const AlertRule& rule, const Alert& alert) {
  auto seconds = [](double ms) { return fmt::format("{:.1f} s", ms / 1000); };
  const char* limit = rule.below ? "at least" : "at most";
  switch (rule.metric) {
    case AlertMetric::kLatency:
      return fmt::format("{}: p99 latency {} ({} {} expected)", alert.job, seconds(alert.value), limit,
                         seconds(rule.threshold));
    case AlertMetric::kThroughput:
      return fmt::format("{}: {:.0f} events/s ({} {:.0f} expected)", alert.job, alert.value, limit, rule.threshold);
    case AlertMetric::kLag:
      return fmt::format("{}: {:.0f} records behind ({} {:.0f} expected)", alert.job, alert.value, limit,
                         rule.threshold);
  }
  return "";
}

}  // namespace

const char* AlertStateName(AlertState state) {
  switch (state) {
    case AlertState::kInactive: return "inactive";
    case AlertState::kPending: return "pending";
    case AlertState::kFiring: return "firing";
    case AlertState::kResolved: return "resolved";
  }
  return "";
}

std::string Alert::ToJson() const {
  http::JsonWriter json;
  json.BeginObject()
      .Field("rule", rule)
      .Field("job", job)
      .Field("metric", metric)
      .Field("state", AlertStateName(state));
  json.Field("message", message).Field("value", value).Field("threshold", threshold);
  json.Field("pending_since_ms", pending_since_ms)
      .Field("fired_ms", fired_ms)
      .Field("resolved_ms", resolved_ms)
      .EndObject();
  return json.Take();
}

AlertEngine::AlertEngine(std::vector<AlertRule> rules, Clock& clock, Notify notify)
    : rules_(std::move(rules)), clock_(clock), notify_(std::move(notify)) {}

void AlertEngine::Evaluate(const std::vector<JobSample>& jobs) {
  const int64_t now_ms = clock_.NowMs();
  std::vector<std::pair<Alert, size_t>> news;
  {
    std::lock_guard lock(mutex_);
    std::map<Key, Judgement> judged;
    for (size_t r = 0; r < rules_.size(); ++r)
      for (const JobSample& job : jobs)
        if (job.running && (rules_[r].job == "*" || rules_[r].job == job.job))
          judged[{r, job.job}] = Judge(rules_[r], job, now_ms);

    for (const auto& [key, judgement] : judged) {
      if (!judgement.breached) continue;
      const AlertRule& rule = rules_[key.rule];
      Alert& alert = active_[key];
      if (alert.state == AlertState::kInactive) {
        alert.rule = rule.name;
        alert.job = key.job;
        alert.metric = AlertMetricName(rule.metric);
        alert.threshold = rule.threshold;
        alert.state = AlertState::kPending;
        alert.pending_since_ms = now_ms;
      }
      alert.value = judgement.value;
      alert.message = Describe(rule, alert);
      if (alert.state == AlertState::kPending && now_ms - alert.pending_since_ms >= rule.for_ms) {
        alert.state = AlertState::kFiring;
        alert.fired_ms = now_ms;
        news.emplace_back(alert, key.rule);
      }
    }
    // A job that ended or is no longer in breach.
    for (auto it = active_.begin(); it != active_.end();) {
      auto found = judged.find(it->first);
      if (found != judged.end() && found->second.breached) {
        ++it;
        continue;
      }
      Alert& alert = it->second;
      if (alert.state == AlertState::kFiring) {
        alert.state = AlertState::kResolved;
        alert.resolved_ms = now_ms;
        if (found != judged.end()) {
          alert.value = found->second.value;
          alert.message = Describe(rules_[it->first.rule], alert);
        }
        resolved_.push_front(alert);
        if (resolved_.size() > kResolvedKept) resolved_.pop_back();
        news.emplace_back(alert, it->first.rule);
      }
      it = active_.erase(it);
    }
  }
  for (const auto& [alert, rule] : news) notify_(alert, rules_[rule]);
}

std::vector<Alert> AlertEngine::Alerts() const {
  std::lock_guard lock(mutex_);
  std::vector<Alert> out;
  for (const auto& [key, alert] : active_) out.push_back(alert);
  std::stable_sort(out.begin(), out.end(), [](const Alert& a, const Alert& b) { return a.state > b.state; });
  out.insert(out.end(), resolved_.begin(), resolved_.end());
  return out;
}

}  // namespace tailrace::observe
