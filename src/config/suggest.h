#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tailrace::config {

/// The candidate a typing error away from `name`, or empty. For "did you mean …".
std::string Nearest(std::string_view name, const std::vector<std::string>& candidates);
/// "did you mean 'x'?", else "use one of a, b, c" (as many as fit a line).
std::string SuggestRemedy(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace tailrace::config
