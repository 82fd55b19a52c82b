#pragma once
// From Flink's spelling of a query to DuckDB's: quoted names, type names, a few functions with syntax of their own,
// window table functions and WITH. What DuckDB can't know (windows, queries by name) becomes a numbered relation.

#include <map>
#include <string>

#include "sql/catalog.h"
#include "sql/mapped_text.h"
#include "sql/plan.h"

namespace tailrace::sql {

/// TUMBLE or HOP as written; the sizes are checked.
struct WindowCall {
  WindowSpec spec;       // time_column not set
  std::string function;  // "TUMBLE"
  std::string time_column;
  SourceLocation time_where;
  SourceLocation where;
};

/// Where the rewriter finds and leaves relations: "__relation(N)" in the rewritten text.
class RelationScope {
 public:
  virtual ~RelationScope() = default;
  /// A table or view.
  virtual Result<int> Find(const std::string& name, const SourceLocation& where) = 0;
  virtual Result<int> AddQuery(const std::string& name, const std::vector<std::string>& columns, MappedText query) = 0;
  virtual Result<int> AddWindow(const WindowCall& call, int input) = 0;
};

/// The text that reads relation `id`: "__relation(3)".
std::string RelationCall(int id);

Result<MappedText> RewriteQuery(const SqlText& query, RelationScope* scope);
/// An expression of DDL: no relations inside.
Result<MappedText> RewriteExpression(const SqlText& expression);
/// The place of the first of `keywords` in the text outside strings and comments; the text's start where there is none.
SourceLocation FindKeyword(const SqlText& text, std::initializer_list<std::string_view> keywords);

}  // namespace tailrace::sql
