#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "data/value_text.h"

namespace tailrace::data {

namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); i++)
    if (Lower(text[i]) != lower[i]) return false;
  return true;
}

/// Exactly `count` digits at p; sets *ok to false otherwise.
unsigned Digits(const char* p, int count, bool* ok) {
  unsigned value = 0;
  for (int i = 0; i < count; i++) {
    unsigned d = static_cast<unsigned char>(p[i] - '0');
    *ok &= d < 10;
    value = value * 10 + d;
  }
  return value;
}

unsigned DaysInMonth(int64_t year, unsigned month) {
  static constexpr unsigned kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[month - 1];
}

/// "YYYY-MM-DD" at the front of the text.
bool DatePart(const char* p, int64_t* days) {
  bool ok = p[4] == '-' && p[7] == '-';
  unsigned year = Digits(p, 4, &ok), month = Digits(p + 5, 2, &ok), day = Digits(p + 8, 2, &ok);
  if (!ok || month - 1 > 11 || day - 1 >= DaysInMonth(year, month)) return false;
  *days = DaysFromCivil(year, month, day);
  return true;
}

/// "HH:MM[:SS[.fraction]]"; moves p behind it.
bool TimePart(const char** at, const char* end, int64_t* micros) {
  const char* p = *at;
  if (end - p < 5 || p[2] != ':') return false;
  bool ok = true;
  unsigned hour = Digits(p, 2, &ok), minute = Digits(p + 3, 2, &ok), second = 0;
  int64_t fraction = 0;
  p += 5;
  if (p < end && *p == ':') {
    if (end - p < 3) return false;
    second = Digits(p + 1, 2, &ok);
    p += 3;
    if (p < end && (*p == '.' || *p == ',')) {
      const char* first = ++p;
      int64_t unit = 100'000;
      while (p < end && IsDigit(*p)) {
        fraction += (*p++ - '0') * unit;
        unit /= 10;
      }
      if (p == first) return false;
    }
  }
  if (!ok || hour > 23 || minute > 59 || second > 59) return false;
  *micros = ((hour * 60 + minute) * 60ll + second) * kMicrosPerSecond + fraction;
  *at = p;
  return true;
}

/// "Z", "+02", "+0200", "+02:00", " UTC"; the offset in seconds east.
bool ZonePart(std::string_view text, int64_t* seconds) {
  *seconds = 0;
  if (text == "Z" || text == "z" || text == " UTC" || text == "UTC" || text == " Z") return true;
  if (text.size() > 1 && text[0] == ' ') text.remove_prefix(1);
  if (text.size() < 3 || (text[0] != '+' && text[0] != '-')) return false;
  bool ok = true;
  unsigned hour = Digits(text.data() + 1, 2, &ok), minute = 0;
  if (text.size() == 5) {
    minute = Digits(text.data() + 3, 2, &ok);
  } else if (text.size() == 6 && text[3] == ':') {
    minute = Digits(text.data() + 4, 2, &ok);
  } else if (text.size() != 3) {
    return false;
  }
  if (!ok || hour > 18 || minute > 59) return false;
  *seconds = (hour * 60ll + minute) * 60 * (text[0] == '-' ? -1 : 1);
  return true;
}

/// "e-5" at p, where there is one: added to *exponent, p moved behind it. False where it is malformed or beyond reason.
bool TakeExponent(const char** at, const char* end, int* exponent) {
  const char* p = *at;
  if (p == end || (*p != 'e' && *p != 'E')) return true;
  if (++p < end && *p == '+' && ++p < end && *p == '-') return false;
  int value;
  auto [rest, error] = std::from_chars(p, end, value);
  if (error != std::errc() || value > 1000 || value < -1000) return false;
  *exponent += value;
  *at = rest;
  return true;
}

template <typename T>
bool StoreInteger(std::string_view text, Column& column, uint64_t row) {
  int64_t value;
  if (!ParseInt64(text, &value)) {
    __int128 wide;
    if (!ParseInteger(text, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), &wide)) return false;
    value = static_cast<int64_t>(wide);
  }
  if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) return false;
  column.Values<T>()[row] = static_cast<T>(value);
  return true;
}

}  // namespace

int64_t DaysFromCivil(int64_t y, unsigned m, unsigned d) {
  y -= m <= 2;
  int64_t era = (y >= 0 ? y : y - 399) / 400;
  auto yoe = static_cast<unsigned>(y - era * 400);
  unsigned doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + static_cast<int64_t>(doe) - 719468;
}

void CivilFromDays(int64_t z, int64_t* year, unsigned* month, unsigned* day) {
  z += 719468;
  int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  auto doe = static_cast<unsigned>(z - era * 146097);
  unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  unsigned mp = (5 * doy + 2) / 153;
  *day = doy - (153 * mp + 2) / 5 + 1;
  *month = mp < 10 ? mp + 3 : mp - 9;
  *year = static_cast<int64_t>(yoe) + era * 400 + (*month <= 2);
}

bool ParseBoolean(std::string_view text, bool* value) {
  if (text == "1" || EqualsIgnoringCase(text, "true")) {
    *value = true;
    return true;
  }
  if (text == "0" || EqualsIgnoringCase(text, "false")) {
    *value = false;
    return true;
  }
  return false;
}

bool ParseInt64(std::string_view text, int64_t* value) {
  const char* p = text.data();
  const char* end = p + text.size();
  bool negative = p < end && *p == '-';
  if (negative) p++;
  size_t digits = static_cast<size_t>(end - p);
  if (digits == 0 || digits > 19) return false;
  uint64_t v = 0;  // 19 digits fit
  for (; p < end; p++) {
    unsigned d = static_cast<unsigned char>(*p - '0');
    if (d > 9) return false;
    v = v * 10 + d;
  }
  if (v > static_cast<uint64_t>(INT64_MAX) + negative) return false;
  *value = static_cast<int64_t>(negative ? 0 - v : v);
  return true;
}

bool ParseInteger(std::string_view text, __int128 min, __int128 max, __int128* value) {
  // As a decimal of scale 0 whose fraction, if any, is zero: parse with the fraction kept apart.
  const char* p = text.data();
  const char* end = p + text.size();
  bool negative = p < end && *p == '-';
  if (negative || (p < end && *p == '+')) p++;
  unsigned __int128 v = 0;
  int exponent = 0;
  bool point = false, any = false;
  for (; p < end && (IsDigit(*p) || (*p == '.' && !point)); p++) {
    if (*p == '.') {
      point = true;
      continue;
    }
    any = true;
    if (__builtin_mul_overflow(v, static_cast<unsigned __int128>(10), &v) ||
        __builtin_add_overflow(v, static_cast<unsigned __int128>(*p - '0'), &v))
      return false;
    if (point) exponent--;
  }
  if (!any) return false;
  if (!TakeExponent(&p, end, &exponent) || p != end) return false;
  if (v == 0) exponent = 0;
  for (; exponent < 0; exponent++) {
    if (v % 10 != 0) return false;
    v /= 10;
  }
  for (; exponent > 0; exponent--) {
    if (v > (~static_cast<unsigned __int128>(0) >> 1) / 10) return false;
    v *= 10;
  }
  if (v > (~static_cast<unsigned __int128>(0) >> 1)) return false;
  auto signed_value = static_cast<__int128>(v);
  if (negative) signed_value = -signed_value;
  if (signed_value < min || signed_value > max) return false;
  *value = signed_value;
  return true;
}

bool ParseDouble(std::string_view text, double* value) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (begin < end && *begin == '+') begin++;
  if (begin == end) return false;
  if (!IsDigit(*begin) && *begin != '-' && *begin != '.') {  // from_chars takes "inf" and "nan(...)" too; these only:
    if (EqualsIgnoringCase(text, "nan")) {
      *value = std::numeric_limits<double>::quiet_NaN();
      return true;
    }
    if (EqualsIgnoringCase(text, "infinity") || EqualsIgnoringCase(text, "inf")) {
      *value = std::numeric_limits<double>::infinity();
      return true;
    }
    return false;
  }
  if (*begin == '-' && end - begin > 1 && !IsDigit(begin[1]) && begin[1] != '.') {
    if (!EqualsIgnoringCase(text, "-infinity") && !EqualsIgnoringCase(text, "-inf")) return false;
    *value = -std::numeric_limits<double>::infinity();
    return true;
  }
  auto [rest, error] = std::from_chars(begin, end, *value);
  if (rest != end) return false;
  if (error == std::errc()) return true;
  if (error != std::errc::result_out_of_range) return false;
  // Out of range is either too small, which is zero, or too large, which is a failure. from_chars tells not which.
  std::string copy(begin, end);
  *value = strtod(copy.c_str(), nullptr);
  return std::isfinite(*value);
}

bool ParseDecimal(std::string_view text, int width, int scale, __int128* unscaled) {
  const char* p = text.data();
  const char* end = p + text.size();
  bool negative = p < end && *p == '-';
  if (negative || (p < end && *p == '+')) p++;
  // Up to 38 significant digits are kept, the first dropped one decides the rounding.
  unsigned __int128 v = 0;
  int kept = 0, exponent = 0;
  char first_dropped = 0;
  bool point = false, any = false;
  for (; p < end && (IsDigit(*p) || (*p == '.' && !point)); p++) {
    if (*p == '.') {
      point = true;
      continue;
    }
    any = true;
    if (v == 0 && *p == '0') {
      if (point) exponent--;
    } else if (kept < 38) {
      v = v * 10 + static_cast<unsigned>(*p - '0');
      kept++;
      if (point) exponent--;
    } else {
      if (!first_dropped) first_dropped = *p;
      if (!point) exponent++;
    }
  }
  if (!any) return false;
  if (!TakeExponent(&p, end, &exponent) || p != end) return false;
  int shift = exponent + scale;
  if (v != 0) {
    if (shift > 0) {
      if (kept + shift > 38) return false;
      while (shift-- > 0) v *= 10;
    } else if (shift < 0) {
      if (shift < -39) {
        v = 0;
      } else {
        unsigned last = 0;
        while (shift++ < 0) {
          last = static_cast<unsigned>(v % 10);
          v /= 10;
        }
        if (last >= 5) v++;
      }
    } else if (first_dropped >= '5') {
      v++;
    }
  }
  unsigned __int128 limit = 1;
  for (int i = 0; i < width; i++) limit *= 10;
  if (v >= limit) return false;
  *unscaled = negative ? -static_cast<__int128>(v) : static_cast<__int128>(v);
  return true;
}

bool ParseDate(std::string_view text, int32_t* days) {
  int64_t value;
  if (text.size() != 10 || !DatePart(text.data(), &value)) return false;
  *days = static_cast<int32_t>(value);
  return true;
}

bool ParseTime(std::string_view text, int64_t* micros) {
  const char* p = text.data();
  const char* end = p + text.size();
  if (!TimePart(&p, end, micros)) return false;
  return p == end || (end - p == 1 && *p == 'Z');
}

bool ParseTimestamp(std::string_view text, int64_t* micros) {
  if (text.size() < 10) return false;
  const char* p = text.data();
  const char* end = p + text.size();
  int64_t days, time = 0, zone = 0;
  if (!DatePart(p, &days)) return false;
  p += 10;
  if (p < end) {
    if ((*p != 'T' && *p != ' ' && *p != 't') || end - p < 2) return false;
    p++;
    if (!TimePart(&p, end, &time)) return false;
    if (p < end && !(end - p == 1 && *p == 'Z') && !ZonePart(std::string_view(p, static_cast<size_t>(end - p)), &zone))
      return false;
  }
  *micros = days * kMicrosPerDay + time - zone * kMicrosPerSecond;
  return true;
}

bool ParseUuid(std::string_view text, __int128* value) {
  if (text.size() == 38 && text.front() == '{' && text.back() == '}') text = text.substr(1, 36);
  unsigned __int128 v = 0;
  int digits = 0;
  for (size_t i = 0; i < text.size(); i++) {
    char c = Lower(text[i]);
    if (c == '-') {
      if (text.size() != 36 || (i != 8 && i != 13 && i != 18 && i != 23)) return false;
      continue;
    }
    unsigned d = IsDigit(c)             ? static_cast<unsigned>(c - '0')
                 : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a' + 10)
                                        : 16;
    if (d == 16) return false;
    v = v << 4 | d;
    if (++digits > 32) return false;
  }
  if (digits != 32) return false;
  *value = static_cast<__int128>(v ^ (static_cast<unsigned __int128>(1) << 127));
  return true;
}

bool ParseInterval(std::string_view text, Interval* value) {
  *value = {0, 0, 0};
  bool any = false;
  size_t i = 0;
  while (true) {
    while (i < text.size() && text[i] == ' ') i++;
    if (i == text.size()) return any;
    const char* p = text.data() + i;
    const char* end = text.data() + text.size();
    int64_t time;
    if (TimePart(&p, end, &time)) {
      if (__builtin_add_overflow(value->micros, time, &value->micros)) return false;
      i = static_cast<size_t>(p - text.data());
      any = true;
      continue;
    }
    int64_t n;
    auto [rest, error] = std::from_chars(p, end, n);
    if (error != std::errc() || n > 1'000'000'000'000 || n < -1'000'000'000'000) return false;
    i = static_cast<size_t>(rest - text.data());
    while (i < text.size() && text[i] == ' ') i++;
    size_t start = i;
    while (i < text.size() && text[i] != ' ') i++;
    std::string unit;
    for (char c : text.substr(start, i - start)) unit += Lower(c);
    if (unit.size() > 1 && unit.back() == 's' && unit != "ms" && unit != "us") unit.pop_back();
    int64_t months = 0, days = 0, micros = 0;
    if (unit == "year") months = n * 12;
    else if (unit == "month" || unit == "mon") months = n;
    else if (unit == "week") days = n * 7;
    else if (unit == "day" || unit == "d") days = n;
    else if (unit == "hour" || unit == "h") micros = 3'600 * kMicrosPerSecond;
    else if (unit == "minute" || unit == "min" || unit == "m") micros = 60 * kMicrosPerSecond;
    else if (unit == "second" || unit == "sec" || unit == "s") micros = kMicrosPerSecond;
    else if (unit == "millisecond" || unit == "ms") micros = 1000;
    else if (unit == "microsecond" || unit == "us") micros = 1;
    else return false;
    if (months > INT32_MAX / 2 || months < INT32_MIN / 2 || days > INT32_MAX / 2 || days < INT32_MIN / 2) return false;
    if (__builtin_mul_overflow(micros, n, &micros) ||
        __builtin_add_overflow(value->months, static_cast<int32_t>(months), &value->months) ||
        __builtin_add_overflow(value->days, static_cast<int32_t>(days), &value->days) ||
        __builtin_add_overflow(value->micros, micros, &value->micros))
      return false;
    any = true;
  }
}

bool DecodeBase64(std::string_view text, std::string* bytes) {
  bytes->clear();
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    int d = c >= 'A' && c <= 'Z'   ? c - 'A'
            : c >= 'a' && c <= 'z' ? c - 'a' + 26
            : IsDigit(c)           ? c - '0' + 52
            : c == '+'             ? 62
            : c == '/'             ? 63
                                   : -1;
    if (d < 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(d);
    count += 6;
    if (count >= 8) {
      count -= 8;
      *bytes += static_cast<char>(bits >> count);
    }
  }
  return count < 6;
}

bool CastText(std::string_view text, Column& column, uint64_t row) {
  switch (column.type.id) {
    case TypeId::kBoolean: {
      bool value;
      if (!ParseBoolean(text, &value)) return false;
      column.Values<uint8_t>()[row] = value;
      return true;
    }
    case TypeId::kTinyInt: return StoreInteger<int8_t>(text, column, row);
    case TypeId::kSmallInt: return StoreInteger<int16_t>(text, column, row);
    case TypeId::kInteger: return StoreInteger<int32_t>(text, column, row);
    case TypeId::kBigInt: return StoreInteger<int64_t>(text, column, row);
    case TypeId::kHugeInt: {
      __int128 value, max = static_cast<__int128>(~static_cast<unsigned __int128>(0) >> 1);
      if (!ParseInteger(text, -max, max, &value)) return false;
      memcpy(column.Values<char>() + row * 16, &value, 16);
      return true;
    }
    case TypeId::kFloat: {
      double value;
      if (!ParseDouble(text, &value)) return false;
      if (std::isfinite(value) && std::fabs(value) > std::numeric_limits<float>::max()) return false;
      column.Values<float>()[row] = static_cast<float>(value);
      return true;
    }
    case TypeId::kDouble: return ParseDouble(text, &column.Values<double>()[row]);
    case TypeId::kDecimal: {
      __int128 value;
      if (!ParseDecimal(text, column.type.width, column.type.scale, &value)) return false;
      StoreDecimal(column, row, value);
      return true;
    }
    case TypeId::kVarchar:
    case TypeId::kBlob: column.Values<StringRef>()[row] = StringRef(text); return true;
    case TypeId::kDate: {
      if (ParseDate(text, &column.Values<int32_t>()[row])) return true;
      int64_t micros;
      if (!ParseTimestamp(text, &micros)) return false;
      column.Values<int32_t>()[row] =
          static_cast<int32_t>((micros - (micros < 0 ? kMicrosPerDay - 1 : 0)) / kMicrosPerDay);
      return true;
    }
    case TypeId::kTime: return ParseTime(text, &column.Values<int64_t>()[row]);
    case TypeId::kTimestamp:
    case TypeId::kTimestampTz: return ParseTimestamp(text, &column.Values<int64_t>()[row]);
    case TypeId::kInterval: return ParseInterval(text, &column.Values<Interval>()[row]);
    case TypeId::kUuid: {
      __int128 value;
      if (!ParseUuid(text, &value)) return false;
      memcpy(column.Values<char>() + row * 16, &value, 16);
      return true;
    }
    case TypeId::kStruct:
    case TypeId::kList:
    case TypeId::kMap: break;
  }
  CHECK(!"CastText of a nested type");
  return false;
}

__int128 DecimalAt(const Column& column, uint64_t row) {
  switch (column.type.ValueSize()) {
    case 2: return column.Values<int16_t>()[row];
    case 4: return column.Values<int32_t>()[row];
    case 8: return column.Values<int64_t>()[row];
    default: {
      __int128 value;
      memcpy(&value, column.Values<char>() + row * 16, 16);
      return value;
    }
  }
}

void StoreDecimal(Column& column, uint64_t row, __int128 unscaled) {
  switch (column.type.ValueSize()) {
    case 2: column.Values<int16_t>()[row] = static_cast<int16_t>(unscaled); break;
    case 4: column.Values<int32_t>()[row] = static_cast<int32_t>(unscaled); break;
    case 8: column.Values<int64_t>()[row] = static_cast<int64_t>(unscaled); break;
    default: memcpy(column.Values<char>() + row * 16, &unscaled, 16);
  }
}

}  // namespace tailrace::data
