#pragma once
// generators/*.yaml: a file replayed into a topic at a chosen rate, some events broken on purpose. docs/generators.md
// shows every key.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace::connectors {

enum class EventTimeMode {
  kKeep,     // as in the file
  kNow,      // the moment of sending
  kShifted,  // moved so that the file's first event happens at the start, gaps kept; each loop goes on behind the last
};

enum class TimeText { kIso8601, kSql, kEpochMs, kEpochSeconds };

enum class BreakKind { kTruncate, kWrongType, kMissingField, kInvalidUtf8, kNotJson };
const char* BreakKindName(BreakKind kind);

struct GeneratorSpec {
  std::string name;
  std::string topic;
  std::string path;    // of the source, as written
  std::string format;  // csv tsv json log
  std::string sql;     // over the table `source`; its rows become the events
  std::string key;     // field of the event that is the record's key; empty: no key
  EventTimeMode time_mode = EventTimeMode::kKeep;
  std::string time_field;
  TimeText time_text = TimeText::kIso8601;
  double rate = 100;  // events a second
  bool loop = false;
  uint64_t limit = 0;  // events in all; 0: no limit
  uint64_t seed = 1;
  double break_fraction = 0;
  std::vector<BreakKind> break_kinds;
  SourceLocation where;
};

/// `overrides`: rate, limit, loop, topic, seed, break.fraction, path — as a command line gives them. Errors have their
/// place in `file`.
Result<GeneratorSpec> ParseGenerator(const std::string& file, const std::string& yaml,
                                     const std::map<std::string, std::string>& overrides);

}  // namespace tailrace::connectors
