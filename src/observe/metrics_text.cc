#include "observe/metrics_text.h"

#include <fmt/format.h>

#include <cmath>

namespace tailrace::observe {

void MetricsText::Family(std::string_view name, std::string_view type, std::string_view help) {
  family_ = name;
  out_.append("# HELP ")
      .append(name)
      .append(" ")
      .append(help)
      .append("\n# TYPE ")
      .append(name)
      .append(" ")
      .append(type)
      .append("\n");
}

void MetricsText::Sample(std::string_view suffix, double value, Labels labels) {
  out_.append(family_).append(suffix);
  if (labels.size() != 0) {
    char separator = '{';
    for (const auto& [name, text] : labels) {
      out_ += separator;
      separator = ',';
      out_.append(name).append("=\"");
      for (char c : text) {
        if (c == '\\' || c == '"') out_ += '\\';
        if (c == '\n') out_ += "\\n";
        else out_ += c;
      }
      out_ += '"';
    }
    out_ += '}';
  }
  out_ += ' ';
  if (std::isnan(value)) out_ += "NaN";
  else if (std::isinf(value)) out_ += value > 0 ? "+Inf" : "-Inf";
  else if (value == std::floor(value) && std::fabs(value) < 1e15)
    out_ += fmt::format("{}", static_cast<int64_t>(value));
  else out_ += fmt::format("{}", value);
  out_ += '\n';
}

double QuantileOfPowers(const std::vector<uint64_t>& buckets, double quantile) {
  uint64_t total = 0;
  for (uint64_t n : buckets) total += n;
  if (total == 0) return 0;
  const double wanted = quantile * static_cast<double>(total);
  double seen = 0;
  for (size_t k = 0; k < buckets.size(); ++k) {
    const double n = static_cast<double>(buckets[k]);
    if (n > 0 && seen + n >= wanted) {
      const double low = k == 0 ? 0 : std::ldexp(1.0, static_cast<int>(k) - 1),
                   high = std::ldexp(1.0, static_cast<int>(k));
      return low + (high - low) * (wanted - seen) / n;
    }
    seen += n;
  }
  return std::ldexp(1.0, static_cast<int>(buckets.size()) - 1);
}

}  // namespace tailrace::observe
