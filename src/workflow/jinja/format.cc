// Python's % and str.format, and strftime.

#include <fmt/format.h>

#include <cmath>

#include "workflow/jinja/evaluator.h"
#include "workflow/timetable/civil.h"

namespace tailrace::workflow::jinja {
namespace {

constexpr int kWidthMax = 10'000;

struct Spec {
  std::string fill = " ";
  char align = 0, sign = '-', type = 0;
  bool alternate = false, zero = false, comma = false;
  int width = 0, precision = -1;
};

std::string Pad(const std::string& text, const Spec& spec, char default_align) {
  size_t length = Characters(text).size();
  if (static_cast<size_t>(spec.width) <= length) return text;
  size_t missing = static_cast<size_t>(spec.width) - length;
  char align = spec.align ? spec.align : default_align;
  auto fill = [&](size_t n) {
    std::string out;
    for (size_t i = 0; i < n; ++i) out += spec.fill;
    return out;
  };
  if (align == '<') return text + fill(missing);
  if (align == '^') return fill(missing / 2) + text + fill(missing - missing / 2);
  if (align == '=') {
    size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    return text.substr(0, sign) + fill(missing) + text.substr(sign);
  }
  return fill(missing) + text;
}

void Group(std::string* digits) {
  size_t point = digits->find_first_of(".e");
  size_t end = point == std::string::npos ? digits->size() : point;
  size_t begin = !digits->empty() && ((*digits)[0] == '-' || (*digits)[0] == '+') ? 1 : 0;
  for (size_t i = end; i > begin + 3; i -= 3) digits->insert(i - 3, ",");
}

Result<std::string> FormatNumber(const Value& v, const Spec& spec) {
  std::string text;
  char type = spec.type;
  if (v.is_double() && type == 'd') return InvalidArgument("format code 'd' needs an integer");
  if (!v.is_double() && (type == 0 || type == 'd' || type == 'i' || type == 'u' || type == 'x' || type == 'X' ||
                         type == 'o' || type == 'b')) {
    int64_t i = v.integer();
    uint64_t magnitude = i < 0 ? 0 - static_cast<uint64_t>(i) : static_cast<uint64_t>(i);
    if (type == 'x') text = fmt::format("{}{:x}", spec.alternate ? "0x" : "", magnitude);
    else if (type == 'X') text = fmt::format("{}{:X}", spec.alternate ? "0X" : "", magnitude);
    else if (type == 'o') text = fmt::format("{}{:o}", spec.alternate ? "0o" : "", magnitude);
    else if (type == 'b') text = fmt::format("{}{:b}", spec.alternate ? "0b" : "", magnitude);
    else text = std::to_string(magnitude);
    if (spec.comma) Group(&text);
    if (i < 0) text = "-" + text;
  } else {
    double d = v.number();
    int precision = spec.precision < 0 ? 6 : std::min(spec.precision, 100);
    if (type == 0 && spec.precision < 0) text = PythonStr(Value(d));
    else if (type == 'e') text = fmt::format("{:.{}e}", d, precision);
    else if (type == 'E') text = fmt::format("{:.{}E}", d, precision);
    else if (type == 'g' || type == 0) text = fmt::format("{:.{}g}", d, precision);
    else if (type == 'G') text = fmt::format("{:.{}G}", d, precision);
    else if (type == '%') text = fmt::format("{:.{}f}%", d * 100, precision);
    else text = fmt::format("{:.{}f}", d, precision);
    if (spec.comma) Group(&text);
  }
  if (text[0] != '-' && spec.sign != '-') text.insert(0, 1, spec.sign);
  Spec padded = spec;
  if (spec.zero && !spec.align) padded.fill = "0", padded.align = '=';
  return Pad(text, padded, '>');
}

Result<Spec> ParseSpec(const std::string& text) {
  Spec spec;
  std::vector<std::string> c = Characters(text);
  size_t i = 0;
  auto is_align = [&](size_t at) {
    return at < c.size() && c[at].size() == 1 && std::string_view("<>^=").find(c[at][0]) != std::string_view::npos;
  };
  if (is_align(1)) spec.fill = c[0], spec.align = c[1][0], i = 2;
  else if (is_align(0)) spec.align = c[0][0], i = 1;
  if (i < c.size() && (c[i] == "+" || c[i] == "-" || c[i] == " ")) spec.sign = c[i++][0];
  if (i < c.size() && c[i] == "#") spec.alternate = true, ++i;
  if (i < c.size() && c[i] == "0") spec.zero = true, ++i;
  auto number = [&] {
    int n = 0;
    while (i < c.size() && c[i].size() == 1 && isdigit(static_cast<unsigned char>(c[i][0])) && n < kWidthMax)
      n = n * 10 + (c[i++][0] - '0');
    return n;
  };
  spec.width = number();
  if (i < c.size() && (c[i] == "," || c[i] == "_")) spec.comma = true, ++i;
  if (i < c.size() && c[i] == ".") ++i, spec.precision = number();
  if (i < c.size() && c[i].size() == 1) spec.type = c[i++][0];
  if (i != c.size() || spec.width >= kWidthMax || spec.precision >= kWidthMax)
    return InvalidArgument("invalid format specifier '" + text + "'");
  return spec;
}

Result<std::string> FormatOne(const Value& v, const std::string& spec_text) {
  if (spec_text.empty()) return PythonStr(v);
  if (v.is_datetime()) return Strftime(v.datetime(), spec_text);
  Spec spec = TRY(ParseSpec(spec_text));
  if (v.is_number() && !(v.is_bool() && spec.type == 0)) return FormatNumber(v, spec);
  if (spec.type != 0 && spec.type != 's')
    return InvalidArgument(fmt::format("format code '{}' can't be used with {}", spec.type, v.KindName()));
  std::string text = PythonStr(v);
  if (spec.precision >= 0) {
    std::vector<std::string> c = Characters(text);
    text.clear();
    for (size_t i = 0; i < c.size() && i < static_cast<size_t>(spec.precision); ++i) text += c[i];
  }
  return Pad(text, spec, '<');
}

}  // namespace

Result<std::string> PercentFormat(const std::string& format, const Value& value) {
  std::string out;
  size_t next = 0;
  const bool tuple = value.is_tuple();
  auto take = [&]() -> Result<Value> {
    if (!tuple) {
      if (next++ > 0) return InvalidArgument("not enough arguments for format string");
      return value;
    }
    if (next >= value.list().size()) return InvalidArgument("not enough arguments for format string");
    return value.list()[next++];
  };
  bool named = false;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    if (++i >= format.size()) return InvalidArgument("incomplete format");
    if (format[i] == '%') {
      out += '%';
      continue;
    }
    std::optional<Value> item;
    if (format[i] == '(') {
      size_t close = format.find(')', i);
      if (close == std::string::npos) return InvalidArgument("incomplete format key");
      const Value* found = value.Find(format.substr(i + 1, close - i - 1));
      if (found == nullptr)
        return InvalidArgument(fmt::format("no key '{}' for the format string", format.substr(i + 1, close - i - 1)));
      item = *found;
      named = true;
      i = close + 1;
    }
    Spec spec;
    for (; i < format.size() && std::string_view("-+ #0").find(format[i]) != std::string_view::npos; ++i) {
      if (format[i] == '-') spec.align = '<';
      if (format[i] == '+' || format[i] == ' ') spec.sign = format[i];
      if (format[i] == '#') spec.alternate = true;
      if (format[i] == '0') spec.zero = true;
    }
    auto number = [&] {
      int n = 0;
      while (i < format.size() && isdigit(static_cast<unsigned char>(format[i])) && n < kWidthMax)
        n = n * 10 + (format[i++] - '0');
      return n;
    };
    spec.width = number();
    if (i < format.size() && format[i] == '.') ++i, spec.precision = number();
    if (i >= format.size() || spec.width >= kWidthMax || spec.precision >= kWidthMax)
      return InvalidArgument("incomplete format");
    spec.type = format[i];
    if (!item) item = TRY(take());
    if (item->is_undefined()) return InvalidArgument(item->hint());
    if (spec.type == 's' || spec.type == 'r') {
      std::string text = spec.type == 's' ? PythonStr(*item) : PythonRepr(*item);
      if (spec.precision >= 0) text = text.substr(0, static_cast<size_t>(spec.precision));
      out += Pad(text, spec, '>');
      continue;
    }
    if (std::string_view("diuxXofFeEgG").find(spec.type) == std::string_view::npos)
      return InvalidArgument(fmt::format("unsupported format character '{}'", spec.type));
    if (!item->is_number())
      return InvalidArgument(fmt::format("%{} needs a number, not {}", spec.type, item->KindName()));
    if ((spec.type == 'd' || spec.type == 'i' || spec.type == 'u') && item->is_double())
      item = Value(static_cast<int64_t>(item->number()));
    out += TRY(FormatNumber(*item, spec));
  }
  if (tuple && !named && next < value.list().size())
    return InvalidArgument("not all arguments converted during string formatting");
  if (!tuple && !named && next == 0 && !value.is_map() && !value.is_list())
    return InvalidArgument("not all arguments converted during string formatting");
  return out;
}

Result<std::string> BraceFormat(const std::string& format, const List& arguments, const Map& named) {
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    char c = format[i];
    if ((c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c) {
      out += c;
      ++i;
      continue;
    }
    if (c == '}') return InvalidArgument("single '}' encountered in format string");
    if (c != '{') {
      out += c;
      continue;
    }
    size_t close = format.find('}', i);
    if (close == std::string::npos) return InvalidArgument("expected '}' before end of string");
    std::string field = format.substr(i + 1, close - i - 1), spec;
    if (size_t colon = field.find(':'); colon != std::string::npos) spec = field.substr(colon + 1), field.resize(colon);
    char conversion = 0;
    if (size_t bang = field.find('!'); bang != std::string::npos) {
      conversion = bang + 1 < field.size() ? field[bang + 1] : 's';
      field.resize(bang);
    }
    size_t path = field.find_first_of(".[");
    std::string head = field.substr(0, path);
    Value value;
    if (head.empty() || isdigit(static_cast<unsigned char>(head[0]))) {
      size_t index = head.empty() ? next++ : static_cast<size_t>(atoi(head.c_str()));
      if (index >= arguments.size()) return InvalidArgument("replacement index out of range for positional args tuple");
      value = arguments[index];
    } else {
      const Value* found = named.Find(head);
      if (found == nullptr) return InvalidArgument(fmt::format("no argument '{}' for the format string", head));
      value = *found;
    }
    while (path != std::string::npos && path < field.size()) {
      size_t end = field[path] == '.' ? field.find_first_of(".[", path + 1) : field.find(']', path);
      std::string key = field.substr(path + 1, end == std::string::npos ? std::string::npos : end - path - 1);
      bool index = field[path] == '[' && !key.empty() && key.find_first_not_of("0123456789") == std::string::npos;
      value = TRY(field[path] == '.'
                      ? GetAttribute(value, key)
                      : GetItem(value, index ? Value(static_cast<int64_t>(atoll(key.c_str()))) : Value(key)));
      path = end == std::string::npos || field[path] == '.' ? end : end + 1;
    }
    if (conversion == 'r') value = Value(PythonRepr(value));
    else if (conversion == 's') value = Value(PythonStr(value));
    out += TRY(FormatOne(value, spec));
    i = close;
  }
  return out;
}

std::string Strftime(const DateTime& t, const std::string& format) {
  static constexpr const char* kDays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
  static constexpr const char* kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                            "July",    "August",   "September", "October", "November", "December"};
  const int64_t local = FloorDiv(t.epoch_us, 1'000'000) + t.offset_s;
  const CivilTime c = CivilFromSeconds(local);
  const int64_t day = FloorDiv(local, 86400);
  const int weekday = DayOfWeek(day), yearday = static_cast<int>(day - DaysFromCivil(c.year, 1, 1)) + 1;
  const int offset_min = (t.offset_s < 0 ? -t.offset_s : t.offset_s) / 60;
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 >= format.size()) {
      out += format[i];
      continue;
    }
    char f = format[++i];
    bool no_pad = f == '-' && i + 1 < format.size();
    if (no_pad) f = format[++i];
    auto two = [&](int v) { out += no_pad ? std::to_string(v) : fmt::format("{:02}", v); };
    switch (f) {
      case 'Y': out += fmt::format("{:04}", c.year); break;
      case 'y': two(c.year % 100); break;
      case 'm': two(c.month); break;
      case 'd': two(c.day); break;
      case 'e': out += fmt::format("{:2}", c.day); break;
      case 'H': two(c.hour); break;
      case 'I': two(c.hour % 12 == 0 ? 12 : c.hour % 12); break;
      case 'M': two(c.minute); break;
      case 'S': two(c.second); break;
      case 'f': out += fmt::format("{:06}", FloorMod(t.epoch_us, 1'000'000)); break;
      case 'p': out += c.hour < 12 ? "AM" : "PM"; break;
      case 'j': out += fmt::format("{:03}", yearday); break;
      case 'a': out += std::string_view(kDays[weekday]).substr(0, 3); break;
      case 'A': out += kDays[weekday]; break;
      case 'b':
      case 'h': out += std::string_view(kMonths[c.month - 1]).substr(0, 3); break;
      case 'B': out += kMonths[c.month - 1]; break;
      case 'w': out += std::to_string(weekday); break;
      case 'u': out += std::to_string(weekday == 0 ? 7 : weekday); break;
      case 'U': two((yearday + 6 - weekday) / 7); break;
      case 'W': two((yearday + 6 - (weekday + 6) % 7) / 7); break;
      case 'V':
      case 'G': {  // ISO week: that of its Thursday
        int64_t thursday = day - (weekday + 6) % 7 + 3;
        CivilTime y = CivilFromSeconds(thursday * 86400);
        if (f == 'G') out += std::to_string(y.year);
        else two(static_cast<int>((thursday - DaysFromCivil(y.year, 1, 1)) / 7) + 1);
        break;
      }
      case 'z': out += fmt::format("{}{:02}{:02}", t.offset_s < 0 ? '-' : '+', offset_min / 60, offset_min % 60); break;
      case 'Z': out += t.zone; break;
      case 's': out += std::to_string(FloorDiv(t.epoch_us, 1'000'000)); break;
      case 'F': out += fmt::format("{:04}-{:02}-{:02}", c.year, c.month, c.day); break;
      case 'T': out += fmt::format("{:02}:{:02}:{:02}", c.hour, c.minute, c.second); break;
      case 'D': out += fmt::format("{:02}/{:02}/{:02}", c.month, c.day, c.year % 100); break;
      case 'R': out += fmt::format("{:02}:{:02}", c.hour, c.minute); break;
      case 'c':
        out += fmt::format("{:.3} {:.3} {:2} {:02}:{:02}:{:02} {}", kDays[weekday], kMonths[c.month - 1], c.day, c.hour,
                           c.minute, c.second, c.year);
        break;
      case 'x': out += fmt::format("{:02}/{:02}/{:02}", c.month, c.day, c.year % 100); break;
      case 'X': out += fmt::format("{:02}:{:02}:{:02}", c.hour, c.minute, c.second); break;
      case 'n': out += '\n'; break;
      case 't': out += '\t'; break;
      case '%': out += '%'; break;
      default: out += '%', out += f;
    }
  }
  return out;
}

}  // namespace tailrace::workflow::jinja
