#include "sql/catalog.h"

namespace tailrace::sql {

data::Schema Table::physical_schema() const {
  data::Schema schema;
  for (const Column& column : columns)
    if (!column.computed) schema.push_back({column.name, column.type});
  return schema;
}

data::Schema Table::schema() const {
  data::Schema schema;
  for (const Column& column : columns) schema.push_back({column.name, column.type});
  return schema;
}

std::string Table::Get(const std::string& key, const std::string& otherwise) const {
  const auto found = options.find(key);
  return found == options.end() ? otherwise : found->second.value;
}

const Table* Script::FindTable(const std::string& name) const {
  for (const Table& table : tables)
    if (table.name == name) return &table;
  return nullptr;
}

}  // namespace tailrace::sql
