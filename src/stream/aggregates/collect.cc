#include "stream/aggregates/values.h"
#include "stream/state/cell.h"

namespace tailrace::stream {
namespace {

/// list(x): every value in order of arrival, nulls included. State: count, then the cells' bytes.
class List final : public Aggregator {
 public:
  explicit List(const sql::Aggregate& a) : argument_(a.arguments[0]), type_(a.result) {}
  void Grow(uint32_t groups) override { states_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    for (uint32_t i = 0; i < in.count; i++) {
      State& s = states_[in.groups[i]];
      size_t before = s.cells.size();
      StateWriter writer(&s.cells);
      WriteCell(column, in.rows ? in.rows[i] : i, writer);
      s.count++;
      bytes_ += s.cells.size() - before;
    }
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    CellColumn out(type_);
    std::string cell;
    for (uint32_t i = 0; i < count; i++) {
      const State& s = states_[first + i];
      if (!s.count) {
        out.AppendNull();
        continue;
      }
      cell.clear();
      StateWriter writer(&cell);
      writer.U8(1);
      writer.Varint(s.count);
      cell.append(s.cells);
      StateReader reader(cell);
      out.Append(reader);
    }
    return out.Build(arena);
  }
  void Save(uint32_t group, StateWriter& out) const override {
    out.Varint(states_[group].count);
    out.Bytes(states_[group].cells);
  }
  void Load(uint32_t group, StateReader& in) override {
    states_[group].count = in.Varint();
    states_[group].cells = in.Bytes();
    bytes_ += states_[group].cells.size();
  }
  size_t bytes() const override { return bytes_ + states_.capacity() * sizeof(State); }

 private:
  struct State {
    uint64_t count = 0;
    std::string cells;
  };
  const int argument_;
  const data::Type type_;
  std::vector<State> states_;
  size_t bytes_ = 0;
};

/// string_agg(x, separator) in order of arrival; nulls do not count. State: u8 seen, the text so far.
class StringAgg final : public Aggregator {
 public:
  explicit StringAgg(const sql::Aggregate& a) : argument_(a.arguments[0]), type_(a.result), separator_(a.separator) {}
  void Grow(uint32_t groups) override { texts_.resize(groups), seen_.resize(groups); }
  void Update(const AggregateInput& in) override {
    const data::Column& column = in.batch->columns[argument_];
    const data::StringRef* values = column.Values<data::StringRef>();
    ForEachValid(in, &column, [&](uint32_t row, uint32_t group) {
      std::string& text = texts_[group];
      if (seen_[group]) text += separator_;
      seen_[group] = 1;
      text += values[row].view();
      bytes_ += separator_.size() + values[row].size();
    });
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    data::Column out = data::AllocateColumn(arena, type_, count);
    for (uint32_t i = 0; i < count; i++) {
      if (!seen_[first + i]) out.Values<data::StringRef>()[i] = data::StringRef(), out.SetNull(i);
      else out.Values<data::StringRef>()[i] = arena.Copy(texts_[first + i]);
    }
    return out;
  }
  void Save(uint32_t group, StateWriter& out) const override {
    out.U8(seen_[group]);
    out.Bytes(texts_[group]);
  }
  void Load(uint32_t group, StateReader& in) override {
    seen_[group] = in.U8();
    texts_[group] = in.Bytes();
    bytes_ += texts_[group].size();
  }
  size_t bytes() const override { return bytes_ + texts_.capacity() * sizeof(std::string); }

 private:
  const int argument_;
  const data::Type type_;
  const std::string separator_;
  std::vector<std::string> texts_;
  std::vector<uint8_t> seen_;
  size_t bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<Aggregator>> MakeCollect(const sql::Aggregate& a, const data::Type& argument) {
  if (a.kind == sql::AggregateKind::kList) return std::unique_ptr<Aggregator>(new List(a));
  if (!IsString(argument)) return UnsupportedAggregate("string_agg", argument);
  return std::unique_ptr<Aggregator>(new StringAgg(a));
}

}  // namespace tailrace::stream
