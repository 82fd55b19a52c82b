#include "stream/aggregates/values.h"

namespace tailrace::stream {
namespace {

/// As DuckDB: up to 32 bits the exact sum is divided in double, above in long double; decimals' scale goes into the
/// divisor. State: i64 count, then the sum.
template <typename In, typename Acc>
class Avg final : public Aggregator {
 public:
  Avg(const sql::Aggregate& a, double divisor) : argument_(a.arguments[0]), type_(a.result), divisor_(divisor) {}
  void Grow(uint32_t groups) override { sums_.resize(groups), counts_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    const In* values = column.Values<In>();
    Acc* sums = sums_.data();
    int64_t* counts = counts_.data();
    ForEachValid(in, &column, [=](uint32_t row, uint32_t group) {
      sums[group] += values[row];
      counts[group]++;
    });
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    data::Column out = data::AllocateColumn(arena, type_, count);
    using Wide = std::conditional_t<(sizeof(In) > 4 && !std::is_floating_point_v<In>), long double, double>;
    for (uint32_t i = 0; i < count; i++) {
      uint32_t g = first + i;
      if (!counts_[g]) out.SetNull(i);
      else
        StoreDouble(out, i,
                    static_cast<double>(static_cast<Wide>(sums_[g]) / (static_cast<Wide>(counts_[g]) * divisor_)));
    }
    return out;
  }
  void Save(uint32_t group, StateWriter& out) const override {
    out.I64(counts_[group]);
    out.Fixed(&sums_[group], sizeof(Acc));
  }
  void Load(uint32_t group, StateReader& in) override {
    counts_[group] = in.I64();
    in.Fixed(&sums_[group], sizeof(Acc));
  }
  size_t bytes() const override { return sums_.capacity() * (sizeof(Acc) + 8); }

 private:
  const int argument_;
  const data::Type type_;
  const double divisor_;
  std::vector<Acc> sums_;
  std::vector<int64_t> counts_;
};

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeAvg(const sql::Aggregate& a, const data::Type& argument) {
  if (!IsNumeric(argument)) return UnsupportedAggregate("avg", argument);
  std::unique_ptr<Aggregator> made;
  WithFixedType(argument, [&](auto zero) {
    using In = decltype(zero);
    double divisor = argument.id == data::TypeId::kDecimal ? PowerOfTen(argument.scale) : 1;
    if constexpr (std::is_floating_point_v<In>) made = std::make_unique<Avg<In, double>>(a, divisor);
    else made = std::make_unique<Avg<In, __int128>>(a, divisor);
  });
  return made;
}

}  // namespace tailrace::stream
