// Python's ideas of text, truth, order and arithmetic.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "workflow/jinja/evaluator.h"
#include "workflow/timetable/civil.h"

namespace tailrace::workflow {
namespace {

std::string DoubleText(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", d);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string DurationText(int64_t us) {
  int64_t days = FloorDiv(us, 86'400'000'000), rest = FloorMod(us, 86'400'000'000);
  std::string text;
  if (days != 0) text = fmt::format("{} day{}, ", days, days == 1 || days == -1 ? "" : "s");
  int64_t s = rest / 1'000'000;
  text += fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  if (rest % 1'000'000 != 0) text += fmt::format(".{:06}", rest % 1'000'000);
  return text;
}

}  // namespace

bool Truthy(const Value& v) {
  switch (v.kind()) {
    case Value::Kind::kUndefined:
    case Value::Kind::kNull: return false;
    case Value::Kind::kBool: return v.boolean();
    case Value::Kind::kInt: return v.integer() != 0;
    case Value::Kind::kDouble: return v.number() != 0;
    case Value::Kind::kString: return !v.string().empty();
    case Value::Kind::kList: return !v.list().empty();
    case Value::Kind::kMap: return !v.map().empty();
    case Value::Kind::kDuration: return v.duration().us != 0;
    default: return true;
  }
}

std::string PythonStr(const Value& v) {
  switch (v.kind()) {
    case Value::Kind::kUndefined: return "";
    case Value::Kind::kString: return v.string();
    case Value::Kind::kDateTime: return IsoFormat(v.datetime(), ' ');
    case Value::Kind::kDuration: return DurationText(v.duration().us);
    default: return PythonRepr(v);
  }
}

std::string PythonRepr(const Value& v) {
  switch (v.kind()) {
    case Value::Kind::kUndefined: return "Undefined";
    case Value::Kind::kNull: return "None";
    case Value::Kind::kBool: return v.boolean() ? "True" : "False";
    case Value::Kind::kInt: return std::to_string(v.integer());
    case Value::Kind::kDouble: return DoubleText(v.number());
    case Value::Kind::kString: {
      const std::string& s = v.string();
      char quote = s.find('\'') != std::string::npos && s.find('"') == std::string::npos ? '"' : '\'';
      std::string out(1, quote);
      for (char c : s) {
        if (c == quote || c == '\\') out += '\\', out += c;
        else if (c == '\n') out += "\\n";
        else if (c == '\t') out += "\\t";
        else if (c == '\r') out += "\\r";
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
          out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        else out += c;
      }
      return out + quote;
    }
    case Value::Kind::kList: {
      std::string out = v.is_tuple() ? "(" : "[";
      bool first = true;
      for (const Value& item : v.list()) {
        if (!first) out += ", ";
        first = false;
        out += PythonRepr(item);
      }
      if (v.is_tuple()) return out + (v.list().size() == 1 ? ",)" : ")");
      return out + "]";
    }
    case Value::Kind::kMap: {
      std::string out = "{";
      bool first = true;
      for (const auto& [key, item] : v.map()) {
        if (!first) out += ", ";
        first = false;
        out += PythonRepr(Value(key)) + ": " + PythonRepr(item);
      }
      return out + "}";
    }
    case Value::Kind::kDateTime: return "DateTime(" + IsoFormat(v.datetime(), ' ') + ")";
    case Value::Kind::kDuration: return "datetime.timedelta(" + DurationText(v.duration().us) + ")";
    case Value::Kind::kObject: return v.object()->Text();
  }
  return "";
}

namespace jinja {

std::vector<std::string> Characters(const std::string& text) {
  std::vector<std::string> out;
  for (size_t i = 0; i < text.size();) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    out.push_back(text.substr(i, n));
    i += n;
  }
  return out;
}

namespace {

uint32_t Decode(const std::string& character) {
  unsigned char c = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return c;
  uint32_t code = c & (0xffu >> (character.size() + 1));
  for (size_t i = 1; i < character.size(); ++i) code = code << 6 | (static_cast<unsigned char>(character[i]) & 0x3f);
  return code;
}

std::string Encode2(uint32_t c) { return {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 0x3f))}; }

/// Letters of two bytes whose cases lie a fixed distance apart, or next to each other (even: upper).
struct CaseRange {
  uint32_t lower_first, lower_last;
  uint32_t distance;  // 0: pairs
};
constexpr CaseRange kCases[] = {{0xe0, 0xf6, 32},   {0xf8, 0xfe, 32},   {0x100, 0x137, 0},
                                {0x14a, 0x177, 0},  {0x3b1, 0x3c1, 32}, {0x3c3, 0x3c9, 32},
                                {0x430, 0x44f, 32}, {0x450, 0x45f, 80}, {0x460, 0x481, 0}};

std::string ChangeCase(const std::string& text, bool upper) {
  std::string out;
  for (const std::string& character : Characters(text)) {
    if (character.size() == 1) {
      unsigned char c = static_cast<unsigned char>(character[0]);
      out += static_cast<char>(upper ? toupper(c) : tolower(c));
      continue;
    }
    uint32_t code = Decode(character);
    std::string changed = character;
    if (code == 0xdf && upper) changed = "SS";
    for (const CaseRange& r : kCases) {
      if (character.size() != 2) break;
      uint32_t first = r.lower_first - (upper ? 0 : r.distance), last = r.lower_last - (upper ? 0 : r.distance);
      if (code < first || code > last) continue;
      if (r.distance != 0) changed = Encode2(upper ? code - r.distance : code + r.distance);
      else changed = Encode2(upper ? code & ~1u : code | 1u);
      break;
    }
    out += changed;
  }
  return out;
}

}  // namespace

std::string Upper(const std::string& text) { return ChangeCase(text, true); }
std::string Lower(const std::string& text) { return ChangeCase(text, false); }

Result<List> Iterate(const Value& v) {
  if (v.is_list()) return v.list();
  if (v.is_map()) {
    List keys;
    for (const auto& [key, value] : v.map()) keys.push_back(Value(key));
    return keys;
  }
  if (v.is_string()) {
    List out;
    for (std::string& c : Characters(v.string())) out.push_back(Value(std::move(c)));
    return out;
  }
  if (v.is_undefined()) return InvalidArgument(v.hint());
  return InvalidArgument(fmt::format("{} is not iterable", v.KindName()));
}

Result<int> Order(const Value& a, const Value& b) {
  auto sign = [](auto x, auto y) { return x < y ? -1 : x == y ? 0 : x > y ? 1 : 2; };  // 2: NaN
  if (a.is_number() && b.is_number())
    return a.is_double() || b.is_double() ? sign(a.number(), b.number()) : sign(a.integer(), b.integer());
  if (a.is_string() && b.is_string()) {
    int c = a.string().compare(b.string());
    return c < 0 ? -1 : c > 0 ? 1 : 0;
  }
  if (a.is_datetime() && b.is_datetime()) return sign(a.datetime().epoch_us, b.datetime().epoch_us);
  if (a.is_duration() && b.is_duration()) return sign(a.duration().us, b.duration().us);
  if (a.is_list() && b.is_list()) {
    for (size_t i = 0; i < a.list().size() && i < b.list().size(); ++i) {
      if (Equal(a.list()[i], b.list()[i])) continue;
      return Order(a.list()[i], b.list()[i]);
    }
    return sign(a.list().size(), b.list().size());
  }
  return InvalidArgument(fmt::format("{} and {} can't be ordered", a.KindName(), b.KindName()));
}

Result<bool> Contains(const Value& container, const Value& item) {
  if (container.is_string()) {
    if (!item.is_string())
      return InvalidArgument(fmt::format("'in <string>' requires a string, not {}", item.KindName()));
    return container.string().find(item.string()) != std::string::npos;
  }
  if (container.is_map()) return item.is_string() && container.map().Find(item.string()) != nullptr;
  if (container.is_list()) {
    for (const Value& v : container.list())
      if (Equal(v, item)) return true;
    return false;
  }
  return InvalidArgument(fmt::format("{} is not iterable", container.KindName()));
}

namespace {

Error Unsupported2(const char* op, const Value& a, const Value& b) {
  return InvalidArgument(fmt::format("{} is not possible with {} and {}", op, a.KindName(), b.KindName()));
}

Result<Value> Repeat(const Value& what, int64_t times) {
  size_t n = times > 0 ? static_cast<size_t>(times) : 0;
  if (what.is_string()) {
    if (n * what.string().size() > (16u << 20) || n > (16u << 20))
      return Error(ErrorCode::kLimitExceeded, "a text of more than 16 MB");
    std::string out;
    for (size_t i = 0; i < n; ++i) out += what.string();
    return Value(std::move(out));
  }
  if (n * what.list().size() > 1'000'000 || n > 1'000'000)
    return Error(ErrorCode::kLimitExceeded, "a list of more than a million items");
  List out;
  for (size_t i = 0; i < n; ++i) out.insert(out.end(), what.list().begin(), what.list().end());
  return what.is_tuple() ? Value::Tuple(std::move(out)) : Value(std::move(out));
}

DateTime Shift(DateTime t, int64_t us) {
  t.epoch_us += us;
  return t;
}

}  // namespace

Result<Value> Arithmetic(Op op, const Value& a, const Value& b) {
  const bool numbers = a.is_number() && b.is_number();
  const bool doubles = numbers && (a.is_double() || b.is_double());
  int64_t r;
  const Error overflow = InvalidArgument("the integer is too large");
  switch (op) {
    case Op::kAdd:
      if (doubles) return Value(a.number() + b.number());
      if (numbers) return __builtin_add_overflow(a.integer(), b.integer(), &r) ? Result<Value>(overflow) : Value(r);
      if (a.is_string() && b.is_string()) return Value(a.string() + b.string());
      if (a.is_list() && b.is_list() && a.is_tuple() == b.is_tuple()) {
        List out = a.list();
        out.insert(out.end(), b.list().begin(), b.list().end());
        if (out.size() > 1'000'000) return Error(ErrorCode::kLimitExceeded, "a list of more than a million items");
        return a.is_tuple() ? Value::Tuple(std::move(out)) : Value(std::move(out));
      }
      if (a.is_datetime() && b.is_duration()) return Value(Shift(a.datetime(), b.duration().us));
      if (a.is_duration() && b.is_datetime()) return Value(Shift(b.datetime(), a.duration().us));
      if (a.is_duration() && b.is_duration()) return Value(Duration{a.duration().us + b.duration().us});
      return Unsupported2("+", a, b);
    case Op::kSubtract:
      if (doubles) return Value(a.number() - b.number());
      if (numbers) return __builtin_sub_overflow(a.integer(), b.integer(), &r) ? Result<Value>(overflow) : Value(r);
      if (a.is_datetime() && b.is_duration()) return Value(Shift(a.datetime(), -b.duration().us));
      if (a.is_datetime() && b.is_datetime()) return Value(Duration{a.datetime().epoch_us - b.datetime().epoch_us});
      if (a.is_duration() && b.is_duration()) return Value(Duration{a.duration().us - b.duration().us});
      return Unsupported2("-", a, b);
    case Op::kMultiply:
      if (doubles) return Value(a.number() * b.number());
      if (numbers) return __builtin_mul_overflow(a.integer(), b.integer(), &r) ? Result<Value>(overflow) : Value(r);
      if ((a.is_string() || a.is_list()) && b.is_int()) return Repeat(a, b.integer());
      if ((b.is_string() || b.is_list()) && a.is_int()) return Repeat(b, a.integer());
      if (a.is_duration() && b.is_number())
        return Value(Duration{static_cast<int64_t>(static_cast<double>(a.duration().us) * b.number())});
      if (b.is_duration() && a.is_number())
        return Value(Duration{static_cast<int64_t>(static_cast<double>(b.duration().us) * a.number())});
      return Unsupported2("*", a, b);
    case Op::kDivide:
      if (a.is_duration() && b.is_duration() && b.duration().us != 0)
        return Value(static_cast<double>(a.duration().us) / static_cast<double>(b.duration().us));
      if (!numbers) return Unsupported2("/", a, b);
      if (b.number() == 0) return InvalidArgument("division by zero");
      return Value(a.number() / b.number());
    case Op::kFloorDivide:
      if (!numbers) return Unsupported2("//", a, b);
      if (b.number() == 0) return InvalidArgument("division by zero");
      if (doubles) return Value(std::floor(a.number() / b.number()));
      if (b.integer() == -1)
        return __builtin_sub_overflow(int64_t{0}, a.integer(), &r) ? Result<Value>(overflow) : Value(r);
      return Value(FloorDiv(a.integer(), b.integer()));
    case Op::kModulo:
      if (a.is_string()) return Value(TRY(PercentFormat(a.string(), b)));
      if (!numbers) return Unsupported2("%", a, b);
      if (b.number() == 0) return InvalidArgument("modulo by zero");
      if (doubles) {
        double m = std::fmod(a.number(), b.number());
        if (m != 0 && (m < 0) != (b.number() < 0)) m += b.number();
        return Value(m);
      }
      return Value(b.integer() == -1 ? int64_t{0} : FloorMod(a.integer(), b.integer()));
    case Op::kPower: {
      if (!numbers) return Unsupported2("**", a, b);
      if (doubles || b.integer() < 0) {
        if (a.number() == 0 && b.number() < 0) return InvalidArgument("0 to a negative power");
        return Value(std::pow(a.number(), b.number()));
      }
      int64_t base = a.integer(), power = b.integer();
      if (power > 4096) return overflow;
      r = 1;
      for (int64_t i = 0; i < power; ++i)
        if (__builtin_mul_overflow(r, base, &r)) return overflow;
      return Value(r);
    }
    default: return Internal("template: unknown operator");
  }
}

}  // namespace jinja
}  // namespace tailrace::workflow
