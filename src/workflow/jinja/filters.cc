#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "workflow/jinja/evaluator.h"

namespace tailrace::workflow::jinja {
namespace {

/// The arguments of a filter by position or name.
class Args {
 public:
  Args(const List& positional, const Map& named) : positional_(positional), named_(named) {}
  std::optional<Value> Get(size_t index, const char* name) const {
    if (index < positional_.size()) return positional_[index];
    if (const Value* v = named_.Find(name)) return *v;
    return std::nullopt;
  }
  std::string Text(size_t index, const char* name, std::string otherwise) const {
    std::optional<Value> v = Get(index, name);
    return v ? PythonStr(*v) : otherwise;
  }
  int64_t Int(size_t index, const char* name, int64_t otherwise) const {
    std::optional<Value> v = Get(index, name);
    return v && v->is_number() ? static_cast<int64_t>(v->number()) : otherwise;
  }
  bool Bool(size_t index, const char* name, bool otherwise) const {
    std::optional<Value> v = Get(index, name);
    return v ? Truthy(*v) : otherwise;
  }
  const List& positional() const { return positional_; }
  const Map& named() const { return named_; }

 private:
  const List& positional_;
  const Map& named_;
};

using Filter = Result<Value> (*)(const Value& v, const Args& a);

/// "a.b.0" as the attribute arguments of map, sort, sum and others.
Result<Value> ByPath(const Value& v, const std::string& path) {
  Value at = v;
  size_t start = 0;
  while (start <= path.size()) {
    size_t dot = path.find('.', start);
    std::string part = path.substr(start, dot == std::string::npos ? std::string::npos : dot - start);
    bool index = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    Result<Value> next =
        index ? GetItem(at, Value(static_cast<int64_t>(atoll(part.c_str())))) : GetItem(at, Value(part));
    if (!next.ok() && !index) next = GetAttribute(at, part);
    if (!next.ok()) return InvalidArgument(fmt::format("{} has no attribute '{}'", at.KindName(), part));
    at = std::move(*next);
    if (dot == std::string::npos) break;
    start = dot + 1;
  }
  return at;
}

Value FoldCase(const Value& v, bool case_sensitive) {
  return !case_sensitive && v.is_string() ? Value(Lower(v.string())) : v;
}

/// Sorts by key; an error where two keys can't be ordered.
Result<List> Sorted(const List& items, const std::vector<Value>& keys, bool reverse) {
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::optional<Error> failed;
  std::stable_sort(order.begin(), order.end(), [&](size_t x, size_t y) {
    if (failed) return false;
    Result<int> c = reverse ? Order(keys[y], keys[x]) : Order(keys[x], keys[y]);
    if (!c.ok()) {
      failed = std::move(c).error();
      return false;
    }
    return *c == -1;
  });
  if (failed) return *std::move(failed);
  List out;
  for (size_t i : order) out.push_back(items[i]);
  return out;
}

std::string Replace(const std::string& s, const std::string& from, const std::string& to, int64_t count) {
  if (from.empty()) return s;
  std::string out;
  size_t at = 0;
  for (int64_t n = 0; count < 0 || n < count; ++n) {
    size_t found = s.find(from, at);
    if (found == std::string::npos) break;
    out.append(s, at, found - at);
    out += to;
    at = found + from.size();
  }
  return out.append(s, at, std::string::npos);
}

std::string Strip(const std::string& s, const std::string& what) {
  size_t first = s.find_first_not_of(what);
  if (first == std::string::npos) return "";
  return s.substr(first, s.find_last_not_of(what) - first + 1);
}

Result<Value> ToInt(const Value& v, const Args& a) {
  Value otherwise = a.Get(0, "default").value_or(Value(0));
  int64_t base = a.Int(1, "base", 10);
  if (v.is_double())
    return std::isfinite(v.number()) && std::fabs(v.number()) < 9e18 ? Value(static_cast<int64_t>(v.number()))
                                                                     : otherwise;
  if (v.is_number()) return Value(v.integer());
  if (!v.is_string()) return otherwise;
  std::string text = Strip(v.string(), " \t\n\r");
  std::erase(text, '_');
  char* end = nullptr;
  errno = 0;
  long long i = strtoll(text.c_str(), &end, static_cast<int>(base));
  if (!text.empty() && *end == '\0' && errno == 0) return Value(static_cast<int64_t>(i));
  double d = strtod(text.c_str(), &end);
  if (!text.empty() && *end == '\0' && std::isfinite(d) && std::fabs(d) < 9e18) return Value(static_cast<int64_t>(d));
  return otherwise;
}

Result<Value> ToFloat(const Value& v, const Args& a) {
  Value otherwise = a.Get(0, "default").value_or(Value(0.0));
  if (v.is_number()) return Value(v.number());
  if (!v.is_string()) return otherwise;
  std::string text = Strip(v.string(), " \t\n\r");
  char* end = nullptr;
  double d = strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' ? Value(d) : otherwise;
}

Result<Value> Round(const Value& v, const Args& a) {
  if (!v.is_number()) return InvalidArgument(fmt::format("round needs a number, not {}", v.KindName()));
  int64_t precision = a.Int(0, "precision", 0);
  std::string method = a.Text(1, "method", "common");
  if (method == "common") {  // Python's round(): correctly rounded decimal, ties to even
    if (precision < 0) {
      double scale = std::pow(10.0, static_cast<double>(-precision));
      return v.is_double() ? Value(std::nearbyint(v.number() / scale) * scale)
                           : Value(static_cast<int64_t>(std::nearbyint(v.number() / scale) * scale));
    }
    if (!v.is_double()) return Value(v.integer());
    return Value(strtod(fmt::format("{:.{}f}", v.number(), std::min<int64_t>(precision, 100)).c_str(), nullptr));
  }
  double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return Value(std::ceil(v.number() * scale) / scale);
  if (method == "floor") return Value(std::floor(v.number() * scale) / scale);
  return InvalidArgument("method must be common, ceil or floor");
}

Result<Value> Join(const Value& v, const Args& a) {
  std::string separator = a.Text(0, "d", ""), out;
  std::optional<Value> attribute = a.Get(1, "attribute");
  bool first = true;
  for (const Value& item : TRY(Iterate(v))) {
    if (!first) out += separator;
    first = false;
    out += PythonStr(attribute ? TRY(ByPath(item, PythonStr(*attribute))) : item);
  }
  return Value(std::move(out));
}

Result<Value> MapFilter(const Value& v, const Args& a) {
  List out;
  std::optional<Value> attribute;
  if (const Value* named = a.named().Find("attribute")) attribute = *named;
  for (const Value& item : TRY(Iterate(v))) {
    if (attribute) {
      Result<Value> found = ByPath(item, PythonStr(*attribute));
      if (!found.ok() && a.named().Find("default")) found = *a.named().Find("default");
      out.push_back(TRY(std::move(found)));
    } else {
      if (a.positional().empty()) return InvalidArgument("map requires a filter argument");
      List rest(a.positional().begin() + 1, a.positional().end());
      std::string name = PythonStr(a.positional()[0]);
      if (!KnownFilter(name)) return InvalidArgument(fmt::format("no filter named '{}'", name));
      out.push_back(TRY(ApplyFilter(name, item, rest, a.named())));
    }
  }
  return Value(std::move(out));
}

Result<Value> SelectBy(const Value& v, const Args& a, bool keep, bool by_attribute) {
  List out;
  size_t skip = by_attribute ? 1 : 0;
  if (by_attribute && a.positional().empty()) return InvalidArgument("missing attribute name");
  for (const Value& item : TRY(Iterate(v))) {
    Value subject = item;
    if (by_attribute) {
      Result<Value> found = ByPath(item, PythonStr(a.positional()[0]));
      subject = found.ok() ? std::move(*found) : Value::Undefined("no such attribute");
    }
    bool holds;
    if (a.positional().size() > skip) {
      std::string name = PythonStr(a.positional()[skip]);
      if (!KnownTest(name)) return InvalidArgument(fmt::format("no test named '{}'", name));
      List rest(a.positional().begin() + static_cast<long>(skip) + 1, a.positional().end());
      holds = TRY(ApplyTest(name, subject, rest));
    } else {
      holds = Truthy(subject);
    }
    if (holds == keep) out.push_back(item);
  }
  return Value(std::move(out));
}

Result<Value> Sort(const Value& v, const Args& a) {
  bool reverse = a.Bool(0, "reverse", false), sensitive = a.Bool(1, "case_sensitive", false);
  std::optional<Value> attribute = a.Get(2, "attribute");
  List items = TRY(Iterate(v));
  std::vector<Value> keys;
  for (const Value& item : items)
    keys.push_back(FoldCase(attribute ? TRY(ByPath(item, PythonStr(*attribute))) : item, sensitive));
  return Value(TRY(Sorted(items, keys, reverse)));
}

Result<Value> Extreme(const Value& v, const Args& a, int wanted) {
  std::optional<Value> best, best_key;
  bool sensitive = a.Bool(0, "case_sensitive", false);
  std::optional<Value> attribute = a.Get(1, "attribute");
  for (const Value& item : TRY(Iterate(v))) {
    Value key = FoldCase(attribute ? TRY(ByPath(item, PythonStr(*attribute))) : item, sensitive);
    if (best && TRY(Order(key, *best_key)) != wanted) continue;
    best = item;
    best_key = std::move(key);
  }
  return best ? *best : Value::Undefined("no aggregated item, sequence was empty");
}

Result<Value> DictSort(const Value& v, const Args& a) {
  if (!v.is_map()) return InvalidArgument(fmt::format("dictsort needs a map, not {}", v.KindName()));
  bool sensitive = a.Bool(0, "case_sensitive", false), by_value = a.Text(1, "by", "key") == "value";
  List items;
  std::vector<Value> keys;
  for (const auto& [key, value] : v.map()) {
    items.push_back(Value::Tuple({Value(key), value}));
    keys.push_back(FoldCase(by_value ? value : Value(key), sensitive));
  }
  return Value(TRY(Sorted(items, keys, a.Bool(2, "reverse", false))));
}

Result<Value> Unique(const Value& v, const Args& a) {
  List out, seen;
  bool sensitive = a.Bool(0, "case_sensitive", false);
  std::optional<Value> attribute = a.Get(1, "attribute");
  for (const Value& item : TRY(Iterate(v))) {
    Value key = FoldCase(attribute ? TRY(ByPath(item, PythonStr(*attribute))) : item, sensitive);
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& s) { return Equal(s, key); })) continue;
    if (seen.size() > 20'000) return Error(ErrorCode::kLimitExceeded, "unique of more than 20,000 items");
    seen.push_back(std::move(key));
    out.push_back(item);
  }
  return Value(std::move(out));
}

Result<Value> GroupBy(const Value& v, const Args& a) {
  std::string attribute = a.Text(0, "attribute", "");
  List items = TRY(Iterate(v));
  std::vector<Value> keys;
  for (const Value& item : items) keys.push_back(TRY(ByPath(item, attribute)));
  List sorted = TRY(Sorted(items, keys, false)), out;
  for (Value& item : sorted) {
    Value key = TRY(ByPath(item, attribute));
    if (out.empty() || !Equal(out.back().list()[0], key)) out.push_back(Value::Tuple({key, Value(List())}));
    List pair = out.back().list();
    pair[1].MutableList().push_back(std::move(item));
    out.back() = Value::Tuple(std::move(pair));
  }
  return Value(std::move(out));
}

Result<Value> Batch(const Value& v, const Args& a) {
  int64_t size = a.Int(0, "linecount", 1);
  if (size < 1) return InvalidArgument("batch needs a positive size");
  List out;
  for (Value& item : TRY(Iterate(v))) {
    if (out.empty() || static_cast<int64_t>(out.back().list().size()) == size) out.push_back(Value(List()));
    out.back().MutableList().push_back(std::move(item));
  }
  if (std::optional<Value> fill = a.Get(1, "fill_with"); fill && !out.empty())
    while (static_cast<int64_t>(out.back().list().size()) < std::min<int64_t>(size, 10'000))
      out.back().MutableList().push_back(*fill);
  return Value(std::move(out));
}

Result<Value> Truncate(const Value& v, const Args& a) {
  int64_t length = a.Int(0, "length", 255), leeway = a.Int(3, "leeway", 5);
  bool kill_words = a.Bool(1, "killwords", false);
  std::string end = a.Text(2, "end", "...");
  std::string text = PythonStr(v);
  std::vector<std::string> c = Characters(text);
  int64_t end_length = static_cast<int64_t>(Characters(end).size());
  if (length < end_length) return InvalidArgument(fmt::format("expected length >= {}, got {}", end_length, length));
  if (static_cast<int64_t>(c.size()) <= length + leeway) return Value(text);
  std::string out;
  for (int64_t i = 0; i < length - end_length; ++i) out += c[static_cast<size_t>(i)];
  if (!kill_words) {
    size_t space = out.rfind(' ');
    if (space != std::string::npos) out.resize(space);
  }
  return Value(out + end);
}

Result<Value> Title(const Value& v, const Args&) {
  std::string out;
  bool start = true;  // Jinja: after whitespace and any of -([{<
  for (char c : PythonStr(v)) {
    out += static_cast<char>(start ? toupper(static_cast<unsigned char>(c)) : tolower(static_cast<unsigned char>(c)));
    start = isspace(static_cast<unsigned char>(c)) || std::string_view("-([{<").find(c) != std::string_view::npos;
  }
  return Value(std::move(out));
}

Result<Value> UrlEncode(const Value& v, const Args&) {
  auto quote = [](const std::string& s, bool plus) {
    std::string out;
    for (unsigned char c : s) {
      if (isalnum(c) || std::string_view("_.-~").find(static_cast<char>(c)) != std::string_view::npos ||
          (c == '/' && !plus))
        out += static_cast<char>(c);
      else if (c == ' ' && plus) out += '+';
      else out += fmt::format("%{:02X}", c);
    }
    return out;
  };
  if (!v.is_map()) return Value(quote(PythonStr(v), false));
  std::string out;
  for (const auto& [key, value] : v.map())
    out += (out.empty() ? "" : "&") + quote(key, true) + "=" + quote(PythonStr(value), true);
  return Value(std::move(out));
}

Result<Value> Indent(const Value& v, const Args& a) {
  std::optional<Value> width = a.Get(0, "width");
  std::string pad = width && width->is_string()
                        ? width->string()
                        : std::string(static_cast<size_t>(std::clamp<int64_t>(a.Int(0, "width", 4), 0, 1000)), ' ');
  bool first = a.Bool(1, "first", false), blank = a.Bool(2, "blank", false);
  std::string text = PythonStr(v), out;
  size_t start = 0;
  for (int line = 0;; ++line) {
    size_t end = text.find('\n', start);
    std::string one = text.substr(start, end == std::string::npos ? std::string::npos : end - start);
    if (line > 0) out += '\n';
    if ((line > 0 || first) && (blank || !one.empty())) out += pad;
    out += one;
    if (end == std::string::npos) break;
    start = end + 1;
  }
  return Value(std::move(out));
}

std::string EscapeHtml(const std::string& s) {
  std::string out;
  for (char c : s) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&#34;";
    else if (c == '\'') out += "&#39;";
    else out += c;
  }
  return out;
}

/// json.dumps puts a space after ',' and ':'; sorted keys and HTML-safe as Jinja's tojson.
void PythonJson(const Value& v, bool sort, std::string* out) {
  if (v.is_list()) {
    *out += '[';
    for (size_t i = 0; i < v.list().size(); ++i) {
      if (i > 0) *out += ", ";
      PythonJson(v.list()[i], sort, out);
    }
    *out += ']';
  } else if (v.is_map()) {
    std::vector<const Map::Entry*> entries;
    for (const Map::Entry& e : v.map()) entries.push_back(&e);
    if (sort) std::sort(entries.begin(), entries.end(), [](auto* x, auto* y) { return x->first < y->first; });
    *out += '{';
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) *out += ", ";
      *out += ToJson(Value(entries[i]->first)) + ": ";
      PythonJson(entries[i]->second, sort, out);
    }
    *out += '}';
  } else if (v.is_double()) {
    *out += PythonRepr(v);
  } else {
    std::string text = ToJson(v);
    for (size_t i = 0; i < text.size();) {  // ensure_ascii
      unsigned char c = static_cast<unsigned char>(text[i]);
      if (c < 0x80) {
        *out += text[i++];
        continue;
      }
      size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
      uint32_t code = c & (0xff >> (n + 1));
      for (size_t k = 1; k < n && i + k < text.size(); ++k)
        code = code << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3f);
      if (code >= 0x10000)
        *out +=
            fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
      else *out += fmt::format("\\u{:04x}", code);
      i += n;
    }
  }
}

Result<Value> ToJsonFilter(const Value& v, const Args& a) {
  std::string text;
  if (std::optional<Value> indent = a.Get(0, "indent"); indent && indent->is_int())
    text = ToJson(v, static_cast<int>(indent->integer()));
  else PythonJson(v, true, &text);
  text = Replace(Replace(Replace(Replace(text, "<", "\\u003c", -1), ">", "\\u003e", -1), "&", "\\u0026", -1), "'",
                 "\\u0027", -1);
  return Value(std::move(text));
}

// Airflow's own (templates.py).
Result<Value> DateFilter(const Value& v, const char* format) {
  if (v.is_null()) return Value();
  if (!v.is_datetime()) return InvalidArgument(fmt::format("a date is needed, not {}", v.KindName()));
  return Value(Strftime(v.datetime(), format));
}

const std::map<std::string, Filter>& Filters() {
  using V = const Value&;
  using A = const Args&;
  static const std::map<std::string, Filter> filters = {
      {"abs",
       [](V v, A) -> Result<Value> {
         if (v.is_double()) return Value(std::fabs(v.number()));
         if (v.is_number() && v.integer() != INT64_MIN) return Value(v.integer() < 0 ? -v.integer() : v.integer());
         return InvalidArgument(fmt::format("abs needs a number, not {}", v.KindName()));
       }},
      {"attr",
       [](V v, A a) -> Result<Value> {  // attributes alone, unlike `.name`, which also finds keys
         std::string name = a.Text(0, "name", "");
         if (v.is_map() && !HasMethod(v, name)) return Value::Undefined("no such attribute");
         Result<Value> found = GetAttribute(v, name);
         return found.ok() ? found : Value::Undefined("no such attribute");
       }},
      {"batch", Batch},
      {"capitalize",
       [](V v, A) -> Result<Value> {
         std::string s = Lower(PythonStr(v));
         if (!s.empty()) s[0] = static_cast<char>(toupper(static_cast<unsigned char>(s[0])));
         return Value(std::move(s));
       }},
      {"center",
       [](V v, A a) -> Result<Value> {
         std::string s = PythonStr(v);
         int64_t missing =
             std::min<int64_t>(a.Int(0, "width", 80), 10'000) - static_cast<int64_t>(Characters(s).size());
         if (missing <= 0) return Value(s);
         int64_t width = a.Int(0, "width", 80);
         int64_t left = missing / 2 + (missing & width & 1);
         return Value(std::string(static_cast<size_t>(left), ' ') + s +
                      std::string(static_cast<size_t>(missing - left), ' '));
       }},
      {"default",
       [](V v, A a) -> Result<Value> {
         if (v.is_undefined() || (a.Bool(1, "boolean", false) && !Truthy(v)))
           return a.Get(0, "default_value").value_or(Value(""));
         return v;
       }},
      {"dictsort", DictSort},
      {"ds", [](V v, A) { return DateFilter(v, "%Y-%m-%d"); }},
      {"ds_nodash", [](V v, A) { return DateFilter(v, "%Y%m%d"); }},
      {"escape", [](V v, A) -> Result<Value> { return Value(EscapeHtml(PythonStr(v))); }},
      {"first",
       [](V v, A) -> Result<Value> {
         List items = TRY(Iterate(v));
         return items.empty() ? Value::Undefined("no first item, sequence was empty") : items.front();
       }},
      {"float", ToFloat},
      {"format",
       [](V v, A a) -> Result<Value> {
         return Value(
             TRY(PercentFormat(PythonStr(v), a.named().empty() ? Value::Tuple(a.positional()) : Value(a.named()))));
       }},
      {"groupby", GroupBy},
      {"indent", Indent},
      {"int", ToInt},
      {"items",
       [](V v, A) -> Result<Value> {
         List out;
         if (v.is_map())
           for (const auto& [key, value] : v.map()) out.push_back(Value::Tuple({Value(key), value}));
         return Value(std::move(out));
       }},
      {"join", Join},
      {"last",
       [](V v, A) -> Result<Value> {
         List items = TRY(Iterate(v));
         return items.empty() ? Value::Undefined("no last item, sequence was empty") : items.back();
       }},
      {"length", [](V v, A) -> Result<Value> { return Value(static_cast<int64_t>(TRY(Iterate(v)).size())); }},
      {"list", [](V v, A) -> Result<Value> { return Value(TRY(Iterate(v))); }},
      {"lower", [](V v, A) -> Result<Value> { return Value(Lower(PythonStr(v))); }},
      {"map", MapFilter},
      {"max", [](V v, A a) { return Extreme(v, a, 1); }},
      {"min", [](V v, A a) { return Extreme(v, a, -1); }},
      {"reject", [](V v, A a) { return SelectBy(v, a, false, false); }},
      {"rejectattr", [](V v, A a) { return SelectBy(v, a, false, true); }},
      {"replace",
       [](V v, A a) -> Result<Value> {
         return Value(Replace(PythonStr(v), a.Text(0, "old", ""), a.Text(1, "new", ""), a.Int(2, "count", -1)));
       }},
      {"reverse",
       [](V v, A) -> Result<Value> {
         List items = TRY(Iterate(v));
         std::reverse(items.begin(), items.end());
         if (!v.is_string()) return Value(std::move(items));
         std::string out;
         for (const Value& c : items) out += c.string();
         return Value(std::move(out));
       }},
      {"round", Round},
      {"safe", [](V v, A) -> Result<Value> { return v; }},
      {"select", [](V v, A a) { return SelectBy(v, a, true, false); }},
      {"selectattr", [](V v, A a) { return SelectBy(v, a, true, true); }},
      {"sort", Sort},
      {"string", [](V v, A) -> Result<Value> { return Value(PythonStr(v)); }},
      {"sum",
       [](V v, A a) -> Result<Value> {
         std::optional<Value> attribute = a.Get(0, "attribute");
         Value total = a.Get(1, "start").value_or(Value(0));
         for (const Value& item : TRY(Iterate(v)))
           total = TRY(Arithmetic(Op::kAdd, total, attribute ? TRY(ByPath(item, PythonStr(*attribute))) : item));
         return total;
       }},
      {"title", Title},
      {"tojson", ToJsonFilter},
      {"trim", [](V v, A a) -> Result<Value> { return Value(Strip(PythonStr(v), a.Text(0, "chars", " \t\n\r\f\v"))); }},
      {"truncate", Truncate},
      {"ts",
       [](V v, A) -> Result<Value> {
         if (v.is_null()) return Value();
         if (!v.is_datetime()) return InvalidArgument(fmt::format("a date is needed, not {}", v.KindName()));
         return Value(IsoFormat(v.datetime()));
       }},
      {"ts_nodash", [](V v, A) { return DateFilter(v, "%Y%m%dT%H%M%S"); }},
      {"ts_nodash_with_tz", [](V v, A) { return DateFilter(v, "%Y%m%dT%H%M%S%z"); }},
      {"unique", Unique},
      {"upper", [](V v, A) -> Result<Value> { return Value(Upper(PythonStr(v))); }},
      {"urlencode", UrlEncode},
      {"wordcount",
       [](V v, A) -> Result<Value> {
         int64_t n = 0;
         bool inside = false;
         for (char c : PythonStr(v)) {
           bool word = isalnum(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80) != 0;
           n += word && !inside;
           inside = word;
         }
         return Value(n);
       }},
  };
  return filters;
}

std::string Canonical(const std::string& name) {
  if (name == "d") return "default";
  if (name == "e") return "escape";
  if (name == "count") return "length";
  return name;
}

}  // namespace

bool KnownFilter(const std::string& name) { return Filters().contains(Canonical(name)); }

Result<Value> ApplyFilter(const std::string& name, const Value& value, const List& arguments, const Map& named) {
  auto it = Filters().find(Canonical(name));
  if (it == Filters().end()) return NotFound(name);
  return it->second(value, Args(arguments, named));
}

}  // namespace tailrace::workflow::jinja
