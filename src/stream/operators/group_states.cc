#include "stream/operators/group_states.h"

#include "base/check.h"

namespace tailrace::stream {

Result<GroupLayout> GroupLayout::From(const sql::Node& node) {
  GroupLayout layout;
  layout.input = node.inputs.at(0)->output;
  for (size_t i = 0; i < node.keys.size(); i++) {
    int column = node.keys[i];
    if (column == node.window_start || column == node.window_end) continue;
    layout.key_columns.push_back(column);
    layout.key_types.push_back(layout.input[column].type);
    layout.output_of_key.push_back(static_cast<int>(i));
  }
  if (layout.key_columns.size() > 63) return Unsupported("GROUP BY of more than 63 columns");
  layout.aggregates = node.aggregates;
  for (const sql::Aggregate& aggregate : layout.aggregates) TRY(MakeAggregator(aggregate, layout.input));
  return layout;
}

GroupStates::GroupStates(const GroupLayout& layout) : layout_(layout), keys_(layout.key_types) {
  for (const sql::Aggregate& aggregate : layout.aggregates) {
    auto made = MakeAggregator(aggregate, layout.input);
    CHECK(made.ok());  // GroupLayout::From has tried
    aggregators_.push_back(std::move(*made));
  }
}

void GroupStates::Update(const data::Batch& batch, const uint32_t* rows, uint32_t count, GroupScratch& scratch) {
  scratch.keys.clear();
  for (int column : layout_.key_columns) scratch.keys.push_back(&batch.columns[column]);
  scratch.groups.resize(count);
  uint32_t before = keys_.size();
  keys_.FindOrAdd(scratch.keys, rows, count, scratch.groups.data());
  if (keys_.size() > before) {
    for (auto& aggregator : aggregators_) aggregator->Grow(keys_.size());
  }
  for (size_t a = 0; a < aggregators_.size(); a++) {
    int filter = layout_.aggregates[a].filter;
    if (filter < 0) {
      aggregators_[a]->Update({&batch, rows, scratch.groups.data(), count});
      continue;
    }
    const data::Column& passes = batch.columns[filter];
    scratch.filtered_rows.clear();
    scratch.filtered_groups.clear();
    for (uint32_t i = 0; i < count; i++) {
      uint32_t row = rows ? rows[i] : i;
      if (!passes.IsValid(row) || !passes.Values<uint8_t>()[row]) continue;
      scratch.filtered_rows.push_back(row);
      scratch.filtered_groups.push_back(scratch.groups[i]);
    }
    aggregators_[a]->Update({&batch, scratch.filtered_rows.data(), scratch.filtered_groups.data(),
                             static_cast<uint32_t>(scratch.filtered_rows.size())});
  }
}

std::vector<data::Column> GroupStates::Keys(const uint32_t* groups, uint32_t count, data::Arena& arena) const {
  std::vector<data::Column> out;
  keys_.Read(groups, count, &out, arena);
  return out;
}

std::vector<data::Column> GroupStates::Results(uint32_t first, uint32_t count, data::Arena& arena) const {
  std::vector<data::Column> out;
  for (auto& aggregator : aggregators_) out.push_back(aggregator->Finish(first, count, arena));
  return out;
}

void GroupStates::SaveGroup(uint32_t group, StateWriter& out) const {
  keys_.WriteKey(group, out);
  for (auto& aggregator : aggregators_) aggregator->Save(group, out);
}

void GroupStates::LoadGroup(StateReader& in) {
  uint32_t before = keys_.size();
  uint32_t group = keys_.AddFrom(in);
  if (keys_.size() > before) {
    for (auto& aggregator : aggregators_) aggregator->Grow(keys_.size());
  }
  for (auto& aggregator : aggregators_) aggregator->Load(group, in);
}

size_t GroupStates::bytes() const {
  size_t n = keys_.bytes();
  for (auto& aggregator : aggregators_) n += aggregator->bytes();
  return n;
}

}  // namespace tailrace::stream
