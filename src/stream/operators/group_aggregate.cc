#include <algorithm>
#include <cstring>

#include "stream/operators/group_states.h"
#include "stream/operators/operators.h"
#include "stream/state/cell.h"

namespace tailrace::stream {
namespace {

/// GROUP BY without a window: after each batch every group it touched goes out, the first time as +I, then as -U with
/// the last result and +U with the new one (not at all where nothing changed). State grows with the number of groups.
class GroupAggregate final : public Operator {
 public:
  GroupAggregate(std::string name, OperatorContext* context, const sql::Node& node, GroupLayout layout)
      : Operator(std::move(name), context),
        layout_(std::move(layout)),
        output_(node.output),
        keys_(node.keys.size()),
        states_(layout_) {}

  Status Process(int, const data::Batch& batch) override {
    TRY(RequireInserts(batch, "an aggregation"));
    states_.Update(batch, nullptr, batch.rows, scratch_);
    std::vector<uint32_t> touched = scratch_.groups;
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    emitted_.resize(states_.size());

    CellRows out(output_);
    for (uint32_t group : touched) {
      std::string cells = Row(group);
      std::string& before = emitted_[group];
      if (cells == before) continue;
      if (before.empty()) {
        out.Add(cells, data::RowKind::kInsert);
      } else {
        out.Add(before, data::RowKind::kUpdateBefore);
        out.Add(cells, data::RowKind::kUpdateAfter);
      }
      before = std::move(cells);
      if (out.size() + 2 > data::kBatchRows) TRY(Emit(out.Take()));
    }
    return Emit(out.Take());
  }

  void Snapshot(OperatorState* out) const override {
    for (uint32_t g = 0; g < states_.size(); g++) {
      std::string& blob = out->keyed[KeyGroupOf(states_.HashOf(g), context().key_groups)];
      StateWriter writer(&blob);
      if (blob.empty()) writer.U8(kVersion);
      states_.SaveGroup(g, writer);
      writer.Bytes(emitted_[g]);
    }
  }
  Status Restore(const OperatorState& state) override {
    for (const auto& [key_group, blob] : state.keyed) {
      StateReader reader(blob);
      if (reader.U8() != kVersion) return Corrupt("aggregation state of an unknown version");
      while (reader.ok() && !reader.AtEnd()) {
        states_.LoadGroup(reader);
        emitted_.resize(states_.size());
        emitted_.back() = reader.Bytes();
      }
      if (!reader.ok()) return Corrupt("state of key group " + std::to_string(key_group) + " is cut short");
    }
    return {};
  }
  size_t state_bytes() const override { return states_.bytes() + emitted_.size() * 64; }
  bool stateful() const override { return true; }

 private:
  static constexpr uint8_t kVersion = 1;

  std::string Row(uint32_t group) {
    std::shared_ptr<data::Arena> arena = FreshArena();
    std::vector<data::Column> keys = states_.Keys(&group, 1, *arena);
    std::vector<const data::Column*> places(output_.size());
    for (size_t k = 0; k < keys.size(); k++) places[layout_.output_of_key[k]] = &keys[k];
    std::vector<data::Column> results = states_.Results(group, 1, *arena);
    for (size_t a = 0; a < results.size(); a++) places[keys_ + a] = &results[a];
    std::string cells;
    StateWriter writer(&cells);
    for (const data::Column* column : places) WriteCell(*column, 0, writer);
    return cells;
  }

  const GroupLayout layout_;
  const data::Schema output_;
  const size_t keys_;
  GroupStates states_;
  std::vector<std::string> emitted_;  // last row given, by group, as cells; empty = none
  GroupScratch scratch_;
};

}  // namespace

Result<std::unique_ptr<Operator>> MakeGroupAggregate(std::string name, OperatorContext* context,
                                                     const sql::Node& node) {
  GroupLayout layout = TRY(GroupLayout::From(node));
  return std::unique_ptr<Operator>(new GroupAggregate(std::move(name), context, node, std::move(layout)));
}

}  // namespace tailrace::stream
