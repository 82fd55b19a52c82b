#include "app/cli/output.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/clock.h"

namespace tailrace::app {
namespace {

using Json = nlohmann::ordered_json;

const Json* Lookup(const Json& record, std::string_view field) {
  const Json* at = &record;
  while (!field.empty()) {
    const size_t dot = field.find('.');
    if (!at->is_object()) return nullptr;
    auto found = at->find(std::string(field.substr(0, dot)));
    if (found == at->end()) return nullptr;
    at = &*found;
    field = dot == std::string_view::npos ? std::string_view() : field.substr(dot + 1);
  }
  return at;
}

/// Files below this directory without it.
std::string ShortPath(const std::string& path) {
  char here[4096];
  if (::getcwd(here, sizeof here) == nullptr) return path;
  const std::string prefix = std::string(here) + "/";
  return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}

std::string Cell(const Json* value, Show show) {
  if (!value || value->is_null()) return "-";
  if (show == Show::kLength) return std::to_string(value->size());
  if (show == Show::kYesNo) return value->is_boolean() && value->get<bool>() ? "yes" : "no";
  if (value->is_number()) {
    const double n = value->get<double>();
    switch (show) {
      case Show::kCount: return FormatCount(n);
      case Show::kBytes: return FormatBytes(n);
      case Show::kTime: return n <= 0 ? "-" : FormatTime(static_cast<int64_t>(n));
      case Show::kMs: return FormatMs(n);
      case Show::kUs: return FormatMs(n / 1000);
      case Show::kRate: return FormatCount(n) + "/s";
      default: break;
    }
  }
  if (value->is_string()) {
    std::string text = value->get<std::string>();
    if (show == Show::kPath) text = ShortPath(text);
    for (char& c : text)
      if (c == '\n' || c == '\t') c = ' ';
    return text.empty() ? "-" : text;
  }
  return value->dump();
}

bool NeedsQuotes(const std::string& s) {
  if (s.empty() || s.front() == ' ' || s.back() == ' ') return true;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`~").find(s[0]) != std::string_view::npos) return true;
  if (s.find(": ") != std::string::npos || s.find(" #") != std::string::npos || s.back() == ':') return true;
  for (char c : s)
    if (static_cast<unsigned char>(c) < 0x20) return true;
  static const char* const words[] = {"true", "false", "null", "yes", "no", "on", "off",
                                      "True", "False", "Null", "Yes", "No", "On", "Off"};
  for (const char* word : words)
    if (s == word) return true;
  return std::string_view("0123456789.+").find(s[0]) != std::string_view::npos;
}

void Yaml(const Json& value, int indent, std::string* out) {
  const std::string pad(static_cast<size_t>(indent), ' ');
  auto nested = [&](const Json& v) {
    if (v.is_structured() && !v.empty()) {
      *out += '\n';
      Yaml(v, indent + 2, out);
    } else {
      *out += ' ';
      Yaml(v, indent, out);
      *out += '\n';
    }
  };
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, v] : value.items()) {
      *out += pad + (NeedsQuotes(key) ? Json(key).dump() : key) + ":";
      nested(v);
    }
  } else if (value.is_array() && !value.empty()) {
    for (const auto& v : value) {
      if (v.is_object() && !v.empty()) {
        std::string inner;
        Yaml(v, indent + 2, &inner);
        inner[static_cast<size_t>(indent)] = '-';
        *out += inner;
      } else {
        *out += pad + "-";
        nested(v);
      }
    }
  } else if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    *out += NeedsQuotes(text) ? value.dump() : text;
  } else {
    *out += value.dump();
  }
}

}  // namespace

std::string FormatCount(double n) {
  if (std::fabs(n) < 10 && n != std::floor(n)) return fmt::format("{:.1f}", n);
  std::string digits = fmt::format("{:.0f}", std::fabs(n)), out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return (n < 0 && out != "0" ? "-" : "") + out;
}

std::string FormatBytes(double n) {
  static const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (std::fabs(n) >= 1000 && unit < 4) {
    n /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", n) : fmt::format("{:.1f} {}", n, units[unit]);
}

std::string FormatMs(double ms) {
  if (ms < 0) return "-";
  if (ms < 10) return fmt::format("{:.1f} ms", ms);
  if (ms < 1000) return fmt::format("{:.0f} ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f} s", ms / 1000);
  const int64_t s = static_cast<int64_t>(ms / 1000);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
}

std::string FormatTime(int64_t epoch_ms) {
  std::string text = FormatIso8601Ms(epoch_ms).substr(0, 19);
  text[10] = ' ';
  return text + "Z";
}

size_t TextWidth(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

bool ColoursWanted() {
  const char* no = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) && !(no && *no) && term && std::string_view(term) != "dumb";
}

TextTable::TextTable(std::vector<std::string> headers, std::vector<bool> right)
    : headers_(std::move(headers)), right_(std::move(right)) {
  right_.resize(headers_.size());
}
void TextTable::Row(std::vector<std::string> cells) {
  cells.resize(headers_.size());
  rows_.push_back(std::move(cells));
}
void TextTable::DropEmptyColumns() {
  if (rows_.empty()) return;
  for (size_t i = headers_.size(); i-- > 0;) {
    if (!std::all_of(rows_.begin(), rows_.end(), [i](const auto& row) { return row[i] == "-"; })) continue;
    headers_.erase(headers_.begin() + static_cast<ptrdiff_t>(i));
    right_.erase(right_.begin() + static_cast<ptrdiff_t>(i));
    for (auto& row : rows_) row.erase(row.begin() + static_cast<ptrdiff_t>(i));
  }
}
std::string CutText(const std::string& text, size_t columns) {
  if (TextWidth(text) <= columns) return text;
  size_t end = 0, seen = 0;
  while (end < text.size() && seen + 1 < columns) {
    ++end;
    while (end < text.size() && (text[end] & 0xC0) == 0x80) ++end;
    ++seen;
  }
  return text.substr(0, end) + "…";
}

size_t TerminalWidth(FILE* stream) {
  winsize size{};
  return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 100;
}

std::string TextTable::ToString(size_t width) const {
  constexpr size_t kCellLeast = 8;
  std::vector<size_t> widths;
  for (const std::string& header : headers_) widths.push_back(TextWidth(header));
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], TextWidth(row[i]));
  auto total = [&] {
    size_t sum = 0;
    for (size_t w : widths) sum += w + 2;
    return sum;
  };
  while (width > 0 && total() > width + 2) {
    auto widest = std::max_element(widths.begin(), widths.end());
    if (widest == widths.end() || *widest <= kCellLeast) break;
    --*widest;
  }
  std::string out;
  auto line = [&](const std::vector<std::string>& whole) {
    std::vector<std::string> cells = whole;
    for (size_t i = 0; i < cells.size(); ++i) cells[i] = CutText(cells[i], widths[i]);
    std::string text;
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string space(widths[i] - TextWidth(cells[i]), ' ');
      text += right_[i] ? space + cells[i] : cells[i] + space;
      text += "  ";
    }
    while (text.ends_with(' ')) text.pop_back();
    out += text + "\n";
  };
  line(headers_);
  for (const auto& row : rows_) line(row);
  return out;
}

void PrintJson(const std::string& format, const std::string& json) {
  if (format == "yaml") {
    const Json value = Json::parse(json, nullptr, false);
    std::string out;
    Yaml(value, 0, &out);
    if (!out.ends_with('\n')) out += '\n';
    std::fputs(out.c_str(), stdout);
    return;
  }
  std::fputs(json.c_str(), stdout);
  if (!json.ends_with('\n')) std::fputc('\n', stdout);
}

void PrintRecords(const std::string& format, const std::string& json, const std::vector<TableColumn>& columns,
                  const std::string& when_empty) {
  if (format != "table") return PrintJson(format, json);
  const Json value = Json::parse(json, nullptr, false);
  std::vector<std::string> headers;
  std::vector<bool> right;
  for (const TableColumn& column : columns) {
    headers.emplace_back(column.header);
    right.push_back(column.show == Show::kCount || column.show == Show::kBytes || column.show == Show::kMs ||
                    column.show == Show::kUs || column.show == Show::kRate || column.show == Show::kLength);
  }
  TextTable table(std::move(headers), std::move(right));
  auto add = [&](const Json& record) {
    std::vector<std::string> cells;
    for (const TableColumn& column : columns) cells.push_back(Cell(Lookup(record, column.field), column.show));
    table.Row(std::move(cells));
  };
  if (value.is_array())
    for (const Json& record : value) add(record);
  else add(value);
  table.DropEmptyColumns();
  if (table.empty()) std::puts(when_empty.c_str());
  else std::fputs(table.ToString().c_str(), stdout);
}

}  // namespace tailrace::app
