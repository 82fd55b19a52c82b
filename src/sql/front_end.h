#pragma once
// DuckDB as a parser, binder and optimiser: the only files that know DuckDB are front_end.cc, lowering.cc and
// expressions.cc. Relations (tables, views, WITH queries, windows) are declared with their columns and read by number;
// no row ever lies in this DuckDB.

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "data/types.h"
#include "sql/mapped_text.h"

namespace duckdb {
class ClientContext;
class Connection;
class Expression;
class LogicalOperator;
struct LogicalType;
}  // namespace duckdb

namespace tailrace::sql {

struct Relation {
  std::string name;  // as the user calls it; for errors
  data::Schema columns;
};

/// An optimised DuckDB plan, and what it reads.
struct BoundQuery {
  BoundQuery();
  BoundQuery(BoundQuery&&) noexcept;
  BoundQuery& operator=(BoundQuery&&) noexcept;
  ~BoundQuery();
  std::shared_ptr<duckdb::LogicalOperator> plan;
  std::set<std::pair<int, int>> reads;  // relation, column
  SourceLocation where;                 // of the query's start
};

/// A column of a query's result. Where DuckDB has types of its own, `type` is the nearest of ours.
struct ResultColumn {
  std::string name;
  data::Type type;
  bool is_null_literal = false;  // SELECT NULL: goes with any type
};

/// One planning session. Not thread-safe. Copies of connection() keep it alive.
class FrontEnd {
 public:
  static Result<std::unique_ptr<FrontEnd>> Open();
  ~FrontEnd();

  /// Relations are read as RelationCall(id).
  int AddRelation(Relation relation);
  const Relation& relation(int id) const;
  /// Makes the relation visible under its name.
  Status Name(int id);

  Result<std::vector<ResultColumn>> Describe(const MappedText& query);
  Result<BoundQuery> Plan(const MappedText& query);

  duckdb::ClientContext& context();
  std::shared_ptr<duckdb::Connection> connection() const { return connection_; }

 private:
  FrontEnd();
  Error Translate(const std::exception& exception, const MappedText& query) const;

  std::shared_ptr<duckdb::Connection> connection_;
  struct Registry;
  std::shared_ptr<Registry> registry_;
};

/// A connection of its own for another thread.
std::shared_ptr<duckdb::Connection> NewConnection();

duckdb::LogicalType ToDuck(const data::Type& type);
/// The type whose values have the same physical form; where there is none, the nearest that can hold them, and `exact`
/// gets false. Fails for types without any (UNION, ...).
Result<data::Type> FromDuck(const duckdb::LogicalType& type, bool* exact);
/// The relation that a LOGICAL_GET reads; -1 for another table function.
int RelationOf(const duckdb::LogicalOperator& get);

/// The type as SQL that DuckDB reads.
std::string SqlType(const data::Type& type);
/// DuckDB's message without its "Binder Error: " and without what only its own users need.
std::string CleanMessage(const std::exception& exception);

}  // namespace tailrace::sql
