// From a script to a plan. Every table, view, WITH query and window is a relation that DuckDB knows by its columns
// only; each query is planned for itself, top down (who reads which column is known before what gives it is planned),
// and then lowered bottom up, so that a relation read by several queries is one shared node.

#include "sql/planner.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "sql/field_pruning.h"
#include "sql/front_end.h"
#include "sql/lowering.h"
#include "sql/query_rewriter.h"

namespace tailrace::sql {

using data::Schema;
using data::Type;
using data::TypeId;

namespace {

constexpr size_t kRelationsMax = 2000;

bool IsTimestamp(const Type& type) { return type.id == TypeId::kTimestamp || type.id == TypeId::kTimestampTz; }

/// What INSERT converts by itself. Text to numbers or times is a CAST for the writer to see, because rows can fail in
/// it.
bool IsAssignable(const Type& from, const Type& to) {
  if (from == to) return true;
  if (IsNumeric(from) && IsNumeric(to)) return true;
  if ((IsTimestamp(from) || from.id == TypeId::kDate) && (IsTimestamp(to) || to.id == TypeId::kDate)) return true;
  if (to.id == TypeId::kVarchar) return !IsNested(from);
  if (to.id == TypeId::kUuid) return from.id == TypeId::kVarchar;
  if (to.id == TypeId::kBlob) return from.id == TypeId::kVarchar;
  if (from.id != to.id) return false;
  if (to.id == TypeId::kStruct) {
    if (from.children.size() != to.children.size()) return false;
    for (size_t i = 0; i < to.children.size(); i++)
      if (!IsAssignable(from.children[i].type, to.children[i].type)) return false;
    return true;
  }
  if (to.id == TypeId::kList || to.id == TypeId::kMap) return IsAssignable(from.children[0].type, to.children[0].type);
  return true;
}

struct PlannedRelation {
  enum class Kind { kPhysical, kTable, kQuery, kWindow };
  Kind kind = Kind::kQuery;
  Schema columns;
  std::set<int> reads;           // columns that somebody reads
  bool timed = false;            // a window above needs its watermarks
  const Table* table = nullptr;  // kPhysical, kTable
  int input = -1;                // kTable: its physical relation; kWindow: what it is over
  std::set<int> sources;         // kQuery: what it reads
  MappedText query;              // kQuery; kTable: all columns from the physical ones
  SqlText text;                  // for places in errors
  WindowCall window;             // kWindow
  BoundQuery bound, checks, watermark;
  std::vector<std::string> labels;  // of checks
  Flow flow;
};

class Planner final : public RelationScope {
 public:
  Planner(std::shared_ptr<Script> script, std::unique_ptr<FrontEnd> front_end, PrunedSchemas pruned)
      : script_(std::move(script)), front_end_(std::move(front_end)), pruned_(std::move(pruned)) {}

  Result<Plan> Run() {
    for (Table& table : script_->tables)
      if (!table.columns.empty()) TRY(DeclareTable(&table));
    for (const View& view : script_->views) TRY(DeclareView(view));
    std::vector<InsertPlan> inserts(script_->inserts.size());
    if (inserts.empty())
      return InvalidArgument("the script has no INSERT INTO, so nothing would run")
          .At(script_->file, 0, 0)
          .Remedy("add INSERT INTO a table SELECT ...");
    for (size_t i = 0; i < inserts.size(); i++) TRY(PlanInsert(script_->inserts[i], &inserts[i]));
    for (size_t id = relations_.size(); id-- > 0;) TRY(PlanRelation(static_cast<int>(id)));
    for (size_t id = 0; id < relations_.size(); id++) TRY(LowerRelation(static_cast<int>(id)));
    Plan plan;
    for (size_t i = 0; i < inserts.size(); i++) plan.sinks.push_back(TRY(LowerInsert(script_->inserts[i], inserts[i])));
    for (Table& table : script_->tables) {  // what scans give, connectors see
      const auto found = pruned_.find(table.name);
      size_t physical = 0;
      for (Column& column : table.columns)
        if (found != pruned_.end() && !column.computed) column.type = found->second[physical++].type;
    }
    plan.script = script_;
    return plan;
  }

  // RelationScope: what queries in the text refer to.
  Result<int> Find(const std::string& name, const SourceLocation& where) override {
    const auto found = names_.find(ToLower(name));
    if (found != names_.end()) return found->second;
    std::string known;
    for (const auto& [other, id] : names_) known += (known.empty() ? "" : ", ") + front_end_->relation(id).name;
    return InvalidArgument("table \"" + name + "\" does not exist (" +
                           (known.empty() ? "there are none" : "there are: " + known) + ")")
        .At(where);
  }

  Result<int> AddQuery(const std::string& name, const std::vector<std::string>& columns, MappedText query) override {
    const std::vector<ResultColumn> result = TRY(front_end_->Describe(query));
    if (!columns.empty() && columns.size() != result.size())
      return InvalidArgument(name + " names " + std::to_string(columns.size()) + " columns, its query gives " +
                             std::to_string(result.size()))
          .At(query.At(0));
    PlannedRelation relation;
    relation.kind = PlannedRelation::Kind::kQuery;
    relation.text = current_text_;
    for (size_t i = 0; i < result.size(); i++) {
      const std::string& column = columns.empty() ? result[i].name : columns[i];
      for (const data::Field& other : relation.columns)
        if (ToLower(other.name) == ToLower(column))
          return InvalidArgument(name + " has two columns named " + column)
              .At(query.At(0))
              .Remedy("rename one with AS");
      relation.columns.push_back({column, result[i].type});
    }
    const BoundQuery whole = TRY(front_end_->Plan(query));
    for (const auto& [read, column] : whole.reads) relation.sources.insert(read);
    relation.query = std::move(query);
    return Add(name, std::move(relation));
  }

  Result<int> AddWindow(const WindowCall& call, int input) override {
    PlannedRelation relation;
    relation.kind = PlannedRelation::Kind::kWindow;
    relation.input = input;
    relation.window = call;
    relation.columns = At(input).columns;
    const std::string& name = front_end_->relation(input).name;
    const int column = FindColumn(relation.columns, call.time_column);
    if (column < 0)
      return InvalidArgument("column \"" + call.time_column + "\" does not exist in " + name + " (" +
                             data::DescribeFields(relation.columns) + ")")
          .At(call.time_where);
    const Type& type = relation.columns[static_cast<size_t>(column)].type;
    if (!IsTimestamp(type))
      return InvalidArgument("a window needs a TIMESTAMP or TIMESTAMP_LTZ column, and " + call.time_column + " is " +
                             type.ToString())
          .At(call.time_where)
          .Remedy("add a computed column to the table, as in ts AS TO_TIMESTAMP(" + call.time_column + ")");
    if (!HasWatermark(input))
      return InvalidArgument("windows over " + name + " would never close: its table declares no watermark")
          .At(call.where)
          .Remedy("add WATERMARK FOR " + call.time_column + " AS " + call.time_column +
                  " - INTERVAL '5' SECOND to the table");
    relation.window.spec.time_column = column;
    for (const char* added : {"window_start", "window_end", "window_time"})
      if (FindColumn(relation.columns, added) >= 0)  // a window over a window: the new one hides the old
        relation.columns[static_cast<size_t>(FindColumn(relation.columns, added))].name += "_of_input";
    for (const char* added : {"window_start", "window_end", "window_time"})
      relation.columns.push_back({added, TypeId::kTimestamp});
    return Add(name, std::move(relation));
  }

 private:
  struct InsertPlan {
    const Table* table = nullptr;
    SqlText text;
    BoundQuery bound;   // gives its physical columns
    BoundQuery checks;  // over the sink's physical columns
    std::vector<std::string> labels;
    int physical = -1;
  };

  PlannedRelation& At(int id) { return relations_[static_cast<size_t>(id)]; }

  static int FindColumn(const Schema& schema, const std::string& name) {
    for (size_t i = 0; i < schema.size(); i++)
      if (ToLower(schema[i].name) == ToLower(name)) return static_cast<int>(i);
    return -1;
  }

  Result<int> Add(const std::string& name, PlannedRelation relation) {
    if (relations_.size() >= kRelationsMax)
      return Error(ErrorCode::kLimitExceeded, "a script has at most " + std::to_string(kRelationsMax) +
                                                  " tables, views, WITH queries and windows");
    const int id = front_end_->AddRelation({name, relation.columns});
    CHECK(id == static_cast<int>(relations_.size()));
    relations_.push_back(std::move(relation));
    return id;
  }

  bool HasWatermark(int id) {
    const PlannedRelation& relation = At(id);
    if (relation.kind == PlannedRelation::Kind::kTable) return relation.table->watermark.has_value();
    if (relation.kind == PlannedRelation::Kind::kPhysical) return false;
    if (relation.kind == PlannedRelation::Kind::kWindow) return true;
    return std::all_of(relation.sources.begin(), relation.sources.end(),
                       [this](int source) { return HasWatermark(source); });
  }

  // "name" AS the relation sees it: columns of the physical relation, computed ones from them.
  Status DeclareTable(Table* table) {
    PlannedRelation physical;
    physical.kind = PlannedRelation::Kind::kPhysical;
    physical.table = table;
    physical.columns = table->physical_schema();
    const int physical_id = TRY(Add(table->name, std::move(physical)));

    PlannedRelation visible;
    visible.kind = PlannedRelation::Kind::kTable;
    visible.table = table;
    visible.input = physical_id;
    visible.text.where = table->where;
    visible.query.Add("SELECT ");
    bool first = true;
    bool computes = false;
    for (const Column& column : table->columns) {
      if (!first) visible.query.Add(", ");
      first = false;
      if (column.computed) {
        computes = true;
        visible.query.Add("(").Add(TRY(RewriteExpression(*column.computed))).Add(") AS ");
      }
      visible.query.Add(QuoteIdentifier(column.name));
    }
    visible.query.Add(" FROM " + RelationCall(physical_id));
    if (computes) {
      const std::vector<ResultColumn> result = TRY(front_end_->Describe(visible.query));
      for (size_t i = 0; i < result.size(); i++)
        if (table->columns[i].computed) table->columns[i].type = result[i].type;
    }
    visible.columns = table->schema();
    if (table->watermark) {
      const Column& column =
          table->columns[static_cast<size_t>(data::FindField(visible.columns, table->watermark->column))];
      if (!IsTimestamp(column.type))
        return InvalidArgument("WATERMARK FOR " + column.name + ": the column is " + column.type.ToString() +
                               ", not TIMESTAMP or TIMESTAMP_LTZ")
            .At(table->watermark->expression.where)
            .Remedy("add a computed column, as in ts AS TO_TIMESTAMP_LTZ(" + column.name + ", 3), and use that");
    }
    const int id = TRY(Add(table->name, std::move(visible)));
    names_[ToLower(table->name)] = id;
    return front_end_->Name(id);
  }

  Status DeclareView(const View& view) {
    current_text_ = view.query;
    MappedText query = TRY(RewriteQuery(view.query, this));
    const int id = TRY(AddQuery(view.name, view.columns, std::move(query)));
    names_[ToLower(view.name)] = id;
    return front_end_->Name(id);
  }

  void Read(const BoundQuery& bound, bool timed) {
    for (const auto& [relation, column] : bound.reads) {
      At(relation).reads.insert(column);
      At(relation).timed |= timed;
    }
  }

  // SELECT CAST(c0 AS T0) AS "name", ... FROM (query) AS __q(c0, ...), for the columns wanted.
  MappedText Wrap(const MappedText& query, size_t width, const std::vector<std::pair<int, data::Field>>& wanted) {
    MappedText out;
    out.Add("SELECT ");
    for (size_t i = 0; i < wanted.size(); i++) {
      const std::string source = wanted[i].first < 0 ? "NULL" : "__c" + std::to_string(wanted[i].first);
      out.Add((i ? ", CAST(" : "CAST(") + source + " AS " + SqlType(wanted[i].second.type) + ") AS " +
              QuoteIdentifier(wanted[i].second.name));
    }
    out.Add(" FROM (").Add(query).Add(") AS __q(");
    for (size_t i = 0; i < width; i++) out.Add((i ? ", __c" : "__c") + std::to_string(i));
    out.Add(")");
    return out;
  }

  Status PlanInsert(const Insert& insert, InsertPlan* out) {
    Table* table = nullptr;
    for (Table& each : script_->tables)
      if (each.name == insert.target) table = &each;
    CHECK(table);
    current_text_ = insert.query;
    out->text = insert.query;
    const MappedText query = TRY(RewriteQuery(insert.query, this));
    const std::vector<ResultColumn> result = TRY(front_end_->Describe(query));
    if (table->columns.empty()) {  // CREATE TABLE ... AS SELECT
      std::set<std::string> seen;
      for (const ResultColumn& column : result) {
        if (!seen.insert(ToLower(column.name)).second)
          return InvalidArgument("the query gives two columns named " + column.name)
              .At(insert.query.where)
              .Remedy("rename one with AS");
        Column made;
        made.name = column.name;
        made.type = column.type;
        made.where = insert.query.where;
        table->columns.push_back(std::move(made));
      }
    }
    out->table = table;

    // For each physical column of the target: which column of the query.
    std::vector<const Column*> targets;
    for (const Column& column : table->columns)
      if (!column.computed) targets.push_back(&column);
    std::vector<int> source(targets.size(), -1);
    size_t given = 0;
    if (insert.columns.empty()) {
      for (size_t i = 0; i < targets.size(); i++)
        if (!targets[i]->read_only) source[i] = static_cast<int>(given++);
    } else {
      for (const std::string& name : insert.columns) {
        const auto at =
            std::find_if(targets.begin(), targets.end(), [&](const Column* column) { return column->name == name; });
        if (at == targets.end() || (*at)->read_only)
          return InvalidArgument("column " + name + " of " + table->name +
                                 " can't be written: it is computed or METADATA ... VIRTUAL")
              .At(insert.where);
        source[static_cast<size_t>(at - targets.begin())] = static_cast<int>(given++);
      }
    }
    if (given != result.size()) {
      std::string wanted, found;
      for (size_t i = 0; i < targets.size(); i++)
        if (source[i] >= 0) wanted += (wanted.empty() ? "" : ", ") + targets[i]->name;
      for (const ResultColumn& column : result) found += (found.empty() ? "" : ", ") + column.name;
      return InvalidArgument("INSERT INTO " + table->name + " takes " + std::to_string(given) + " columns (" + wanted +
                             "), the query gives " + std::to_string(result.size()) + " (" + found + ")")
          .At(insert.query.where);
    }
    std::vector<std::pair<int, data::Field>> wanted;
    for (size_t i = 0; i < targets.size(); i++) {
      const Column& target = *targets[i];
      wanted.push_back({source[i], {target.name, target.type}});
      const bool null = source[i] < 0 || result[static_cast<size_t>(source[i])].is_null_literal;
      if (null && target.not_null && !target.read_only)
        return InvalidArgument("column " + target.name + " of " + table->name + " is NOT NULL, and the query gives " +
                               (source[i] < 0 ? "nothing for it" : "NULL"))
            .At(insert.query.where);
      if (null) continue;
      const ResultColumn& from = result[static_cast<size_t>(source[i])];
      if (!IsAssignable(from.type, target.type))
        return InvalidArgument("column " + target.name + " of " + table->name + " is " + target.type.ToString() +
                               ", and the query's column " + std::to_string(source[i] + 1) + " (" + from.name +
                               ") is " + from.type.ToString())
            .At(insert.query.where)
            .Remedy(IsNested(from.type) && target.type.id == TypeId::kVarchar
                        ? "write to_json(" + from.name + ")"
                        : "write CAST(" + from.name + " AS " + SqlType(target.type) + ")");
    }
    out->bound = TRY(front_end_->Plan(Wrap(query, result.size(), wanted)));
    Read(out->bound, false);

    PlannedRelation physical;  // to bind the sink's constraints over
    physical.kind = PlannedRelation::Kind::kPhysical;
    physical.table = table;
    physical.columns = table->physical_schema();
    out->physical = TRY(Add(table->name, std::move(physical)));
    MappedText from;
    from.Add(" FROM " + RelationCall(out->physical));
    return PlanChecks(*table, from, true, &out->checks, &out->labels);
  }

  // One boolean for each NOT NULL and CHECK. `of_sink`: virtual metadata is never there.
  Status PlanChecks(const Table& table, const MappedText& from, bool of_sink, BoundQuery* out,
                    std::vector<std::string>* labels) {
    MappedText query;
    query.Add("SELECT ");
    for (const Column& column : table.columns) {
      if (!column.not_null || (of_sink && (column.read_only || column.computed))) continue;
      if (!labels->empty()) query.Add(", ");
      query.Add("(" + QuoteIdentifier(column.name) + " IS NOT NULL)");
      labels->push_back("column " + column.name + " is null, and declared NOT NULL");
    }
    for (const Check& check : table.checks) {
      if (!labels->empty()) query.Add(", ");
      query.Add("CAST((").Add(TRY(RewriteExpression(check.condition))).Add(") AS BOOLEAN)");
      labels->push_back("constraint " + check.name + " is not met: " + check.condition.text);
    }
    if (labels->empty()) return {};
    query.Add(from);
    *out = TRY(front_end_->Plan(query));
    return {};
  }

  // Who reads a relation has been planned (their numbers are higher, or they are inserts): plan it for those columns.
  Status PlanRelation(int id) {
    PlannedRelation& relation = At(id);
    if (relation.reads.empty()) return {};
    std::vector<std::pair<int, data::Field>> wanted;
    for (int column : relation.reads) wanted.push_back({column, relation.columns[static_cast<size_t>(column)]});
    switch (relation.kind) {
      case PlannedRelation::Kind::kPhysical: return {};
      case PlannedRelation::Kind::kQuery: {
        relation.bound = TRY(front_end_->Plan(Wrap(relation.query, relation.columns.size(), wanted)));
        Read(relation.bound, relation.timed);
        return {};
      }
      case PlannedRelation::Kind::kWindow: {
        PlannedRelation& input = At(relation.input);
        for (int column : relation.reads)
          if (column < static_cast<int>(input.columns.size())) input.reads.insert(column);
        input.reads.insert(relation.window.spec.time_column);
        input.timed = true;
        return {};
      }
      case PlannedRelation::Kind::kTable: {
        const Table& table = *relation.table;
        MappedText from;
        from.Add(" FROM (").Add(relation.query).Add(") AS ").Add(QuoteIdentifier(table.name));
        relation.bound = TRY(front_end_->Plan(Wrap(relation.query, relation.columns.size(), wanted)));
        Read(relation.bound, relation.timed);
        TRY(PlanChecks(table, from, false, &relation.checks, &relation.labels));
        Read(relation.checks, false);
        if (table.watermark && relation.timed) {
          MappedText query;
          query.Add("SELECT (").Add(TRY(RewriteExpression(table.watermark->expression))).Add(")").Add(from);
          const std::vector<ResultColumn> result = TRY(front_end_->Describe(query));
          if (result.size() != 1 || !IsTimestamp(result[0].type))
            return InvalidArgument("the watermark's expression is " +
                                   (result.empty() ? "nothing" : result[0].type.ToString()) +
                                   ", not TIMESTAMP or TIMESTAMP_LTZ")
                .At(table.watermark->expression.where)
                .Remedy("write " + table.watermark->column + " - INTERVAL '5' SECOND");
          relation.watermark = TRY(front_end_->Plan(query));
          Read(relation.watermark, false);
        }
        return {};
      }
    }
    return {};
  }

  // What it reads has been lowered.
  Status LowerRelation(int id) {
    PlannedRelation& relation = At(id);
    if (relation.reads.empty()) return {};
    relation.flow.slots.resize(relation.columns.size());
    const FlowOf inputs = [this](int read) -> const Flow& { return At(read).flow; };
    switch (relation.kind) {
      case PlannedRelation::Kind::kPhysical: {
        auto scan = std::make_shared<Node>();
        scan->kind = Node::Kind::kScan;
        scan->table = relation.table;
        for (int column : relation.reads) {
          relation.flow.slots[static_cast<size_t>(column)].column = static_cast<int>(scan->columns.size());
          scan->columns.push_back(column);
          const auto pruned = pruned_.find(relation.table->name);
          const Schema& schema = pruned == pruned_.end() ? relation.columns : pruned->second;
          scan->output.push_back(schema[static_cast<size_t>(column)]);
        }
        relation.flow.node = scan;
        return {};
      }
      case PlannedRelation::Kind::kTable: {
        Flow& flow = At(relation.input).flow;  // scan; constraint and watermark let its columns pass unchanged
        if (relation.checks.plan) flow.node = TRY(Constrain(flow, relation.checks, relation.labels));
        if (relation.watermark.plan) {
          auto node = std::make_shared<Node>();
          node->kind = Node::Kind::kWatermark;
          node->inputs = {flow.node};
          node->output = flow.node->output;
          node->expressions = TRY(LowerExpressions(*front_end_, relation.watermark, flow, {"watermark"}));
          flow.node = node;
        }
        return Take(TRY(LowerQuery(*front_end_, relation.bound, inputs, relation.text, {})), &relation);
      }
      case PlannedRelation::Kind::kQuery:
        return Take(TRY(LowerQuery(*front_end_, relation.bound, inputs, relation.text, {})), &relation);
      case PlannedRelation::Kind::kWindow: {
        const Flow& input = At(relation.input).flow;
        auto node = std::make_shared<Node>();
        node->kind = Node::Kind::kWindow;
        node->inputs = {input.node};
        node->window = relation.window.spec;
        node->window.time_column = input.slots[static_cast<size_t>(relation.window.spec.time_column)].column;
        node->output = input.node->output;
        const size_t width = input.slots.size(), added = node->output.size();
        for (size_t i = 0; i < width; i++) relation.flow.slots[i].column = input.slots[i].column;
        for (size_t i = 0; i < 3; i++) {
          node->output.push_back(relation.columns[width + i]);
          relation.flow.slots[width + i].column = static_cast<int>(added + i);
        }
        relation.flow.slots[width].role = Role::kWindowStart;
        relation.flow.slots[width + 1].role = Role::kWindowEnd;
        relation.flow.node = node;
        return {};
      }
    }
    return {};
  }

  // The lowered query has the columns read, in ascending order.
  static Status Take(Flow lowered, PlannedRelation* relation) {
    relation->flow.node = lowered.node;
    size_t i = 0;
    for (int column : relation->reads) relation->flow.slots[static_cast<size_t>(column)] = lowered.slots[i++];
    return {};
  }

  Result<NodePtr> Constrain(const Flow& flow, const BoundQuery& checks, const std::vector<std::string>& labels) {
    auto node = std::make_shared<Node>();
    node->kind = Node::Kind::kConstraint;
    node->inputs = {flow.node};
    node->output = flow.node->output;
    node->labels = labels;
    node->expressions = TRY(LowerExpressions(*front_end_, checks, flow, labels));
    return NodePtr(node);
  }

  Result<NodePtr> LowerInsert(const Insert& insert, const InsertPlan& planned) {
    const Schema physical = planned.table->physical_schema();
    std::vector<std::string> names;
    for (const data::Field& field : physical) names.push_back(field.name);
    const FlowOf inputs = [this](int read) -> const Flow& { return At(read).flow; };
    Flow flow = TRY(LowerQuery(*front_end_, planned.bound, inputs, planned.text, names));
    const std::string connector = planned.table->Get("connector");
    if (GivesUpdates(flow.node) && planned.table->primary_key.empty() && connector != "print" &&
        connector != "blackhole")
      return InvalidArgument("the query updates rows it gave before, and " + insert.target +
                             " has no primary key to update them by")
          .At(insert.where)
          .Remedy("add PRIMARY KEY (...) NOT ENFORCED to " + insert.target + ", or deduplicate within a window");
    if (planned.checks.plan) flow.node = TRY(Constrain(flow, planned.checks, planned.labels));
    auto sink = std::make_shared<Node>();
    sink->kind = Node::Kind::kSink;
    sink->inputs = {flow.node};
    sink->output = physical;
    sink->table = planned.table;
    return NodePtr(sink);
  }

  std::shared_ptr<Script> script_;
  std::unique_ptr<FrontEnd> front_end_;
  std::vector<PlannedRelation> relations_;
  PrunedSchemas pruned_;
  std::map<std::string, int> names_;  // in lower case
  SqlText current_text_;              // whose WITH queries are being added
};

}  // namespace

Result<Plan> MakePlan(std::shared_ptr<const Script> script) {
  // Copies: the plan's script knows the types of computed columns, the columns of CREATE TABLE ... AS SELECT, and of
  // nested rows only the fields that are read.
  Plan plan = TRY(Planner(std::make_shared<Script>(*script), TRY(FrontEnd::Open()), {}).Run());
  PrunedSchemas pruned = PruneUnreadFields(plan);
  if (pruned.empty()) return plan;
  return Planner(std::make_shared<Script>(*script), TRY(FrontEnd::Open()), std::move(pruned)).Run();
}

}  // namespace tailrace::sql
