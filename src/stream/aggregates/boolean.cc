#include "stream/aggregates/values.h"

namespace tailrace::stream {
namespace {

/// bool_and, bool_or; null over no value. State: u8, bit 0 = a true was seen, bit 1 = a false was seen.
class Boolean final : public Aggregator {
 public:
  explicit Boolean(const sql::Aggregate& a)
      : argument_(a.arguments[0]), type_(a.result), all_(a.kind == sql::AggregateKind::kBoolAnd) {}
  void Grow(uint32_t groups) override { seen_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    const uint8_t* values = column.Values<uint8_t>();
    uint8_t* seen = seen_.data();
    ForEachValid(in, &column, [=](uint32_t row, uint32_t group) { seen[group] |= values[row] ? 1 : 2; });
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    data::Column out = data::AllocateColumn(arena, type_, count);
    for (uint32_t i = 0; i < count; i++) {
      uint8_t s = seen_[first + i];
      if (!s) out.SetNull(i);
      else out.Values<uint8_t>()[i] = all_ ? !(s & 2) : s & 1;
    }
    return out;
  }
  void Save(uint32_t group, StateWriter& out) const override { out.U8(seen_[group]); }
  void Load(uint32_t group, StateReader& in) override { seen_[group] = in.U8(); }
  size_t bytes() const override { return seen_.capacity(); }

 private:
  const int argument_;
  const data::Type type_;
  const bool all_;
  std::vector<uint8_t> seen_;
};

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeBoolean(const sql::Aggregate& a, const data::Type& argument) {
  if (argument.id != data::TypeId::kBoolean) return UnsupportedAggregate("bool_and", argument);
  return std::unique_ptr<Aggregator>(new Boolean(a));
}

}  // namespace tailrace::stream
