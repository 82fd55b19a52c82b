#pragma once
// Shared by the tests of this module.

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

namespace tailrace::workflow::testing {

/// The tree this was built from. `file` is __FILE__, which may be relative to the build directory, where the program
/// lies.
inline std::string SourceRoot(const std::string& file) {
  std::string root = file.substr(0, file.rfind("/src/workflow/"));
  if (root.empty() || root[0] == '/') return root;
  char program[4096];
  ssize_t n = readlink("/proc/self/exe", program, sizeof(program));
  std::string directory(program, n > 0 ? static_cast<size_t>(n) : 0);
  return directory.substr(0, directory.rfind('/')) + "/" + root;
}

/// A folder that goes with this object.
class TempFolder {
 public:
  TempFolder() {
    const char* base = getenv("TMPDIR");
    path_ = std::string(base && *base ? base : "/tmp") + "/workflow-test-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) abort();
  }
  ~TempFolder() {
    nftw(
        path_.c_str(), [](const char* p, const struct stat*, int, struct FTW*) { return remove(p); }, 16,
        FTW_DEPTH | FTW_PHYS);
  }
  const std::string& path() const { return path_; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::string file = path_ + "/" + name;
    for (size_t slash = file.find('/', path_.size() + 1); slash != std::string::npos; slash = file.find('/', slash + 1))
      mkdir(file.substr(0, slash).c_str(), 0755);
    std::ofstream(file) << text;
    return file;
  }
  std::string Read(const std::string& name) const {
    std::ifstream in(path_ + "/" + name);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }

 private:
  std::string path_;
};

}  // namespace tailrace::workflow::testing

#define ASSERT_OK(expression)                                \
  do {                                                       \
    const auto& status_ = (expression);                      \
    ASSERT_TRUE(status_.ok()) << status_.error().ToString(); \
  } while (false)
