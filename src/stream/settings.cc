#include "stream/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "stream/state/key_group.h"

namespace tailrace::stream {
namespace {

using sql::Option;
using Setter = Status (*)(const Option&, JobSettings&);

struct Setting {
  SettingHelp help;
  Setter set;  // null: accepted so that Flink's files run unchanged, without effect here
};

Error Wrong(const Option& option, const char* expected) {
  return InvalidArgument(fmt::format("'{}' is not {}", option.value, expected)).At(option.where);
}

template <int64_t JobSettings::*kField>
Status Duration(const Option& option, JobSettings& out) {
  int64_t ms = 0;
  if (!ParseDurationMs(option.value, &ms))
    return Wrong(option, "a duration: a number with a unit, e.g. '200 ms', '5 s', '10 min'");
  out.*kField = ms;
  return {};
}

template <std::string JobSettings::*kField>
Status Text(const Option& option, JobSettings& out) {
  out.*kField = option.value;
  return {};
}

/// Kafka's brokers abort a transaction that is open for 15 minutes.
constexpr int64_t kCheckpointIntervalMaxMs = 600'000;

Status Interval(const Option& option, JobSettings& out) {
  TRY(Duration<&JobSettings::checkpoint_interval_ms>(option, out));
  if (out.checkpoint_interval_ms < 1) return Wrong(option, "a checkpoint interval of at least 1 ms");
  out.checkpoint_interval_ms = std::min(out.checkpoint_interval_ms, kCheckpointIntervalMaxMs);
  return {};
}

Status Mode(const Option& option, JobSettings& out) {
  if (option.value == "EXACTLY_ONCE") out.exactly_once = true;
  else if (option.value == "AT_LEAST_ONCE") out.exactly_once = false;
  else return Wrong(option, "EXACTLY_ONCE or AT_LEAST_ONCE");
  return {};
}

Status KeyGroups(const Option& option, JobSettings& out) {
  const std::string& v = option.value;
  auto [end, error] = std::from_chars(v.data(), v.data() + v.size(), out.key_groups);
  if (error != std::errc() || end != v.data() + v.size() || out.key_groups < 1 || out.key_groups > kKeyGroupsMax) {
    return Wrong(option, "a number from 1 to 32768");
  }
  return {};
}

/// "512 MB", "4 gb", "1073741824": powers of 1024, as Flink's memory sizes.
Status StateSize(const Option& option, JobSettings& out) {
  constexpr const char* kExpected = "a size from 1 MB to 1 TB, e.g. '512 MB' or '4 GB'";
  const std::string& v = option.value;
  int64_t number = 0;
  auto [end, error] = std::from_chars(v.data(), v.data() + v.size(), number);
  if (error != std::errc() || number < 0 || number > int64_t{1} << 40) return Wrong(option, kExpected);
  std::string unit(end, v.data() + v.size());
  std::erase(unit, ' ');
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::tolower(c); });
  int shift;
  if (unit.empty() || unit == "b" || unit == "bytes") shift = 0;
  else if (unit == "k" || unit == "kb") shift = 10;
  else if (unit == "m" || unit == "mb") shift = 20;
  else if (unit == "g" || unit == "gb") shift = 30;
  else return Wrong(option, kExpected);
  if (number > (int64_t{1} << 40) >> shift || number << shift < 1 << 20) return Wrong(option, kExpected);
  out.state_bytes_max = number << shift;
  return {};
}

Status RuntimeMode(const Option& option, JobSettings&) {
  std::string v = option.value;
  std::transform(v.begin(), v.end(), v.begin(), [](unsigned char c) { return std::tolower(c); });
  if (v == "streaming" || v == "automatic") return {};
  return Wrong(option, "'streaming': a job over bounded sources ends by itself; for batch queries use `tailrace sql`");
}

const std::vector<Setting>& Table() {
  static const std::vector<Setting> table = {
      {{"pipeline.name", "the file's name", "name of the job, its consumer group and its checkpoints"},
       Text<&JobSettings::pipeline_name>},
      {{"execution.checkpointing.interval", "200 ms",
        "time between checkpoints while data flows; results of exactly-once jobs become visible with each; "
        "10 min at most"},
       Interval},
      {{"execution.checkpointing.mode", "EXACTLY_ONCE", "or AT_LEAST_ONCE: results at once, some twice after a crash"},
       Mode},
      {{"table.exec.source.idle-timeout", "0 (off)",
        "a partition silent for so long no longer holds the watermark back; a table's scan.watermark.idle-timeout "
        "wins"},
       Duration<&JobSettings::source_idle_timeout_ms>},
      {{"scan.watermark.max-drift", "0 (off)", "rows further ahead of the clock than this do not move the watermark"},
       Duration<&JobSettings::watermark_max_drift_ms>},
      {{"window.allowed-lateness", "0", "windows stay open that much longer than the watermark says"},
       Duration<&JobSettings::allowed_lateness_ms>},
      {{"late.topic", "none", "topic for rows that came after their window was closed; they are counted in any case"},
       Text<&JobSettings::late_topic>},
      {{"errors.topic", "error_events", "topic for records that do not decode or break a constraint"},
       Text<&JobSettings::errors_topic>},
      {{"pipeline.max-parallelism", "128", "key groups that keyed state is cut into"}, KeyGroups},
      {{"state.max-size", "4 GB", "a job whose state grows beyond this fails, and the process lives"}, StateSize},
      {{"execution.runtime-mode", "streaming", "streaming is the only mode"}, RuntimeMode},
      {{"parallelism.default", "1", "accepted without effect: one pipeline a job"}, nullptr},
      {{"table.local-time-zone", "UTC", "accepted without effect: times are UTC"}, nullptr},
      {{"table.exec.mini-batch.enabled", "-", "accepted without effect: work is always done in batches"}, nullptr},
      {{"table.exec.mini-batch.allow-latency", "-", "accepted without effect"}, nullptr},
      {{"table.exec.mini-batch.size", "-", "accepted without effect"}, nullptr},
      {{"table.optimizer.agg-phase-strategy", "-", "accepted without effect"}, nullptr},
      {{"state.backend.type", "-", "accepted without effect: state is in memory, snapshots in checkpoint files"},
       nullptr},
      {{"sql-client.execution.result-mode", "-", "accepted without effect"}, nullptr},
  };
  return table;
}

size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); j++) row[j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      size_t best = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[b.size()];
}

}  // namespace

Result<JobSettings> ReadSettings(const sql::Script& script) {
  JobSettings out;
  for (const auto& [name, option] : script.settings) {
    auto it = std::find_if(Table().begin(), Table().end(), [&](const Setting& s) { return name == s.help.name; });
    if (it == Table().end()) {
      auto nearest = std::min_element(Table().begin(), Table().end(), [&](const Setting& a, const Setting& b) {
        return Distance(name.substr(0, 100), a.help.name) < Distance(name.substr(0, 100), b.help.name);
      });
      return InvalidArgument(fmt::format("unknown setting '{}'", name))
          .At(option.where)
          .Remedy(fmt::format("did you mean '{}'? docs/stream-settings.md lists them", nearest->help.name));
    }
    if (!it->set) continue;
    if (Status set = it->set(option, out); !set.ok()) return std::move(set).error().Context("setting '" + name + "'");
  }
  return out;
}

const std::vector<SettingHelp>& AllSettings() {
  static const std::vector<SettingHelp> all = [] {
    std::vector<SettingHelp> list;
    for (const Setting& setting : Table()) list.push_back(setting.help);
    return list;
  }();
  return all;
}

}  // namespace tailrace::stream
