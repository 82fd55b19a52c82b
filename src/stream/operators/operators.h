#pragma once
// The list of operators; each lies in the file of its name.

#include <memory>
#include <string>
#include <vector>

#include "sql/plan.h"
#include "stream/operator.h"

namespace tailrace::stream {

/// What a watermark generator knows of the source below it. Written by the pipeline between calls.
struct SourceStatus {
  std::vector<TopicPartition> partitions;  // of a source on the log; else empty: the source counts as one partition
  bool caught_up = false;                  // all there was at the start has been read once
};

/// scan.watermark.* and table.exec.source.idle-timeout.
struct WatermarkOptions {
  int64_t idle_timeout_ms = 0;  // a partition silent for so long holds the watermark back no more; 0 = it always does
  int64_t max_drift_ms = 0;     // rows further than this ahead of the wall clock move no watermark; 0 = off
};

std::unique_ptr<Operator> MakeFilter(std::string name, OperatorContext* context,
                                     std::unique_ptr<sql::Expressions> condition);
std::unique_ptr<Operator> MakeProject(std::string name, OperatorContext* context,
                                      std::unique_ptr<sql::Expressions> expressions);
/// Rows for which a condition is false become bad records: "constraint NAME failed: CONDITION".
std::unique_ptr<Operator> MakeConstraint(std::string name, OperatorContext* context,
                                         std::unique_ptr<sql::Expressions> conditions, std::vector<std::string> labels);
/// Watermark = the highest value of the expression seen, by partition, the lowest of them; rows pass unchanged.
std::unique_ptr<Operator> MakeWatermark(std::string name, OperatorContext* context,
                                        std::unique_ptr<sql::Expressions> expression, const SourceStatus* source,
                                        WatermarkOptions options);
/// Appends window_start, window_end, window_time; drops and counts late rows.
std::unique_ptr<Operator> MakeWindowAssign(std::string name, OperatorContext* context, const sql::WindowSpec& window);
Result<std::unique_ptr<Operator>> MakeWindowAggregate(std::string name, OperatorContext* context,
                                                      const sql::Node& node);
/// GROUP BY without a window: +I, then -U +U as the result changes.
Result<std::unique_ptr<Operator>> MakeGroupAggregate(std::string name, OperatorContext* context, const sql::Node& node);
Result<std::unique_ptr<Operator>> MakeDeduplicate(std::string name, OperatorContext* context, const sql::Node& node);
std::unique_ptr<Operator> MakeUnionAll(std::string name, OperatorContext* context, int inputs);
/// Ends a graph: hands rows to the sink, counts them, keeps the watermark that came this far. Both outlive the
/// operator.
std::unique_ptr<Operator> MakeSinkWriter(std::string name, OperatorContext* context, Sink* sink, int64_t* watermark_us);

}  // namespace tailrace::stream
