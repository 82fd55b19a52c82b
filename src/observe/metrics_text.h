#pragma once
// Prometheus' text exposition format 0.0.4.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tailrace::observe {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// Samples of one family must follow their Family() call.
class MetricsText {
 public:
  /// `type`: counter, gauge, summary, histogram.
  void Family(std::string_view name, std::string_view type, std::string_view help);
  void Sample(double value, Labels labels = {}) { Sample("", value, labels); }
  /// With a suffix to the family's name: "_sum", "_count", "_bucket".
  void Sample(std::string_view suffix, double value, Labels labels = {});
  /// A family of one sample.
  void Single(std::string_view name, std::string_view type, std::string_view help, double value, Labels labels = {}) {
    Family(name, type, help);
    Sample(value, labels);
  }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
  std::string family_;
};

/// The value below which the share `quantile` of the counts lies. Bucket k holds times < 2^k, not cumulative; within a
/// bucket the counts are taken as evenly spread. 0 where there are none.
double QuantileOfPowers(const std::vector<uint64_t>& buckets, double quantile);

}  // namespace tailrace::observe
