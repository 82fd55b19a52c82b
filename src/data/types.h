#pragma once
// The types of columns: DuckDB's, because its bound expressions run over our batches without a copy
// (docs/decisions/0003).

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace::data {

// In brackets: the physical form of one value, equal to DuckDB's.
enum class TypeId : uint8_t {
  kBoolean,      // [uint8 0 or 1]
  kTinyInt,      // [int8]
  kSmallInt,     // [int16]
  kInteger,      // [int32]
  kBigInt,       // [int64]
  kHugeInt,      // [int128: uint64 low, int64 high]
  kFloat,        // [float]
  kDouble,       // [double]
  kDecimal,      // [int16/int32/int64/int128 for width <= 4/9/18/38]
  kVarchar,      // [StringRef], UTF-8
  kBlob,         // [StringRef]
  kDate,         // [int32 days since 1970-01-01]
  kTime,         // [int64 microseconds since midnight]
  kTimestamp,    // [int64 microseconds since the epoch], no zone; Flink's TIMESTAMP(p)
  kTimestampTz,  // [int64 microseconds since the epoch], an instant; Flink's TIMESTAMP_LTZ(p)
  kInterval,     // [Interval]
  kUuid,         // [int128 as DuckDB keeps it: the top bit flipped]
  kStruct,       // children only
  kList,         // [ListEntry] into one child
  kMap,          // as kList of kStruct(key, value): the type's one child is that struct
};

struct Field;

struct Type {
  TypeId id = TypeId::kVarchar;
  uint8_t width = 0;  // kDecimal
  uint8_t scale = 0;  // kDecimal
  std::vector<Field> children;

  Type() = default;
  Type(TypeId i) : id(i) {}  // NOLINT: implicit by design
  static Type Decimal(uint8_t width, uint8_t scale);
  static Type Struct(std::vector<Field> fields);
  static Type List(Type element);
  static Type Map(Type key, Type value);

  bool operator==(const Type&) const;
  /// As SQL writes it: "DECIMAL(10,2)", "ROW<a INTEGER, b VARCHAR>".
  std::string ToString() const;
  /// Bytes of one value in the column's main array; 0 for kStruct.
  uint32_t ValueSize() const;
};

/// TINYINT to DECIMAL; not BOOLEAN.
bool IsNumeric(const Type& type);
/// ROW, ARRAY, MAP.
inline bool IsNested(const Type& type) {
  return type.id == TypeId::kStruct || type.id == TypeId::kList || type.id == TypeId::kMap;
}

struct Field {
  std::string name;
  Type type;
  bool operator==(const Field&) const = default;
};

using Schema = std::vector<Field>;

/// -1 where there is none. Case-sensitive.
int FindField(const Schema& schema, std::string_view name);
/// "has: a, b, c", for errors about an unknown column.
std::string DescribeFields(const Schema& schema);

struct Interval {
  int32_t months;
  int32_t days;
  int64_t micros;
};

struct ListEntry {
  uint64_t offset;
  uint64_t length;
};

/// DuckDB's string_t: up to 12 bytes lie inline (unused ones zero), longer ones behind a pointer with a 4-byte prefix.
class StringRef {
 public:
  static constexpr uint32_t kInlined = 12;
  StringRef() : StringRef("", 0) {}
  StringRef(const char* data, uint32_t length) {
    u_.inlined.length = length;
    if (length <= kInlined) {
      __builtin_memset(u_.inlined.bytes, 0, kInlined);
      if (length) __builtin_memcpy(u_.inlined.bytes, data, length);
    } else {
      __builtin_memcpy(u_.pointed.prefix, data, 4);
      u_.pointed.pointer = data;
    }
  }
  explicit StringRef(std::string_view s) : StringRef(s.data(), static_cast<uint32_t>(s.size())) {}
  uint32_t size() const { return u_.inlined.length; }
  const char* data() const { return size() <= kInlined ? u_.inlined.bytes : u_.pointed.pointer; }
  std::string_view view() const { return {data(), size()}; }

 private:
  union {
    struct {
      uint32_t length;
      char prefix[4];
      const char* pointer;
    } pointed;
    struct {
      uint32_t length;
      char bytes[kInlined];
    } inlined;
  } u_;
};
static_assert(sizeof(StringRef) == 16);

}  // namespace tailrace::data
