#include <map>

#include "sql/plan.h"

namespace tailrace::sql {

namespace {

std::string Duration(int64_t us) {
  for (const auto& [size, unit] : {std::pair<int64_t, const char*>{86'400'000'000, "d"},
                                   {3'600'000'000, "h"},
                                   {60'000'000, "min"},
                                   {1'000'000, "s"},
                                   {1000, "ms"}})
    if (us % size == 0) return std::to_string(us / size) + " " + unit;
  return std::to_string(us) + " us";
}

const char* AggregateName(AggregateKind kind) {
  switch (kind) {
    case AggregateKind::kCountStar: return "count(*)";
    case AggregateKind::kCount: return "count";
    case AggregateKind::kSum: return "sum";
    case AggregateKind::kAvg: return "avg";
    case AggregateKind::kMin: return "min";
    case AggregateKind::kMax: return "max";
    case AggregateKind::kCountDistinct: return "count distinct";
    case AggregateKind::kQuantileCont: return "quantile_cont";
    case AggregateKind::kQuantileDisc: return "quantile_disc";
    case AggregateKind::kMedian: return "median";
    case AggregateKind::kStddevSamp: return "stddev_samp";
    case AggregateKind::kVarSamp: return "var_samp";
    case AggregateKind::kBoolAnd: return "bool_and";
    case AggregateKind::kBoolOr: return "bool_or";
    case AggregateKind::kFirst: return "first";
    case AggregateKind::kLast: return "last";
    case AggregateKind::kArgMin: return "arg_min";
    case AggregateKind::kArgMax: return "arg_max";
    case AggregateKind::kStringAgg: return "string_agg";
    case AggregateKind::kList: return "list";
    case AggregateKind::kMode: return "mode";
  }
  return "?";
}

class Explainer {
 public:
  std::string Run(const Plan& plan) {
    for (const NodePtr& sink : plan.sinks) Count(sink);
    for (const NodePtr& sink : plan.sinks) Show(sink, 0);
    return out_;
  }

 private:
  void Count(const NodePtr& node) {
    if (parents_[node.get()]++ > 0) return;
    for (const NodePtr& input : node->inputs) Count(input);
  }

  static std::string Column(const data::Schema& schema, int column) {
    return column < 0 ? "?" : schema[static_cast<size_t>(column)].name;
  }

  static std::string List(const data::Schema& schema, const std::vector<int>& columns) {
    std::string text;
    for (int column : columns) text += (text.empty() ? "" : ", ") + Column(schema, column);
    return text;
  }

  static std::string Describe(const Node& node) {
    std::string text;
    switch (node.kind) {
      case Node::Kind::kScan:
        text = "Scan " + node.table->name + " (" + node.table->Get("connector", "?") + "): ";
        for (size_t i = 0; i < node.output.size(); i++) text += (i ? ", " : "") + node.output[i].name;
        return text;
      case Node::Kind::kFilter: return "Filter " + node.expressions->Describe()[0];
      case Node::Kind::kProject: {
        const std::vector<std::string> expressions = node.expressions->Describe();
        for (size_t i = 0; i < expressions.size(); i++) {
          text += (i ? ", " : "") + expressions[i];
          if (expressions[i] != node.output[i].name && expressions[i] != "\"" + node.output[i].name + "\"")
            text += " AS " + node.output[i].name;
        }
        return "Project " + text;
      }
      case Node::Kind::kWatermark: return "Watermark " + node.expressions->Describe()[0];
      case Node::Kind::kConstraint: {
        for (const std::string& condition : node.expressions->Describe())
          text += (text.empty() ? "" : ", ") + condition;
        return "Constraint " + text;
      }
      case Node::Kind::kWindow: {
        text = node.window.kind == WindowKind::kTumble ? "Window TUMBLE " : "Window HOP ";
        text += Column(node.inputs[0]->output, node.window.time_column) + ", size " + Duration(node.window.size_us);
        if (node.window.kind == WindowKind::kHop) text += ", slide " + Duration(node.window.slide_us);
        if (node.window.offset_us) text += ", offset " + Duration(node.window.offset_us);
        return text;
      }
      case Node::Kind::kWindowAggregate: {
        const data::Schema& input = node.inputs[0]->output;
        text = "WindowAggregate by " + List(input, node.keys) + ": ";
        for (size_t i = 0; i < node.aggregates.size(); i++) {
          const Aggregate& aggregate = node.aggregates[i];
          text += i ? ", " : "";
          text += AggregateName(aggregate.kind);
          if (!aggregate.arguments.empty())
            text += std::string("(") + (aggregate.distinct ? "distinct " : "") + List(input, aggregate.arguments);
          if (aggregate.kind == AggregateKind::kQuantileCont || aggregate.kind == AggregateKind::kQuantileDisc) {
            std::string q = std::to_string(aggregate.quantile);
            while (q.back() == '0') q.pop_back();
            text += ", " + (q.back() == '.' ? q + "0" : q);
          }
          if (!aggregate.arguments.empty()) text += ")";
          if (aggregate.filter >= 0) text += " filter " + Column(input, aggregate.filter);
        }
        return text;
      }
      case Node::Kind::kDeduplicate:
        text = std::string("Deduplicate ") + (node.keep_last ? "last" : "first");
        if (node.limit != 1) text += " " + std::to_string(node.limit);
        return text + " by " + List(node.inputs[0]->output, node.keys) + ", ordered by " +
               Column(node.inputs[0]->output, node.order_column);
      case Node::Kind::kUnionAll: return "UnionAll";
      case Node::Kind::kSink:
        text = "Sink " + node.table->name + " (" + node.table->Get("connector", "?") + "): ";
        for (size_t i = 0; i < node.output.size(); i++) text += (i ? ", " : "") + node.output[i].name;
        return text;
    }
    return "?";
  }

  void Show(const NodePtr& node, int depth) {
    std::string line(static_cast<size_t>(depth) * 2, ' ');
    const bool shared = parents_[node.get()] > 1;
    if (shared) {
      const auto [at, fresh] = numbers_.emplace(node.get(), numbers_.size() + 1);
      if (!fresh) {
        out_ += line + "(shared #" + std::to_string(at->second) + ")\n";
        return;
      }
      line += "#" + std::to_string(at->second) + " ";
    }
    out_ += line + Describe(*node) + "\n";
    for (const NodePtr& input : node->inputs) Show(input, depth + 1);
  }

  std::string out_;
  std::map<const Node*, int> parents_;
  std::map<const Node*, size_t> numbers_;
};

}  // namespace

std::string Explain(const Plan& plan) { return Explainer().Run(plan); }

}  // namespace tailrace::sql
