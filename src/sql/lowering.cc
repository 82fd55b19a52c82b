#include "sql/lowering.h"

#include <algorithm>

#include "base/check.h"
#include "duckdb.hpp"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_operator_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/list.hpp"
#include "sql/aggregate_lowering.h"
#include "sql/expressions.h"
#include "sql/query_rewriter.h"

namespace tailrace::sql {

namespace {

using duckdb::BoundReferenceExpression;
using duckdb::Expression;
using duckdb::ExpressionClass;
using duckdb::idx_t;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;
using ExpressionPtr = std::shared_ptr<Expression>;

/// An operator's columns before they are computed: expressions over `node`. Projections pile up here and become a
/// node only when something needs their values.
struct Pending {
  NodePtr node;
  std::vector<ExpressionPtr> columns;
  std::vector<Role> roles;
};

ExpressionPtr Share(duckdb::unique_ptr<Expression> expression) { return ExpressionPtr(expression.release()); }

// The column of a plain reference; -1 for anything else.
int PlainColumn(const Expression& expression) {
  if (expression.GetExpressionClass() != ExpressionClass::BOUND_REF) return -1;
  return static_cast<int>(expression.Cast<BoundReferenceExpression>().index);
}

void CountReferences(const Expression& expression, std::vector<int>* counts) {
  if (const int column = PlainColumn(expression); column >= 0) (*counts)[static_cast<size_t>(column)]++;
  duckdb::ExpressionIterator::EnumerateChildren(expression,
                                                [&](const Expression& child) { CountReferences(child, counts); });
}

}  // namespace

bool GivesUpdates(const NodePtr& node) {
  if (node->kind == Node::Kind::kDeduplicate && node->window_end < 0) return true;
  return std::any_of(node->inputs.begin(), node->inputs.end(), GivesUpdates);
}

namespace {

class Lowerer {
 public:
  /// `in_place`: no node is made for a value that is used twice; it is computed twice.
  Lowerer(FrontEnd& front_end, const FlowOf& inputs, const SqlText& text, bool in_place)
      : front_end_(front_end), inputs_(inputs), text_(text), in_place_(in_place) {}

  Result<Pending> Lower(const LogicalOperator& op) {
    switch (op.type) {
      case LogicalOperatorType::LOGICAL_GET: return Get(op.Cast<duckdb::LogicalGet>());
      case LogicalOperatorType::LOGICAL_PROJECTION: return Projection(op);
      case LogicalOperatorType::LOGICAL_FILTER: return Filter(op.Cast<duckdb::LogicalFilter>());
      case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY: return Aggregation(op.Cast<duckdb::LogicalAggregate>());
      case LogicalOperatorType::LOGICAL_DISTINCT: return Distinct(op.Cast<duckdb::LogicalDistinct>());
      case LogicalOperatorType::LOGICAL_UNION: return Union(op.Cast<duckdb::LogicalSetOperation>());
      default: return Refuse(op);
    }
  }

  /// The pending columns as columns 0.. of a node. Without names: each its expression's own.
  NodePtr Materialize(const Pending& pending, const std::vector<std::string>& names = {}) {
    bool identity = pending.columns.size() == pending.node->output.size();
    for (size_t i = 0; identity && i < pending.columns.size(); i++)
      identity = PlainColumn(*pending.columns[i]) == static_cast<int>(i) &&
                 (names.empty() || names[i] == pending.node->output[i].name);
    if (identity) return pending.node;
    return Project(pending.node, pending.columns, names);
  }

 private:
  Error RefuseAt(std::string what, std::initializer_list<std::string_view> keywords, std::string remedy) {
    return Unsupported(std::move(what)).At(FindKeyword(text_, keywords)).Remedy(std::move(remedy));
  }

  Error Refuse(const LogicalOperator& op) {
    switch (op.type) {
      case LogicalOperatorType::LOGICAL_COMPARISON_JOIN:
      case LogicalOperatorType::LOGICAL_ANY_JOIN:
      case LogicalOperatorType::LOGICAL_CROSS_PRODUCT:
      case LogicalOperatorType::LOGICAL_ASOF_JOIN:
      case LogicalOperatorType::LOGICAL_DELIM_JOIN:
      case LogicalOperatorType::LOGICAL_DEPENDENT_JOIN:
      case LogicalOperatorType::LOGICAL_POSITIONAL_JOIN:
      case LogicalOperatorType::LOGICAL_JOIN:
        return RefuseAt("joins and subqueries in expressions are not supported on streams yet",
                        {"JOIN", "EXISTS", "IN"},
                        "write one INSERT for each stream, or join in a batch query over the sinks' tables");
      case LogicalOperatorType::LOGICAL_ORDER_BY:
        return RefuseAt(
            "ORDER BY is not supported: a stream has no end to sort at", {"ORDER"},
            "sort where the result is read, or use ROW_NUMBER() OVER (PARTITION BY window_start, ... ORDER BY ...)");
      case LogicalOperatorType::LOGICAL_LIMIT:
      case LogicalOperatorType::LOGICAL_TOP_N:
        return RefuseAt("LIMIT is not supported on a stream", {"LIMIT", "FETCH", "OFFSET"}, "leave it out");
      case LogicalOperatorType::LOGICAL_UNNEST:
        return RefuseAt("UNNEST is not supported yet", {"UNNEST"},
                        "use list functions, as in list_transform or list_filter");
      case LogicalOperatorType::LOGICAL_EXCEPT:
      case LogicalOperatorType::LOGICAL_INTERSECT:
        return RefuseAt("EXCEPT and INTERSECT are not supported on a stream", {"EXCEPT", "INTERSECT"}, "use WHERE");
      case LogicalOperatorType::LOGICAL_WINDOW:
        return RefuseAt(
            "OVER is supported for deduplication only", {"OVER"},
            "use ROW_NUMBER() OVER (PARTITION BY ... ORDER BY ...) AS n in a subquery and WHERE n = 1 outside");
      case LogicalOperatorType::LOGICAL_EMPTY_RESULT:
        return RefuseAt("the condition is never true, so the query gives no rows", {"WHERE", "ON", "HAVING"},
                        "correct the condition");
      case LogicalOperatorType::LOGICAL_DUMMY_SCAN:
      case LogicalOperatorType::LOGICAL_EXPRESSION_GET:
      case LogicalOperatorType::LOGICAL_CHUNK_GET:
        return RefuseAt("a query without FROM a table is not supported on a stream", {"VALUES", "SELECT"},
                        "select from a table, for example one WITH ('connector' = 'datagen')");
      case LogicalOperatorType::LOGICAL_SAMPLE:
        return RefuseAt("sampling is not supported", {"SAMPLE", "TABLESAMPLE"}, "use WHERE random() < 0.1");
      case LogicalOperatorType::LOGICAL_PIVOT:
        return RefuseAt("PIVOT is not supported", {"PIVOT"}, "use FILTER (WHERE ...)");
      default:
        return RefuseAt(
            "the query needs " + duckdb::LogicalOperatorToString(op.type) + ", which is not supported on a stream", {},
            "see docs/sql.md for what is");
    }
  }

  // A column of a node as an expression of DuckDB's type `wanted`.
  ExpressionPtr NodeColumn(const Node& node, int column, const duckdb::LogicalType& wanted) {
    const data::Field& field = node.output.at(static_cast<size_t>(column));
    bool exact = false;
    const auto type = FromDuck(wanted, &exact);
    CHECK(type.ok());
    if (exact) return std::make_shared<BoundReferenceExpression>(field.name, wanted, static_cast<idx_t>(column));
    return Share(duckdb::BoundCastExpression::AddCastToType(
        front_end_.context(),
        duckdb::make_uniq<BoundReferenceExpression>(field.name, ToDuck(field.type), static_cast<idx_t>(column)),
        wanted));
  }

  // `expression` with its references replaced by what they stand for in `below`.
  static ExpressionPtr Compose(const Expression& expression, const Pending& below) {
    auto copy = expression.Copy();
    Replace(&copy, below);
    return Share(std::move(copy));
  }

  static void Replace(duckdb::unique_ptr<Expression>* expression, const Pending& below) {
    if (const int column = PlainColumn(**expression); column >= 0) {
      *expression = below.columns.at(static_cast<size_t>(column))->Copy();
      return;
    }
    duckdb::ExpressionIterator::EnumerateChildren(
        **expression, [&](duckdb::unique_ptr<Expression>& child) { Replace(&child, below); });
  }

  // Makes sure that no computed column of `below` is computed more than once by the expressions that use it.
  void ComputeOnce(Pending* below, const std::vector<const Expression*>& users) {
    if (in_place_) return;
    std::vector<int> counts(below->columns.size(), 0);
    for (const Expression* user : users) CountReferences(*user, &counts);
    for (size_t i = 0; i < counts.size(); i++)
      if (PlainColumn(*below->columns[i]) < 0 && (counts[i] > 1 || below->columns[i]->IsVolatile()))
        return Compute(below);
  }

  void Compute(Pending* pending) {
    std::vector<duckdb::LogicalType> types;
    for (const ExpressionPtr& column : pending->columns) types.push_back(column->return_type);
    std::vector<std::string> names;
    for (const ExpressionPtr& column : pending->columns) names.push_back(column->GetName());
    pending->node = Materialize(*pending, {});
    for (size_t i = 0; i < types.size(); i++) {
      pending->columns[i] = NodeColumn(*pending->node, static_cast<int>(i), types[i]);
      pending->columns[i]->SetAlias(names[i]);
    }
  }

  NodePtr Project(const NodePtr& input, const std::vector<ExpressionPtr>& columns,
                  const std::vector<std::string>& names) {
    std::vector<ExpressionPtr> expressions;
    std::vector<std::string> labels;
    for (size_t i = 0; i < columns.size(); i++) {
      bool exact = false;
      const auto type = FromDuck(columns[i]->return_type, &exact);
      CHECK(type.ok());
      expressions.push_back(exact ? columns[i]
                                  : Share(duckdb::BoundCastExpression::AddCastToType(
                                        front_end_.context(), columns[i]->Copy(), ToDuck(*type))));
      labels.push_back(i < names.size() ? names[i] : columns[i]->GetName());
    }
    auto node = std::make_shared<Node>();
    node->kind = Node::Kind::kProject;
    node->inputs = {input};
    node->expressions =
        MakeExpressions(front_end_.connection(), std::move(expressions), std::move(labels), input->output);
    node->output = node->expressions->output();
    return node;
  }

  Result<Pending> Get(const duckdb::LogicalGet& get) {
    const int relation = RelationOf(get);
    if (relation < 0)
      return RefuseAt("a function in FROM is not supported on a stream", {"FROM"}, "declare a table WITH a connector");
    const Flow& flow = inputs_(relation);
    Pending pending;
    pending.node = flow.node;
    auto add = [&](const duckdb::ColumnIndex& index) {
      const auto& type = get.GetColumnType(index);
      if (index.IsVirtualColumn()) {
        pending.columns.push_back(std::make_shared<duckdb::BoundConstantExpression>(duckdb::Value(type)));
        pending.roles.push_back(Role::kNone);
        return;
      }
      const Flow::Slot& slot = flow.slots.at(index.GetPrimaryIndex());
      CHECK(slot.column >= 0);
      pending.columns.push_back(NodeColumn(*flow.node, slot.column, type));
      pending.columns.back()->SetAlias(get.GetColumnName(index));
      pending.roles.push_back(slot.role);
    };
    const auto& ids = get.GetColumnIds();
    if (get.projection_ids.empty())
      for (const auto& id : ids) add(id);
    else
      for (idx_t id : get.projection_ids) add(ids[id]);
    return pending;
  }

  Result<Pending> Projection(const LogicalOperator& op) {
    Pending below = TRY(Lower(*op.children[0]));
    std::vector<const Expression*> users;
    for (const auto& expression : op.expressions) users.push_back(expression.get());
    ComputeOnce(&below, users);
    Pending out;
    out.node = below.node;
    for (const Expression* expression : users) {
      out.columns.push_back(Compose(*expression, below));
      out.columns.back()->SetAlias(expression->GetName());
      const int plain = PlainColumn(*expression);
      out.roles.push_back(plain >= 0 ? below.roles[static_cast<size_t>(plain)] : Role::kNone);
    }
    return out;
  }

  static void ApplyMap(const duckdb::vector<idx_t>& map, Pending* pending) {
    if (map.empty()) return;
    Pending picked;
    picked.node = pending->node;
    for (idx_t i : map) {
      picked.columns.push_back(pending->columns[i]);
      picked.roles.push_back(pending->roles[i]);
    }
    *pending = std::move(picked);
  }

  Result<Pending> Filter(const duckdb::LogicalFilter& filter) {
    std::vector<const Expression*> conditions;
    for (const auto& expression : filter.expressions) conditions.push_back(expression.get());
    Pending pending;
    if (filter.children[0]->type == LogicalOperatorType::LOGICAL_WINDOW) {
      pending = TRY(Deduplicate(filter.children[0]->Cast<duckdb::LogicalWindow>(), &conditions));
    } else {
      pending = TRY(Lower(*filter.children[0]));
    }
    AddFilter(&pending, conditions);
    ApplyMap(filter.projection_map, &pending);
    return pending;
  }

  void AddFilter(Pending* pending, const std::vector<const Expression*>& conditions) {
    if (conditions.empty()) return;
    // What the condition needs is computed before it, anything else after it, for fewer rows.
    std::vector<int> counts(pending->columns.size(), 0);
    for (const Expression* each : conditions) CountReferences(*each, &counts);
    for (size_t i = 0; i < counts.size(); i++)
      if (counts[i] > 0 && !IsCheap(*pending->columns[i])) {
        Compute(pending);
        break;
      }
    ExpressionPtr condition;
    if (conditions.size() == 1) {
      condition = Compose(*conditions[0], *pending);
    } else {
      auto all = std::make_shared<duckdb::BoundConjunctionExpression>(duckdb::ExpressionType::CONJUNCTION_AND);
      for (const Expression* each : conditions) {
        auto copy = each->Copy();
        Replace(&copy, *pending);
        all->children.push_back(std::move(copy));
      }
      condition = all;
    }
    DropUnread(pending, &condition);
    auto node = std::make_shared<Node>();
    node->kind = Node::Kind::kFilter;
    node->inputs = {pending->node};
    node->output = pending->node->output;
    node->expressions = MakeExpressions(front_end_.connection(), {condition}, {"condition"}, pending->node->output);
    pending->node = node;
  }

  static bool IsCheap(const Expression& expression) {
    return PlainColumn(expression) >= 0 || expression.GetExpressionClass() == ExpressionClass::BOUND_CONSTANT;
  }

  // A filter copies the rows it lets pass: columns that neither the condition nor anything above reads go before.
  void DropUnread(Pending* pending, ExpressionPtr* condition) {
    if (pending->node->kind == Node::Kind::kWindow) return;
    std::vector<int> counts(pending->node->output.size(), 0);
    for (const ExpressionPtr& column : pending->columns) CountReferences(*column, &counts);
    CountReferences(**condition, &counts);
    for (Role role : {Role::kWindowStart, Role::kWindowEnd})  // a GROUP BY may want the end that is not named
      if (const ExpressionPtr column = FindWindowColumn(pending->node, role)) CountReferences(*column, &counts);
    std::vector<ExpressionPtr> columns;
    std::vector<std::string> names;
    Pending moved;  // from the old columns to the new
    for (size_t i = 0; i < counts.size(); i++) {
      const data::Field& field = pending->node->output[i];
      moved.columns.push_back(nullptr);
      if (counts[i] == 0) continue;
      moved.columns.back() = std::make_shared<BoundReferenceExpression>(field.name, ToDuck(field.type),
                                                                        static_cast<idx_t>(columns.size()));
      columns.push_back(
          std::make_shared<BoundReferenceExpression>(field.name, ToDuck(field.type), static_cast<idx_t>(i)));
      names.push_back(field.name);
    }
    if (columns.size() == counts.size() || columns.empty()) return;
    auto move = [&](ExpressionPtr& expression) {
      const std::string alias = expression->GetAlias();
      expression = Compose(*expression, moved);
      expression->SetAlias(alias);
    };
    pending->node = Project(pending->node, columns, names);
    for (ExpressionPtr& column : pending->columns) move(column);
    move(*condition);
  }

  // Expressions over a node, each once, and then their positions in a projection, or in the node itself where all are
  // plain columns.
  struct Needed {
    std::vector<ExpressionPtr> expressions;
    int Add(const ExpressionPtr& expression) {
      for (size_t i = 0; i < expressions.size(); i++)
        if (expressions[i]->Equals(*expression) && !expression->IsVolatile()) return static_cast<int>(i);
      expressions.push_back(expression);
      return static_cast<int>(expressions.size()) - 1;
    }
  };

  NodePtr Provide(const NodePtr& node, const Needed& needed, std::vector<int>* positions) {
    positions->clear();
    for (const ExpressionPtr& expression : needed.expressions) positions->push_back(PlainColumn(*expression));
    if (std::find(positions->begin(), positions->end(), -1) == positions->end()) return node;
    for (size_t i = 0; i < positions->size(); i++) (*positions)[i] = static_cast<int>(i);
    return Project(node, needed.expressions, {});
  }

  Result<Pending> Aggregation(const duckdb::LogicalAggregate& op) {
    if (op.grouping_sets.size() > 1 || !op.grouping_functions.empty())
      return RefuseAt("GROUPING SETS, CUBE and ROLLUP are not supported", {"GROUPING", "CUBE", "ROLLUP"},
                      "write one INSERT for each");
    std::vector<const Expression*> groups;
    for (const auto& group : op.groups) groups.push_back(group.get());
    return Grouped(TRY(Lower(*op.children[0])), groups, op.expressions);
  }

  Result<Pending> Distinct(const duckdb::LogicalDistinct& op) {
    if (op.distinct_type == duckdb::DistinctType::DISTINCT_ON)
      return RefuseAt("DISTINCT ON is not supported", {"DISTINCT"}, "use ROW_NUMBER() OVER (...) AS n and WHERE n = 1");
    std::vector<const Expression*> groups;
    for (const auto& target : op.distinct_targets) groups.push_back(target.get());
    // The result has the child's columns, which are the targets in order.
    return Grouped(TRY(Lower(*op.children[0])), groups, {});
  }

  Result<Pending> Grouped(Pending below, const std::vector<const Expression*>& groups,
                          const duckdb::vector<duckdb::unique_ptr<Expression>>& aggregates) {
    if (GivesUpdates(below.node))
      return RefuseAt("aggregating rows that a deduplication without a window may take back is not supported",
                      {"ROW_NUMBER"}, "partition by window_start, window_end too");
    Needed needed;
    std::vector<int> keys;
    std::vector<Role> roles;
    std::vector<std::string> names;
    for (const Expression* group : groups) {
      keys.push_back(needed.Add(Compose(*group, below)));
      const int plain = PlainColumn(*group);
      roles.push_back(plain >= 0 ? below.roles[static_cast<size_t>(plain)] : Role::kNone);
      names.push_back(group->GetName());
    }
    auto with_role = [&](Role role) { return std::find(roles.begin(), roles.end(), role) - roles.begin(); };
    const auto groups_count = static_cast<long>(roles.size());
    if (with_role(Role::kWindowStart) == groups_count && with_role(Role::kWindowEnd) == groups_count)
      return RefuseAt(
          aggregates.empty()
              ? "DISTINCT without a window is not supported: its state would grow without end"
              : "an aggregate without a window is not supported: a stream has no end to give the result at",
          {"GROUP", "DISTINCT", "HAVING"},
          "read FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(time_column), INTERVAL '10' SECOND)) or HOP, and GROUP BY "
          "window_start, window_end");
    for (Role missing : {Role::kWindowStart, Role::kWindowEnd}) {
      if (with_role(missing) != static_cast<long>(roles.size())) continue;
      const auto at = std::find(below.roles.begin(), below.roles.end(), missing);
      // Unused columns are gone by now, but both ends of a window are never (WindowFlow keeps them): look in the node.
      ExpressionPtr column;
      if (at != below.roles.end()) column = below.columns[static_cast<size_t>(at - below.roles.begin())];
      else column = FindWindowColumn(below.node, missing);
      if (!column)
        return RefuseAt("GROUP BY names one end of the window only", {"GROUP"},
                        "write GROUP BY window_start, window_end");
      keys.push_back(needed.Add(column));
      roles.push_back(missing);
      names.push_back(missing == Role::kWindowStart ? "window_start" : "window_end");
    }

    std::vector<Aggregate> lowered;
    for (const auto& expression : aggregates)
      lowered.push_back(TRY(LowerAggregate(expression->Cast<duckdb::BoundAggregateExpression>(), below, &needed)));

    std::vector<int> positions;
    auto node = std::make_shared<Node>();
    node->kind = Node::Kind::kWindowAggregate;
    node->inputs = {Provide(below.node, needed, &positions)};
    const data::Schema& input = node->inputs[0]->output;
    auto at = [&](int need) { return positions[static_cast<size_t>(need)]; };
    for (size_t i = 0; i < keys.size(); i++) {
      node->keys.push_back(at(keys[i]));
      node->output.push_back({names[i], input[static_cast<size_t>(at(keys[i]))].type});
    }
    node->window_start = at(keys[static_cast<size_t>(with_role(Role::kWindowStart))]);
    node->window_end = at(keys[static_cast<size_t>(with_role(Role::kWindowEnd))]);
    for (size_t i = 0; i < lowered.size(); i++) {
      Aggregate& aggregate = lowered[i];
      for (int& argument : aggregate.arguments) argument = at(argument);
      if (aggregate.filter >= 0) aggregate.filter = at(aggregate.filter);
      node->output.push_back({aggregates[i]->GetName(), aggregate.result});
      node->aggregates.push_back(aggregate);
    }

    Pending out;
    out.node = node;
    for (size_t i = 0; i < groups.size(); i++) {
      out.columns.push_back(NodeColumn(*node, static_cast<int>(i), groups[i]->return_type));
      out.roles.push_back(roles[i]);
    }
    for (size_t i = 0; i < aggregates.size(); i++) {
      out.columns.push_back(NodeColumn(*node, static_cast<int>(keys.size() + i), aggregates[i]->return_type));
      out.roles.push_back(Role::kNone);
    }
    return out;
  }

  // The other end of the window, where the query itself did not ask for it.
  ExpressionPtr FindWindowColumn(const NodePtr& node, Role role) {
    const Node* at = node.get();
    while (at->kind == Node::Kind::kFilter) at = at->inputs[0].get();
    if (at->kind != Node::Kind::kWindow) return nullptr;
    const int first = static_cast<int>(at->inputs[0]->output.size());
    return NodeColumn(*node, role == Role::kWindowStart ? first : first + 1, duckdb::LogicalType::TIMESTAMP);
  }

  Result<Aggregate> LowerAggregate(const duckdb::BoundAggregateExpression& bound, const Pending& below,
                                   Needed* needed) {
    bool skip_nulls = false;
    Aggregate aggregate = TRY(DescribeAggregate(bound, text_, &skip_nulls));
    for (const auto& child : bound.children) aggregate.arguments.push_back(needed->Add(Compose(*child, below)));
    ExpressionPtr filter;
    if (bound.filter) filter = Compose(*bound.filter, below);
    if (skip_nulls) {
      auto present = std::make_shared<duckdb::BoundOperatorExpression>(duckdb::ExpressionType::OPERATOR_IS_NOT_NULL,
                                                                       duckdb::LogicalType::BOOLEAN);
      present->children.push_back(Compose(*bound.children[0], below)->Copy());
      if (filter) {
        auto both = std::make_shared<duckdb::BoundConjunctionExpression>(duckdb::ExpressionType::CONJUNCTION_AND);
        both->children.push_back(filter->Copy());
        both->children.push_back(present->Copy());
        filter = both;
      } else {
        filter = present;
      }
    }
    if (filter) aggregate.filter = needed->Add(filter);
    return aggregate;
  }

  // row_number() = 1 or <= n, above a window of row_number() alone. Takes that condition out of `conditions`.
  Result<Pending> Deduplicate(const duckdb::LogicalWindow& window, std::vector<const Expression*>* conditions) {
    Pending below = TRY(Lower(*window.children[0]));
    const auto rank_index = static_cast<int>(below.columns.size());
    if (window.expressions.size() != 1 || window.expressions[0]->type != duckdb::ExpressionType::WINDOW_ROW_NUMBER)
      return Refuse(window);
    const auto& row_number = window.expressions[0]->Cast<duckdb::BoundWindowExpression>();

    int64_t limit = 0;
    for (size_t i = 0; i < conditions->size() && limit == 0; i++) {
      limit = LimitOf(*(*conditions)[i], rank_index);
      if (limit > 0) conditions->erase(conditions->begin() + static_cast<long>(i));
    }
    if (limit <= 0)
      return RefuseAt("ROW_NUMBER() needs WHERE row_number = 1 (or <= n) right above it", {"ROW_NUMBER"},
                      "keep the first with ORDER BY time ASC, the last with ORDER BY time DESC");
    if (row_number.partitions.empty())
      return RefuseAt("ROW_NUMBER() without PARTITION BY is not supported", {"ROW_NUMBER"},
                      "add PARTITION BY window_start, window_end, key");
    if (row_number.orders.size() != 1)
      return RefuseAt("ROW_NUMBER() is ordered by exactly one column", {"ROW_NUMBER"},
                      "write ORDER BY time ASC or time DESC");

    // All columns of the child go on, then keys and order that are computed.
    Pending wide = below;
    auto position = [&](const Expression& expression) {
      const int plain = PlainColumn(expression);
      if (plain >= 0) return plain;
      wide.columns.push_back(Compose(expression, below));
      wide.roles.push_back(Role::kNone);
      return static_cast<int>(wide.columns.size()) - 1;
    };
    auto node = std::make_shared<Node>();
    node->kind = Node::Kind::kDeduplicate;
    for (const auto& partition : row_number.partitions) {
      const int column = position(*partition);
      const Role role = wide.roles[static_cast<size_t>(column)];
      if (role == Role::kWindowStart) node->window_start = column;
      if (role == Role::kWindowEnd) node->window_end = column;
      node->keys.push_back(column);
    }
    node->order_column = position(*row_number.orders[0].expression);
    node->keep_last = row_number.orders[0].type == duckdb::OrderType::DESCENDING;
    node->limit = limit;
    for (Role role : {Role::kWindowStart, Role::kWindowEnd}) {
      int& mine = role == Role::kWindowStart ? node->window_start : node->window_end;
      const int other = role == Role::kWindowStart ? node->window_end : node->window_start;
      if (mine >= 0 || other < 0) continue;
      const auto at = std::find(wide.roles.begin(), wide.roles.end(), role);
      if (at != wide.roles.end()) {
        mine = static_cast<int>(at - wide.roles.begin());
      } else if (ExpressionPtr column = FindWindowColumn(wide.node, role)) {
        wide.columns.push_back(column);
        wide.roles.push_back(role);
        mine = static_cast<int>(wide.columns.size()) - 1;
      } else {
        return RefuseAt("PARTITION BY names one end of the window only", {"PARTITION"},
                        "write PARTITION BY window_start, window_end, key");
      }
    }
    if (node->window_end < 0 && limit != 1)
      return RefuseAt("the first n rows without a window are not supported", {"ROW_NUMBER"},
                      "read FROM TABLE(TUMBLE(...)) and PARTITION BY window_start, window_end, key");
    if (GivesUpdates(below.node))
      return RefuseAt("deduplicating rows that a deduplication without a window may take back is not supported",
                      {"ROW_NUMBER"}, "partition by window_start, window_end too");

    const NodePtr input = Materialize(wide);
    node->inputs = {input};
    node->output = input->output;
    Pending out;
    for (size_t i = 0; i < below.columns.size(); i++)
      out.columns.push_back(NodeColumn(*input, static_cast<int>(i), below.columns[i]->return_type));
    out.roles = below.roles;
    if (limit == 1) {
      out.columns.push_back(std::make_shared<duckdb::BoundConstantExpression>(duckdb::Value::BIGINT(1)));
    } else {
      node->rank_column = static_cast<int>(node->output.size());
      node->output.push_back({row_number.GetName(), data::TypeId::kBigInt});
      out.columns.push_back(NodeColumn(*node, node->rank_column, duckdb::LogicalType::BIGINT));
    }
    out.columns.back()->SetAlias(row_number.GetName());
    out.roles.push_back(Role::kNone);
    out.node = node;
    return out;
  }

  // n of `rank = 1`, `rank <= n`, `rank < n + 1`; 0 for anything else.
  static int64_t LimitOf(const Expression& condition, int rank) {
    if (condition.GetExpressionClass() != ExpressionClass::BOUND_COMPARISON) return 0;
    const auto& comparison = condition.Cast<duckdb::BoundComparisonExpression>();
    const bool swapped = PlainColumn(*comparison.right) == rank;
    const Expression& column = swapped ? *comparison.right : *comparison.left;
    const Expression& bound = swapped ? *comparison.left : *comparison.right;
    if (PlainColumn(column) != rank || bound.GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) return 0;
    const duckdb::Value& value = bound.Cast<duckdb::BoundConstantExpression>().value;
    if (value.IsNull() || !value.type().IsIntegral()) return 0;
    const auto n = value.GetValue<int64_t>();
    const auto type = swapped ? duckdb::FlipComparisonExpression(condition.type) : condition.type;
    switch (type) {
      case duckdb::ExpressionType::COMPARE_EQUAL: return n == 1 ? 1 : 0;
      case duckdb::ExpressionType::COMPARE_LESSTHANOREQUALTO: return n;
      case duckdb::ExpressionType::COMPARE_LESSTHAN: return n - 1;
      default: return 0;
    }
  }

  Result<Pending> Union(const duckdb::LogicalSetOperation& op) {
    if (!op.setop_all)
      return RefuseAt("UNION without ALL is not supported: it would have to remember every row", {"UNION"},
                      "write UNION ALL");
    Pending out;
    auto node = std::make_shared<Node>();
    node->kind = Node::Kind::kUnionAll;
    for (const auto& child : op.children) {
      Pending below = TRY(Lower(*child));
      if (out.roles.empty()) out.roles = below.roles;
      for (size_t i = 0; i < out.roles.size(); i++)
        if (out.roles[i] != below.roles[i]) out.roles[i] = Role::kNone;
      const NodePtr input = Materialize(below);
      if (input->kind == Node::Kind::kUnionAll)
        node->inputs.insert(node->inputs.end(), input->inputs.begin(), input->inputs.end());
      else node->inputs.push_back(input);
    }
    node->output = node->inputs[0]->output;
    for (const NodePtr& input : node->inputs)
      for (size_t i = 0; i < node->output.size(); i++)
        if (!(input->output[i].type == node->output[i].type))
          return RefuseAt("the sides of UNION ALL have different types in column " + std::to_string(i + 1) + ": " +
                              node->output[i].type.ToString() + " and " + input->output[i].type.ToString(),
                          {"UNION"}, "CAST one of them");
    out.node = node;
    for (size_t i = 0; i < node->output.size(); i++)
      out.columns.push_back(NodeColumn(*node, static_cast<int>(i), op.types[i]));
    return out;
  }

  FrontEnd& front_end_;
  const FlowOf& inputs_;
  const SqlText& text_;
  const bool in_place_;
};

}  // namespace

Result<Flow> LowerQuery(FrontEnd& front_end, const BoundQuery& query, const FlowOf& inputs, const SqlText& text,
                        const std::vector<std::string>& names) {
  try {
    Lowerer lowerer(front_end, inputs, text, false);
    const Pending pending = TRY(lowerer.Lower(*query.plan));
    Flow flow;
    const bool plain = std::all_of(pending.columns.begin(), pending.columns.end(),
                                   [](const ExpressionPtr& column) { return PlainColumn(*column) >= 0; });
    if (names.empty() && plain) {
      flow.node = pending.node;
      for (size_t i = 0; i < pending.columns.size(); i++)
        flow.slots.push_back({PlainColumn(*pending.columns[i]), pending.roles[i]});
      return flow;
    }
    flow.node = lowerer.Materialize(pending, names);
    for (size_t i = 0; i < pending.columns.size(); i++) flow.slots.push_back({static_cast<int>(i), pending.roles[i]});
    return flow;
  } catch (const std::exception& exception) {
    return Internal("this query could not be planned: " + CleanMessage(exception)).At(text.where);
  }
}

Result<std::shared_ptr<Expressions>> LowerExpressions(FrontEnd& front_end, const BoundQuery& query, const Flow& input,
                                                      const std::vector<std::string>& names) {
  SqlText text;
  text.where = query.where;
  const FlowOf inputs = [&](int) -> const Flow& { return input; };
  try {
    Lowerer lowerer(front_end, inputs, text, true);
    const Pending pending = TRY(lowerer.Lower(*query.plan));
    if (pending.node != input.node)
      return Unsupported("only expressions over the row's own columns are allowed here")
          .At(query.where)
          .Remedy("leave subqueries and aggregates to a query");
    return MakeExpressions(front_end.connection(), pending.columns, names, input.node->output);
  } catch (const std::exception& exception) {
    return Internal("this expression could not be planned: " + CleanMessage(exception)).At(query.where);
  }
}

std::shared_ptr<Expressions> PickColumns(FrontEnd& front_end, const data::Schema& input,
                                         const std::vector<int>& columns) {
  std::vector<ExpressionPtr> expressions;
  std::vector<std::string> names;
  for (int column : columns) {
    const data::Field& field = input.at(static_cast<size_t>(column));
    expressions.push_back(std::make_shared<BoundReferenceExpression>(ToDuck(field.type), static_cast<idx_t>(column)));
    names.push_back(field.name);
  }
  return MakeExpressions(front_end.connection(), std::move(expressions), std::move(names), input);
}

}  // namespace tailrace::sql
