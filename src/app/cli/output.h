#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace::app {

/// How a field of a JSON record is written in a table.
enum class Show { kText, kCount, kBytes, kTime, kMs, kUs, kRate, kYesNo, kLength, kPath };

struct TableColumn {
  const char* header;
  const char* field;  // "latency.p99_us" goes into objects
  Show show = Show::kText;
};

/// `json`: a list of objects, or one. table: the columns; "no ROWS" where there are none. json, yaml: everything.
void PrintRecords(const std::string& format, const std::string& json, const std::vector<TableColumn>& columns,
                  const std::string& when_empty);
/// json, or as YAML.
void PrintJson(const std::string& format, const std::string& json);

/// Columns as wide as needed; the numbers' column headers in `right` are aligned to the right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> headers, std::vector<bool> right = {});
  void Row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  /// Those where every row has "-".
  void DropEmptyColumns();
  /// `width` > 0: long cells are cut until a line fits.
  std::string ToString(size_t width = 0) const;

 private:
  std::vector<std::string> headers_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

std::string FormatCount(double n);         // "12,345"
std::string FormatBytes(double n);         // "1.2 MB"
std::string FormatMs(double ms);           // "230 ms", "1.2 s", "3 min 20 s"
std::string FormatTime(int64_t epoch_ms);  // "2024-01-15 10:30:00Z"
/// Printed columns of UTF-8 text, a code point each.
size_t TextWidth(std::string_view text);

/// Cut to `columns` with "…" at the end where something is missing.
std::string CutText(const std::string& text, size_t columns);
/// 100 where the stream is no terminal.
size_t TerminalWidth(FILE* stream = stdout);

/// stdout is a terminal that understands colours and NO_COLOR is not set.
bool ColoursWanted();

}  // namespace tailrace::app
