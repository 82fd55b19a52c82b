#include "stream/aggregates/values.h"
#include "stream/state/cell.h"
#include "stream/state/key_table.h"

namespace tailrace::stream {
namespace {

/// One exact set of (group, arguments) for all groups. State: the inner aggregate's, then count and the group's values.
class Distinct final : public Aggregator {
 public:
  Distinct(const sql::Aggregate& a, const data::Schema& input, std::unique_ptr<Aggregator> inner)
      : arguments_(a.arguments), inner_(std::move(inner)), seen_(Types(a, input)) {}
  void Grow(uint32_t groups) override {
    inner_->Grow(groups);
    of_group_.resize(groups);
  }
  void Update(const AggregateInput& in) override {
    // Null arguments change no aggregate but first, last and list; there null is one more value.
    group_column_.resize(in.batch->rows + 1);
    for (uint32_t i = 0; i < in.count; i++) group_column_[in.rows ? in.rows[i] : i] = in.groups[i];
    data::Column group;
    group.type = data::Type(data::TypeId::kInteger);
    group.data = group_column_.data();
    std::vector<const data::Column*> columns{&group};
    for (int argument : arguments_) columns.push_back(&in.batch->columns[argument]);
    entries_.resize(in.count);
    uint32_t before = seen_.size();
    seen_.FindOrAdd(columns, in.rows, in.count, entries_.data());
    rows_.clear();
    groups_.clear();
    uint32_t next = before;
    for (uint32_t i = 0; i < in.count; i++) {
      if (entries_[i] != next) continue;  // new entries are numbered in order of arrival
      next++;
      of_group_[in.groups[i]].push_back(entries_[i]);
      rows_.push_back(in.rows ? in.rows[i] : i);
      groups_.push_back(in.groups[i]);
    }
    if (!rows_.empty()) inner_->Update({in.batch, rows_.data(), groups_.data(), static_cast<uint32_t>(rows_.size())});
  }
  data::Column Finish(uint32_t first, uint32_t count, data::Arena& arena) const override {
    return inner_->Finish(first, count, arena);
  }
  void Save(uint32_t group, StateWriter& out) const override {
    inner_->Save(group, out);
    out.Varint(of_group_[group].size());
    std::string key;
    for (uint32_t entry : of_group_[group]) {
      key.clear();
      StateWriter writer(&key);
      seen_.WriteKey(entry, writer);
      out.Bytes(key);
    }
  }
  void Load(uint32_t group, StateReader& in) override {
    inner_->Load(group, in);
    uint64_t n = in.Count();
    std::string key;
    for (uint64_t i = 0; i < n && in.ok(); i++) {
      key = in.Bytes();
      if (key.size() < 16) return in.Fail();
      // The group's number is the key's first part and may differ now: null mask, then group.
      StoreLe64(key.data() + 8, group);
      StateReader reader(key);
      of_group_[group].push_back(seen_.AddFrom(reader));
      if (!reader.ok()) in.Fail();
    }
  }
  size_t bytes() const override { return inner_->bytes() + seen_.bytes() + seen_.size() * 4; }

 private:
  static std::vector<data::Type> Types(const sql::Aggregate& a, const data::Schema& input) {
    std::vector<data::Type> types{data::Type(data::TypeId::kInteger)};
    for (int argument : a.arguments) types.push_back(input[argument].type);
    return types;
  }
  const std::vector<int> arguments_;
  std::unique_ptr<Aggregator> inner_;
  KeyTable seen_;
  std::vector<std::vector<uint32_t>> of_group_;
  std::vector<int32_t> group_column_;
  std::vector<uint32_t> entries_, rows_, groups_;
};

}  // namespace

std::unique_ptr<Aggregator> MakeDistinct(const sql::Aggregate& a, const data::Schema& input,
                                         std::unique_ptr<Aggregator> inner) {
  return std::make_unique<Distinct>(a, input, std::move(inner));
}

}  // namespace tailrace::stream
