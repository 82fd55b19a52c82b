#include "stream/aggregates/values.h"

namespace tailrace::stream {
namespace {

/// Welford's running variance, in order of arrival, as DuckDB does it. Null under two values.
/// State: i64 count, f64 mean, f64 sum of squared differences.
class Variance final : public Aggregator {
 public:
  Variance(const sql::Aggregate& a, const data::Type& argument)
      : argument_(a.arguments[0]),
        type_(a.result),
        root_(a.kind == sql::AggregateKind::kStddevSamp),
        input_(argument),
        scale_(argument.id == data::TypeId::kDecimal ? PowerOfTen(argument.scale) : 1) {}
  void Grow(uint32_t groups) override { states_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    WithFixedType(input_, [&](auto zero) {
      const auto* values = column.Values<decltype(zero)>();
      ForEachValid(in, &column, [&](uint32_t row, uint32_t group) {
        State& s = states_[group];
        double value = static_cast<double>(values[row]) / scale_;
        s.count++;
        double before = value - s.mean;
        s.mean += before / static_cast<double>(s.count);
        s.squares += before * (value - s.mean);
      });
    });
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    data::Column out = data::AllocateColumn(arena, type_, count);
    for (uint32_t i = 0; i < count; i++) {
      const State& s = states_[first + i];
      if (s.count < 2) {
        out.SetNull(i);
        continue;
      }
      double variance = s.squares / static_cast<double>(s.count - 1);
      StoreDouble(out, i, root_ ? std::sqrt(variance) : variance);
    }
    return out;
  }
  void Save(uint32_t group, StateWriter& out) const override {
    const State& s = states_[group];
    out.I64(s.count), out.F64(s.mean), out.F64(s.squares);
  }
  void Load(uint32_t group, StateReader& in) override {
    State& s = states_[group];
    s.count = in.I64(), s.mean = in.F64(), s.squares = in.F64();
  }
  size_t bytes() const override { return states_.capacity() * sizeof(State); }

 private:
  struct State {
    int64_t count = 0;
    double mean = 0, squares = 0;
  };
  const int argument_;
  const data::Type type_;
  const bool root_;
  const data::Type input_;
  const double scale_;
  std::vector<State> states_;
};

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeVariance(const sql::Aggregate& a, const data::Type& argument) {
  if (!IsNumeric(argument)) return UnsupportedAggregate("stddev_samp", argument);
  return std::unique_ptr<Aggregator>(new Variance(a, argument));
}

}  // namespace tailrace::stream
