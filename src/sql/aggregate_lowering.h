#pragma once

#include "sql/catalog.h"
#include "sql/plan.h"

namespace duckdb {
class BoundAggregateExpression;
}

namespace tailrace::sql {

/// What the bound aggregate is, without its arguments and filter. `skip_nulls`: rows whose first argument is null do
/// not count (any_value). Refuses what the engine has no aggregate for, at its place in `text`.
Result<Aggregate> DescribeAggregate(const duckdb::BoundAggregateExpression& bound, const SqlText& text,
                                    bool* skip_nulls);

}  // namespace tailrace::sql
