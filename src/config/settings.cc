#include "config/settings.h"

#include <charconv>

#include "base/check.h"
#include "base/clock.h"
#include "config/suggest.h"

namespace tailrace::config {
namespace {

constexpr int64_t kKiB = 1024, kMiB = kKiB * 1024, kGiB = kMiB * 1024;
constexpr int64_t kDay = 86'400'000, kYear = 366 * kDay;
using T = SettingType;

constexpr Setting kSettings[] = {
    {"data.dir", T::kString, "", 0, 0, "", "where everything is kept; default: .tailrace in the project's directory"},
    {"bind.address", T::kString, "127.0.0.1", 0, 0, "",
     "address to listen on; there is no login yet, so leave it on loopback unless the network is trusted"},
    {"port.kafka", T::kPort, "9092", 0, 65535, "", "Kafka protocol; 0 = any free port"},
    {"port.http", T::kPort, "8080", 0, 65535, "", "status page, REST, /metrics, /health; 0 = any free port"},
    {"port.registry", T::kPort, "8081", 0, 65535, "",
     "schema registry, which this version does not have: accepted so that scripts stay the same"},
    {"log.level", T::kChoice, "info", 0, 0, "debug|info|warning|error", "least level of log lines on stderr"},
    {"log.json", T::kBool, "false", 0, 1, "", "log lines as JSON objects"},

    {"broker.advertised.host", T::kString, "", 0, 0, "",
     "host name told to Kafka clients; default: the bind address, 127.0.0.1 for 0.0.0.0"},
    {"broker.auto.create.topics", T::kBool, "true", 0, 1, "", "create a topic when a client first asks for it"},
    {"broker.default.partitions", T::kInt, "1", 1, 10'000, "", "partitions of topics made without a number"},
    {"broker.segment.bytes", T::kBytes, "1GiB", 64 * kKiB, 2 * kGiB - 1, "", "a log segment is closed at this size"},
    {"broker.segment.age", T::kDuration, "7d", 1000, 10 * kYear, "", "a log segment is closed at this age"},
    {"broker.retention", T::kDuration, "7d", -1, 100 * kYear, "", "records older than this are deleted; -1 = never"},
    {"broker.retention.bytes", T::kBytes, "-1", -1, INT64_MAX, "",
     "a partition larger than this loses its oldest segments; -1 = no limit"},
    {"broker.retention.check.interval", T::kDuration, "5m", 100, kDay, "", "how often retention looks"},
    {"broker.max.message.bytes", T::kBytes, "1048588", 1024, kGiB, "", "largest record batch a topic takes"},
    {"broker.max.request.bytes", T::kBytes, "100MiB", 64 * kKiB, kGiB, "", "largest request"},
    {"broker.max.decompressed.bytes", T::kBytes, "32MiB", kMiB, 4 * kGiB, "",
     "a batch that inflates to more is refused"},
    {"broker.max.connections", T::kInt, "4096", 1, 1'000'000, "", "Kafka connections at once"},
    {"broker.max.queued.bytes", T::kBytes, "256MiB", kMiB, 64 * kGiB, "",
     "requests not yet answered, all connections together"},
    {"broker.flush.before.ack", T::kBool, "true", 0, 1, "",
     "acknowledged means on disk (group fsync); false: in the page cache, as Kafka's default"},
    {"broker.group.min.session.timeout", T::kDuration, "1s", 100, kDay, "", "least session timeout of a consumer"},
    {"broker.group.max.session.timeout", T::kDuration, "30m", 1000, kDay, "", "largest session timeout of a consumer"},
    {"broker.group.initial.rebalance.delay", T::kDuration, "0", 0, 300'000, "",
     "a new group waits this long for more members"},
    {"broker.offsets.retention", T::kDuration, "7d", 60'000, 100 * kYear, "",
     "offsets of an empty group are kept this long"},
    {"broker.io.threads", T::kInt, "1", 1, 64, "", "network threads of the broker"},

    {"stream.max.jobs", T::kInt, "64", 1, 10'000, "", "streaming jobs at once"},
    {"stream.max.restarts", T::kInt, "10", 0, 1'000'000, "", "restarts of a job whose source or sink is away"},

    {"workflow.parallelism", T::kInt, "32", 1, 10'000, "", "tasks running at once, all DAGs together"},
    {"workflow.max.active.tasks", T::kInt, "16", 1, 10'000, "", "tasks running at once in one DAG"},
    {"workflow.max.active.runs", T::kInt, "16", 1, 10'000, "", "runs of one DAG at once"},
    {"workflow.runs.kept", T::kInt, "5000", 0, 10'000'000, "",
     "finished runs kept of each DAG, with their logs; 0 = no limit"},
    {"workflow.retention", T::kDuration, "30d", -1, 100 * kYear, "",
     "finished runs, their logs and DAG alerts older than this are deleted; -1 = never"},

    {"http.handler.threads", T::kInt, "8", 1, 256, "", "threads that answer HTTP requests"},
    {"http.max.body.bytes", T::kBytes, "8MiB", kKiB, kGiB, "", "largest HTTP request body"},
    {"sql.max.rows", T::kInt, "10000", 1, 10'000'000, "", "rows a SQL query over HTTP returns at most"},
    {"sql.timeout", T::kDuration, "30s", 100, kDay, "", "a SQL query over HTTP is stopped after this"},
};

std::string Translate(std::string_view name, char separator, bool upper) {
  std::string out;
  for (char c : name) out += c == '.' ? separator : upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return out;
}

std::vector<std::string> Names() {
  std::vector<std::string> out;
  for (const Setting& s : kSettings) out.emplace_back(s.name);
  return out;
}

bool ParseInt(std::string_view text, int64_t* out) {
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return failed == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string Expected(const Setting& s) {
  switch (s.type) {
    case T::kBool: return "use true or false";
    case T::kInt: return "use a whole number from " + std::to_string(s.least) + " to " + std::to_string(s.most);
    case T::kPort: return "use a port from 1 to 65535, or 0 for any free one";
    case T::kBytes: return std::string("use a size such as 64MB") + (s.least == -1 ? ", or -1 for no limit" : "");
    case T::kDuration:
      return std::string("use a duration such as 500ms, 30s, 5m, 7d") + (s.least == -1 ? ", or -1 for no limit" : "");
    case T::kChoice: return std::string("use one of ") + s.choices;
    case T::kString: return "";
  }
  return "";
}

/// The value as a number in the unit kept; false where the text does not fit the type or the range.
bool Parse(const Setting& s, const std::string& text, int64_t* number) {
  *number = 0;
  switch (s.type) {
    case T::kString: return text.size() < 4096;
    case T::kChoice: {
      std::string_view all = s.choices;
      while (true) {
        const size_t bar = all.find('|');
        if (all.substr(0, bar) == text) return true;
        if (bar == std::string_view::npos) return false;
        all.remove_prefix(bar + 1);
      }
    }
    case T::kBool:
      if (text == "true" || text == "yes" || text == "on" || text == "1") return *number = 1, true;
      return text == "false" || text == "no" || text == "off" || text == "0";
    case T::kInt:
    case T::kPort:
      if (!ParseInt(text, number)) return false;
      break;
    case T::kBytes:
      if (text == "-1") *number = -1;
      else if (!ParseBytes(text, number)) return false;
      break;
    case T::kDuration:
      if (text == "-1") *number = -1;
      else if (!ParseDurationMs(text, number)) return false;
      break;
  }
  return *number >= s.least && *number <= s.most;
}

}  // namespace

std::span<const Setting> AllSettings() { return kSettings; }

const Setting* FindSetting(std::string_view name) {
  for (const Setting& s : kSettings)
    if (name == s.name) return &s;
  return nullptr;
}

std::string FlagName(const Setting& setting) { return "--" + Translate(setting.name, '-', false); }
std::string EnvironmentName(const Setting& setting) { return "TAILRACE_" + Translate(setting.name, '_', true); }

const char* SettingTypeName(SettingType type) {
  switch (type) {
    case T::kBool: return "BOOL";
    case T::kInt: return "N";
    case T::kPort: return "PORT";
    case T::kBytes: return "SIZE";
    case T::kDuration: return "DURATION";
    case T::kString: return "TEXT";
    case T::kChoice: return "CHOICE";
  }
  return "";
}

const char* SettingOriginName(SettingOrigin origin) {
  switch (origin) {
    case SettingOrigin::kDefault: return "default";
    case SettingOrigin::kFile: return "file";
    case SettingOrigin::kEnvironment: return "environment";
    case SettingOrigin::kFlag: return "flag";
  }
  return "";
}

bool ParseBytes(std::string_view text, int64_t* bytes) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  if (!ParseInt(text.substr(0, digits), bytes)) return false;
  std::string unit;
  for (char c : text.substr(digits))
    if (c != ' ') unit += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  int64_t factor = 0;
  if (unit.empty() || unit == "B") factor = 1;
  else if (unit == "K" || unit == "KB" || unit == "KIB") factor = kKiB;
  else if (unit == "M" || unit == "MB" || unit == "MIB") factor = kMiB;
  else if (unit == "G" || unit == "GB" || unit == "GIB") factor = kGiB;
  else if (unit == "T" || unit == "TB" || unit == "TIB") factor = kGiB * 1024;
  return factor != 0 && !__builtin_mul_overflow(*bytes, factor, bytes);
}

Settings::Settings() {
  for (const Setting& s : kSettings) {
    Value value{s.otherwise, 0, SettingOrigin::kDefault};
    CHECK(Parse(s, value.text, &value.number));
    values_.emplace(s.name, std::move(value));
  }
}

Status Settings::Set(std::string_view name, const std::string& text, SettingOrigin origin) {
  const Setting* setting = FindSetting(name);
  if (!setting)
    return InvalidArgument("there is no setting '" + std::string(name) + "'").Remedy(SuggestRemedy(name, Names()));
  Value value{text, 0, origin};
  if (!Parse(*setting, text, &value.number)) {
    std::string message = "'" + text + "' is not possible for the setting " + setting->name;
    if (setting->type == T::kBytes || setting->type == T::kDuration) {
      int64_t number = 0;
      const bool readable = setting->type == T::kBytes ? ParseBytes(text, &number) : ParseDurationMs(text, &number);
      if (readable) message += number < setting->least ? ": too small" : ": too large";
    }
    return InvalidArgument(message).Remedy(Expected(*setting));
  }
  Value& current = values_.find(name)->second;
  if (origin >= current.origin) current = std::move(value);
  return Ok();
}

Status Settings::SetFromEnvironment(const std::map<std::string, std::string>& environment) {
  for (const Setting& s : kSettings) {
    auto found = environment.find(EnvironmentName(s));
    if (found == environment.end() || found->second.empty()) continue;
    if (auto status = Set(s.name, found->second, SettingOrigin::kEnvironment); !status.ok())
      return std::move(status).error().Context("environment variable " + found->first);
  }
  return Ok();
}

const Settings::Value& Settings::Find(std::string_view name) const {
  auto found = values_.find(name);
  CHECK(found != values_.end());
  return found->second;
}
int64_t Settings::Number(std::string_view name) const { return Find(name).number; }
const std::string& Settings::String(std::string_view name) const { return Find(name).text; }
SettingOrigin Settings::Origin(std::string_view name) const { return Find(name).origin; }

}  // namespace tailrace::config
