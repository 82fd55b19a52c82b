#pragma once
// Where tests find tests/corpora: they run in the root or in a build directory beneath it.

#include <unistd.h>

#include <string>

namespace tailrace {

inline std::string TestCorpus(const std::string& name) {
  return (::access("tests/corpora", F_OK) == 0 ? "tests/corpora/" : "../tests/corpora/") + name + "/";
}

}  // namespace tailrace
