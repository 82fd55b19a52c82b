#include "workflow/executor/process_table.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace tailrace::workflow {

int64_t ProcessStartTicks(int64_t pid) {
  if (pid <= 0) return 0;
  int fd = open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[1024];
  ssize_t n = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = '\0';
  char* at = strrchr(text, ')');  // the command's name may hold anything
  if (at == nullptr || at[1] != ' ' || at[2] == 'Z') return 0;
  at += 2;  // field 3
  for (int field = 3; field < 22; ++field) {
    at = strchr(at, ' ');
    if (at == nullptr) return 0;
    ++at;
  }
  return strtoll(at, nullptr, 10);
}

}  // namespace tailrace::workflow
