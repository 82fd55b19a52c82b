#pragma once

#include <cstdint>

namespace tailrace::workflow {

/// When the process started, in clock ticks since boot (/proc/PID/stat, field 22); 0 where there is no such process or
/// it is a zombie. With the pid it names a process for good.
int64_t ProcessStartTicks(int64_t pid);

}  // namespace tailrace::workflow
