#include "connectors/options.h"

#include <cstdlib>

#include "base/check.h"
#include "base/clock.h"
#include "config/settings.h"
#include "config/suggest.h"

namespace tailrace::connectors {

namespace {

bool Matches(std::string_view pattern, std::string_view name) {
  size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  std::string_view before = pattern.substr(0, star), after = pattern.substr(star + 1);
  return name.size() > before.size() + after.size() && name.substr(0, before.size()) == before &&
         name.substr(name.size() - after.size()) == after;
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool ParseInt(const std::string& text, int64_t* value) {
  char* end;
  errno = 0;
  *value = strtoll(text.c_str(), &end, 10);
  return !text.empty() && *end == 0 && errno == 0;
}

bool ParseDouble(const std::string& text, double* value) {
  char* end;
  *value = strtod(text.c_str(), &end);
  return !text.empty() && *end == 0;
}

/// Flink also writes "5 min" and "1 h".
bool ParseDuration(const std::string& text, int64_t* ms) {
  if (ParseDurationMs(text, ms)) return true;
  size_t i = text.find_first_not_of("0123456789");
  if (i == 0 || i == std::string::npos) return false;
  std::string unit = text.substr(text.find_first_not_of(' ', i));
  if (unit == "min" || unit == "minute" || unit == "minutes") return ParseDurationMs(text.substr(0, i) + "m", ms);
  if (unit == "sec" || unit == "second" || unit == "seconds") return ParseDurationMs(text.substr(0, i) + "s", ms);
  if (unit == "hour" || unit == "hours") return ParseDurationMs(text.substr(0, i) + "h", ms);
  if (unit == "day" || unit == "days") return ParseDurationMs(text.substr(0, i) + "d", ms);
  return false;
}

/// Empty where the value fits; else what was expected.
std::string Expectation(const OptionSpec& spec, const std::string& text) {
  int64_t n;
  double d;
  switch (spec.type) {
    case OptionType::kString: return "";
    case OptionType::kInt: return ParseInt(text, &n) ? "" : "an integer";
    case OptionType::kBool: return text == "true" || text == "false" ? "" : "true or false";
    case OptionType::kDuration: return ParseDuration(text, &n) && n >= 0 ? "" : "a duration such as '10 s' or '200ms'";
    case OptionType::kBytes: return config::ParseBytes(text, &n) ? "" : "a size such as '128MB'";
    case OptionType::kDouble: return ParseDouble(text, &d) ? "" : "a number";
    case OptionType::kChoice:
      for (const auto& choice : Split(spec.choices, '|'))
        if (choice == text) return "";
      return "one of " + std::string(spec.choices);
  }
  return "";
}

constexpr OptionSpec kFormatOptions[] = {
    {"json.timestamp-format.standard", OptionType::kChoice, false, "ISO-8601", "ISO-8601|SQL",
     "how times are written: 2024-01-15T10:30:00.123Z or 2024-01-15 10:30:00.123; both are always read"},
    {"json.fail-on-missing-field", OptionType::kBool, false, "false", "",
     "an absent field makes the record bad instead of being NULL"},
    {"json.ignore-parse-errors", OptionType::kBool, false, "false", "",
     "records that do not decode are dropped instead of kept in the error topic"},
    {"json.encode.decimal-as-plain-number", OptionType::kBool, false, "true", "",
     "accepted for Flink's sake; decimals are always plain"},
    {"csv.field-delimiter", OptionType::kString, false, ",", "", "one character, or \\t"},
    {"csv.header", OptionType::kBool, false, "false", "", "the first line of each file names the columns"},
    {"csv.ignore-parse-errors", OptionType::kBool, false, "false", "", "as json.ignore-parse-errors"},
};

}  // namespace

Result<OptionValues> OptionValues::Check(const sql::Table& table, std::span<const OptionSpec> specs) {
  OptionValues values;
  values.table_ = table.name;
  values.table_where_ = table.where;
  values.specs_ = specs;
  for (const auto& [name, option] : table.options) {
    if (name == "connector") continue;
    const OptionSpec* spec = values.Spec(name);
    if (!spec) {
      std::vector<std::string> known;
      for (const OptionSpec& s : specs) known.emplace_back(s.name);
      return Error(ErrorCode::kInvalidArgument, "table " + table.name + ": the connector '" + table.Get("connector") +
                                                    "' has no option '" + name + "'")
          .At(option.where)
          .Remedy(config::SuggestRemedy(name, known));
    }
    std::string expected = Expectation(*spec, option.value);
    if (!expected.empty())
      return Error(ErrorCode::kInvalidArgument, "option '" + name + "' of table " + table.name + ": expected " +
                                                    expected + ", found '" + option.value + "'")
          .At(option.where);
    values.given_[name] = option;
  }
  for (const OptionSpec& spec : specs) {
    if (spec.required && !values.Has(spec.name))
      return Error(ErrorCode::kInvalidArgument, "table " + table.name + ": the connector '" + table.Get("connector") +
                                                    "' needs the option '" + spec.name + "' (" + spec.doc + ")")
          .At(table.where)
          .Remedy("add '" + std::string(spec.name) + "' = '...' to its WITH clause");
  }
  return values;
}

const OptionSpec* OptionValues::Spec(std::string_view name) const {
  const OptionSpec* found = nullptr;
  for (const OptionSpec& spec : specs_) {
    if (spec.name == name) return &spec;  // the exact name before any pattern
    if (!found && Matches(spec.name, name)) found = &spec;
  }
  if (!found && name.substr(0, 6) == "value.") return Spec(name.substr(6));
  return found;
}

std::string OptionValues::String(std::string_view name) const {
  auto it = given_.find(name);
  if (it == given_.end()) it = given_.find("value." + std::string(name));
  if (it != given_.end()) return it->second.value;
  const OptionSpec* spec = Spec(name);
  return spec ? spec->otherwise : "";
}

int64_t OptionValues::Int(std::string_view name) const {
  const OptionSpec* spec = Spec(name);
  CHECK(spec != nullptr);
  std::string text = String(name);
  int64_t n = 0;
  if (text.empty()) return 0;
  if (spec->type == OptionType::kDuration) {
    CHECK(ParseDuration(text, &n));
  } else if (spec->type == OptionType::kBytes) {
    CHECK(config::ParseBytes(text, &n));
  } else {
    CHECK(ParseInt(text, &n));
  }
  return n;
}

bool OptionValues::Bool(std::string_view name) const { return String(name) == "true"; }

double OptionValues::Double(std::string_view name) const {
  double d = 0;
  ParseDouble(String(name), &d);
  return d;
}

std::map<std::string, std::string> OptionValues::WithPrefix(std::string_view prefix) const {
  std::map<std::string, std::string> found;
  for (const auto& [name, option] : given_)
    if (name.size() > prefix.size() && std::string_view(name).substr(0, prefix.size()) == prefix)
      found[name.substr(prefix.size())] = option.value;
  return found;
}

SourceLocation OptionValues::Where(std::string_view name) const {
  auto it = given_.find(name);
  return it == given_.end() ? table_where_ : it->second.where;
}

Error OptionValues::Wrong(std::string_view name, std::string_view what) const {
  return Error(ErrorCode::kInvalidArgument,
               "option '" + std::string(name) + "' of table " + table_ + ": " + std::string(what))
      .At(Where(name));
}

std::span<const OptionSpec> FormatOptionSpecs() { return kFormatOptions; }

std::vector<OptionSpec> WithFormatOptions(std::span<const OptionSpec> own) {
  std::vector<OptionSpec> all(own.begin(), own.end());
  for (const OptionSpec& spec : kFormatOptions) all.push_back(spec);
  return all;
}

Status ReadFormatOptions(const OptionValues& options, data::FormatOptions* out) {
  if (options.String("json.timestamp-format.standard") == "SQL") out->timestamps = data::TimestampFormat::kSql;
  out->fail_on_missing_field = options.Bool("json.fail-on-missing-field");
  out->header = options.Bool("csv.header");
  std::string delimiter = options.String("csv.field-delimiter");
  if (delimiter == "\\t") delimiter = "\t";
  if (delimiter.size() != 1 || delimiter == "\"" || delimiter == "\n")
    return options.Wrong("csv.field-delimiter", "expected one character");
  out->delimiter = delimiter[0];
  return Ok();
}

bool IgnoresParseErrors(const OptionValues& options) {
  return options.Bool("json.ignore-parse-errors") || options.Bool("csv.ignore-parse-errors");
}

}  // namespace tailrace::connectors
