#pragma once
// Native aggregates: the state of one aggregate for all groups of one window, as arrays indexed by group number,
// updated a batch at a time. Answers equal DuckDB's batch answers; where DuckDB's depends on row order (first, list,
// string_agg), arrival order counts.

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "data/batch.h"
#include "sql/plan.h"
#include "stream/state/codec.h"

namespace tailrace::stream {

/// Rows of a batch and the groups they belong to.
struct AggregateInput {
  const data::Batch* batch;
  const uint32_t* rows;    // nullptr: rows 0..count
  const uint32_t* groups;  // count of them
  uint32_t count;
};

/// Not thread-safe.
class Aggregator {
 public:
  virtual ~Aggregator() = default;
  /// Makes room for groups 0..groups-1; new ones start empty. Called before Update and Load name them.
  virtual void Grow(uint32_t groups) = 0;
  virtual void Update(const AggregateInput& in) = 0;
  /// Results of groups first..first+count-1.
  virtual data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const = 0;
  virtual void Save(uint32_t group, StateWriter& out) const = 0;
  virtual void Load(uint32_t group, StateReader& in) = 0;
  /// Roughly what the states take.
  virtual size_t bytes() const = 0;
};

/// `input`: the schema of the rows aggregated. kUnsupported for an aggregate over a type it has no answer for.
/// `aggregate` must outlive what is made.
Result<std::unique_ptr<Aggregator>> MakeAggregator(const sql::Aggregate& aggregate, const data::Schema& input);

// One a file.
Result<std::unique_ptr<Aggregator>> MakeCount(const sql::Aggregate& aggregate);
Result<std::unique_ptr<Aggregator>> MakeSum(const sql::Aggregate& aggregate, const data::Type& argument);
Result<std::unique_ptr<Aggregator>> MakeAvg(const sql::Aggregate& aggregate, const data::Type& argument);
Result<std::unique_ptr<Aggregator>> MakeMinMax(const sql::Aggregate& aggregate, const data::Type& argument);
Result<std::unique_ptr<Aggregator>> MakeVariance(const sql::Aggregate& aggregate, const data::Type& argument);
Result<std::unique_ptr<Aggregator>> MakeBoolean(const sql::Aggregate& aggregate, const data::Type& argument);
Result<std::unique_ptr<Aggregator>> MakeQuantile(const sql::Aggregate& aggregate, const data::Type& argument);
Result<std::unique_ptr<Aggregator>> MakeFirstLast(const sql::Aggregate& aggregate, const data::Type& argument);
Result<std::unique_ptr<Aggregator>> MakeArgMinMax(const sql::Aggregate& aggregate, const data::Type& argument,
                                                  const data::Type& order);
Result<std::unique_ptr<Aggregator>> MakeCollect(const sql::Aggregate& aggregate, const data::Type& argument);
Result<std::unique_ptr<Aggregator>> MakeMode(const sql::Aggregate& aggregate, const data::Type& argument);
/// Passes only the first of equal arguments of a group on to `inner`.
std::unique_ptr<Aggregator> MakeDistinct(const sql::Aggregate& aggregate, const data::Schema& input,
                                         std::unique_ptr<Aggregator> inner);

}  // namespace tailrace::stream
