// Attributes and methods of strings, lists, maps, dates and durations, as Python and pendulum name them.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "workflow/jinja/evaluator.h"
#include "workflow/timetable/civil.h"
#include "workflow/timetable/zone.h"

namespace tailrace::workflow::jinja {
namespace {

/// `{{ x.method }}` taken as a value and called later.
class Bound final : public Object {
 public:
  Bound(Value self, std::string name) : self_(std::move(self)), name_(std::move(name)) {}
  Result<Value> Call(const List& arguments, const Map& named) const override {
    return CallMethod(self_, name_, arguments, named);
  }
  std::string Text() const override { return "<method '" + name_ + "'>"; }

 private:
  Value self_;
  std::string name_;
};

constexpr const char* kSpaces = " \t\n\r\f\v";

std::string TextAt(const List& a, size_t i, std::string otherwise) {
  return i < a.size() && a[i].is_string() ? a[i].string() : otherwise;
}
int64_t IntAt(const List& a, size_t i, int64_t otherwise) {
  return i < a.size() && a[i].is_int() ? a[i].integer() : otherwise;
}

Result<Value> StringMethod(const std::string& s, const std::string& name, const List& a, const Map& named) {
  for (const Value& v : a)
    if (v.is_undefined()) return InvalidArgument(v.hint());
  auto filter = [&](const char* f) { return ApplyFilter(f, Value(s), a, named); };
  if (name == "upper" || name == "lower" || name == "capitalize") return filter(name.c_str());
  if (name == "title") {
    std::string out;
    bool start = true;
    for (char c : s) {
      bool letter = isalpha(static_cast<unsigned char>(c)) != 0;
      out += static_cast<char>(start ? toupper(static_cast<unsigned char>(c)) : tolower(static_cast<unsigned char>(c)));
      start = !letter;
    }
    return Value(std::move(out));
  }
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    std::string set = TextAt(a, 0, kSpaces);
    size_t first = name == "rstrip" ? 0 : std::min(s.find_first_not_of(set), s.size());
    size_t last = name == "lstrip" ? s.size() : s.find_last_not_of(set) + 1;
    return Value(first < last ? s.substr(first, last - first) : std::string());
  }
  if (name == "replace") {
    if (a.size() < 2) return InvalidArgument("replace takes the old and the new text");
    return ApplyFilter("replace", Value(s), a, named);
  }
  if (name == "startswith" || name == "endswith") {
    List options = !a.empty() && a[0].is_list() ? a[0].list() : a;
    for (const Value& o : options)
      if (o.is_string() && (name == "startswith" ? s.starts_with(o.string()) : s.ends_with(o.string())))
        return Value(true);
    return Value(false);
  }
  if (name == "removeprefix") return Value(s.starts_with(TextAt(a, 0, "")) ? s.substr(TextAt(a, 0, "").size()) : s);
  if (name == "removesuffix")
    return Value(s.ends_with(TextAt(a, 0, "")) ? s.substr(0, s.size() - TextAt(a, 0, "").size()) : s);
  if (name == "split" || name == "rsplit") {
    List out;
    int64_t most = IntAt(a, 1, -1);
    if (const Value* m = named.Find("maxsplit"); m && m->is_int()) most = m->integer();
    if (a.empty() || a[0].is_null()) {
      size_t i = 0;
      while (true) {
        i = s.find_first_not_of(kSpaces, i);
        if (i == std::string::npos) break;
        if (most >= 0 && static_cast<int64_t>(out.size()) == most) {
          out.push_back(Value(s.substr(i, s.find_last_not_of(kSpaces) - i + 1)));
          break;
        }
        size_t end = std::min(s.find_first_of(kSpaces, i), s.size());
        out.push_back(Value(s.substr(i, end - i)));
        i = end;
      }
      return Value(std::move(out));
    }
    std::string by = TextAt(a, 0, "");
    if (by.empty()) return InvalidArgument("empty separator");
    if (name == "rsplit" && most >= 0) {
      std::string rest = s;
      while (most-- > 0) {
        size_t found = rest.rfind(by);
        if (found == std::string::npos) break;
        out.insert(out.begin(), Value(rest.substr(found + by.size())));
        rest.resize(found);
      }
      out.insert(out.begin(), Value(rest));
      return Value(std::move(out));
    }
    size_t at = 0;
    while (most < 0 || static_cast<int64_t>(out.size()) < most) {
      size_t found = s.find(by, at);
      if (found == std::string::npos) break;
      out.push_back(Value(s.substr(at, found - at)));
      at = found + by.size();
    }
    out.push_back(Value(s.substr(at)));
    return Value(std::move(out));
  }
  if (name == "splitlines") {
    List out;
    size_t at = 0;
    while (at < s.size()) {
      size_t end = std::min(s.find('\n', at), s.size());
      size_t stop = end > at && s[end - 1] == '\r' ? end - 1 : end;
      out.push_back(Value(s.substr(at, stop - at)));
      at = end + 1;
    }
    return Value(std::move(out));
  }
  if (name == "join") {
    if (a.empty()) return InvalidArgument("join takes what to join");
    for (const Value& item : TRY(Iterate(a[0])))
      if (!item.is_string()) return InvalidArgument(fmt::format("join: expected strings, found {}", item.KindName()));
    return ApplyFilter("join", a[0], {Value(s)}, {});
  }
  if (name == "format") return Value(TRY(BraceFormat(s, a, named)));
  if (name == "find" || name == "index" || name == "rfind") {
    size_t found = name == "rfind" ? s.rfind(TextAt(a, 0, "")) : s.find(TextAt(a, 0, ""));
    if (found == std::string::npos)
      return name == "index" ? Result<Value>(InvalidArgument("substring not found")) : Value(-1);
    return Value(static_cast<int64_t>(Characters(s.substr(0, found)).size()));
  }
  if (name == "count") {
    std::string what = TextAt(a, 0, "");
    int64_t n = 0;
    if (what.empty()) return Value(static_cast<int64_t>(Characters(s).size()) + 1);
    for (size_t i = s.find(what); i != std::string::npos; i = s.find(what, i + what.size())) ++n;
    return Value(n);
  }
  if (name == "zfill" || name == "ljust" || name == "rjust" || name == "center") {
    int64_t width = IntAt(a, 0, 0), length = static_cast<int64_t>(Characters(s).size());
    if (width > 100'000) return InvalidArgument("a width of more than 100,000");
    if (width <= length) return Value(s);
    char fill = name == "zfill" ? '0' : TextAt(a, 1, " ")[0];
    size_t missing = static_cast<size_t>(width - length);
    if (name == "center") return ApplyFilter("center", Value(s), a, named);
    if (name == "ljust") return Value(s + std::string(missing, fill));
    size_t sign = name == "zfill" && !s.empty() && (s[0] == '-' || s[0] == '+') ? 1 : 0;
    return Value(s.substr(0, sign) + std::string(missing, fill) + s.substr(sign));
  }
  auto all = [&](int (*is)(int)) {
    for (unsigned char c : s)
      if (!is(c)) return Value(false);
    return Value(!s.empty());
  };
  if (name == "isdigit" || name == "isnumeric") return all(isdigit);
  if (name == "isalpha") return all(isalpha);
  if (name == "isalnum") return all(isalnum);
  if (name == "isspace") return all(isspace);
  if (name == "isupper") return Value(TRY(ApplyTest("upper", Value(s), {})));
  if (name == "islower") return Value(TRY(ApplyTest("lower", Value(s), {})));
  return NotFound(name);
}

Result<Value> MapMethod(const Value& self, const std::string& name, const List& a) {
  List out;
  if (name == "get") {
    if (a.empty()) return InvalidArgument("get takes a key");
    const Value* found = a[0].is_string() ? self.map().Find(a[0].string()) : nullptr;
    return found ? *found : a.size() > 1 ? a[1] : Value();
  }
  for (const auto& [key, value] : self.map())
    out.push_back(name == "keys" ? Value(key) : name == "values" ? value : Value::Tuple({Value(key), value}));
  return Value(std::move(out));
}

Result<Value> ListMethod(const Value& self, const std::string& name, const List& a) {
  if (a.empty()) return InvalidArgument(name + " takes a value");
  int64_t n = 0;
  for (size_t i = 0; i < self.list().size(); ++i) {
    if (!Equal(self.list()[i], a[0])) continue;
    if (name == "index") return Value(static_cast<int64_t>(i));
    ++n;
  }
  if (name == "index") return InvalidArgument("the list has no such value");
  return Value(n);
}

/// The same wall clock moved by whole months, days clipped to the month (pendulum's add).
DateTime MoveCivil(const DateTime& t, int64_t months, int64_t days, int64_t us) {
  Result<const Zone*> zone = Zone::Find(t.zone);
  int64_t local = FloorDiv(t.epoch_us, 1'000'000) + t.offset_s;
  CivilTime c = CivilFromSeconds(local);
  int64_t month = c.year * 12LL + c.month - 1 + months;
  c.year = static_cast<int>(FloorDiv(month, 12));
  c.month = static_cast<int>(FloorMod(month, 12)) + 1;
  c.day = std::min(c.day, DaysInMonth(c.year, c.month));
  int64_t moved = SecondsFromCivil(c) + days * 86400;
  int64_t rest_us = FloorMod(t.epoch_us, 1'000'000);
  if (months == 0 && days == 0) moved = local;
  if (!zone.ok()) return DateTime{(moved - t.offset_s) * 1'000'000 + rest_us + us, t.offset_s, t.zone};
  return (*zone)->At((*zone)->FromLocal(moved) * 1'000'000 + rest_us + us);
}

/// pendulum's format tokens.
std::string PendulumFormat(const DateTime& t, const std::string& format) {
  static constexpr std::pair<const char*, const char*> kTokens[] = {
      {"YYYY", "%Y"}, {"YY", "%y"}, {"MMMM", "%B"}, {"MMM", "%b"}, {"MM", "%m"}, {"M", "%-m"},     {"DDDD", "%j"},
      {"DD", "%d"},   {"D", "%-d"}, {"dddd", "%A"}, {"ddd", "%a"}, {"HH", "%H"}, {"H", "%-H"},     {"hh", "%I"},
      {"h", "%-I"},   {"mm", "%M"}, {"m", "%-M"},   {"ss", "%S"},  {"s", "%-S"}, {"SSSSSS", "%f"}, {"A", "%p"},
      {"ZZ", "%z"},   {"zz", "%Z"}, {"z", "%Z"},    {"X", "%s"}};
  std::string out;
  for (size_t i = 0; i < format.size();) {
    if (format[i] == '[') {
      size_t close = format.find(']', i);
      if (close != std::string::npos) {
        out += format.substr(i + 1, close - i - 1);
        i = close + 1;
        continue;
      }
    }
    const char* best = nullptr;
    size_t length = 0;
    for (const auto& [token, strf] : kTokens) {
      size_t n = std::string_view(token).size();
      if (n > length && format.compare(i, n, token) == 0) best = strf, length = n;
    }
    if (best) out += Strftime(t, best), i += length;
    else out += format[i++];
  }
  return out;
}

Result<Value> DateMethod(const DateTime& t, const std::string& name, const List& a, const Map& named) {
  if (name == "strftime") return Value(Strftime(t, TextAt(a, 0, "")));
  if (name == "format") return Value(PendulumFormat(t, TextAt(a, 0, "")));
  if (name == "isoformat") return Value(IsoFormat(t));
  if (name == "to_date_string") return Value(Strftime(t, "%Y-%m-%d"));
  if (name == "to_datetime_string") return Value(Strftime(t, "%Y-%m-%d %H:%M:%S"));
  if (name == "to_iso8601_string") return Value(t.offset_s == 0 ? Strftime(t, "%Y-%m-%dT%H:%M:%SZ") : IsoFormat(t));
  if (name == "timestamp") return Value(static_cast<double>(t.epoch_us) / 1e6);
  if (name == "weekday" || name == "isoweekday") {
    int d = DayOfWeek(FloorDiv(FloorDiv(t.epoch_us, 1'000'000) + t.offset_s, 86400));
    return Value(name == "weekday" ? (d + 6) % 7 : d == 0 ? 7 : d);
  }
  if (name == "date") return Value(Strftime(t, "%Y-%m-%d"));
  if (name == "in_timezone" || name == "in_tz") {
    const Zone* zone = TRY(Zone::Find(TextAt(a, 0, "UTC")));
    return Value(zone->At(t.epoch_us));
  }
  if (name == "add" || name == "subtract") {
    int64_t sign = name == "add" ? 1 : -1;
    auto amount = [&](const char* unit) {
      const Value* v = named.Find(unit);
      return v && v->is_number() ? sign * static_cast<int64_t>(v->number()) : 0;
    };
    return Value(MoveCivil(
        t, amount("years") * 12 + amount("months"), amount("weeks") * 7 + amount("days"),
        ((amount("hours") * 60 + amount("minutes")) * 60 + amount("seconds")) * 1'000'000 + amount("microseconds")));
  }
  if (name == "start_of" || name == "end_of" || name == "replace") {
    int64_t local = FloorDiv(t.epoch_us, 1'000'000) + t.offset_s;
    CivilTime c = CivilFromSeconds(local);
    int64_t us = 0;
    if (name == "replace") {
      us = FloorMod(t.epoch_us, 1'000'000);
      for (const auto& [unit, v] : named) {
        if (!v.is_int()) return InvalidArgument("replace takes integers");
        int n = static_cast<int>(v.integer());
        if (unit == "year") c.year = n;
        else if (unit == "month") c.month = n;
        else if (unit == "day") c.day = n;
        else if (unit == "hour") c.hour = n;
        else if (unit == "minute") c.minute = n;
        else if (unit == "second") c.second = n;
        else if (unit == "microsecond") us = n;
        else return InvalidArgument(fmt::format("replace: unknown part '{}'", unit));
      }
      if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > DaysInMonth(c.year, c.month) || c.hour < 0 ||
          c.hour > 23 || c.minute < 0 || c.minute > 59 || c.second < 0 || c.second > 59)
        return InvalidArgument("replace: no such date");
    } else {
      std::string unit = TextAt(a, 0, "day");
      c.second = unit == "second" ? c.second : 0;
      if (unit != "second" && unit != "minute") c.minute = 0;
      if (unit != "second" && unit != "minute" && unit != "hour") c.hour = 0;
      if (unit == "month" || unit == "year") c.day = 1;
      if (unit == "year") c.month = 1;
      if (unit == "week") {
        int64_t day = DaysFromCivil(c.year, c.month, c.day);
        c = CivilFromSeconds((day - (DayOfWeek(day) + 6) % 7) * 86400);
      }
      if (name == "end_of") {
        DateTime start{(SecondsFromCivil(c) - t.offset_s) * 1'000'000, t.offset_s, t.zone};
        int64_t months = unit == "month"  ? 1
                         : unit == "year" ? 12
                                          : 0,
                days = unit == "day"    ? 1
                       : unit == "week" ? 7
                                        : 0;
        int64_t plus = unit == "hour"     ? 3'600'000'000
                       : unit == "minute" ? 60'000'000
                       : unit == "second" ? 1'000'000
                                          : 0;
        return Value(MoveCivil(start, months, days, plus - 1));
      }
    }
    Result<const Zone*> zone = Zone::Find(t.zone);
    int64_t seconds = SecondsFromCivil(c);
    if (!zone.ok()) return Value(DateTime{(seconds - t.offset_s) * 1'000'000 + us, t.offset_s, t.zone});
    return Value((*zone)->At((*zone)->FromLocal(seconds) * 1'000'000 + us));
  }
  return NotFound(name);
}

const std::set<std::string>& Names(const Value& v) {
  static const std::set<std::string> string = {
      "upper",      "lower",    "capitalize",   "title",        "strip",   "lstrip",  "rstrip",     "replace",
      "startswith", "endswith", "removeprefix", "removesuffix", "split",   "rsplit",  "splitlines", "join",
      "format",     "find",     "rfind",        "index",        "count",   "zfill",   "ljust",      "rjust",
      "center",     "isdigit",  "isnumeric",    "isalpha",      "isalnum", "isspace", "isupper",    "islower"};
  static const std::set<std::string> map = {"get", "keys", "values", "items"};
  static const std::set<std::string> list = {"index", "count"};
  static const std::set<std::string> date = {"strftime",
                                             "format",
                                             "isoformat",
                                             "to_date_string",
                                             "to_datetime_string",
                                             "to_iso8601_string",
                                             "timestamp",
                                             "weekday",
                                             "isoweekday",
                                             "date",
                                             "in_timezone",
                                             "in_tz",
                                             "add",
                                             "subtract",
                                             "start_of",
                                             "end_of",
                                             "replace"};
  static const std::set<std::string> duration = {"total_seconds"};
  static const std::set<std::string> none;
  return v.is_string()     ? string
         : v.is_map()      ? map
         : v.is_list()     ? list
         : v.is_datetime() ? date
         : v.is_duration() ? duration
                           : none;
}

}  // namespace

bool HasMethod(const Value& self, const std::string& name) { return Names(self).contains(name); }

Result<Value> CallMethod(const Value& self, const std::string& name, const List& arguments, const Map& named) {
  if (self.is_string()) return StringMethod(self.string(), name, arguments, named);
  if (self.is_map()) return MapMethod(self, name, arguments);
  if (self.is_list()) return ListMethod(self, name, arguments);
  if (self.is_datetime()) return DateMethod(self.datetime(), name, arguments, named);
  if (self.is_duration() && name == "total_seconds") return Value(static_cast<double>(self.duration().us) / 1e6);
  return NotFound(name);
}

Result<Value> GetAttribute(const Value& self, const std::string& name) {
  if (self.is_object()) return self.object()->Attribute(name);
  // As Jinja: the method first (`{{ d.items }}` is dict.items), then the key.
  if (HasMethod(self, name)) return Value(std::shared_ptr<const Object>(std::make_shared<Bound>(self, name)));
  if (self.is_map()) {
    const Value* found = self.map().Find(name);
    if (found) return *found;
  }
  if (self.is_datetime()) {
    const DateTime& t = self.datetime();
    CivilTime c = CivilFromSeconds(FloorDiv(t.epoch_us, 1'000'000) + t.offset_s);
    if (name == "year") return Value(c.year);
    if (name == "month") return Value(c.month);
    if (name == "day") return Value(c.day);
    if (name == "hour") return Value(c.hour);
    if (name == "minute") return Value(c.minute);
    if (name == "second") return Value(c.second);
    if (name == "microsecond") return Value(FloorMod(t.epoch_us, 1'000'000));
    if (name == "quarter") return Value((c.month + 2) / 3);
    if (name == "day_of_year") return Value(DaysFromCivil(c.year, c.month, c.day) - DaysFromCivil(c.year, 1, 1) + 1);
    if (name == "day_of_week") return Value((DayOfWeek(DaysFromCivil(c.year, c.month, c.day)) + 6) % 7);
    if (name == "int_timestamp") return Value(FloorDiv(t.epoch_us, 1'000'000));
    if (name == "timezone_name") return Value(t.zone);
  }
  if (self.is_duration()) {
    if (name == "days") return Value(FloorDiv(self.duration().us, 86'400'000'000));
    if (name == "seconds") return Value(FloorMod(self.duration().us, 86'400'000'000) / 1'000'000);
  }
  return NotFound(name);
}

Result<Value> GetItem(const Value& self, const Value& index) {
  if (self.is_list() || self.is_string()) {
    if (!index.is_int() && !index.is_bool()) {
      if (index.is_string()) return GetAttribute(self, index.string());
      return InvalidArgument(fmt::format("an index must be an integer, not {}", index.KindName()));
    }
    std::vector<std::string> characters;
    if (self.is_string()) characters = Characters(self.string());
    int64_t n = static_cast<int64_t>(self.is_string() ? characters.size() : self.list().size());
    int64_t i = index.integer() < 0 ? index.integer() + n : index.integer();
    if (i < 0 || i >= n) return NotFound("index");
    return self.is_string() ? Value(characters[static_cast<size_t>(i)]) : self.list()[static_cast<size_t>(i)];
  }
  if (self.is_map()) {
    const Value* found = self.map().Find(PythonStr(index));
    if (found) return *found;
    return index.is_string() ? GetAttribute(self, index.string()) : Result<Value>(NotFound("key"));
  }
  if (index.is_string()) return GetAttribute(self, index.string());
  return NotFound("element");
}

}  // namespace tailrace::workflow::jinja
