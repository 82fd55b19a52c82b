#include "stream/aggregates/values.h"
#include "stream/state/cell.h"

namespace tailrace::stream {
namespace {

/// first(x), last(x) by arrival, nulls included. State: the value's cell; empty = no row yet.
class FirstLast final : public Aggregator {
 public:
  FirstLast(const sql::Aggregate& a)
      : argument_(a.arguments[0]), type_(a.result), last_(a.kind == sql::AggregateKind::kLast) {}
  void Grow(uint32_t groups) override { cells_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    for (uint32_t i = 0; i < in.count; i++) {
      std::string& cell = cells_[in.groups[i]];
      if (!last_ && !cell.empty()) continue;
      cell.clear();
      StateWriter writer(&cell);
      WriteCell(column, in.rows ? in.rows[i] : i, writer);
    }
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    CellColumn out(type_);
    for (uint32_t i = 0; i < count; i++) {
      StateReader reader(cells_[first + i]);
      if (cells_[first + i].empty()) out.AppendNull();
      else out.Append(reader);
    }
    return out.Build(arena);
  }
  void Save(uint32_t group, StateWriter& out) const override { out.Bytes(cells_[group]); }
  void Load(uint32_t group, StateReader& in) override { cells_[group] = in.Bytes(); }
  size_t bytes() const override { return cells_.capacity() * (sizeof(std::string) + 16); }

 private:
  const int argument_;
  const data::Type type_;
  const bool last_;
  std::vector<std::string> cells_;
};

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeFirstLast(const sql::Aggregate& a, const data::Type&) {
  return std::unique_ptr<Aggregator>(new FirstLast(a));
}

}  // namespace tailrace::stream
