#pragma once

#include <cstdint>
#include <string>

namespace tailrace::observe {

/// This process as /proc shows it; -1 where it does not.
struct ProcessStats {
  double cpu_seconds = -1;
  int64_t resident_bytes = -1, virtual_bytes = -1;
  int64_t threads = -1, open_fds = -1, max_fds = -1;
  int64_t start_time_ms = -1;
};
ProcessStats ReadProcessStats();

struct DiskSpace {
  int64_t free_bytes = -1, total_bytes = -1;
};
/// Of the file system that holds `path`.
DiskSpace ReadDiskSpace(const std::string& path);

}  // namespace tailrace::observe
