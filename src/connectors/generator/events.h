#pragma once
// The events of a generator: loaded once, then written out again and again with their times, or broken.

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "connectors/generator/generator_spec.h"

namespace tailrace::connectors {

/// One event's JSON and what of it changes at each sending.
struct Event {
  std::string json;
  std::string key;
  uint32_t time_begin = 0, time_end = 0;  // where the time's value stands in `json`, quotes included; equal: nowhere
  int64_t time_ms = 0;                    // the value in the file
};

/// At most this many events are kept in memory (about 1 GB).
inline constexpr uint64_t kEventsMax = 4'000'000;

/// Relative paths start at `base_dir`.
Result<std::vector<Event>> LoadEvents(const GeneratorSpec& spec, const std::string& base_dir);

/// The event with `time_ms` in its time field, if it has one.
void WriteEvent(const Event& event, const GeneratorSpec& spec, int64_t time_ms, std::string* out);

/// Makes of a good JSON object one that is broken in the way asked for.
std::string BreakEvent(const std::string& json, BreakKind kind, Random& random);

}  // namespace tailrace::connectors
