#include <charconv>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "data/value_text.h"

namespace tailrace::data {

namespace {

constexpr char kTwoDigits[] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

char* Two(char* p, unsigned value) {
  memcpy(p, kTwoDigits + value * 2, 2);
  return p + 2;
}

char* Copy(char* p, std::string_view text) {
  memcpy(p, text.data(), text.size());
  return p + text.size();
}

char* Fraction(char* p, unsigned micros, bool always) {
  if (micros == 0 && !always) return p;
  *p++ = '.';
  unsigned millis = micros / 1000, rest = micros % 1000;
  *p++ = static_cast<char>('0' + millis / 100);
  p = Two(p, millis % 100);
  if (rest) {
    *p++ = static_cast<char>('0' + rest / 100);
    p = Two(p, rest % 100);
  }
  return p;
}

char* Clock(char* p, int64_t micros_of_day, bool always_fraction) {
  auto seconds = static_cast<unsigned>(micros_of_day / kMicrosPerSecond);
  p = Two(p, seconds / 3600 % 100);
  *p++ = ':';
  p = Two(p, seconds / 60 % 60);
  *p++ = ':';
  p = Two(p, seconds % 60);
  return Fraction(p, static_cast<unsigned>(micros_of_day % kMicrosPerSecond), always_fraction);
}

char* Date(char* p, int64_t days) {
  int64_t year;
  unsigned month, day;
  CivilFromDays(days, &year, &month, &day);
  if (year >= 0 && year <= 9999) {
    p = Two(Two(p, static_cast<unsigned>(year) / 100), static_cast<unsigned>(year) % 100);
  } else {  // ISO-8601's expanded form
    *p++ = year < 0 ? '-' : '+';
    uint64_t positive = static_cast<uint64_t>(year < 0 ? -year : year);
    for (uint64_t limit = 1000; limit > 1 && positive < limit; limit /= 10) *p++ = '0';
    p = std::to_chars(p, p + 20, positive).ptr;
  }
  *p++ = '-';
  p = Two(p, month);
  *p++ = '-';
  return Two(p, day);
}

template <typename T>
char* Floating(char* p, T value) {
  if (!std::isfinite(value)) return Copy(p, std::isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
  char* end = std::to_chars(p, p + kValueTextMax, value).ptr;
  for (char* c = p; c < end; c++)
    if (*c == '.' || *c == 'e') return end;
  return Copy(end, ".0");
}

}  // namespace

char* WriteInt64(char* p, int64_t value) { return std::to_chars(p, p + 24, value).ptr; }

char* WriteInt128(char* p, __int128 value) {
  if (value >= INT64_MIN && value <= INT64_MAX) return WriteInt64(p, static_cast<int64_t>(value));
  auto v = static_cast<unsigned __int128>(value);
  if (value < 0) {
    *p++ = '-';
    v = 0 - v;
  }
  char digits[40];
  int n = 0;
  for (; v; v /= 10) digits[n++] = static_cast<char>('0' + static_cast<int>(v % 10));
  while (n) *p++ = digits[--n];
  return p;
}

char* WriteDecimal(char* p, __int128 unscaled, int scale) {
  if (unscaled < 0) {
    *p++ = '-';
    unscaled = -unscaled;
  }
  char digits[48];
  auto count = static_cast<int>(WriteInt128(digits, unscaled) - digits);
  if (scale == 0) return Copy(p, {digits, static_cast<size_t>(count)});
  if (count <= scale) {
    *p++ = '0';
  } else {
    p = Copy(p, {digits, static_cast<size_t>(count - scale)});
  }
  *p++ = '.';
  for (int i = count; i < scale; i++) *p++ = '0';
  int fraction = count < scale ? count : scale;
  return Copy(p, {digits + count - fraction, static_cast<size_t>(fraction)});
}

char* WriteDouble(char* p, double value) { return Floating(p, value); }
char* WriteFloat(char* p, float value) { return Floating(p, value); }
char* WriteDate(char* p, int32_t days) { return Date(p, days); }
char* WriteTime(char* p, int64_t micros) { return Clock(p, micros, false); }

char* WriteTimestamp(char* p, int64_t micros, TimestampFormat format, bool instant) {
  int64_t days = micros / kMicrosPerDay, rest = micros % kMicrosPerDay;
  if (rest < 0) {
    days--;
    rest += kMicrosPerDay;
  }
  p = Date(p, days);
  *p++ = format == TimestampFormat::kIso8601 ? 'T' : ' ';
  p = Clock(p, rest, true);
  if (format == TimestampFormat::kIso8601 || instant) *p++ = 'Z';
  return p;
}

char* WriteUuid(char* p, __int128 value) {
  static constexpr char kHex[] = "0123456789abcdef";
  auto v = static_cast<unsigned __int128>(value) ^ (static_cast<unsigned __int128>(1) << 127);
  for (int i = 0; i < 16; i++) {
    auto byte = static_cast<uint8_t>(v >> (120 - 8 * i));
    *p++ = kHex[byte >> 4];
    *p++ = kHex[byte & 15];
    if (i == 3 || i == 5 || i == 7 || i == 9) *p++ = '-';
  }
  return p;
}

char* WriteInterval(char* p, const Interval& value) {
  char* start = p;
  auto part = [&](int64_t n, std::string_view unit) {
    if (n == 0) return;
    if (p != start) *p++ = ' ';
    p = Copy(WriteInt64(p, n), unit);
  };
  part(value.months, " months");
  part(value.days, " days");
  part(value.micros, " us");
  return p == start ? Copy(p, "0 us") : p;
}

void AppendValueText(const Column& column, uint64_t row, TimestampFormat format, std::string* out) {
  char buffer[kValueTextMax];
  char* end = buffer;
  switch (column.type.id) {
    case TypeId::kBoolean: out->append(column.Values<uint8_t>()[row] ? "true" : "false"); return;
    case TypeId::kTinyInt: end = WriteInt64(buffer, column.Values<int8_t>()[row]); break;
    case TypeId::kSmallInt: end = WriteInt64(buffer, column.Values<int16_t>()[row]); break;
    case TypeId::kInteger: end = WriteInt64(buffer, column.Values<int32_t>()[row]); break;
    case TypeId::kBigInt: end = WriteInt64(buffer, column.Values<int64_t>()[row]); break;
    case TypeId::kHugeInt:
    case TypeId::kUuid: {
      __int128 value;
      memcpy(&value, column.Values<char>() + row * 16, 16);
      end = column.type.id == TypeId::kUuid ? WriteUuid(buffer, value) : WriteInt128(buffer, value);
      break;
    }
    case TypeId::kFloat: end = WriteFloat(buffer, column.Values<float>()[row]); break;
    case TypeId::kDouble: end = WriteDouble(buffer, column.Values<double>()[row]); break;
    case TypeId::kDecimal: end = WriteDecimal(buffer, DecimalAt(column, row), column.type.scale); break;
    case TypeId::kVarchar: out->append(column.Values<StringRef>()[row].view()); return;
    case TypeId::kBlob: out->append(Base64Encode(column.Values<StringRef>()[row].view())); return;
    case TypeId::kDate: end = WriteDate(buffer, column.Values<int32_t>()[row]); break;
    case TypeId::kTime: end = WriteTime(buffer, column.Values<int64_t>()[row]); break;
    case TypeId::kTimestamp:
    case TypeId::kTimestampTz:
      end = WriteTimestamp(buffer, column.Values<int64_t>()[row], format, column.type.id == TypeId::kTimestampTz);
      break;
    case TypeId::kInterval: end = WriteInterval(buffer, column.Values<Interval>()[row]); break;
    case TypeId::kStruct:
    case TypeId::kList:
    case TypeId::kMap: CHECK(!"AppendValueText of a nested type");
  }
  out->append(buffer, static_cast<size_t>(end - buffer));
}

}  // namespace tailrace::data
