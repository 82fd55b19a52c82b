#pragma once

#include <string>
#include <vector>

#include "connectors/duckdb/store.h"
#include "workflow/operators/operator.h"

namespace tailrace::workflow {

/// Opens `store` of `with` (a name of the project's stores, or a path; the only store where it is not given) and runs
/// its `sql` or the file named by `file`.
Result<connectors::QueryResult> RunSql(TaskContext& context, const Map& with, uint64_t row_limit);
/// A condition as text: everything but empty, 0, false, none and null holds.
bool TextHolds(const std::string& text);
/// `check`, `min`, `max`, `equals` against the first row: the reasons why it fails; none where it passes.
Result<std::vector<std::string>> CheckFirstRow(const Map& with, const connectors::QueryResult& result);
/// A cell as a Value: numbers as numbers where the column is one.
Value Cell(const connectors::QueryResult& result, size_t row, size_t column);
/// Rows as a list of maps.
Value RowsAsValue(const connectors::QueryResult& result);
/// The whole file; kNotFound, kLimitExceeded over 16 MB.
Result<std::string> ReadTextFile(const std::string& path);

}  // namespace tailrace::workflow
