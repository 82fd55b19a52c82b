#pragma once
// WITH options of a table, checked against the connector's one table of them.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "data/codec.h"
#include "sql/catalog.h"

namespace tailrace::connectors {

enum class OptionType {
  kString,
  kInt,
  kBool,
  kDuration,  // "10 s", "5 min", "200ms"; kept in milliseconds
  kBytes,     // "128MB"; kept in bytes
  kDouble,
  kChoice,  // one of `choices`
};

struct OptionSpec {
  const char* name;  // '*' stands for one name or more: "properties.*", "fields.*.min"
  OptionType type;
  bool required;
  const char* otherwise;  // the default, as text; "" = none
  const char* choices;    // kChoice: "a|b"; else ""
  const char* doc;
};

/// The options of one table after the check. Copyable.
class OptionValues {
 public:
  /// Unknown names (with the nearest known one), missing ones and wrong values, each with its place in the file.
  static Result<OptionValues> Check(const sql::Table& table, std::span<const OptionSpec> specs);

  bool Has(std::string_view name) const { return given_.find(name) != given_.end(); }
  /// The value, the table's default, or "".
  std::string String(std::string_view name) const;
  // REQUIRES: the spec has this name and type.
  int64_t Int(std::string_view name) const;
  bool Bool(std::string_view name) const;
  double Double(std::string_view name) const;
  /// Names given that start with `prefix`, without it: "properties." -> {"acks": "all"}.
  std::map<std::string, std::string> WithPrefix(std::string_view prefix) const;
  /// Where the option stands in the file; the table's place where it does not.
  SourceLocation Where(std::string_view name) const;
  /// "option 'NAME' of table T: WHAT" with the place.
  Error Wrong(std::string_view name, std::string_view what) const;

 private:
  const OptionSpec* Spec(std::string_view name) const;
  std::string table_;
  SourceLocation table_where_;
  std::span<const OptionSpec> specs_;
  std::map<std::string, sql::Option, std::less<>> given_;
};

/// The options of formats ('json.*', 'csv.*', also behind 'value.'), for connectors to put into their tables.
std::span<const OptionSpec> FormatOptionSpecs();
/// Specs of a connector with those of the formats behind them. The result must be kept (static) by the caller.
std::vector<OptionSpec> WithFormatOptions(std::span<const OptionSpec> own);
/// Fills in what the 'json.*' and 'csv.*' options say.
Status ReadFormatOptions(const OptionValues& options, data::FormatOptions* out);
/// True where 'json.ignore-parse-errors' or 'csv.ignore-parse-errors' is set: bad records are counted, not kept.
bool IgnoresParseErrors(const OptionValues& options);

}  // namespace tailrace::connectors
