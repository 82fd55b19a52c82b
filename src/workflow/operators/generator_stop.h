#pragma once

#include "workflow/operators/operator.h"

namespace tailrace::workflow {

/// Stops generators and logs what they sent; one that does not run is fine. Returns {name: events sent}.
Result<Map> StopGenerators(TaskContext& context, const List& names);

}  // namespace tailrace::workflow
