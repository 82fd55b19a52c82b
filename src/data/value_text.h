#pragma once
// Values as text: what decoders read out of JSON strings, numbers and CSV fields, and what encoders write. Nothing here
// allocates but AppendValueText's target.

#include <cstdint>
#include <string>
#include <string_view>

#include "data/batch.h"
#include "data/codec.h"

namespace tailrace::data {

inline constexpr int64_t kMicrosPerSecond = 1'000'000;
inline constexpr int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;

inline bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

// Each is false where the text is not exactly one such value; leading and trailing spaces are not taken.
bool ParseBoolean(std::string_view text, bool* value);  // true false, any case; 1 0
/// Also "1.0" and "1e3", not "1.5".
bool ParseInteger(std::string_view text, __int128 min, __int128 max, __int128* value);
/// The fast path of it: digits with a sign, nothing else.
bool ParseInt64(std::string_view text, int64_t* value);
bool ParseDouble(std::string_view text, double* value);  // also NaN, Infinity, -Infinity
/// Unscaled; digits beyond the scale are rounded half up (away from zero) as Flink does; false where more than `width`
/// digits would be needed.
bool ParseDecimal(std::string_view text, int width, int scale, __int128* unscaled);
bool ParseDate(std::string_view text, int32_t* days);    // 2024-01-15
bool ParseTime(std::string_view text, int64_t* micros);  // 10:30, 10:30:00, 10:30:00.123456
/// 2024-01-15 10:30:00.123, 2024-01-15T10:30:00Z, 2024-01-15T10:30+02:00, 2024-01-15. With an offset: the instant in
/// UTC. Digits below a microsecond are cut off.
bool ParseTimestamp(std::string_view text, int64_t* micros);
bool ParseUuid(std::string_view text, __int128* value);  // as DuckDB keeps it
/// Parts of "1 year 2 months 3 days 04:05:06.7", "90 seconds", "5 MINUTE".
bool ParseInterval(std::string_view text, Interval* value);

/// Standard alphabet, padded or not.
bool DecodeBase64(std::string_view text, std::string* bytes);

/// Casts to the column's type and stores at `row`. VARCHAR and BLOB point at `text`, which must outlive the column.
/// REQUIRES: no nested type.
bool CastText(std::string_view text, Column& column, uint64_t row);

// Write at `p` without a terminator and return the end. Longest: kValueTextMax bytes.
inline constexpr size_t kValueTextMax = 64;
char* WriteInt64(char* p, int64_t value);
char* WriteInt128(char* p, __int128 value);
char* WriteDecimal(char* p, __int128 unscaled, int scale);
char* WriteDouble(char* p, double value);  // shortest that reads back the same; "1.0" rather than "1"
char* WriteFloat(char* p, float value);
char* WriteDate(char* p, int32_t days);
char* WriteTime(char* p, int64_t micros);
/// Three digits of fraction, six where they are needed. ISO-8601 always ends in Z: the engine's times are UTC. SQL form
/// has Z only with `instant` (TIMESTAMP_LTZ), as Flink's.
char* WriteTimestamp(char* p, int64_t micros, TimestampFormat format, bool instant);
char* WriteUuid(char* p, __int128 value);
char* WriteInterval(char* p, const Interval& value);

/// A DECIMAL's unscaled value, whatever its width.
__int128 DecimalAt(const Column& column, uint64_t row);
void StoreDecimal(Column& column, uint64_t row, __int128 unscaled);

/// A valid value without quotes: strings as they are, BLOB as base64. REQUIRES: no nested type.
void AppendValueText(const Column& column, uint64_t row, TimestampFormat format, std::string* out);

/// Days since 1970-01-01 of a proleptic Gregorian date, and back (algorithm: Howard Hinnant, chrono-compatible dates).
int64_t DaysFromCivil(int64_t year, unsigned month, unsigned day);
void CivilFromDays(int64_t days, int64_t* year, unsigned* month, unsigned* day);

}  // namespace tailrace::data
