// The decoder need not look at fields of nested rows that nobody reads, as with whole columns. The planner runs
// twice: what the first plan reads decides what the second one's scans give.

#include "sql/field_pruning.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "sql/expressions.h"

namespace tailrace::sql {

namespace {

/// What of a value is read: all of it, or some of its fields.
struct Need {
  bool whole = false;
  std::map<int, Need> fields;

  void Add(const Need& other) {
    whole |= other.whole;
    for (const auto& [field, need] : other.fields) fields[field].Add(need);
  }
  static Need Whole() {
    Need need;
    need.whole = true;
    return need;
  }
};

using Needs = std::vector<Need>;  // by column

class Analysis {
 public:
  void Run(const Plan& plan) {
    for (const NodePtr& sink : plan.sinks) Order(sink);
    for (const NodePtr& sink : plan.sinks) needs_[sink.get()].assign(sink->output.size(), Need::Whole());
    for (auto node = order_.rbegin(); node != order_.rend(); ++node) Pass(**node);
  }
  const std::map<const Table*, Needs>& scans() const { return scans_; }

 private:
  void Order(const NodePtr& node) {  // inputs first
    if (!seen_.insert(node.get()).second) return;
    for (const NodePtr& input : node->inputs) Order(input);
    order_.push_back(node.get());
    needs_[node.get()].resize(node->output.size());
  }

  Needs& Of(const NodePtr& node) { return needs_[node.get()]; }

  // A path is a column and then fields.
  static void AddPath(Needs* needs, const std::vector<int>& path, const Need& need) {
    Need* at = &(*needs)[static_cast<size_t>(path[0])];
    for (size_t i = 1; i < path.size(); i++) at = &at->fields[path[i]];
    at->Add(need);
  }

  void AddReads(const Node& node) {
    for (const auto& reads : FieldReads(*node.expressions))
      for (const std::vector<int>& path : reads) AddPath(&Of(node.inputs[0]), path, Need::Whole());
  }

  void Pass(const Node& node) {
    const Needs& mine = needs_[&node];
    switch (node.kind) {
      case Node::Kind::kScan: {
        Needs& needs = scans_[node.table];
        needs.resize(node.table->physical_schema().size());
        for (size_t i = 0; i < mine.size(); i++) needs[static_cast<size_t>(node.columns[i])].Add(mine[i]);
        return;
      }
      case Node::Kind::kProject: {
        const auto reads = FieldReads(*node.expressions);
        for (size_t i = 0; i < reads.size(); i++) {
          // A plain column or field hands on what is read of it; anything else reads all it refers to.
          const bool plain = IsPlainPath(*node.expressions, i);
          for (const std::vector<int>& path : reads[i])
            AddPath(&Of(node.inputs[0]), path, plain ? mine[i] : Need::Whole());
        }
        return;
      }
      case Node::Kind::kFilter:
      case Node::Kind::kConstraint:
      case Node::Kind::kWatermark: AddReads(node); [[fallthrough]];
      case Node::Kind::kUnionAll:
      case Node::Kind::kSink:
      case Node::Kind::kWindow:
      case Node::Kind::kDeduplicate:
        for (const NodePtr& input : node.inputs)
          for (size_t i = 0; i < Of(input).size() && i < mine.size(); i++) Of(input)[i].Add(mine[i]);
        if (node.kind == Node::Kind::kWindow)
          Of(node.inputs[0])[static_cast<size_t>(node.window.time_column)].whole = true;
        for (int key : node.keys) Of(node.inputs[0])[static_cast<size_t>(key)].whole = true;
        if (node.order_column >= 0) Of(node.inputs[0])[static_cast<size_t>(node.order_column)].whole = true;
        return;
      case Node::Kind::kWindowAggregate: {
        Needs& input = Of(node.inputs[0]);
        auto whole = [&](int column) {
          if (column >= 0) input[static_cast<size_t>(column)].whole = true;
        };
        for (int key : node.keys) whole(key);
        for (const Aggregate& aggregate : node.aggregates) {
          for (int argument : aggregate.arguments) whole(argument);
          whole(aggregate.filter);
        }
        whole(node.window_start);
        whole(node.window_end);
        return;
      }
    }
  }

  std::set<const Node*> seen_;
  std::vector<const Node*> order_;
  std::map<const Node*, Needs> needs_;
  std::map<const Table*, Needs> scans_;
};

bool Prune(data::Type* type, const Need& need) {
  if (need.whole || type->id != data::TypeId::kStruct || need.fields.empty()) return false;
  bool pruned = false;
  std::vector<data::Field> kept;
  for (size_t i = 0; i < type->children.size(); i++) {
    const auto found = need.fields.find(static_cast<int>(i));
    if (found == need.fields.end()) {
      pruned = true;
      continue;
    }
    kept.push_back(type->children[i]);
    pruned |= Prune(&kept.back().type, found->second);
  }
  type->children = std::move(kept);
  return pruned;
}

}  // namespace

PrunedSchemas PruneUnreadFields(const Plan& plan) {
  Analysis analysis;
  analysis.Run(plan);
  PrunedSchemas pruned;
  for (const auto& [table, needs] : analysis.scans()) {
    const auto& inserts = plan.script->inserts;
    if (std::any_of(inserts.begin(), inserts.end(),
                    [&, t = table](const Insert& insert) { return insert.target == t->name; }))
      continue;
    data::Schema schema = table->physical_schema();
    bool any = false;
    for (size_t i = 0; i < schema.size(); i++) any |= Prune(&schema[i].type, needs[i]);
    if (any) pruned[table->name] = std::move(schema);
  }
  return pruned;
}

}  // namespace tailrace::sql
