#pragma once

#include <map>
#include <string>

#include "sql/plan.h"

namespace tailrace::sql {

/// Physical schemas by table.
using PrunedSchemas = std::map<std::string, data::Schema>;

/// For each table that `plan` scans and that has ROW columns of which only some fields are read: its physical schema
/// without the other fields. Tables that are also written to are left alone.
PrunedSchemas PruneUnreadFields(const Plan& plan);

}  // namespace tailrace::sql
