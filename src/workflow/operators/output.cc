#include "workflow/operators/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include <string_view>

namespace tailrace::workflow {
namespace {

bool OfScheduler(std::string_view line) {
  // "[2024-01-15T10:30:00.123456+0000] INFO - "
  return line.size() > 35 && line[0] == '[' && line[5] == '-' && line[11] == 'T' && line[32] == ']' &&
         line.find(" - ") != std::string_view::npos;
}

}  // namespace

std::string LastOutputLine(const std::string& log_path) {
  constexpr off_t kTail = 65'536;
  int fd = open(log_path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  off_t size = lseek(fd, 0, SEEK_END);
  off_t from = size > kTail ? size - kTail : 0;
  std::string tail(static_cast<size_t>(size - from), '\0');
  ssize_t n = pread(fd, tail.data(), tail.size(), from);
  close(fd);
  if (n <= 0) return "";
  tail.resize(static_cast<size_t>(n));
  std::string_view rest = tail;
  while (!rest.empty()) {
    if (rest.back() == '\n') rest.remove_suffix(1);
    size_t start = rest.rfind('\n');
    std::string_view line = start == std::string_view::npos ? rest : rest.substr(start + 1);
    if (!OfScheduler(line)) return std::string(line);
    if (line.find("Command exited") == std::string_view::npos) return "";  // what was written before it began
    if (start == std::string_view::npos) break;
    rest = rest.substr(0, start + 1);
  }
  return "";
}

Result<std::string> ReadTaskLog(const std::string& log_path) {
  constexpr off_t kMost = 4 << 20;
  int fd = open(log_path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? NotFound("no log yet") : IoError("open " + log_path, errno);
  off_t size = lseek(fd, 0, SEEK_END), from = size > kMost ? size - kMost : 0;
  std::string text(static_cast<size_t>(size - from), '\0');
  ssize_t n = pread(fd, text.data(), text.size(), from);
  close(fd);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  if (from == 0) return text;
  size_t line = text.find('\n');
  if (line != std::string::npos) text.erase(0, line + 1);
  return fmt::format("... the first {} bytes are left out; the whole is in {}\n",
                     size - static_cast<off_t>(text.size()), log_path) +
         text;
}

}  // namespace tailrace::workflow
