#include "workflow/operators/alert_sink.h"

#include <fmt/format.h>

#include <mutex>
#include <set>

#include "base/clock.h"
#include "base/logging.h"
#include "log/client.h"
#include "workflow/metadata/store.h"

namespace tailrace::workflow {
namespace {

class StoredAlerts final : public AlertSink {
 public:
  StoredAlerts(MetadataStore& store, log::Client* log, std::string topic, Clock& clock)
      : store_(store), log_(log), topic_(std::move(topic)), clock_(clock) {}

  void Send(const Alert& alert) override {
    if (!alert.once.empty()) {
      std::lock_guard lock(mutex_);
      constexpr size_t kKeysMax = 10'000;
      if (sent_.size() >= kKeysMax) sent_.clear();
      if (!sent_.insert(alert.once).second) return;
    }
    const int64_t now = clock_.NowMs();
    LogWarning("alert", fmt::format("{} {}: {}", alert.severity, alert.source, alert.message));
    Status kept = store_.AddAlert({now, alert.severity, alert.source, alert.message, ToJson(alert.detail)});
    if (!kept.ok()) LogError("alert", kept.error().ToString());
    if (log_ == nullptr || topic_.empty()) return;
    Map record;
    record.Set("type", "alert");
    record.Set("timestamp", FormatIso8601Ms(now));
    record.Set("severity", alert.severity);
    record.Set("source", alert.source);
    record.Set("message", alert.message);
    record.Set("detail", alert.detail);
    Status sent = Write(ToJson(Value(std::move(record))), now);
    if (!sent.ok()) LogWarning("alert", fmt::format("not sent to topic {}: {}", topic_, sent.error().ToString()));
  }

 private:
  Status Write(const std::string& json, int64_t now_ms) {
    std::lock_guard lock(mutex_);
    auto writer = TRY(log_->OpenWriter());
    log::RecordToWrite record{BytesView(), json, now_ms, {}};
    TRY(writer->Append(topic_, -1, std::span(&record, 1)));
    return writer->Flush();
  }

  MetadataStore& store_;
  log::Client* log_;
  std::string topic_;
  Clock& clock_;
  std::mutex mutex_;
  std::set<std::string> sent_;  // keys of alerts that are sent once
};

}  // namespace

std::unique_ptr<AlertSink> MakeAlertSink(MetadataStore& store, log::Client* log, std::string topic, Clock& clock) {
  return std::make_unique<StoredAlerts>(store, log, std::move(topic), clock);
}

}  // namespace tailrace::workflow
