#include <algorithm>
#include <bit>
#include <cmath>

#include "stream/aggregates/values.h"
#include "stream/operators/operators.h"
#include "stream/state/cell.h"
#include "stream/state/key_group.h"
#include "stream/state/key_table.h"

namespace tailrace::stream {
namespace {

/// A column of any ordered fixed-size type as integers in the same order; nulls come last in the order asked for.
class OrderKey {
 public:
  OrderKey(const data::Column* column, bool descending) : column_(column), descending_(descending) {}
  __int128 At(uint32_t row) const {
    constexpr __int128 kLast = ~(static_cast<__int128>(1) << 127);
    if (!column_) return 0;  // by arrival
    if (!column_->IsValid(row)) return kLast;
    __int128 key = 0;
    WithFixedType(column_->type, [&](auto zero) {
      using T = decltype(zero);
      T v = column_->Values<T>()[row];
      if constexpr (std::is_floating_point_v<T>) {
        double d = std::isnan(v) ? HUGE_VAL : static_cast<double>(v);
        int64_t bits = std::bit_cast<int64_t>(d == 0 ? 0.0 : d);
        key = bits < 0 ? static_cast<__int128>(INT64_MIN) - bits : bits;
      } else {
        key = v;
      }
    });
    return descending_ ? -key : key;
  }

 private:
  const data::Column* column_;
  const bool descending_;
};

/// ROW_NUMBER() OVER (PARTITION BY keys ORDER BY x) <= limit. Within a window the rows kept go out when it closes.
/// Without one, the first row of a key goes out at once as +I, a better one later as -U +U; that state grows with the
/// number of keys.
class Deduplicate final : public Operator {
 public:
  Deduplicate(std::string name, OperatorContext* context, const sql::Node& node)
      : Operator(std::move(name), context),
        input_(node.inputs.at(0)->output),
        order_column_(node.order_column),
        last_(node.keep_last),
        limit_(node.limit),
        start_column_(node.window_start),
        end_column_(node.window_end),
        rank_column_(node.rank_column) {
    for (int key : node.keys) {
      if (key == start_column_ || key == end_column_) continue;
      key_columns_.push_back(key);
      key_types_.push_back(input_[key].type);
    }
    if (end_column_ < 0) windows_.try_emplace(kEndOfTime, key_types_);
    if (rank_column_ >= 0) rank_type_ = node.output[rank_column_].type;
  }

  Status Process(int, const data::Batch& batch) override {
    TRY(RequireInserts(batch, "deduplication"));
    keys_.clear();
    for (int key : key_columns_) keys_.push_back(&batch.columns[key]);
    OrderKey order(order_column_ >= 0 ? &batch.columns[order_column_] : nullptr, last_);
    if (end_column_ < 0) return ProcessUnbounded(batch, order);

    const int64_t* ends = batch.columns[end_column_].Values<int64_t>();
    uint32_t row = 0;
    while (row < batch.rows) {  // runs of rows of one window
      uint32_t stop = row + 1;
      while (stop < batch.rows && ends[stop] == ends[row]) stop++;
      if (!Closed(ends[row])) {
        Window& window = windows_.try_emplace(ends[row], key_types_).first->second;
        Find(window, row, stop);
        for (uint32_t i = row; i < stop; i++) Offer(window, groups_[i - row], batch, i, order.At(i));
      }
      row = stop;
    }
    return {};
  }

  Status OnWatermark(int, int64_t watermark_us) override {
    if (watermark_us <= watermark_us_) return {};
    watermark_us_ = watermark_us;
    while (end_column_ >= 0 && !windows_.empty() && Closed(windows_.begin()->first)) {
      TRY(EmitWindow(windows_.begin()->second));
      bytes_ -= windows_.begin()->second.bytes;
      windows_.erase(windows_.begin());
    }
    return EmitWatermark(watermark_us);
  }

  /// docs/formats/checkpoint.md, "deduplicate".
  void Snapshot(OperatorState* out) const override {
    StateWriter whole(&out->whole);
    whole.U8(kVersion);
    whole.I64(watermark_us_);
    for (const auto& [end, window] : windows_) {
      for (uint32_t g = 0; g < window.keys.size(); g++) {
        std::string& blob = out->keyed[KeyGroupOf(window.keys.HashOf(g), context().key_groups)];
        StateWriter writer(&blob);
        if (blob.empty()) writer.U8(kVersion);
        writer.I64(end);
        window.keys.WriteKey(g, writer);
        writer.Varint(window.kept[g].size());
        for (const Row& row : window.kept[g]) {
          writer.I128(row.order);
          writer.Bytes(row.cells);
        }
      }
    }
  }

  Status Restore(const OperatorState& state) override {
    if (!state.whole.empty()) {
      StateReader whole(state.whole);
      if (whole.U8() != kVersion) return Corrupt("deduplication state of an unknown version");
      watermark_us_ = whole.I64();
      if (!whole.ok()) return Corrupt("deduplication state is cut short");
    }
    for (const auto& [key_group, blob] : state.keyed) {
      StateReader reader(blob);
      if (reader.U8() != kVersion) return Corrupt("deduplication state of an unknown version");
      while (reader.ok() && !reader.AtEnd()) {
        Window& window = windows_.try_emplace(reader.I64(), key_types_).first->second;
        uint32_t g = window.keys.AddFrom(reader);
        window.kept.resize(window.keys.size());
        uint64_t n = reader.Count();
        for (uint64_t i = 0; i < n && reader.ok(); i++) {
          Row row;
          row.order = reader.I128();
          row.cells = reader.Bytes();
          Account(window, static_cast<int64_t>(row.cells.size() + sizeof(Row)));
          window.kept[g].push_back(std::move(row));
        }
      }
      if (!reader.ok()) return Corrupt("state of key group " + std::to_string(key_group) + " is cut short");
    }
    return {};
  }

  size_t state_bytes() const override {
    size_t n = bytes_;
    for (const auto& [end, window] : windows_) n += window.keys.bytes();
    return n;
  }
  bool stateful() const override { return true; }

 private:
  static constexpr uint8_t kVersion = 1;
  struct Row {
    __int128 order = 0;
    std::string cells;  // of every input column
  };
  struct Window {
    explicit Window(const std::vector<data::Type>& types) : keys(types) {}
    KeyTable keys;
    std::vector<std::vector<Row>> kept;  // by group; best first, at most `limit`
    size_t bytes = 0;
  };

  bool Closed(int64_t end) const { return WindowClosed(end, watermark_us_); }
  void Account(Window& window, int64_t bytes) {
    window.bytes += bytes;
    bytes_ += bytes;
  }
  void Find(Window& window, uint32_t first, uint32_t stop) {
    selection_.resize(stop - first);
    groups_.resize(stop - first);
    for (uint32_t i = first; i < stop; i++) selection_[i - first] = i;
    window.keys.FindOrAdd(keys_, selection_.data(), stop - first, groups_.data());
    window.kept.resize(window.keys.size());
  }
  static std::string Cells(const data::Batch& batch, uint32_t row) {
    std::string cells;
    StateWriter writer(&cells);
    for (const data::Column& column : batch.columns) WriteCell(column, row, writer);
    return cells;
  }
  /// Where a row of this order belongs among those kept; `limit` = nowhere. Of equals the earlier wins, but of the
  /// last row of a key the later, as in Flink.
  size_t Place(const std::vector<Row>& kept, __int128 order) const {
    bool later_wins = last_ && limit_ == 1;
    size_t place = 0;
    while (place < kept.size() && (later_wins ? kept[place].order < order : kept[place].order <= order)) place++;
    return place;
  }
  bool Offer(Window& window, uint32_t group, const data::Batch& batch, uint32_t row, __int128 order) {
    std::vector<Row>& kept = window.kept[group];
    size_t place = Place(kept, order);
    if (place >= static_cast<size_t>(limit_)) return false;
    Row better{order, Cells(batch, row)};
    Account(window, static_cast<int64_t>(better.cells.size() + sizeof(Row)));
    kept.insert(kept.begin() + place, std::move(better));
    if (kept.size() > static_cast<size_t>(limit_)) {
      Account(window, -static_cast<int64_t>(kept.back().cells.size() + sizeof(Row)));
      kept.pop_back();
    }
    return true;
  }

  Status ProcessUnbounded(const data::Batch& batch, const OrderKey& order) {
    Window& window = windows_.begin()->second;
    Find(window, 0, batch.rows);
    Output out(*this);
    for (uint32_t row = 0; row < batch.rows; row++) {
      std::vector<Row>& kept = window.kept[groups_[row]];
      __int128 place = order.At(row);
      if (Place(kept, place) > 0) continue;
      bool first = kept.empty();
      if (!first) out.Add(kept[0].cells, data::RowKind::kUpdateBefore, 1);
      Offer(window, groups_[row], batch, row, place);
      out.Add(kept[0].cells, first ? data::RowKind::kInsert : data::RowKind::kUpdateAfter, 1);
      if (out.rows() + 2 > data::kBatchRows) TRY(out.Flush());
    }
    return out.Flush();
  }

  Status EmitWindow(const Window& window) {
    Output out(*this);
    for (const std::vector<Row>& kept : window.kept) {
      int64_t rank = 1;
      for (const Row& row : kept) {
        out.Add(row.cells, data::RowKind::kInsert, rank++);
        if (out.rows() == data::kBatchRows) TRY(out.Flush());
      }
    }
    return out.Flush();
  }

  /// Rows on their way out, with their ranks.
  class Output {
   public:
    explicit Output(Deduplicate& self) : self_(self), kept_(self.input_) {}
    uint32_t rows() const { return kept_.size(); }
    void Add(const std::string& cells, data::RowKind kind, int64_t rank) {
      kept_.Add(cells, kind);
      ranks_.push_back(rank);
    }
    Status Flush() {
      data::Batch out = kept_.Take();
      if (self_.rank_column_ >= 0) {
        auto arena = std::make_shared<data::Arena>();
        data::Column rank = data::AllocateColumn(*arena, self_.rank_type_, out.rows);
        for (uint32_t i = 0; i < out.rows; i++) StoreInteger(rank, i, ranks_[i]);
        out.columns.insert(out.columns.begin() + self_.rank_column_, std::move(rank));
        out.owners.push_back(std::move(arena));
      }
      ranks_.clear();
      return self_.Emit(out);
    }

   private:
    Deduplicate& self_;
    CellRows kept_;
    std::vector<int64_t> ranks_;
  };

  const data::Schema input_;
  const int order_column_;
  const bool last_;
  const int64_t limit_;
  const int start_column_, end_column_, rank_column_;
  data::Type rank_type_;
  std::vector<int> key_columns_;
  std::vector<data::Type> key_types_;
  int64_t watermark_us_ = kNoWatermark;
  std::map<int64_t, Window> windows_;  // by end; without windows one, for ever
  size_t bytes_ = 0;
  std::vector<const data::Column*> keys_;
  std::vector<uint32_t> selection_, groups_;
};

}  // namespace

Result<std::unique_ptr<Operator>> MakeDeduplicate(std::string name, OperatorContext* context, const sql::Node& node) {
  if (node.limit < 1) return Internal("a deduplication that keeps no row");
  if (node.window_end < 0 && node.limit > 1) {
    return Unsupported("Top-N without a window is not supported").Remedy("partition by window_start and window_end");
  }
  if (node.order_column >= 0) {
    const data::Type& type = node.inputs.at(0)->output[node.order_column].type;
    if (!WithFixedType(type, [](auto) {})) {
      return Unsupported("ORDER BY a " + type.ToString() + " in a ROW_NUMBER() filter is not supported");
    }
  }
  return std::unique_ptr<Operator>(new Deduplicate(std::move(name), context, node));
}

}  // namespace tailrace::stream
