#include "connectors/duckdb/chunks.h"

#include <duckdb.h>

#include <cstring>

#include "base/check.h"
#include "connectors/duckdb/store.h"

namespace tailrace::connectors {

namespace {

using data::TypeId;

duckdb_type ScalarType(TypeId id) {
  switch (id) {
    case TypeId::kBoolean: return DUCKDB_TYPE_BOOLEAN;
    case TypeId::kTinyInt: return DUCKDB_TYPE_TINYINT;
    case TypeId::kSmallInt: return DUCKDB_TYPE_SMALLINT;
    case TypeId::kInteger: return DUCKDB_TYPE_INTEGER;
    case TypeId::kBigInt: return DUCKDB_TYPE_BIGINT;
    case TypeId::kHugeInt: return DUCKDB_TYPE_HUGEINT;
    case TypeId::kFloat: return DUCKDB_TYPE_FLOAT;
    case TypeId::kDouble: return DUCKDB_TYPE_DOUBLE;
    case TypeId::kVarchar: return DUCKDB_TYPE_VARCHAR;
    case TypeId::kBlob: return DUCKDB_TYPE_BLOB;
    case TypeId::kDate: return DUCKDB_TYPE_DATE;
    case TypeId::kTime: return DUCKDB_TYPE_TIME;
    case TypeId::kTimestamp: return DUCKDB_TYPE_TIMESTAMP;
    case TypeId::kTimestampTz: return DUCKDB_TYPE_TIMESTAMP_TZ;
    case TypeId::kInterval: return DUCKDB_TYPE_INTERVAL;
    case TypeId::kUuid: return DUCKDB_TYPE_UUID;
    default: return DUCKDB_TYPE_INVALID;
  }
}

template <typename From, typename To>
void Widen(duckdb_vector vector, data::Column& column, uint64_t rows) {
  auto* from = static_cast<const From*>(duckdb_vector_get_data(vector));
  for (uint64_t i = 0; i < rows; i++) {
    To value = static_cast<To>(from[i]);
    memcpy(static_cast<char*>(column.data) + i * sizeof(To), &value, sizeof(To));
  }
}

}  // namespace

duckdb_logical_type ToLogicalType(const data::Type& type) {
  switch (type.id) {
    case TypeId::kDecimal: return duckdb_create_decimal_type(type.width, type.scale);
    case TypeId::kStruct: {
      std::vector<duckdb_logical_type> types;
      std::vector<const char*> names;
      for (const data::Field& f : type.children) {
        types.push_back(ToLogicalType(f.type));
        names.push_back(f.name.c_str());
      }
      auto result = duckdb_create_struct_type(types.data(), names.data(), types.size());
      for (auto& t : types) duckdb_destroy_logical_type(&t);
      return result;
    }
    case TypeId::kList: {
      auto child = ToLogicalType(type.children[0].type);
      auto result = duckdb_create_list_type(child);
      duckdb_destroy_logical_type(&child);
      return result;
    }
    case TypeId::kMap: {
      const auto& entry = type.children[0].type.children;
      auto key = ToLogicalType(entry[0].type), value = ToLogicalType(entry[1].type);
      auto result = duckdb_create_map_type(key, value);
      duckdb_destroy_logical_type(&key);
      duckdb_destroy_logical_type(&value);
      return result;
    }
    default: return duckdb_create_logical_type(ScalarType(type.id));
  }
}

Result<data::Type> FromLogicalType(duckdb_logical_type type) {
  switch (duckdb_get_type_id(type)) {
    case DUCKDB_TYPE_BOOLEAN: return data::Type(TypeId::kBoolean);
    case DUCKDB_TYPE_TINYINT: return data::Type(TypeId::kTinyInt);
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_SMALLINT: return data::Type(TypeId::kSmallInt);
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_INTEGER: return data::Type(TypeId::kInteger);
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_BIGINT: return data::Type(TypeId::kBigInt);
    case DUCKDB_TYPE_UBIGINT:
    case DUCKDB_TYPE_HUGEINT: return data::Type(TypeId::kHugeInt);
    case DUCKDB_TYPE_FLOAT: return data::Type(TypeId::kFloat);
    case DUCKDB_TYPE_DOUBLE: return data::Type(TypeId::kDouble);
    case DUCKDB_TYPE_DECIMAL: return data::Type::Decimal(duckdb_decimal_width(type), duckdb_decimal_scale(type));
    case DUCKDB_TYPE_ENUM:
    case DUCKDB_TYPE_VARCHAR: return data::Type(TypeId::kVarchar);
    case DUCKDB_TYPE_SQLNULL: return data::Type(TypeId::kVarchar);
    case DUCKDB_TYPE_BLOB: return data::Type(TypeId::kBlob);
    case DUCKDB_TYPE_DATE: return data::Type(TypeId::kDate);
    case DUCKDB_TYPE_TIME: return data::Type(TypeId::kTime);
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_S:
    case DUCKDB_TYPE_TIMESTAMP_MS:
    case DUCKDB_TYPE_TIMESTAMP_NS: return data::Type(TypeId::kTimestamp);
    case DUCKDB_TYPE_TIMESTAMP_TZ: return data::Type(TypeId::kTimestampTz);
    case DUCKDB_TYPE_INTERVAL: return data::Type(TypeId::kInterval);
    case DUCKDB_TYPE_UUID: return data::Type(TypeId::kUuid);
    case DUCKDB_TYPE_STRUCT: {
      std::vector<data::Field> fields;
      for (idx_t i = 0; i < duckdb_struct_type_child_count(type); i++) {
        char* name = duckdb_struct_type_child_name(type, i);
        auto child = duckdb_struct_type_child_type(type, i);
        auto converted = FromLogicalType(child);
        if (converted.ok()) fields.push_back({name, *converted});
        duckdb_free(name);
        duckdb_destroy_logical_type(&child);
        if (!converted.ok()) return converted;
      }
      return data::Type::Struct(std::move(fields));
    }
    case DUCKDB_TYPE_LIST: {
      auto child = duckdb_list_type_child_type(type);
      auto converted = FromLogicalType(child);
      duckdb_destroy_logical_type(&child);
      if (!converted.ok()) return converted;
      return data::Type::List(*converted);
    }
    case DUCKDB_TYPE_MAP: {
      auto key = duckdb_map_type_key_type(type), value = duckdb_map_type_value_type(type);
      auto k = FromLogicalType(key), v = FromLogicalType(value);
      duckdb_destroy_logical_type(&key);
      duckdb_destroy_logical_type(&value);
      if (!k.ok()) return k;
      if (!v.ok()) return v;
      return data::Type::Map(*k, *v);
    }
    default:
      return Error(ErrorCode::kUnsupported, "the result has a column of a type that can't be shown")
          .Remedy("cast it, e.g. column::VARCHAR");
  }
}

std::string DuckdbTypeName(const data::Type& type) {
  switch (type.id) {
    case TypeId::kTimestampTz: return "TIMESTAMP WITH TIME ZONE";
    case TypeId::kStruct: {
      std::string text = "STRUCT(";
      for (size_t i = 0; i < type.children.size(); i++)
        text += (i ? ", " : "") + QuoteIdentifier(type.children[i].name) + " " + DuckdbTypeName(type.children[i].type);
      return text + ")";
    }
    case TypeId::kList: return DuckdbTypeName(type.children[0].type) + "[]";
    case TypeId::kMap: {
      const auto& entry = type.children[0].type.children;
      return "MAP(" + DuckdbTypeName(entry[0].type) + ", " + DuckdbTypeName(entry[1].type) + ")";
    }
    default: return type.ToString();
  }
}

void WriteVector(const data::Column& column, uint64_t first, uint64_t rows, duckdb_vector vector) {
  if (column.validity) {
    uint64_t* validity = nullptr;
    for (uint64_t i = 0; i < rows; i++) {
      if (column.IsValid(first + i)) continue;
      if (!validity) {
        duckdb_vector_ensure_validity_writable(vector);
        validity = duckdb_vector_get_validity(vector);
      }
      validity[i >> 6] &= ~(uint64_t{1} << (i & 63));
    }
  }
  switch (column.type.id) {
    case TypeId::kVarchar:
    case TypeId::kBlob: {
      // DuckDB takes a copy: the vector must own its strings.
      const auto* values = column.Values<data::StringRef>() + first;
      for (uint64_t i = 0; i < rows; i++)
        if (column.IsValid(first + i))
          duckdb_vector_assign_string_element_len(vector, i, values[i].data(), values[i].size());
      return;
    }
    case TypeId::kStruct:
      for (size_t c = 0; c < column.children.size(); c++)
        WriteVector(column.children[c], first, rows, duckdb_struct_vector_get_child(vector, c));
      return;
    case TypeId::kList:
    case TypeId::kMap: {
      const auto* entries = column.Values<data::ListEntry>() + first;
      auto* out = static_cast<data::ListEntry*>(duckdb_vector_get_data(vector));
      uint64_t total = 0;
      for (uint64_t i = 0; i < rows; i++)
        if (column.IsValid(first + i)) total += entries[i].length;
      duckdb_list_vector_reserve(vector, total);
      duckdb_list_vector_set_size(vector, total);
      duckdb_vector child = duckdb_list_vector_get_child(vector);
      // Entries of one column are contiguous in order more often than not; gather the child where they are not.
      data::Arena arena;
      std::vector<uint32_t> selection;
      selection.reserve(total);
      uint64_t at = 0;
      for (uint64_t i = 0; i < rows; i++) {
        if (!column.IsValid(first + i)) {
          out[i] = {0, 0};
          continue;
        }
        for (uint64_t k = 0; k < entries[i].length; k++)
          selection.push_back(static_cast<uint32_t>(entries[i].offset + k));
        out[i] = {at, entries[i].length};
        at += entries[i].length;
      }
      if (total == 0) return;
      data::Batch elements;
      elements.rows = static_cast<uint32_t>(column.list_size);
      elements.columns.push_back(column.children[0]);
      auto gathered_arena = std::make_shared<data::Arena>();
      data::Batch gathered = data::Gather(elements, selection.data(), static_cast<uint32_t>(total), gathered_arena);
      WriteVector(gathered.columns[0], 0, total, child);
      return;
    }
    default: {
      size_t size = column.type.ValueSize();
      memcpy(duckdb_vector_get_data(vector), static_cast<const char*>(column.data) + first * size, rows * size);
    }
  }
}

data::Column ReadVector(duckdb_vector vector, duckdb_logical_type logical, const data::Type& type, uint64_t rows,
                        data::Arena& arena) {
  data::Column column = data::AllocateColumn(arena, type, static_cast<uint32_t>(rows));
  if (uint64_t* validity = duckdb_vector_get_validity(vector)) memcpy(column.validity, validity, (rows + 63) / 64 * 8);
  switch (duckdb_get_type_id(logical)) {
    case DUCKDB_TYPE_UTINYINT: Widen<uint8_t, int16_t>(vector, column, rows); return column;
    case DUCKDB_TYPE_USMALLINT: Widen<uint16_t, int32_t>(vector, column, rows); return column;
    case DUCKDB_TYPE_UINTEGER: Widen<uint32_t, int64_t>(vector, column, rows); return column;
    case DUCKDB_TYPE_UBIGINT: Widen<uint64_t, __int128>(vector, column, rows); return column;
    case DUCKDB_TYPE_TIMESTAMP_S:
    case DUCKDB_TYPE_TIMESTAMP_MS:
    case DUCKDB_TYPE_TIMESTAMP_NS: {
      Widen<int64_t, int64_t>(vector, column, rows);
      for (uint64_t i = 0; i < rows; i++) {
        int64_t& value = column.Values<int64_t>()[i];
        if (!column.IsValid(i)) continue;
        if (duckdb_get_type_id(logical) == DUCKDB_TYPE_TIMESTAMP_S) value *= 1'000'000;
        else if (duckdb_get_type_id(logical) == DUCKDB_TYPE_TIMESTAMP_MS) value *= 1'000;
        else value /= 1'000;
      }
      return column;
    }
    case DUCKDB_TYPE_SQLNULL:
      for (uint64_t i = 0; i < rows; i++) column.SetNull(i);
      return column;
    case DUCKDB_TYPE_ENUM: {
      duckdb_type internal = duckdb_enum_internal_type(logical);
      void* values = duckdb_vector_get_data(vector);
      for (uint64_t i = 0; i < rows; i++) {
        if (!column.IsValid(i)) continue;
        uint64_t index = internal == DUCKDB_TYPE_UTINYINT    ? static_cast<uint8_t*>(values)[i]
                         : internal == DUCKDB_TYPE_USMALLINT ? static_cast<uint16_t*>(values)[i]
                                                             : static_cast<uint32_t*>(values)[i];
        char* text = duckdb_enum_dictionary_value(logical, index);
        column.Values<data::StringRef>()[i] = arena.Copy(text);
        duckdb_free(text);
      }
      return column;
    }
    default: break;
  }
  switch (type.id) {
    case TypeId::kVarchar:
    case TypeId::kBlob: {
      auto* values = static_cast<const data::StringRef*>(duckdb_vector_get_data(vector));
      for (uint64_t i = 0; i < rows; i++)
        column.Values<data::StringRef>()[i] = column.IsValid(i) ? arena.Copy(values[i].view()) : data::StringRef();
      return column;
    }
    case TypeId::kStruct:
      for (size_t c = 0; c < type.children.size(); c++) {
        auto child = duckdb_struct_type_child_type(logical, c);
        column.children[c] =
            ReadVector(duckdb_struct_vector_get_child(vector, c), child, type.children[c].type, rows, arena);
        duckdb_destroy_logical_type(&child);
      }
      return column;
    case TypeId::kList: {
      memcpy(column.data, duckdb_vector_get_data(vector), rows * 16);
      uint64_t size = duckdb_list_vector_get_size(vector);
      auto child = duckdb_list_type_child_type(logical);
      column.children[0] = ReadVector(duckdb_list_vector_get_child(vector), child, type.children[0].type, size, arena);
      column.list_size = size;
      duckdb_destroy_logical_type(&child);
      return column;
    }
    case TypeId::kMap: {
      memcpy(column.data, duckdb_vector_get_data(vector), rows * 16);
      uint64_t size = duckdb_list_vector_get_size(vector);
      data::AllocateChild(arena, column, size);
      duckdb_vector entries = duckdb_list_vector_get_child(vector);
      auto key = duckdb_map_type_key_type(logical), value = duckdb_map_type_value_type(logical);
      const auto& entry = type.children[0].type.children;
      column.children[0].children[0] =
          ReadVector(duckdb_struct_vector_get_child(entries, 0), key, entry[0].type, size, arena);
      column.children[0].children[1] =
          ReadVector(duckdb_struct_vector_get_child(entries, 1), value, entry[1].type, size, arena);
      duckdb_destroy_logical_type(&key);
      duckdb_destroy_logical_type(&value);
      return column;
    }
    default: memcpy(column.data, duckdb_vector_get_data(vector), rows * type.ValueSize()); return column;
  }
}

}  // namespace tailrace::connectors
