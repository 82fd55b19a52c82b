#pragma once
// One value of any type as bytes and back: for state that keeps values one by one (first, list, mode, whole rows), for
// keys of nested types and for snapshots. Equal values have equal bytes (-0.0 is 0.0, every NaN is one NaN).

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "data/batch.h"
#include "stream/state/codec.h"

namespace tailrace::stream {

/// What stands for all floating-point values equal to `v`.
template <typename T>
T Canonical(T v) {
  if (std::isnan(v)) return std::numeric_limits<T>::quiet_NaN();
  return v == 0 ? T{0} : v;
}

/// Appends the value of `row`, null or not.
void WriteCell(const data::Column& column, uint64_t row, StateWriter& out);

/// Columns that grow value by value from cells. Used to give results of types whose size is not known beforehand.
class CellColumn {
 public:
  explicit CellColumn(const data::Type& type);
  /// Reads one cell and appends it. A broken cell appends null and leaves `in` failed.
  void Append(StateReader& in);
  void AppendNull();
  uint64_t rows() const { return rows_; }
  /// The column with its arrays in `arena`; strings are copied there.
  data::Column Build(data::Arena& arena) const;

 private:
  data::Type type_;
  uint64_t rows_ = 0;
  std::string values_;  // fixed-size values; strings: their bytes one after the other
  std::vector<uint8_t> valid_;
  std::vector<uint64_t> lengths_;  // strings, lists: length of each
  std::vector<CellColumn> children_;
};

/// Rows put together from cells: on their way out of an operator that keeps whole rows as cells.
class CellRows {
 public:
  explicit CellRows(const data::Schema& schema) : schema_(schema) { Reset(); }
  void Add(const std::string& cells, data::RowKind kind);
  uint32_t size() const { return static_cast<uint32_t>(kinds_.size()); }
  /// What was added, with kinds where not all are inserts; then there are none.
  data::Batch Take();

 private:
  void Reset();
  const data::Schema& schema_;
  std::vector<CellColumn> columns_;
  std::vector<data::RowKind> kinds_;
};

/// Where the value of a type lies: fixed-size types are 1, 2, 4, 8 or 16 bytes.
inline bool IsString(const data::Type& type) {
  return type.id == data::TypeId::kVarchar || type.id == data::TypeId::kBlob;
}

}  // namespace tailrace::stream
