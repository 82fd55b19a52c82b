#pragma once
// Generators of this process: start, stop, look at. One thread paces them all.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace {
class Clock;
}
namespace tailrace::log {
class Client;
}

namespace tailrace::connectors {

enum class GeneratorState { kRunning, kFinished, kStopped, kFailed };
const char* GeneratorStateName(GeneratorState state);  // "running" ...

struct GeneratorInfo {
  std::string name, topic, file;
  GeneratorState state = GeneratorState::kRunning;
  std::string error;
  double rate = 0;                // events a second asked for
  double rate_now = 0;            // sent, over the last second
  uint64_t sent = 0, broken = 0;  // broken ones are among those sent
  uint64_t loops = 0;             // times through the source
  int64_t started_ms = 0, ended_ms = 0;
};

/// Thread-safe.
class GeneratorManager {
 public:
  static std::unique_ptr<GeneratorManager> Create(log::Client& client, Clock& clock);
  /// Stops all.
  virtual ~GeneratorManager() = default;
  /// Loads the source (which may take a while for a large file) and starts. `yaml` is a file's text and `file` its name
  /// for errors; relative paths in it start at `base_dir`. Overrides: rate, limit, loop, topic, seed, break.fraction,
  /// path. Returns the name. kAlreadyExists: it runs.
  virtual Result<std::string> Start(const std::string& file, const std::string& yaml, const std::string& base_dir,
                                    const std::map<std::string, std::string>& overrides) = 0;
  /// As Start, with the text of the file.
  virtual Result<std::string> StartFile(const std::string& path, const std::string& base_dir,
                                        const std::map<std::string, std::string>& overrides) = 0;
  virtual Status Stop(const std::string& name) = 0;
  virtual std::vector<GeneratorInfo> List() = 0;
  virtual Result<GeneratorInfo> Describe(const std::string& name) = 0;
};

}  // namespace tailrace::connectors
