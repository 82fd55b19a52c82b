#pragma once
// sql::Plan -> operators: every node becomes one operator, shared nodes one shared operator, and the scans of one table
// with the same columns one source.

#include <memory>
#include <string>
#include <vector>

#include "sql/plan.h"
#include "stream/operators/operators.h"

namespace tailrace::stream {

struct GraphSource {
  std::string id;  // table name, or table name "#2" for a second scan with other columns
  ScanSpec scan;
  std::unique_ptr<Source> source;
  std::unique_ptr<SourceStatus> status;
  Operator* first = nullptr;  // pushes what was polled to everything that reads the table
};

struct GraphSink {
  std::string id;  // table name, or table name "#2" for a second INSERT into it
  const sql::Table* table = nullptr;
  std::unique_ptr<Sink> sink;
  std::unique_ptr<int64_t> watermark_us;  // that came this far
};

/// Owns the operators; sources and sinks come from JobConnectors and are not opened.
struct Graph {
  std::vector<GraphSource> sources;
  std::vector<GraphSink> sinks;
  std::vector<std::unique_ptr<Operator>> operators;  // inputs before what they feed
  /// Same plan, same text: written into checkpoints. Does not cover options that only tune.
  std::string fingerprint;
};

Result<Graph> Lower(const sql::Plan& plan, JobConnectors& connectors, const ConnectorContext& connector_context,
                    OperatorContext* context, WatermarkOptions defaults);

}  // namespace tailrace::stream
