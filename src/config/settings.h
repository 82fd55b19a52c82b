#pragma once
// Every setting of the program, in one table (settings.cc). From it come the command line's flags, the keys under
// `settings:` in tailrace.yaml and the environment's TAILRACE_* names: broker.retention is --broker-retention and
// TAILRACE_BROKER_RETENTION. A flag wins over the environment, that over the file, that over the default.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace::config {

enum class SettingType {
  kBool,  // true, false
  kInt,
  kPort,      // 0 to 65535; 0 = any free one
  kBytes,     // "64MB", "1GiB" (both 1024-based), bare bytes; -1 where the range allows: no limit
  kDuration,  // "30s", "5m", "7d"; kept in milliseconds; -1 where the range allows: no limit
  kString,
  kChoice,  // one of `choices`
};

struct Setting {
  const char* name;  // "broker.retention"
  SettingType type;
  const char* otherwise;  // the default, as text
  int64_t least, most;    // of numbers, in the unit kept
  const char* choices;    // kChoice: "debug|info"; else ""
  const char* doc;        // one line; units and what 0 or -1 mean
};

std::span<const Setting> AllSettings();
const Setting* FindSetting(std::string_view name);
std::string FlagName(const Setting& setting);         // "--broker-retention"
std::string EnvironmentName(const Setting& setting);  // "TAILRACE_BROKER_RETENTION"
const char* SettingTypeName(SettingType type);

enum class SettingOrigin { kDefault, kFile, kEnvironment, kFlag };
const char* SettingOriginName(SettingOrigin origin);

/// The values in force. Copyable; not changed after start.
class Settings {
 public:
  /// All defaults.
  Settings();
  /// Checks the text against type and range. A value of a weaker origin than the one in force is checked, then ignored.
  Status Set(std::string_view name, const std::string& text, SettingOrigin origin);
  /// Every TAILRACE_* variable that names a setting; others are left alone (TAILRACE_URL and its like).
  Status SetFromEnvironment(const std::map<std::string, std::string>& environment);

  // REQUIRES: the table has the name, with that type.
  bool Bool(std::string_view name) const { return Number(name) != 0; }
  int64_t Int(std::string_view name) const { return Number(name); }
  int64_t Bytes(std::string_view name) const { return Number(name); }
  int64_t DurationMs(std::string_view name) const { return Number(name); }
  uint16_t Port(std::string_view name) const { return static_cast<uint16_t>(Number(name)); }
  const std::string& String(std::string_view name) const;
  SettingOrigin Origin(std::string_view name) const;

 private:
  struct Value {
    std::string text;
    int64_t number = 0;
    SettingOrigin origin = SettingOrigin::kDefault;
  };
  int64_t Number(std::string_view name) const;
  const Value& Find(std::string_view name) const;
  std::map<std::string, Value, std::less<>> values_;
};

/// "64MB" and the like to bytes. False where the text is no size.
bool ParseBytes(std::string_view text, int64_t* bytes);

}  // namespace tailrace::config
