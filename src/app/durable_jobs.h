#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "stream/job_manager.h"

namespace tailrace {
class Clock;
}

namespace tailrace::app {

/// A JobManager whose running jobs survive the process: each is kept as `directory`/NAME.json (docs/formats/jobs.md)
/// from the moment Start returns until it is stopped, finishes or fails for good. A shutdown keeps them.
class DurableJobs : public stream::JobManager {
 public:
  static Result<std::unique_ptr<DurableJobs>> Open(std::string directory, stream::JobManagerOptions options,
                                                   stream::ConnectorFactory& connectors, Clock& clock);
  /// Starts what ran when the process last ended, each from its last checkpoint. A job that cannot start any more is
  /// reported in the log and kept for the next time.
  virtual void Resume() = 0;
};

}  // namespace tailrace::app
