#pragma once
// Loops and types shared by the aggregates.

#include <cmath>
#include <string>

#include "base/check.h"
#include "stream/aggregates/aggregate.h"

namespace tailrace::stream {

/// fn(row, group) for each row of `in` where `column` (may be null: every row) is not null.
template <typename Fn>
inline void ForEachValid(const AggregateInput& in, const data::Column* column, Fn fn) {
  const uint64_t* validity = column ? column->validity : nullptr;
  const uint32_t* groups = in.groups;
  if (in.rows) {
    const uint32_t* rows = in.rows;
    if (validity) {
      for (uint32_t i = 0; i < in.count; i++) {
        uint32_t row = rows[i];
        if (validity[row >> 6] >> (row & 63) & 1) fn(row, groups[i]);
      }
    } else {
      for (uint32_t i = 0; i < in.count; i++) fn(rows[i], groups[i]);
    }
  } else if (validity) {
    for (uint32_t i = 0; i < in.count; i++) {
      if (validity[i >> 6] >> (i & 63) & 1) fn(i, groups[i]);
    }
  } else {
    for (uint32_t i = 0; i < in.count; i++) fn(i, groups[i]);
  }
}

/// fn(T{}) with the C++ type of `type`'s fixed-size values. False where it has none (strings, nested, intervals).
template <typename Fn>
inline bool WithFixedType(const data::Type& type, Fn fn) {
  using data::TypeId;
  switch (type.id) {
    case TypeId::kBoolean: fn(uint8_t{}); return true;
    case TypeId::kTinyInt: fn(int8_t{}); return true;
    case TypeId::kSmallInt: fn(int16_t{}); return true;
    case TypeId::kInteger:
    case TypeId::kDate: fn(int32_t{}); return true;
    case TypeId::kBigInt:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kTimestampTz: fn(int64_t{}); return true;
    case TypeId::kHugeInt:
    case TypeId::kUuid: fn(static_cast<__int128>(0)); return true;
    case TypeId::kFloat: fn(float{}); return true;
    case TypeId::kDouble: fn(double{}); return true;
    case TypeId::kDecimal:
      switch (type.ValueSize()) {
        case 2: fn(int16_t{}); return true;
        case 4: fn(int32_t{}); return true;
        case 8: fn(int64_t{}); return true;
        default: fn(static_cast<__int128>(0)); return true;
      }
    default: return false;
  }
}

/// DuckDB's order: NaN equals NaN and is above all else.
template <typename T>
inline bool Less(const T& a, const T& b) {
  return a < b;
}
template <>
inline bool Less(const float& a, const float& b) {
  return std::isnan(b) ? !std::isnan(a) : a < b;
}
template <>
inline bool Less(const double& a, const double& b) {
  return std::isnan(b) ? !std::isnan(a) : a < b;
}

inline double PowerOfTen(int n) {
  double v = 1;
  while (n-- > 0) v *= 10;
  return v;
}

inline Error UnsupportedAggregate(const char* name, const data::Type& type) {
  return Unsupported(std::string(name) + " over " + type.ToString() + " is not supported in a streaming query")
      .Remedy("cast the argument to a number, a timestamp or VARCHAR");
}

/// Writes an int128 as a value of `type` (an integer, decimal or floating type).
void StoreInteger(data::Column& out, uint64_t row, __int128 value);
void StoreDouble(data::Column& out, uint64_t row, double value);

}  // namespace tailrace::stream
