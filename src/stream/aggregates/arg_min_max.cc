#include "stream/aggregates/values.h"
#include "stream/state/cell.h"

namespace tailrace::stream {
namespace {

/// arg_min(x, order), arg_max(x, order): rows where either is null do not count; of equal ones the first to arrive
/// wins. State: u8 seen, the order value, x's cell.
template <typename Order>
class ArgMinMax final : public Aggregator {
  static constexpr bool kString = std::is_same_v<Order, data::StringRef>;
  using Kept = std::conditional_t<kString, std::string, Order>;

 public:
  explicit ArgMinMax(const sql::Aggregate& a)
      : argument_(a.arguments[0]),
        order_(a.arguments[1]),
        type_(a.result),
        max_(a.kind == sql::AggregateKind::kArgMax) {}
  void Grow(uint32_t groups) override { states_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column &argument = in.batch->columns[argument_], &order = in.batch->columns[order_];
    const Order* values = order.Values<Order>();
    ForEachValid(in, &order, [&](uint32_t row, uint32_t group) {
      if (!argument.IsValid(row)) return;
      State& s = states_[group];
      if (!s.cell.empty()) {
        bool better;
        if constexpr (kString) better = max_ ? s.order < values[row].view() : values[row].view() < s.order;
        else better = max_ ? Less<Order>(s.order, values[row]) : Less<Order>(values[row], s.order);
        if (!better) return;
      }
      if constexpr (kString) s.order = values[row].view();
      else s.order = values[row];
      s.cell.clear();
      StateWriter writer(&s.cell);
      WriteCell(argument, row, writer);
    });
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    CellColumn out(type_);
    for (uint32_t i = 0; i < count; i++) {
      const std::string& cell = states_[first + i].cell;
      StateReader reader(cell);
      if (cell.empty()) out.AppendNull();
      else out.Append(reader);
    }
    return out.Build(arena);
  }
  void Save(uint32_t group, StateWriter& out) const override {
    const State& s = states_[group];
    if constexpr (kString) out.Bytes(s.order);
    else out.Fixed(&s.order, sizeof s.order);
    out.Bytes(s.cell);
  }
  void Load(uint32_t group, StateReader& in) override {
    State& s = states_[group];
    if constexpr (kString) s.order = in.Bytes();
    else in.Fixed(&s.order, sizeof s.order);
    s.cell = in.Bytes();
  }
  size_t bytes() const override { return states_.capacity() * (sizeof(State) + 16); }

 private:
  struct State {
    Kept order{};
    std::string cell;
  };
  const int argument_, order_;
  const data::Type type_;
  const bool max_;
  std::vector<State> states_;
};

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeArgMinMax(const sql::Aggregate& a, const data::Type&, const data::Type& order) {
  std::unique_ptr<Aggregator> made;
  if (IsString(order)) made = std::make_unique<ArgMinMax<data::StringRef>>(a);
  else WithFixedType(order, [&](auto zero) { made = std::make_unique<ArgMinMax<decltype(zero)>>(a); });
  if (!made) return UnsupportedAggregate("arg_min or arg_max ordered", order);
  return made;
}

}  // namespace tailrace::stream
