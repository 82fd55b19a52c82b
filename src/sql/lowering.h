#pragma once
// DuckDB's optimised logical plan of one query to nodes of ours.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sql/catalog.h"
#include "sql/front_end.h"
#include "sql/plan.h"

namespace tailrace::sql {

/// Columns that a window gave keep their meaning on the way up.
enum class Role : uint8_t { kNone, kWindowStart, kWindowEnd };

/// Where a relation's columns are: by the relation's column index, a column of `node`, or -1 where nobody reads it.
struct Flow {
  struct Slot {
    int column = -1;
    Role role = Role::kNone;
  };
  NodePtr node;
  std::vector<Slot> slots;
};

using FlowOf = std::function<const Flow&(int relation)>;

/// The query with `names` for its columns, which then are columns 0, 1, ... of the node; without names they may lie
/// anywhere in it. `text` is for the places in errors.
Result<Flow> LowerQuery(FrontEnd& front_end, const BoundQuery& query, const FlowOf& inputs, const SqlText& text,
                        const std::vector<std::string>& names);

/// For a query that only computes columns of one relation: its columns as expressions over the relation's node.
Result<std::shared_ptr<Expressions>> LowerExpressions(FrontEnd& front_end, const BoundQuery& query, const Flow& input,
                                                      const std::vector<std::string>& names);

/// Columns of `input` alone, in this order, without evaluation.
std::shared_ptr<Expressions> PickColumns(FrontEnd& front_end, const data::Schema& input,
                                         const std::vector<int>& columns);

/// True where rows below may be taken back (-U +U): a deduplication without a window.
bool GivesUpdates(const NodePtr& node);

}  // namespace tailrace::sql
