#pragma once

#include "workflow/operators/operator.h"
#include "workflow/scheduler/engine.h"

namespace tailrace::workflow {

/// Runs every step of the callback that `request` names, in order. A step that fails is logged and does not stop the
/// next. Blocks; called on a thread of its own pool. False: `stop` came first; all of it has to run again.
bool RunCallbacks(TaskEnvironment& environment, const CallbackRequest& request, CancelToken& stop);

}  // namespace tailrace::workflow
