#include "stream/aggregates/values.h"

namespace tailrace::stream {
namespace {

/// Integers and decimals add up exactly in 128 bits, floats in double in order of arrival, as in DuckDB. Null over no
/// value, and where 128 bits overflow. State: u8 (1 = seen, 2 = overflow), then the sum.
template <typename In, typename Acc>
class Sum final : public Aggregator {
 public:
  explicit Sum(const sql::Aggregate& a) : argument_(a.arguments[0]), type_(a.result) {}
  void Grow(uint32_t groups) override { sums_.resize(groups), seen_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    const In* values = column.Values<In>();
    Acc* sums = sums_.data();
    uint8_t* seen = seen_.data();
    ForEachValid(in, &column, [=](uint32_t row, uint32_t group) {
      if constexpr (sizeof(In) == 16) {
        if (__builtin_add_overflow(sums[group], values[row], &sums[group])) seen[group] |= 2;
      } else {
        sums[group] += values[row];
      }
      seen[group] |= 1;
    });
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    data::Column out = data::AllocateColumn(arena, type_, count);
    for (uint32_t i = 0; i < count; i++) {
      if (seen_[first + i] != 1) out.SetNull(i);
      else if constexpr (std::is_same_v<Acc, double>) StoreDouble(out, i, sums_[first + i]);
      else StoreInteger(out, i, sums_[first + i]);
    }
    return out;
  }
  void Save(uint32_t group, StateWriter& out) const override {
    out.U8(seen_[group]);
    out.Fixed(&sums_[group], sizeof(Acc));
  }
  void Load(uint32_t group, StateReader& in) override {
    seen_[group] = in.U8();
    in.Fixed(&sums_[group], sizeof(Acc));
  }
  size_t bytes() const override { return sums_.capacity() * (sizeof(Acc) + 1); }

 private:
  const int argument_;
  const data::Type type_;
  std::vector<Acc> sums_;
  std::vector<uint8_t> seen_;
};

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeSum(const sql::Aggregate& a, const data::Type& argument) {
  if (!IsNumeric(argument) && argument.id != data::TypeId::kBoolean) return UnsupportedAggregate("sum", argument);
  std::unique_ptr<Aggregator> made;
  WithFixedType(argument, [&](auto zero) {
    using In = decltype(zero);
    if constexpr (std::is_floating_point_v<In>) made = std::make_unique<Sum<In, double>>(a);
    else made = std::make_unique<Sum<In, __int128>>(a);
  });
  return made;
}

}  // namespace tailrace::stream
