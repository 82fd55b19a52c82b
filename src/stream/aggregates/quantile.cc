#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "stream/aggregates/values.h"

namespace tailrace::stream {
namespace {

/// A fraction as the decimal the user most likely wrote, so that 0.1 of 10 values is one value, not a rounding above.
struct Fraction {
  explicit Fraction(double q) {
    char text[32];
    std::snprintf(text, sizeof text, "%.15f", q);
    std::string digits = text;
    while (digits.size() > 3 && digits.back() == '0') digits.pop_back();
    size_t dot = digits.find('.');
    for (size_t i = dot + 1; i < digits.size(); i++) scale *= 10;
    digits.erase(dot, 1);
    numerator = std::strtoll(digits.c_str(), nullptr, 10);
  }
  /// Index of the discrete quantile among n sorted values.
  uint64_t Index(uint64_t n) const {
    __int128 floored = (static_cast<__int128>(n) * scale - static_cast<__int128>(n) * numerator) / scale;
    uint64_t above = n - static_cast<uint64_t>(floored);
    return std::max<uint64_t>(1, above) - 1;
  }
  int64_t numerator = 0, scale = 1;
};

/// Exact quantiles: keeps every value. State: count, then the values in order of arrival.
template <typename T>
class Quantile final : public Aggregator {
 public:
  Quantile(const sql::Aggregate& a, const data::Type& argument)
      : argument_(a.arguments[0]),
        type_(a.result),
        input_(argument),
        quantile_(a.kind == sql::AggregateKind::kMedian ? 0.5 : a.quantile),
        fraction_(quantile_),
        discrete_(a.kind == sql::AggregateKind::kQuantileDisc) {}
  void Grow(uint32_t groups) override { values_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    const T* values = column.Values<T>();
    ForEachValid(in, &column, [&](uint32_t row, uint32_t group) { values_[group].push_back(values[row]); });
    count_ += in.count;
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    data::Column out = data::AllocateColumn(arena, type_, count);
    std::vector<T> sorted;
    for (uint32_t i = 0; i < count; i++) {
      const std::vector<T>& kept = values_[first + i];
      if (kept.empty()) {
        out.SetNull(i);
        continue;
      }
      sorted = kept;
      auto at = [&](uint64_t index) {
        std::nth_element(sorted.begin(), sorted.begin() + index, sorted.end(), Less<T>);
        return sorted[index];
      };
      if (discrete_) {
        Store(out, i, at(fraction_.Index(sorted.size())));
        continue;
      }
      double place = static_cast<double>(sorted.size() - 1) * quantile_;
      uint64_t low = static_cast<uint64_t>(std::floor(place)), high = static_cast<uint64_t>(std::ceil(place));
      T a = at(low);
      if (low == high) Store(out, i, a);
      else Between(out, i, a, at(high), place - static_cast<double>(low));
    }
    return out;
  }
  void Save(uint32_t group, StateWriter& out) const override {
    out.Varint(values_[group].size());
    out.Fixed(values_[group].data(), values_[group].size() * sizeof(T));
  }
  void Load(uint32_t group, StateReader& in) override {
    uint64_t n = in.Count();
    values_[group].resize(n);
    in.Fixed(values_[group].data(), n * sizeof(T));
    count_ += n;
  }
  size_t bytes() const override { return values_.capacity() * sizeof(std::vector<T>) + count_ * sizeof(T); }

 private:
  double AsDouble(T v) const {
    double d = static_cast<double>(v);
    return input_.id == data::TypeId::kDecimal ? d / PowerOfTen(input_.scale) : d;
  }
  void Store(data::Column& out, uint64_t row, T value) const {
    if constexpr (std::is_floating_point_v<T>) StoreDouble(out, row, value);
    else if (out.type.id == data::TypeId::kDouble || out.type.id == data::TypeId::kFloat)
      StoreDouble(out, row, AsDouble(value));
    else if (input_.id == data::TypeId::kDate && out.type.id == data::TypeId::kTimestamp)
      StoreInteger(out, row, static_cast<__int128>(value) * kDayUs);
    else StoreInteger(out, row, value);
  }
  /// Between two neighbours, in the type of the result and with DuckDB's roundings.
  void Between(data::Column& out, uint64_t row, T a, T b, double part) const {
    if (out.type.id == data::TypeId::kFloat) {
      float low = static_cast<float>(AsDouble(a)), high = static_cast<float>(AsDouble(b));
      StoreDouble(out, row, low + static_cast<float>((high - low) * part));
    } else if (out.type.id == data::TypeId::kDouble) {
      StoreDouble(out, row, AsDouble(a) * (1.0 - part) + AsDouble(b) * part);
    } else if (out.type.id == data::TypeId::kTimestamp || out.type.id == data::TypeId::kTimestampTz) {
      double unit = input_.id == data::TypeId::kDate ? static_cast<double>(kDayUs) : 1;
      StoreInteger(out, row,
                   std::llround(static_cast<double>(a) * unit * (1.0 - part) + static_cast<double>(b) * unit * part));
    } else if constexpr (sizeof(T) == 16) {
      StoreInteger(out, row,
                   static_cast<__int128>(static_cast<double>(a) * (1.0 - part) + static_cast<double>(b) * part));
    } else {
      __int128 low = static_cast<__int128>(a), high = static_cast<__int128>(b);
      StoreInteger(out, row, low + static_cast<__int128>(static_cast<double>(high - low) * part));
    }
  }
  static constexpr __int128 kDayUs = 86'400'000'000;

  const int argument_;
  const data::Type type_, input_;
  const double quantile_;
  const Fraction fraction_;
  const bool discrete_;
  std::vector<std::vector<T>> values_;
  uint64_t count_ = 0;
};

class QuantileString final : public Aggregator {
 public:
  explicit QuantileString(const sql::Aggregate& a)
      : argument_(a.arguments[0]),
        type_(a.result),
        fraction_(a.kind == sql::AggregateKind::kMedian ? 0.5 : a.quantile) {}
  void Grow(uint32_t groups) override { values_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    const data::StringRef* values = column.Values<data::StringRef>();
    ForEachValid(in, &column, [&](uint32_t row, uint32_t group) {
      values_[group].emplace_back(values[row].view());
      bytes_ += values[row].size() + sizeof(std::string);
    });
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    data::Column out = data::AllocateColumn(arena, type_, count);
    for (uint32_t i = 0; i < count; i++) {
      std::vector<std::string_view> sorted(values_[first + i].begin(), values_[first + i].end());
      out.Values<data::StringRef>()[i] = data::StringRef();
      if (sorted.empty()) {
        out.SetNull(i);
        continue;
      }
      uint64_t index = fraction_.Index(sorted.size());
      std::nth_element(sorted.begin(), sorted.begin() + index, sorted.end());
      out.Values<data::StringRef>()[i] = arena.Copy(sorted[index]);
    }
    return out;
  }
  void Save(uint32_t group, StateWriter& out) const override {
    out.Varint(values_[group].size());
    for (const std::string& v : values_[group]) out.Bytes(v);
  }
  void Load(uint32_t group, StateReader& in) override {
    uint64_t n = in.Count();
    for (uint64_t i = 0; i < n && in.ok(); i++) values_[group].emplace_back(in.Bytes());
  }
  size_t bytes() const override { return bytes_ + values_.capacity() * sizeof(values_[0]); }

 private:
  const int argument_;
  const data::Type type_;
  const Fraction fraction_;
  std::vector<std::vector<std::string>> values_;
  size_t bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeQuantile(const sql::Aggregate& a, const data::Type& argument) {
  std::unique_ptr<Aggregator> made;
  if (argument.id == data::TypeId::kVarchar) made = std::make_unique<QuantileString>(a);
  else WithFixedType(argument, [&](auto zero) { made = std::make_unique<Quantile<decltype(zero)>>(a, argument); });
  if (!made) return UnsupportedAggregate("quantile", argument);
  return made;
}

}  // namespace tailrace::stream
