#include "stream/testing.h"

#include <fmt/format.h>

#include "stream/aggregates/values.h"
#include "stream/state/cell.h"

namespace tailrace::stream::testing {

using data::TypeId;

namespace {

std::string IntegerText(__int128 v, int scale) {
  unsigned __int128 magnitude = v < 0 ? -static_cast<unsigned __int128>(v) : static_cast<unsigned __int128>(v);
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(magnitude % 10)));
    magnitude /= 10;
  } while (magnitude > 0);
  if (scale > 0) {
    while (digits.size() <= static_cast<size_t>(scale)) digits.insert(0, "0");
    digits.insert(digits.size() - scale, ".");
  }
  return v < 0 ? "-" + digits : digits;
}

}  // namespace

std::string ValueText(const data::Column& column, uint64_t row) {
  if (!column.IsValid(row)) return "NULL";
  switch (column.type.id) {
    case TypeId::kVarchar:
    case TypeId::kBlob: return std::string(column.Values<data::StringRef>()[row].view());
    case TypeId::kStruct: {
      std::string out = "{";
      for (const data::Column& child : column.children) out += (out.size() > 1 ? ", " : "") + ValueText(child, row);
      return out + "}";
    }
    case TypeId::kList:
    case TypeId::kMap: {
      data::ListEntry entry = column.Values<data::ListEntry>()[row];
      std::string out = "[";
      for (uint64_t i = 0; i < entry.length; i++)
        out += (i ? ", " : "") + ValueText(column.children[0], entry.offset + i);
      return out + "]";
    }
    case TypeId::kBoolean: return column.Values<uint8_t>()[row] ? "true" : "false";
    default: break;
  }
  std::string out = "?";
  WithFixedType(column.type, [&](auto zero) {
    using T = decltype(zero);
    T v = column.Values<T>()[row];
    if constexpr (std::is_floating_point_v<T>) out = fmt::format("{}", v);
    else out = IntegerText(v, column.type.id == TypeId::kDecimal ? column.type.scale : 0);
  });
  return out;
}

std::string RowText(const data::Batch& batch, uint32_t row) {
  std::string out = data::RowKindName(batch.KindOf(row));
  for (size_t c = 0; c < batch.columns.size(); c++) out += (c ? "|" : " ") + ValueText(batch.columns[c], row);
  return out;
}

Status Collector::Process(int, const data::Batch& batch) {
  for (uint32_t row = 0; row < batch.rows; row++) rows.push_back(RowText(batch, row));
  return Emit(batch);
}

data::Batch Integers(const std::vector<std::vector<int64_t>>& rows, const data::Schema& schema) {
  auto arena = std::make_shared<data::Arena>();
  data::Batch batch;
  batch.rows = static_cast<uint32_t>(rows.size());
  for (size_t c = 0; c < schema.size(); c++) {
    data::Column column = data::AllocateColumn(*arena, schema[c].type, batch.rows);
    for (uint32_t r = 0; r < batch.rows; r++) StoreInteger(column, r, rows[r][c]);
    batch.columns.push_back(std::move(column));
  }
  batch.owners.push_back(std::move(arena));
  return batch;
}

}  // namespace tailrace::stream::testing
