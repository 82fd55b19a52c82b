#include "observe/process_stats.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

namespace tailrace::observe {

ProcessStats ReadProcessStats() {
  ProcessStats out;
  std::ifstream stat("/proc/self/stat");
  std::string line;
  std::getline(stat, line);
  // The command, field 2, may hold blanks: the fields after it start behind the last ')'. proc(5) numbers them from 1.
  const size_t close = line.rfind(')');
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  if (close != std::string::npos && ticks > 0) {
    std::istringstream rest(line.substr(close + 1));
    std::string field;
    double start_ticks = 0;
    double cpu = 0;
    for (int n = 3; rest >> field; ++n) {
      if (n == 14 || n == 15) cpu += std::stod(field);
      if (n == 20) out.threads = std::stoll(field);
      if (n == 22) start_ticks = std::stod(field);
      if (n == 23) out.virtual_bytes = std::stoll(field);
      if (n == 24) out.resident_bytes = std::stoll(field) * sysconf(_SC_PAGESIZE);
    }
    out.cpu_seconds = cpu / ticks;
    std::ifstream system("/proc/stat");
    while (std::getline(system, line))
      if (line.starts_with("btime "))
        out.start_time_ms = static_cast<int64_t>((std::stod(line.substr(6)) + start_ticks / ticks) * 1000);
  }
  if (DIR* dir = opendir("/proc/self/fd")) {
    out.open_fds = -3;  // ".", ".." and the directory itself
    while (readdir(dir)) ++out.open_fds;
    closedir(dir);
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) out.max_fds = static_cast<int64_t>(limit.rlim_cur);
  return out;
}

DiskSpace ReadDiskSpace(const std::string& path) {
  struct statvfs fs {};
  if (statvfs(path.c_str(), &fs) != 0) return {};
  return {static_cast<int64_t>(fs.f_bavail) * static_cast<int64_t>(fs.f_frsize),
          static_cast<int64_t>(fs.f_blocks) * static_cast<int64_t>(fs.f_frsize)};
}

}  // namespace tailrace::observe
