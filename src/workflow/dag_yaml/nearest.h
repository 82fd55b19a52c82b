#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tailrace::workflow {

/// The name most like `name` (edit distance at most a third of its length, at least 2), or empty.
std::string Nearest(std::string_view name, const std::vector<std::string_view>& names);

}  // namespace tailrace::workflow
