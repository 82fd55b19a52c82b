#pragma once

#include <string>
#include <vector>

namespace tailrace::workflow {

struct PlotSeries {
  std::string name;
  std::vector<double> values;  // parallel to PlotData::labels; NaN = none
};

struct PlotData {
  std::vector<std::string> labels;  // along x
  std::vector<PlotSeries> series;
};

enum class PlotKind { kLine, kBar };

/// An inline SVG picture that needs nothing from outside; colours come from the page's CSS variables --c0 … --c5.
std::string RenderPlot(PlotKind kind, const PlotData& data);
std::string EscapeHtml(const std::string& text);

}  // namespace tailrace::workflow
