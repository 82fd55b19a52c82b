#include "workflow/operators/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tailrace::workflow {
namespace {

constexpr double kWidth = 820, kHeight = 300, kLeft = 64, kRight = 16, kTop = 14, kBottom = 46;

/// A round step for about five lines: 1, 2 or 5 times a power of ten.
double NiceStep(double span) {
  double raw = span / 5, power = std::pow(10, std::floor(std::log10(raw)));
  for (double m : {1.0, 2.0, 5.0, 10.0})
    if (raw <= m * power) return m * power;
  return 10 * power;
}

std::string Short(double v) {
  double a = std::fabs(v);
  if (a >= 1e9) return fmt::format("{:.4g}G", v / 1e9);
  if (a >= 1e6) return fmt::format("{:.4g}M", v / 1e6);
  if (a >= 1e4) return fmt::format("{:.4g}k", v / 1e3);
  return fmt::format("{:.4g}", v);
}

/// Times of one day lose their date, and whole seconds their ".000".
std::vector<std::string> ShortLabels(std::vector<std::string> labels) {
  auto all = [&](auto holds) { return labels.size() > 1 && std::all_of(labels.begin(), labels.end(), holds); };
  const std::string day = labels[0].substr(0, 11);
  if (all([&](const std::string& l) {
        return l.size() > 15 && l[4] == '-' && l[7] == '-' && l[13] == ':' && l.starts_with(day);
      }))
    for (std::string& l : labels) l.erase(0, 11);
  if (all([](const std::string& l) { return l.ends_with(".000") && l.find(':') != std::string::npos; }))
    for (std::string& l : labels) l.resize(l.size() - 4);
  return labels;
}

}  // namespace

std::string EscapeHtml(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else out += c;
  }
  return out;
}

std::string RenderPlot(PlotKind kind, const PlotData& data) {
  const size_t n = data.labels.size();
  double low = 0, high = 0;
  bool any = false;
  for (const PlotSeries& s : data.series)
    for (double v : s.values) {
      if (!std::isfinite(v)) continue;
      low = any ? std::min(low, v) : v;
      high = any ? std::max(high, v) : v;
      any = true;
    }
  if (!any || n == 0) return "<p class=\"none\">no data</p>";
  if (kind == PlotKind::kBar || low > 0) low = std::min(low, 0.0);
  if (high <= low) high = low + 1;
  const double step = NiceStep(high - low);
  low = std::floor(low / step) * step;
  high = std::ceil(high / step) * step;
  const double inner_w = kWidth - kLeft - kRight, inner_h = kHeight - kTop - kBottom;
  auto y_of = [&](double v) { return kTop + inner_h * (1 - (v - low) / (high - low)); };
  auto x_of = [&](size_t i) {
    if (kind == PlotKind::kBar) return kLeft + inner_w * (static_cast<double>(i) + 0.5) / static_cast<double>(n);
    return n == 1 ? kLeft + inner_w / 2 : kLeft + inner_w * static_cast<double>(i) / static_cast<double>(n - 1);
  };
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\">", kWidth, kHeight);
  for (double v = low; v <= high + step / 2; v += step) {
    double y = y_of(v);
    svg += fmt::format("<line class=\"grid\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft, y,
                       kWidth - kRight, y);
    svg += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", kLeft - 8, y + 4,
                       Short(std::fabs(v) < step / 1e6 ? 0 : v));
  }
  const std::vector<std::string> labels = ShortLabels(data.labels);
  size_t longest = 1;
  for (const std::string& label : labels) longest = std::max(longest, std::min<size_t>(label.size(), 20));
  const size_t fit = std::max<size_t>(1, static_cast<size_t>(inner_w / (static_cast<double>(longest) * 7 + 14)));
  const size_t every = (n + fit - 1) / fit;
  for (size_t i = 0; i < n; i += every) {
    std::string label = labels[i].size() > 20 ? labels[i].substr(0, 19) + "…" : labels[i];
    svg += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>", x_of(i),
                       kHeight - kBottom + 20, EscapeHtml(label));
  }
  for (size_t s = 0; s < data.series.size(); ++s) {
    const PlotSeries& series = data.series[s];
    const size_t color = s % 6;
    if (kind == PlotKind::kLine) {
      std::string path;
      bool pen = false;
      for (size_t i = 0; i < n; ++i) {
        if (!std::isfinite(series.values[i])) {
          pen = false;
          continue;
        }
        path += fmt::format("{}{:.1f} {:.1f}", pen ? "L" : "M", x_of(i), y_of(series.values[i]));
        pen = true;
      }
      svg += fmt::format("<path class=\"line\" style=\"stroke:var(--c{})\" d=\"{}\"/>", color, path);
      if (n <= 60)
        for (size_t i = 0; i < n; ++i)
          if (std::isfinite(series.values[i]))
            svg += fmt::format(
                "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\" style=\"fill:var(--c{})\"><title>{}: "
                "{}</title></circle>",
                x_of(i), y_of(series.values[i]), color, EscapeHtml(data.labels[i]), Short(series.values[i]));
    } else {
      double slot = inner_w / static_cast<double>(n), group = slot * 0.72,
             width = group / static_cast<double>(data.series.size());
      for (size_t i = 0; i < n; ++i) {
        if (!std::isfinite(series.values[i])) continue;
        double x = x_of(i) - group / 2 + width * static_cast<double>(s), y0 = y_of(std::max(low, 0.0)),
               y1 = y_of(series.values[i]);
        svg += fmt::format(
            "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"2\" "
            "style=\"fill:var(--c{})\"><title>{}: {}</title></rect>",
            x, std::min(y0, y1), std::max(width - 1, 0.5), std::fabs(y0 - y1), color, EscapeHtml(data.labels[i]),
            Short(series.values[i]));
      }
    }
  }
  svg += "</svg>";
  if (data.series.size() > 1) {
    svg += "<p class=\"legend\">";
    for (size_t s = 0; s < data.series.size(); ++s)
      svg +=
          fmt::format("<span><i style=\"background:var(--c{})\"></i>{}</span>", s % 6, EscapeHtml(data.series[s].name));
    svg += "</p>";
  }
  return svg;
}

}  // namespace tailrace::workflow
