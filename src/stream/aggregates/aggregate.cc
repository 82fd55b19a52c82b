#include "stream/aggregates/aggregate.h"

#include "stream/aggregates/values.h"

namespace tailrace::stream {

using sql::AggregateKind;

void StoreInteger(data::Column& out, uint64_t row, __int128 value) {
  bool stored = WithFixedType(
      out.type, [&](auto zero) { out.Values<decltype(zero)>()[row] = static_cast<decltype(zero)>(value); });
  CHECK(stored);
}

void StoreDouble(data::Column& out, uint64_t row, double value) {
  bool stored = WithFixedType(
      out.type, [&](auto zero) { out.Values<decltype(zero)>()[row] = static_cast<decltype(zero)>(value); });
  CHECK(stored);
}

namespace {

Result<std::unique_ptr<Aggregator>> MakePlain(const sql::Aggregate& a, const data::Schema& input) {
  if (a.kind == AggregateKind::kCountStar) return MakeCount(a);
  if (a.arguments.empty()) return Internal("an aggregate without an argument");
  const data::Type& argument = input[a.arguments[0]].type;
  switch (a.kind) {
    case AggregateKind::kCountStar:
    case AggregateKind::kCount:
    case AggregateKind::kCountDistinct: return MakeCount(a);
    case AggregateKind::kSum: return MakeSum(a, argument);
    case AggregateKind::kAvg: return MakeAvg(a, argument);
    case AggregateKind::kMin:
    case AggregateKind::kMax: return MakeMinMax(a, argument);
    case AggregateKind::kQuantileCont:
    case AggregateKind::kQuantileDisc:
    case AggregateKind::kMedian: return MakeQuantile(a, argument);
    case AggregateKind::kStddevSamp:
    case AggregateKind::kVarSamp: return MakeVariance(a, argument);
    case AggregateKind::kBoolAnd:
    case AggregateKind::kBoolOr: return MakeBoolean(a, argument);
    case AggregateKind::kFirst:
    case AggregateKind::kLast: return MakeFirstLast(a, argument);
    case AggregateKind::kArgMin:
    case AggregateKind::kArgMax:
      if (a.arguments.size() < 2) return Internal("arg_min or arg_max with one argument");
      return MakeArgMinMax(a, argument, input[a.arguments[1]].type);
    case AggregateKind::kStringAgg:
    case AggregateKind::kList: return MakeCollect(a, argument);
    case AggregateKind::kMode: return MakeMode(a, argument);
  }
  return Internal("unknown aggregate");
}

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeAggregator(const sql::Aggregate& aggregate, const data::Schema& input) {
  auto inner = TRY(MakePlain(aggregate, input));
  bool distinct = aggregate.distinct || aggregate.kind == AggregateKind::kCountDistinct;
  if (!distinct || aggregate.arguments.empty()) return inner;
  return MakeDistinct(aggregate, input, std::move(inner));
}

}  // namespace tailrace::stream
