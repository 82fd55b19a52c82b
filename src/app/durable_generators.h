#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "connectors/generator/generator_manager.h"

namespace tailrace::app {

/// A GeneratorManager whose endless generators (`loop`, no `limit`) survive the process: each is kept as
/// `directory`/NAME.json (docs/formats/generators.md) from its start until it is stopped or fails. A replay with an end
/// is not kept: nobody knows how far it came, and starting over would send events twice.
class DurableGenerators : public connectors::GeneratorManager {
 public:
  static Result<std::unique_ptr<DurableGenerators>> Open(std::string directory, log::Client& client, Clock& clock);
  /// Starts what ran when the process last ended. One that cannot start any more is reported in the log.
  virtual void Resume() = 0;
  /// Stops all and keeps their records: the next start goes on with them.
  virtual void Shutdown() = 0;
};

}  // namespace tailrace::app
