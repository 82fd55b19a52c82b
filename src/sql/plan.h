#pragma once
// The bound, optimised plan of a script: what stream/ turns into operators. No DuckDB type shows; expressions are
// opaque and evaluated through Expressions.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/batch.h"
#include "sql/catalog.h"

namespace tailrace::sql {

/// Bound expressions over the columns of one input, run vectorised by DuckDB in place. One thread at a time; Clone()
/// for another.
class Expressions {
 public:
  virtual ~Expressions() = default;
  virtual std::unique_ptr<Expressions> Clone() const = 0;
  virtual const data::Schema& output() const = 0;
  /// One output column an expression, rows as in `in`; kinds and origins go along; `out` shares `in`'s owners.
  /// An expression that throws (a cast, an overflow) fails only its row: `out` then lacks that row and `failed` gets
  /// its index in `in` with the reason.
  struct Failure {
    uint32_t row;
    std::string reason;
  };
  virtual Status Evaluate(const data::Batch& in, data::Batch* out, std::vector<Failure>* failed) = 0;
  /// REQUIRES: one expression, boolean. The rows where it is true, ascending; returns how many. `selection` has room
  /// for in.rows.
  virtual Result<uint32_t> Select(const data::Batch& in, uint32_t* selection, std::vector<Failure>* failed) = 0;
  /// As SQL, for explain and errors.
  virtual std::vector<std::string> Describe() const = 0;
};

enum class WindowKind { kTumble, kHop };

struct WindowSpec {
  WindowKind kind = WindowKind::kTumble;
  int time_column = -1;  // of the input; kTimestamp or kTimestampTz
  int64_t size_us = 0;
  int64_t slide_us = 0;  // kHop; equals size_us for kTumble
  int64_t offset_us = 0;
};

enum class AggregateKind {
  kCountStar,
  kCount,
  kSum,
  kAvg,
  kMin,
  kMax,
  kCountDistinct,
  kQuantileCont,
  kQuantileDisc,
  kMedian,
  kStddevSamp,
  kVarSamp,
  kBoolAnd,
  kBoolOr,
  kFirst,
  kLast,
  kArgMin,
  kArgMax,
  kStringAgg,
  kList,
  kMode
};

struct Aggregate {
  AggregateKind kind;
  std::vector<int> arguments;  // columns of the input
  int filter = -1;             // boolean column of the input: FILTER (WHERE ...); -1 = none
  bool distinct = false;
  double quantile = 0;    // kQuantile*
  std::string separator;  // kStringAgg
  data::Type result;
};

struct Node;
using NodePtr = std::shared_ptr<const Node>;

/// One relational operator; inputs below it. A NodePtr shared by several parents is computed once.
struct Node {
  enum class Kind {
    kScan,             // table; columns
    kFilter,           // expressions (one, boolean)
    kProject,          // expressions
    kWatermark,        // watermark: one expression, a timestamp, over the input; rows pass through unchanged
    kConstraint,       // expressions: one boolean a constraint; names and reasons in `labels`
    kWindow,           // window: appends window_start, window_end (kTimestamp), window_time (kTimestamp) to the input
    kWindowAggregate,  // group keys, aggregates; emits when the watermark passes window_end
    kDeduplicate,      // first or last row of `keys` by `order_column`, within the window where there is one
    kUnionAll,
    kSink,  // table; the input has its physical columns in order
  };
  Kind kind;
  std::vector<NodePtr> inputs;
  data::Schema output;

  const Table* table = nullptr;              // kScan, kSink
  std::vector<int> columns;                  // kScan: of table->physical_schema()
  std::shared_ptr<Expressions> expressions;  // as said at each kind; cloned by every pipeline
  std::vector<std::string> labels;           // kConstraint
  WindowSpec window;                         // kWindow
  // kWindowAggregate, kDeduplicate: which columns of the input hold the window; -1: there is none
  int window_start = -1;
  int window_end = -1;
  std::vector<int> keys;              // kWindowAggregate: all group columns (window columns included), in output order
  std::vector<Aggregate> aggregates;  // kWindowAggregate: after the keys, in output order
  int order_column = -1;              // kDeduplicate
  bool keep_last = false;             // kDeduplicate
  int64_t limit = 1;                  // kDeduplicate: rows kept of each key (Top-N later)
  int rank_column = -1;               // kDeduplicate: position of row_number in the output; -1: not asked for
};

struct Plan {
  std::shared_ptr<const Script> script;  // owns the Tables that nodes point at
  std::vector<NodePtr> sinks;            // one an INSERT, in order; they share nodes below
};

/// As a tree, with columns pushed into scans and window parameters: `stream explain`.
std::string Explain(const Plan& plan);

}  // namespace tailrace::sql
