#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/types.h"
#include "sql/plan.h"

namespace duckdb {
class Connection;
class Expression;
}  // namespace duckdb

namespace tailrace::sql {

/// Bound expressions whose references are positions in `input`. `names` are the output columns' names. `connection`
/// keeps what the expressions refer to alive.
std::shared_ptr<Expressions> MakeExpressions(std::shared_ptr<duckdb::Connection> connection,
                                             std::vector<std::shared_ptr<duckdb::Expression>> expressions,
                                             std::vector<std::string> names, const data::Schema& input);

/// For each expression the columns and fields it reads, as paths: {3, 2} is field 2 of column 3.
/// REQUIRES: made by MakeExpressions.
std::vector<std::vector<std::vector<int>>> FieldReads(const Expressions& expressions);
/// True where the expression is one column or field and nothing else.
bool IsPlainPath(const Expressions& expressions, size_t index);

}  // namespace tailrace::sql
