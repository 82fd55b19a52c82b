#include "data/types.h"

#include "base/check.h"

namespace tailrace::data {

Type Type::Decimal(uint8_t width, uint8_t scale) {
  CHECK(width >= 1 && width <= 38 && scale <= width);
  Type type(TypeId::kDecimal);
  type.width = width;
  type.scale = scale;
  return type;
}

Type Type::Struct(std::vector<Field> fields) {
  Type type(TypeId::kStruct);
  type.children = std::move(fields);
  return type;
}

Type Type::List(Type element) {
  Type type(TypeId::kList);
  type.children.push_back({"element", std::move(element)});
  return type;
}

Type Type::Map(Type key, Type value) {
  Type type(TypeId::kMap);
  type.children.push_back({"entries", Struct({{"key", std::move(key)}, {"value", std::move(value)}})});
  return type;
}

bool Type::operator==(const Type& other) const {
  return id == other.id && width == other.width && scale == other.scale && children == other.children;
}

std::string Type::ToString() const {
  switch (id) {
    case TypeId::kBoolean: return "BOOLEAN";
    case TypeId::kTinyInt: return "TINYINT";
    case TypeId::kSmallInt: return "SMALLINT";
    case TypeId::kInteger: return "INTEGER";
    case TypeId::kBigInt: return "BIGINT";
    case TypeId::kHugeInt: return "HUGEINT";
    case TypeId::kFloat: return "FLOAT";
    case TypeId::kDouble: return "DOUBLE";
    case TypeId::kDecimal: return "DECIMAL(" + std::to_string(width) + "," + std::to_string(scale) + ")";
    case TypeId::kVarchar: return "VARCHAR";
    case TypeId::kBlob: return "BLOB";
    case TypeId::kDate: return "DATE";
    case TypeId::kTime: return "TIME";
    case TypeId::kTimestamp: return "TIMESTAMP";
    case TypeId::kTimestampTz: return "TIMESTAMP_LTZ";
    case TypeId::kInterval: return "INTERVAL";
    case TypeId::kUuid: return "UUID";
    case TypeId::kStruct: {
      std::string text = "ROW<";
      for (size_t i = 0; i < children.size(); i++)
        text += (i ? ", " : "") + children[i].name + " " + children[i].type.ToString();
      return text + ">";
    }
    case TypeId::kList: return "ARRAY<" + children.at(0).type.ToString() + ">";
    case TypeId::kMap: {
      const auto& entry = children.at(0).type.children;
      return "MAP<" + entry.at(0).type.ToString() + ", " + entry.at(1).type.ToString() + ">";
    }
  }
  return "?";
}

uint32_t Type::ValueSize() const {
  switch (id) {
    case TypeId::kBoolean:
    case TypeId::kTinyInt: return 1;
    case TypeId::kSmallInt: return 2;
    case TypeId::kInteger:
    case TypeId::kFloat:
    case TypeId::kDate: return 4;
    case TypeId::kBigInt:
    case TypeId::kDouble:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kTimestampTz: return 8;
    case TypeId::kDecimal: return width <= 4 ? 2 : width <= 9 ? 4 : width <= 18 ? 8 : 16;
    case TypeId::kHugeInt:
    case TypeId::kVarchar:
    case TypeId::kBlob:
    case TypeId::kInterval:
    case TypeId::kUuid:
    case TypeId::kList:
    case TypeId::kMap: return 16;
    case TypeId::kStruct: return 0;
  }
  return 0;
}

bool IsNumeric(const Type& type) {
  switch (type.id) {
    case TypeId::kTinyInt:
    case TypeId::kSmallInt:
    case TypeId::kInteger:
    case TypeId::kBigInt:
    case TypeId::kHugeInt:
    case TypeId::kFloat:
    case TypeId::kDouble:
    case TypeId::kDecimal: return true;
    default: return false;
  }
}

int FindField(const Schema& schema, std::string_view name) {
  for (size_t i = 0; i < schema.size(); i++)
    if (schema[i].name == name) return static_cast<int>(i);
  return -1;
}

std::string DescribeFields(const Schema& schema) {
  std::string text = "has: ";
  for (size_t i = 0; i < schema.size(); i++) text += (i ? ", " : "") + schema[i].name;
  return text;
}

}  // namespace tailrace::data
