#include "stream/state/cell.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace tailrace::stream {

using data::Column;
using data::ListEntry;
using data::StringRef;
using data::TypeId;

void WriteCell(const Column& column, uint64_t row, StateWriter& out) {
  if (!column.IsValid(row)) {
    out.U8(0);
    return;
  }
  out.U8(1);
  switch (column.type.id) {
    case TypeId::kVarchar:
    case TypeId::kBlob: out.Bytes(column.Values<StringRef>()[row].view()); return;
    case TypeId::kStruct:
      for (const Column& child : column.children) WriteCell(child, row, out);
      return;
    case TypeId::kList:
    case TypeId::kMap: {
      ListEntry entry = column.Values<ListEntry>()[row];
      out.Varint(entry.length);
      for (uint64_t i = 0; i < entry.length; i++) WriteCell(column.children[0], entry.offset + i, out);
      return;
    }
    case TypeId::kFloat: {
      float v = Canonical(column.Values<float>()[row]);
      out.Fixed(&v, sizeof v);
      return;
    }
    case TypeId::kDouble: out.F64(Canonical(column.Values<double>()[row])); return;
    default: {
      uint32_t size = column.type.ValueSize();
      out.Fixed(static_cast<const char*>(column.data) + row * size, size);
    }
  }
}

CellColumn::CellColumn(const data::Type& type) : type_(type) {
  if (type.id == TypeId::kStruct) {
    for (const data::Field& field : type.children) children_.emplace_back(field.type);
  } else if (type.id == TypeId::kList) {
    children_.emplace_back(type.children[0].type);
  } else if (type.id == TypeId::kMap) {
    // A map's child is a struct of key and value; Type::children of a map are those two, or that one struct.
    children_.emplace_back(type.children.size() == 1 ? type.children[0].type : data::Type::Struct(type.children));
  }
}

void CellColumn::AppendNull() {
  rows_++;
  valid_.push_back(0);
  if (IsString(type_) || type_.id == TypeId::kList || type_.id == TypeId::kMap) lengths_.push_back(0);
  else if (type_.id == TypeId::kStruct)
    for (CellColumn& child : children_) child.AppendNull();
  else values_.append(type_.ValueSize(), '\0');
}

void CellColumn::Append(StateReader& in) {
  if (in.U8() == 0) {
    AppendNull();
    return;
  }
  rows_++;
  valid_.push_back(1);
  switch (type_.id) {
    case TypeId::kVarchar:
    case TypeId::kBlob: {
      BytesView bytes = in.Bytes();
      lengths_.push_back(bytes.size());
      values_.append(bytes);
      return;
    }
    case TypeId::kStruct:
      for (CellColumn& child : children_) child.Append(in);
      return;
    case TypeId::kList:
    case TypeId::kMap: {
      uint64_t n = in.Count();
      lengths_.push_back(n);
      for (uint64_t i = 0; i < n; i++) children_[0].Append(in);
      return;
    }
    default: {
      size_t size = type_.ValueSize(), at = values_.size();
      values_.resize(at + size);
      in.Fixed(values_.data() + at, size);
    }
  }
}

Column CellColumn::Build(data::Arena& arena) const {
  Column out = data::AllocateColumn(arena, type_, static_cast<uint32_t>(rows_));
  for (uint64_t i = 0; i < rows_; i++) {
    if (!valid_[i]) out.SetNull(i);
  }
  if (IsString(type_)) {
    char* bytes = static_cast<char*>(arena.Allocate(values_.size() + 1));
    std::memcpy(bytes, values_.data(), values_.size());
    for (uint64_t i = 0; i < rows_; i++) {
      out.Values<StringRef>()[i] = StringRef(bytes, static_cast<uint32_t>(lengths_[i]));
      bytes += lengths_[i];
    }
  } else if (type_.id == TypeId::kStruct) {
    for (size_t c = 0; c < children_.size(); c++) out.children[c] = children_[c].Build(arena);
  } else if (type_.id == TypeId::kList || type_.id == TypeId::kMap) {
    uint64_t offset = 0;
    for (uint64_t i = 0; i < rows_; i++) {
      out.Values<ListEntry>()[i] = {offset, lengths_[i]};
      offset += lengths_[i];
    }
    Column child = children_[0].Build(arena);
    out.children.clear();
    out.children.push_back(std::move(child));
    out.list_size = offset;
  } else if (rows_) {
    std::memcpy(out.data, values_.data(), values_.size());
  }
  return out;
}

void CellRows::Reset() {
  columns_.clear();
  for (const data::Field& field : schema_) columns_.emplace_back(field.type);
  kinds_.clear();
}

void CellRows::Add(const std::string& cells, data::RowKind kind) {
  StateReader reader(cells);
  for (CellColumn& column : columns_) column.Append(reader);
  kinds_.push_back(kind);
}

data::Batch CellRows::Take() {
  auto arena = std::make_shared<data::Arena>();
  data::Batch out;
  out.rows = size();
  for (const CellColumn& column : columns_) out.columns.push_back(column.Build(*arena));
  if (std::any_of(kinds_.begin(), kinds_.end(), [](data::RowKind k) { return k != data::RowKind::kInsert; })) {
    auto* kinds = static_cast<data::RowKind*>(arena->Allocate(out.rows));
    std::copy(kinds_.begin(), kinds_.end(), kinds);
    out.kinds = kinds;
  }
  out.owners.push_back(std::move(arena));
  Reset();
  return out;
}

}  // namespace tailrace::stream
