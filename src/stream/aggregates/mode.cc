#include <algorithm>
#include <unordered_map>

#include "stream/aggregates/values.h"
#include "stream/state/cell.h"

namespace tailrace::stream {
namespace {

/// mode(x): the most frequent value; of equally frequent ones the first to arrive; nulls do not count.
/// State: count, then for each value in order of first arrival its cell and how often.
class Mode final : public Aggregator {
 public:
  explicit Mode(const sql::Aggregate& a) : argument_(a.arguments[0]), type_(a.result) {}
  void Grow(uint32_t groups) override { states_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    std::string cell;
    ForEachValid(in, &column, [&](uint32_t row, uint32_t group) {
      cell.clear();
      StateWriter writer(&cell);
      WriteCell(column, row, writer);
      Add(group, cell, 1);
    });
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    CellColumn out(type_);
    for (uint32_t i = 0; i < count; i++) {
      const auto& state = states_[first + i];
      auto best = state.end();
      for (auto it = state.begin(); it != state.end(); ++it) {
        if (best == state.end() || it->second.count > best->second.count ||
            (it->second.count == best->second.count && it->second.order < best->second.order)) {
          best = it;
        }
      }
      if (best == state.end()) {
        out.AppendNull();
      } else {
        StateReader reader(best->first);
        out.Append(reader);
      }
    }
    return out.Build(arena);
  }
  void Save(uint32_t group, StateWriter& out) const override {
    std::vector<std::pair<BytesView, Seen>> sorted(states_[group].begin(), states_[group].end());
    std::sort(sorted.begin(), sorted.end(), [](auto& a, auto& b) { return a.second.order < b.second.order; });
    out.Varint(sorted.size());
    for (auto& [cell, seen] : sorted) {
      out.Bytes(cell);
      out.Varint(seen.count);
    }
  }
  void Load(uint32_t group, StateReader& in) override {
    uint64_t n = in.Count();
    for (uint64_t i = 0; i < n && in.ok(); i++) {
      std::string cell(in.Bytes());
      Add(group, cell, in.Varint());
    }
  }
  size_t bytes() const override { return bytes_ + states_.capacity() * sizeof(states_[0]); }

 private:
  struct Seen {
    uint64_t count = 0;
    uint64_t order = 0;  // of first arrival within the group
  };
  void Add(uint32_t group, const std::string& cell, uint64_t count) {
    auto& state = states_[group];
    auto [it, added] = state.try_emplace(cell, Seen{0, state.size()});
    it->second.count += count;
    if (added) bytes_ += cell.size() + sizeof(Seen) + 48;
  }
  const int argument_;
  const data::Type type_;
  std::vector<std::unordered_map<std::string, Seen>> states_;
  size_t bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeMode(const sql::Aggregate& a, const data::Type&) {
  return std::unique_ptr<Aggregator>(new Mode(a));
}

}  // namespace tailrace::stream
