#include <algorithm>
#include <cstring>

#include "stream/operators/group_states.h"
#include "stream/operators/operators.h"

namespace tailrace::stream {
namespace {

/// GROUP BY keys and a window: state lies by window, results go out once, when the watermark passes the window's end,
/// and then the window is dropped whole. Windows go out in order of their end, groups in order of arrival.
class WindowAggregate final : public Operator {
 public:
  WindowAggregate(std::string name, OperatorContext* context, const sql::Node& node, GroupLayout layout)
      : Operator(std::move(name), context),
        layout_(std::move(layout)),
        start_column_(node.window_start),
        end_column_(node.window_end),
        output_(node.output),
        keys_(node.keys) {}

  Status Process(int, const data::Batch& batch) override {
    TRY(RequireInserts(batch, "a window aggregation"));
    const int64_t* ends = batch.columns[end_column_].Values<int64_t>();
    const int64_t* starts = start_column_ >= 0 ? batch.columns[start_column_].Values<int64_t>() : nullptr;
    int64_t differs = 0;
    for (uint32_t row = 1; row < batch.rows; row++) differs |= ends[row] ^ ends[0];
    if (differs == 0) {
      if (GroupStates* states = Find(ends[0], starts ? starts[0] : 0))
        states->Update(batch, nullptr, batch.rows, scratch_);
      return {};
    }
    // Rows by window; few windows are open at a time, and neighbours mostly share theirs.
    touched_.clear();
    Window* window = nullptr;
    int64_t end = 0;
    for (uint32_t row = 0; row < batch.rows; row++) {
      if (!window || ends[row] != end) {
        end = ends[row];
        window = FindWindow(end, starts ? starts[row] : 0);
        if (!window) continue;
        if (window->rows.empty()) touched_.push_back(window);
      }
      window->rows.push_back(row);
    }
    for (Window* w : touched_) {
      w->states->Update(batch, w->rows.data(), static_cast<uint32_t>(w->rows.size()), scratch_);
      w->rows.clear();
    }
    return {};
  }

  Status OnWatermark(int, int64_t watermark_us) override {
    if (watermark_us <= watermark_us_) return {};
    watermark_us_ = watermark_us;
    while (!windows_.empty() && Closed(windows_.begin()->first)) {
      auto it = windows_.begin();
      TRY(EmitWindow(it->first, it->second));
      windows_.erase(it);
    }
    return EmitWatermark(watermark_us);
  }

  /// docs/formats/checkpoint.md, "window_aggregate".
  void Snapshot(OperatorState* out) const override {
    StateWriter whole(&out->whole);
    whole.U8(kVersion);
    whole.I64(watermark_us_);
    std::vector<std::vector<uint32_t>> by_key_group(context().key_groups);
    for (const auto& [end, window] : windows_) {
      for (uint32_t g = 0; g < window.states->size(); g++) {
        by_key_group[KeyGroupOf(window.states->HashOf(g), context().key_groups)].push_back(g);
      }
      for (uint32_t k = 0; k < by_key_group.size(); k++) {
        if (by_key_group[k].empty()) continue;
        std::string& blob = out->keyed[k];
        StateWriter writer(&blob);
        if (blob.empty()) writer.U8(kVersion);
        writer.I64(window.start);
        writer.I64(end);
        writer.Varint(by_key_group[k].size());
        for (uint32_t g : by_key_group[k]) window.states->SaveGroup(g, writer);
        by_key_group[k].clear();
      }
    }
  }

  Status Restore(const OperatorState& state) override {
    if (!state.whole.empty()) {
      StateReader whole(state.whole);
      if (whole.U8() != kVersion) return Corrupt("window aggregation state of an unknown version");
      watermark_us_ = whole.I64();
      if (!whole.ok()) return Corrupt("window aggregation state is cut short");
    }
    for (const auto& [key_group, blob] : state.keyed) {
      StateReader reader(blob);
      if (reader.U8() != kVersion) return Corrupt("window aggregation state of an unknown version");
      while (reader.ok() && !reader.AtEnd()) {
        int64_t start = reader.I64(), end = reader.I64();
        uint64_t n = reader.Varint();
        Window& window = Open(end, start);
        for (uint64_t i = 0; i < n && reader.ok(); i++) window.states->LoadGroup(reader);
      }
      if (!reader.ok()) return Corrupt("state of key group " + std::to_string(key_group) + " is cut short");
    }
    return {};
  }

  size_t state_bytes() const override {
    size_t n = 0;
    for (const auto& [end, window] : windows_) n += window.states->bytes();
    return n;
  }
  bool stateful() const override { return true; }

 private:
  static constexpr uint8_t kVersion = 1;
  struct Window {
    int64_t start;
    std::unique_ptr<GroupStates> states;
    std::vector<uint32_t> rows;  // of the batch at hand
  };

  bool Closed(int64_t end) const { return WindowClosed(end, watermark_us_); }
  Window& Open(int64_t end, int64_t start) {
    auto [it, added] = windows_.try_emplace(end);
    if (added) {
      it->second.start = start;
      it->second.states = std::make_unique<GroupStates>(layout_);
    }
    return it->second;
  }
  /// Null where the window is closed: window_assign has counted such rows as late.
  Window* FindWindow(int64_t end, int64_t start) { return Closed(end) ? nullptr : &Open(end, start); }
  GroupStates* Find(int64_t end, int64_t start) {
    Window* window = FindWindow(end, start);
    return window ? window->states.get() : nullptr;
  }

  Status EmitWindow(int64_t end, const Window& window) {
    std::vector<uint32_t> groups(data::kBatchRows);
    for (uint32_t first = 0; first < window.states->size(); first += data::kBatchRows) {
      uint32_t count = std::min(data::kBatchRows, window.states->size() - first);
      for (uint32_t i = 0; i < count; i++) groups[i] = first + i;
      auto arena = std::make_shared<data::Arena>();
      data::Batch out;
      out.rows = count;
      out.columns.resize(output_.size());
      std::vector<data::Column> keys = window.states->Keys(groups.data(), count, *arena);
      for (size_t k = 0; k < keys.size(); k++) out.columns[layout_.output_of_key[k]] = std::move(keys[k]);
      for (size_t k = 0; k < keys_.size(); k++) {
        if (keys_[k] != start_column_ && keys_[k] != end_column_) continue;
        data::Column column = data::AllocateColumn(*arena, output_[k].type, count);
        std::fill_n(column.Values<int64_t>(), count, keys_[k] == start_column_ ? window.start : end);
        out.columns[k] = std::move(column);
      }
      std::vector<data::Column> results = window.states->Results(first, count, *arena);
      for (size_t a = 0; a < results.size(); a++) out.columns[keys_.size() + a] = std::move(results[a]);
      out.owners.push_back(std::move(arena));
      TRY(Emit(out));
    }
    return {};
  }

  const GroupLayout layout_;
  const int start_column_, end_column_;
  const data::Schema output_;
  const std::vector<int> keys_;
  int64_t watermark_us_ = kNoWatermark;
  std::map<int64_t, Window> windows_;  // by end
  std::vector<Window*> touched_;
  GroupScratch scratch_;
};

}  // namespace

Result<std::unique_ptr<Operator>> MakeWindowAggregate(std::string name, OperatorContext* context,
                                                      const sql::Node& node) {
  if (node.window_end < 0) return Internal("a window aggregation without window_end");
  GroupLayout layout = TRY(GroupLayout::From(node));
  return std::unique_ptr<Operator>(new WindowAggregate(std::move(name), context, node, std::move(layout)));
}

}  // namespace tailrace::stream
