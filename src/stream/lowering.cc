#include "stream/lowering.h"

#include <fmt/format.h>

#include <map>

#include "base/clock.h"

namespace tailrace::stream {
namespace {

using Kind = sql::Node::Kind;

/// What a scan feeds: passes everything on.
class Head final : public Operator {
 public:
  using Operator::Operator;
  Status Process(int, const data::Batch& batch) override { return Emit(batch); }
};

const char* KindName(Kind kind) {
  switch (kind) {
    case Kind::kScan: return "scan";
    case Kind::kFilter: return "filter";
    case Kind::kProject: return "project";
    case Kind::kWatermark: return "watermark";
    case Kind::kConstraint: return "constraint";
    case Kind::kWindow: return "window";
    case Kind::kWindowAggregate: return "aggregate";
    case Kind::kDeduplicate: return "deduplicate";
    case Kind::kUnionAll: return "union_all";
    case Kind::kSink: return "sink";
  }
  return "?";
}

Result<int64_t> DurationOption(const sql::Table& table, const std::string& key, int64_t otherwise) {
  auto it = table.options.find(key);
  if (it == table.options.end()) return otherwise;
  int64_t ms = 0;
  if (!ParseDurationMs(it->second.value, &ms)) {
    return InvalidArgument(fmt::format("'{}' = '{}' is not a duration", key, it->second.value))
        .At(it->second.where)
        .Remedy("write a number with a unit, e.g. '30 s', '5 min', '200 ms'");
  }
  return ms;
}

class Lowering {
 public:
  Lowering(JobConnectors& connectors, const ConnectorContext& connector_context, OperatorContext* context,
           WatermarkOptions defaults)
      : connectors_(connectors), connector_context_(connector_context), context_(context), defaults_(defaults) {}

  Result<Graph> Run(const sql::Plan& plan) {
    for (const sql::NodePtr& sink : plan.sinks) TRY(Make(*sink));
    for (GraphSource& source : graph_.sources) source.status = std::move(statuses_[source.id]);
    return std::move(graph_);
  }

 private:
  Result<Operator*> Make(const sql::Node& node) {
    if (auto it = made_.find(&node); it != made_.end()) return it->second;
    std::vector<Operator*> inputs;
    for (const sql::NodePtr& input : node.inputs) inputs.push_back(TRY(Make(*input)));
    Operator* made = nullptr;
    if (node.kind == Kind::kScan) {
      made = TRY(MakeScan(node));
    } else {
      auto owned = TRY(MakeInner(node, fmt::format("{}-{}", KindName(node.kind), made_.size())));
      made = owned.get();
      graph_.operators.push_back(std::move(owned));
    }
    for (size_t i = 0; i < inputs.size(); i++) inputs[i]->AddOutput(made, static_cast<int>(i));
    Describe(node);
    made_[&node] = made;
    return made;
  }

  Result<Operator*> MakeScan(const sql::Node& node) {
    std::string key = node.table->name;
    for (int column : node.columns) key += fmt::format(",{}", column);
    if (auto it = scans_.find(key); it != scans_.end()) return it->second;
    GraphSource source;
    int same = ++tables_[node.table->name];
    source.id = same == 1 ? node.table->name : fmt::format("{}#{}", node.table->name, same);
    source.scan = {node.table, node.columns};
    source.source = TRY(connectors_.MakeSource(source.scan, connector_context_));
    graph_.operators.push_back(std::make_unique<Head>("scan-" + source.id, context_));
    source.first = graph_.operators.back().get();
    statuses_[source.id] = std::make_unique<SourceStatus>();
    scans_[key] = source.first;
    graph_.sources.push_back(std::move(source));
    return scans_[key];
  }

  Result<std::unique_ptr<Operator>> MakeInner(const sql::Node& node, std::string name) {
    switch (node.kind) {
      case Kind::kFilter: return MakeFilter(std::move(name), context_, node.expressions->Clone());
      case Kind::kProject: return MakeProject(std::move(name), context_, node.expressions->Clone());
      case Kind::kConstraint: return MakeConstraint(std::move(name), context_, node.expressions->Clone(), node.labels);
      case Kind::kWatermark: {
        const sql::Node* scan = &node;
        while (scan->kind != Kind::kScan && !scan->inputs.empty()) scan = scan->inputs[0].get();
        WatermarkOptions options = defaults_;
        SourceStatus* status = nullptr;
        if (scan->kind == Kind::kScan) {
          options.idle_timeout_ms =
              TRY(DurationOption(*scan->table, "scan.watermark.idle-timeout", options.idle_timeout_ms));
          options.max_drift_ms = TRY(DurationOption(*scan->table, "scan.watermark.max-drift", options.max_drift_ms));
          status = StatusOf(*scan);
        }
        if (!status) return Internal("a watermark without a source below it");
        return MakeWatermark(std::move(name), context_, node.expressions->Clone(), status, options);
      }
      case Kind::kWindow: return MakeWindowAssign(std::move(name), context_, node.window);
      case Kind::kWindowAggregate:
        if (node.window_end < 0) return MakeGroupAggregate(std::move(name), context_, node);
        return MakeWindowAggregate(std::move(name), context_, node);
      case Kind::kDeduplicate: return MakeDeduplicate(std::move(name), context_, node);
      case Kind::kUnionAll: return MakeUnionAll(std::move(name), context_, static_cast<int>(node.inputs.size()));
      case Kind::kSink: {
        GraphSink sink;
        int same = ++targets_[node.table->name];
        sink.id = same == 1 ? node.table->name : fmt::format("{}#{}", node.table->name, same);
        sink.table = node.table;
        sink.sink = TRY(connectors_.MakeSink(*node.table, connector_context_));
        sink.watermark_us = std::make_unique<int64_t>(kNoWatermark);
        auto made = MakeSinkWriter(std::move(name), context_, sink.sink.get(), sink.watermark_us.get());
        graph_.sinks.push_back(std::move(sink));
        return made;
      }
      case Kind::kScan: break;
    }
    return Internal("unknown plan node");
  }

  SourceStatus* StatusOf(const sql::Node& scan) {
    std::string key = scan.table->name;
    for (int column : scan.columns) key += fmt::format(",{}", column);
    for (GraphSource& source : graph_.sources) {
      if (source.first == scans_[key]) return statuses_[source.id].get();
    }
    return nullptr;
  }

  void Describe(const sql::Node& node) {
    std::string& out = graph_.fingerprint;
    out += fmt::format("{} {}(", made_.size(), KindName(node.kind));
    for (const sql::NodePtr& input : node.inputs) out += fmt::format("{},", numbers_[input.get()]);
    numbers_[&node] = made_.size();
    out += ")";
    if (node.table) out += " table=" + node.table->name;
    if (node.expressions)
      for (const std::string& text : node.expressions->Describe()) out += " [" + text + "]";
    if (node.kind == Kind::kWindow) {
      out += fmt::format(" window={},{},{},{},{}", static_cast<int>(node.window.kind), node.window.time_column,
                         node.window.size_us, node.window.slide_us, node.window.offset_us);
    }
    if (node.kind == Kind::kWindowAggregate || node.kind == Kind::kDeduplicate) {
      out += fmt::format(" w={},{} keys={}", node.window_start, node.window_end, fmt::join(node.keys, ","));
      for (const sql::Aggregate& a : node.aggregates) {
        out += fmt::format(" {}({}){}{}q{}s{}", static_cast<int>(a.kind), fmt::join(a.arguments, ","), a.filter,
                           a.distinct ? "d" : "", a.quantile, a.separator);
      }
      out += fmt::format(" o={} l={} n={} r={}", node.order_column, node.keep_last, node.limit, node.rank_column);
    }
    for (const data::Field& field : node.output) out += " " + field.type.ToString();
    out += "\n";
  }

  JobConnectors& connectors_;
  const ConnectorContext& connector_context_;
  OperatorContext* const context_;
  const WatermarkOptions defaults_;
  Graph graph_;
  std::map<const sql::Node*, Operator*> made_;
  std::map<const sql::Node*, size_t> numbers_;
  std::map<std::string, Operator*> scans_;
  std::map<std::string, std::unique_ptr<SourceStatus>> statuses_;
  std::map<std::string, int> tables_, targets_;
};

}  // namespace

Result<Graph> Lower(const sql::Plan& plan, JobConnectors& connectors, const ConnectorContext& connector_context,
                    OperatorContext* context, WatermarkOptions defaults) {
  return Lowering(connectors, connector_context, context, defaults).Run(plan);
}

}  // namespace tailrace::stream
