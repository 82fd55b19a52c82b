#include "sql/aggregate_lowering.h"

#include <algorithm>

#include "duckdb.hpp"
#include "duckdb/common/serializer/binary_deserializer.hpp"
#include "duckdb/common/serializer/binary_serializer.hpp"
#include "duckdb/common/serializer/memory_stream.hpp"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "sql/front_end.h"
#include "sql/query_rewriter.h"

namespace tailrace::sql {

namespace {

struct AggregateName {
  const char* name;
  AggregateKind kind;
};
constexpr AggregateName kAggregates[] = {
    {"count_star", AggregateKind::kCountStar},
    {"count", AggregateKind::kCount},
    {"sum", AggregateKind::kSum},
    {"sum_no_overflow", AggregateKind::kSum},
    {"avg", AggregateKind::kAvg},
    {"mean", AggregateKind::kAvg},
    {"min", AggregateKind::kMin},
    {"max", AggregateKind::kMax},
    {"approx_count_distinct", AggregateKind::kCountDistinct},
    {"quantile_cont", AggregateKind::kQuantileCont},
    {"quantile_disc", AggregateKind::kQuantileDisc},
    {"quantile", AggregateKind::kQuantileDisc},
    {"median", AggregateKind::kMedian},
    {"stddev", AggregateKind::kStddevSamp},
    {"stddev_samp", AggregateKind::kStddevSamp},
    {"variance", AggregateKind::kVarSamp},
    {"var_samp", AggregateKind::kVarSamp},
    {"bool_and", AggregateKind::kBoolAnd},
    {"bool_or", AggregateKind::kBoolOr},
    {"first", AggregateKind::kFirst},
    {"arbitrary", AggregateKind::kFirst},
    {"any_value", AggregateKind::kFirst},
    {"last", AggregateKind::kLast},
    {"arg_min", AggregateKind::kArgMin},
    {"argmin", AggregateKind::kArgMin},
    {"min_by", AggregateKind::kArgMin},
    {"arg_max", AggregateKind::kArgMax},
    {"argmax", AggregateKind::kArgMax},
    {"max_by", AggregateKind::kArgMax},
    {"string_agg", AggregateKind::kStringAgg},
    {"group_concat", AggregateKind::kStringAgg},
    {"listagg", AggregateKind::kStringAgg},
    {"list", AggregateKind::kList},
    {"array_agg", AggregateKind::kList},
    {"mode", AggregateKind::kMode},
};

size_t ArgumentsOf(AggregateKind kind) {
  if (kind == AggregateKind::kCountStar) return 0;
  return kind == AggregateKind::kArgMin || kind == AggregateKind::kArgMax ? 2 : 1;
}

}  // namespace

Result<Aggregate> DescribeAggregate(const duckdb::BoundAggregateExpression& bound, const SqlText& text,
                                    bool* skip_nulls) {
  const std::string& name = bound.function.name;
  auto refuse = [&](std::string what, std::string_view keyword, std::string remedy) {
    return Unsupported(std::move(what)).At(FindKeyword(text, {keyword})).Remedy(std::move(remedy));
  };
  const auto* found = std::find_if(std::begin(kAggregates), std::end(kAggregates),
                                   [&](const AggregateName& each) { return name == each.name; });
  if (found == std::end(kAggregates) || (bound.children.size() != ArgumentsOf(found->kind) && name != "count_star"))
    return refuse(
        "the aggregate " + bound.ToString() + " is not supported on a stream", name,
        "use count, sum, avg, min, max, quantile_cont, quantile_disc, median, stddev_samp, var_samp, bool_and, "
        "bool_or, first, last, any_value, arg_min, arg_max, string_agg, list or mode");
  Aggregate aggregate{};
  aggregate.kind = found->kind;
  const bool quantile =
      aggregate.kind == AggregateKind::kQuantileCont || aggregate.kind == AggregateKind::kQuantileDisc;
  if (bound.order_bys && !quantile)
    return refuse("ORDER BY inside " + name + "() is not supported", "ORDER",
                  "use arg_min(value, time) or arg_max(value, time)");
  bool exact = false;
  aggregate.result = TRY(FromDuck(bound.return_type, &exact));
  // DISTINCT changes nothing for these.
  const bool idempotent = aggregate.kind == AggregateKind::kMin || aggregate.kind == AggregateKind::kMax ||
                          aggregate.kind == AggregateKind::kBoolAnd || aggregate.kind == AggregateKind::kBoolOr;
  aggregate.distinct = bound.IsDistinct() && !idempotent;
  if (aggregate.kind == AggregateKind::kCount && aggregate.distinct) aggregate.kind = AggregateKind::kCountDistinct;
  if (aggregate.kind == AggregateKind::kCountDistinct) aggregate.distinct = false;
  *skip_nulls = name == "any_value";
  if (!quantile && aggregate.kind != AggregateKind::kStringAgg) return aggregate;

  // What the binder took out of the arguments lies in its private data, which it can write out.
  duckdb::MemoryStream stream;
  duckdb::BinarySerializer serializer(stream);
  serializer.Begin();
  if (bound.function.serialize) bound.function.serialize(serializer, bound.bind_info.get(), bound.function);
  serializer.End();
  stream.Rewind();
  duckdb::BinaryDeserializer deserializer(stream);
  deserializer.Begin();
  if (!quantile) {
    aggregate.separator = deserializer.ReadProperty<std::string>(100, "separator");
    return aggregate;
  }
  const auto quantiles = deserializer.ReadProperty<duckdb::vector<duckdb::Value>>(100, "quantiles");
  if (quantiles.size() != 1 || bound.return_type.id() == duckdb::LogicalTypeId::LIST)
    return refuse("a list of quantiles is not supported", name, "write one " + name + " for each");
  aggregate.quantile = quantiles[0].GetValue<double>();
  deserializer.ReadProperty<duckdb::vector<duckdb::idx_t>>(101, "order");
  if (deserializer.ReadProperty<bool>(102, "desc")) aggregate.quantile = 1 - aggregate.quantile;
  return aggregate;
}

}  // namespace tailrace::sql
