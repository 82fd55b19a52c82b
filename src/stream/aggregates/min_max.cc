#include "stream/aggregates/values.h"

namespace tailrace::stream {
namespace {

/// State: u8 seen, then the value.
template <typename T, bool kMax>
class MinMaxFixed final : public Aggregator {
 public:
  explicit MinMaxFixed(const sql::Aggregate& a) : argument_(a.arguments[0]), type_(a.result) {}
  void Grow(uint32_t groups) override { best_.resize(groups), seen_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    const T* values = column.Values<T>();
    T* best = best_.data();
    uint8_t* seen = seen_.data();
    ForEachValid(in, &column, [=](uint32_t row, uint32_t group) {
      bool better = kMax ? Less(best[group], values[row]) : Less(values[row], best[group]);
      if (!seen[group] || better) best[group] = values[row];
      seen[group] = 1;
    });
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    data::Column out = data::AllocateColumn(arena, type_, count);
    for (uint32_t i = 0; i < count; i++) {
      if (!seen_[first + i]) out.SetNull(i);
      else out.Values<T>()[i] = best_[first + i];
    }
    return out;
  }
  void Save(uint32_t group, StateWriter& out) const override {
    out.U8(seen_[group]);
    out.Fixed(&best_[group], sizeof(T));
  }
  void Load(uint32_t group, StateReader& in) override {
    seen_[group] = in.U8();
    in.Fixed(&best_[group], sizeof(T));
  }
  size_t bytes() const override { return best_.capacity() * (sizeof(T) + 1); }

 private:
  const int argument_;
  const data::Type type_;
  std::vector<T> best_;
  std::vector<uint8_t> seen_;
};

template <bool kMax>
class MinMaxString final : public Aggregator {
 public:
  explicit MinMaxString(const sql::Aggregate& a) : argument_(a.arguments[0]), type_(a.result) {}
  void Grow(uint32_t groups) override { best_.resize(groups), seen_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    const data::StringRef* values = column.Values<data::StringRef>();
    ForEachValid(in, &column, [&](uint32_t row, uint32_t group) {
      std::string_view value = values[row].view();
      if (!seen_[group] || (kMax ? best_[group] < value : value < best_[group])) best_[group] = value;
      seen_[group] = 1;
    });
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    data::Column out = data::AllocateColumn(arena, type_, count);
    for (uint32_t i = 0; i < count; i++) {
      if (!seen_[first + i]) out.Values<data::StringRef>()[i] = data::StringRef(), out.SetNull(i);
      else out.Values<data::StringRef>()[i] = arena.Copy(best_[first + i]);
    }
    return out;
  }
  void Save(uint32_t group, StateWriter& out) const override {
    out.U8(seen_[group]);
    out.Bytes(best_[group]);
  }
  void Load(uint32_t group, StateReader& in) override {
    seen_[group] = in.U8();
    best_[group] = in.Bytes();
  }
  size_t bytes() const override { return best_.capacity() * (sizeof(std::string) + 17); }

 private:
  const int argument_;
  const data::Type type_;
  std::vector<std::string> best_;
  std::vector<uint8_t> seen_;
};

template <bool kMax>
Result<std::unique_ptr<Aggregator>> Make(const sql::Aggregate& a, const data::Type& argument) {
  std::unique_ptr<Aggregator> made;
  if (argument.id == data::TypeId::kVarchar || argument.id == data::TypeId::kBlob) {
    made = std::make_unique<MinMaxString<kMax>>(a);
  } else {
    WithFixedType(argument, [&](auto zero) { made = std::make_unique<MinMaxFixed<decltype(zero), kMax>>(a); });
  }
  if (!made) return UnsupportedAggregate(kMax ? "max" : "min", argument);
  return made;
}

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeMinMax(const sql::Aggregate& a, const data::Type& argument) {
  return a.kind == sql::AggregateKind::kMax ? Make<true>(a, argument) : Make<false>(a, argument);
}

}  // namespace tailrace::stream
