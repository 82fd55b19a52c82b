#pragma once
// Columns to DuckDB vectors and back: their values have the same layout, so most is memcpy. Internal to this folder.

#include "data/batch.h"

// Of duckdb.h: duckdb_logical_type and duckdb_vector are pointers to these.
struct _duckdb_logical_type;
struct _duckdb_vector;

namespace tailrace::connectors {

/// The caller destroys it.
_duckdb_logical_type* ToLogicalType(const data::Type& type);
/// kUnsupported for types that no column of ours has (ENUM and unsigned numbers are widened by ReadVector, so they
/// come out as VARCHAR and the next larger number).
Result<data::Type> FromLogicalType(_duckdb_logical_type* type);
/// As DDL: "DECIMAL(10,2)", "STRUCT(a INTEGER)", "TIMESTAMP WITH TIME ZONE".
std::string DuckdbTypeName(const data::Type& type);

/// Copies `rows` values from `first` on into the front of a vector of a chunk.
void WriteVector(const data::Column& column, uint64_t first, uint64_t rows, _duckdb_vector* vector);
/// Copies the vector's `rows` values into a new column; strings are copied into `arena`.
data::Column ReadVector(_duckdb_vector* vector, _duckdb_logical_type* logical, const data::Type& type, uint64_t rows,
                        data::Arena& arena);

}  // namespace tailrace::connectors
