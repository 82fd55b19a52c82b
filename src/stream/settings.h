#pragma once
// SET 'name' = 'value' of a streaming SQL file. The table in settings.cc is the one list of what there is.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "sql/catalog.h"

namespace tailrace::stream {

struct JobSettings {
  std::string pipeline_name;  // empty: the file's stem
  int64_t checkpoint_interval_ms = 200;
  bool exactly_once = true;
  int64_t source_idle_timeout_ms = 0;
  int64_t watermark_max_drift_ms = 0;
  int64_t allowed_lateness_ms = 0;
  std::string late_topic;
  std::string errors_topic;
  uint32_t key_groups = 128;
  int64_t state_bytes_max = int64_t{4} << 30;
};

struct SettingHelp {
  const char* name;
  const char* otherwise;  // default
  const char* help;
};

/// Unknown setting (with the nearest known name) or a wrong value: an error with its place.
Result<JobSettings> ReadSettings(const sql::Script& script);
const std::vector<SettingHelp>& AllSettings();

}  // namespace tailrace::stream
