#pragma once

#include <span>
#include <string_view>

namespace tailrace::api {

/// Files of src/api that the program carries with it; embed.py makes the array at build time.
struct EmbeddedFile {
  std::string_view name;  // "page/index.html"
  std::string_view content;
};
extern const std::span<const EmbeddedFile> kEmbeddedFiles;

}  // namespace tailrace::api
