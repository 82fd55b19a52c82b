#include "stream/aggregates/values.h"

namespace tailrace::stream {
namespace {

/// count(*) and count(x). State: int64.
class Count final : public Aggregator {
 public:
  explicit Count(const sql::Aggregate& a)
      : argument_(a.kind == sql::AggregateKind::kCountStar || a.arguments.empty() ? -1 : a.arguments[0]),
        type_(a.result) {}
  void Grow(uint32_t groups) override { counts_.resize(groups); }
  void Update(const AggregateInput& in) override {
    int64_t* counts = counts_.data();
    if (argument_ < 0 || !in.batch->columns[argument_].validity) {
      for (uint32_t i = 0; i < in.count; i++) counts[in.groups[i]]++;
    } else {
      ForEachValid(in, &in.batch->columns[argument_], [counts](uint32_t, uint32_t group) { counts[group]++; });
    }
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    data::Column out = data::AllocateColumn(arena, type_, count);
    for (uint32_t i = 0; i < count; i++) StoreInteger(out, i, counts_[first + i]);
    return out;
  }
  void Save(uint32_t group, StateWriter& out) const override { out.I64(counts_[group]); }
  void Load(uint32_t group, StateReader& in) override { counts_[group] = in.I64(); }
  size_t bytes() const override { return counts_.capacity() * 8; }

 private:
  int argument_;
  const data::Type type_;
  std::vector<int64_t> counts_;
};

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeCount(const sql::Aggregate& a) {
  return std::unique_ptr<Aggregator>(new Count(a));
}

}  // namespace tailrace::stream
