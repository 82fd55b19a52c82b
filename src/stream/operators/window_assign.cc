#include <algorithm>

#include "stream/operators/operators.h"
#include "stream/state/codec.h"

namespace tailrace::stream {
namespace {

/// TUMBLE and HOP. window_time is the last microsecond of the window, as Flink's is its last millisecond.
/// A HOP row goes into every window that holds it. Where all rows of a batch lie in one slide, the batch is passed on
/// once a window with its columns shared; otherwise rows are repeated, so that each window sees them as they came.
class WindowAssign final : public Operator {
 public:
  WindowAssign(std::string name, OperatorContext* context, const sql::WindowSpec& window)
      : Operator(std::move(name), context), window_(window) {}

  Status Process(int, const data::Batch& batch) override {
    const data::Column& time = batch.columns[window_.time_column];
    const int64_t* times = time.Values<int64_t>();
    // The start of the newest window of each row.
    newest_.resize(batch.rows);
    int64_t start = 0, end = 0;  // of the slide at hand
    bool one_slide = true, plain = true;
    for (uint32_t row = 0; row < batch.rows; row++) {
      if (!HasTime(time, row)) {
        plain = false;
        continue;
      }
      int64_t t = times[row];
      if (t < start || t >= end) {
        one_slide &= end == 0 && start == 0;
        start = SlideStart(t);
        end = start + window_.slide_us;
        plain &= !Closed(OldestEnd(start, t));
      }
      newest_[row] = start;
    }
    if (plain && window_.size_us == window_.slide_us) return EmitWindows(batch, newest_.data());
    if (plain && one_slide && window_.size_us % window_.slide_us == 0) {
      for (int64_t s = start - (window_.size_us - window_.slide_us); s <= start; s += window_.slide_us) {
        std::fill(newest_.begin(), newest_.end(), s);
        TRY(EmitWindows(batch, newest_.data()));
      }
      return {};
    }
    return Repeat(batch, time);
  }

  Status OnWatermark(int, int64_t watermark_us) override {
    if (watermark_us <= watermark_us_) return {};
    watermark_us_ = watermark_us;
    return EmitWatermark(watermark_us);
  }

  void Snapshot(OperatorState* out) const override {
    if (watermark_us_ == kNoWatermark) return;
    StateWriter writer(&out->whole);
    writer.U8(kVersion);
    writer.I64(watermark_us_);
  }
  Status Restore(const OperatorState& state) override {
    if (state.whole.empty()) return {};
    StateReader reader(state.whole);
    if (reader.U8() != kVersion) return Corrupt("window state of an unknown version");
    watermark_us_ = reader.I64();
    if (!reader.ok()) return Corrupt("window state is cut short");
    return {};
  }

 private:
  static constexpr uint8_t kVersion = 1;

  static bool HasTime(const data::Column& time, uint32_t row) {
    if (!time.IsValid(row)) return false;
    int64_t t = time.Values<int64_t>()[row];
    return -kEventTimeMaxUs < t && t < kEventTimeMaxUs;
  }
  int64_t SlideStart(int64_t t) const {
    int64_t past = (t - window_.offset_us) % window_.slide_us;
    if (past < 0) past += window_.slide_us;
    return t - past;
  }
  /// End of the oldest window that holds `t`.
  int64_t OldestEnd(int64_t newest_start, int64_t t) const {
    int64_t oldest = newest_start - (window_.size_us - 1) / window_.slide_us * window_.slide_us;
    while (oldest + window_.size_us <= t) oldest += window_.slide_us;
    return oldest + window_.size_us;
  }
  bool Closed(int64_t end) const { return WindowClosed(end, watermark_us_); }

  /// General way: rows in order, each once for every open window that holds it.
  Status Repeat(const data::Batch& batch, const data::Column& time) {
    uint32_t row = 0;
    int64_t next = 0;  // the row's next window
    bool resume = false;
    while (row < batch.rows) {
      selection_.clear();
      starts_.clear();
      for (; row < batch.rows && selection_.size() < data::kBatchRows; row++, resume = false) {
        if (!HasTime(time, row)) {
          ReportBad(batch, row, "window",
                    time.IsValid(row) ? "the row's event time is out of range, so that it belongs to no window"
                                      : "the row's event time is null, so that it belongs to no window");
          continue;
        }
        int64_t t = time.Values<int64_t>()[row], newest = newest_[row];
        if (!resume) {
          if (newest + window_.size_us <= t) continue;  // a slide longer than the size leaves gaps
          if (Closed(newest + window_.size_us)) {
            Late(batch, row);
            continue;
          }
          next = OldestEnd(newest, t) - window_.size_us;
        }
        for (; next <= newest && selection_.size() < data::kBatchRows; next += window_.slide_us) {
          if (Closed(next + window_.size_us)) continue;
          selection_.push_back(row);
          starts_.push_back(next);
        }
        if (next <= newest) {
          resume = true;
          break;
        }
      }
      if (selection_.empty()) continue;
      data::Batch out = data::Gather(batch, selection_.data(), static_cast<uint32_t>(selection_.size()), FreshArena());
      TRY(EmitWindows(out, starts_.data()));
    }
    return {};
  }

  void Late(const data::Batch& batch, uint32_t row) {
    context().counters->late_records.fetch_add(1, std::memory_order_relaxed);
    if (context().report_late) ReportBad(batch, row, "late", "the row came after its window was closed");
  }

  Status EmitWindows(const data::Batch& in, const int64_t* starts) {
    data::Batch out = in;
    auto arena = std::make_shared<data::Arena>();
    if (spare_ && spare_.use_count() == 1) {
      arena = spare_;
      arena->Reset();
    }
    spare_ = arena;
    auto* values = static_cast<int64_t*>(arena->Allocate(size_t{in.rows} * 8 * 3));
    int64_t *ends = values + in.rows, *lasts = ends + in.rows;
    for (uint32_t i = 0; i < in.rows; i++) {
      values[i] = starts[i];
      ends[i] = starts[i] + window_.size_us;
      lasts[i] = ends[i] - 1;
    }
    for (int64_t* column : {values, ends, lasts}) {
      data::Column c;
      c.type = data::Type(data::TypeId::kTimestamp);
      c.data = column;
      out.columns.push_back(std::move(c));
    }
    out.owners.push_back(std::move(arena));
    return Emit(out);
  }

  const sql::WindowSpec window_;
  int64_t watermark_us_ = kNoWatermark;
  std::vector<int64_t> newest_, starts_;
  std::vector<uint32_t> selection_;
  std::shared_ptr<data::Arena> spare_;
};

}  // namespace

std::unique_ptr<Operator> MakeWindowAssign(std::string name, OperatorContext* context, const sql::WindowSpec& window) {
  return std::make_unique<WindowAssign>(std::move(name), context, window);
}

}  // namespace tailrace::stream
