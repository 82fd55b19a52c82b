#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "sql/catalog.h"
#include "sql/plan.h"

namespace tailrace::sql {

/// Parses DDL, SET, INSERT and statement sets; queries stay text. Every error has file:line:column.
Result<Script> ParseScript(const std::string& file, const std::string& text);

/// Parses, binds and optimises the script's queries with DuckDB against relations of the declared schemas and
/// lowers its logical plan to ours. Deterministic: the same script gives the same plan (checkpoints depend on it).
/// Plan::script is a copy that knows more: types of computed columns, columns of CREATE TABLE ... AS SELECT, and of ROW
/// columns of tables that are only read just the fields that the queries need, which is all a source has to decode.
Result<Plan> MakePlan(std::shared_ptr<const Script> script);

/// The script's text with ${NAME} replaced from the environment map; an unknown name is an error with its place.
Result<std::string> SubstituteVariables(const std::string& file, const std::string& text,
                                        const std::map<std::string, std::string>& variables);

}  // namespace tailrace::sql
