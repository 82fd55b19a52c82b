#include <algorithm>

#include "base/clock.h"
#include "stream/operators/operators.h"
#include "stream/state/codec.h"

namespace tailrace::stream {
namespace {

/// One watermark by partition of the source, so that reading one partition ahead of another makes no row late; the
/// lowest goes on. A silent partition holds it back for as long as the idle timeout says, for ever without one (Flink:
/// "Dealing With Idle Sources"). One that never had a row does so only for a while after the source has caught up: its
/// first rows may be on their way, but a topic with more partitions than keys must not stop all windows for ever.
class WatermarkGenerator final : public Operator {
 public:
  WatermarkGenerator(std::string name, OperatorContext* context, std::unique_ptr<sql::Expressions> expression,
                     const SourceStatus* source, WatermarkOptions options)
      : Operator(std::move(name), context), expression_(std::move(expression)), source_(source), options_(options) {}

  Status Process(int, const data::Batch& batch) override {
    if (restored_) TRY(Advance());  // rows late before the restart are late after it
    failed_.clear();
    data::Batch times;
    TRY(expression_->Evaluate(batch, &times, &failed_));
    // A row whose watermark cannot be computed passes: it moves no clock, and a window will say why it has no place.
    int64_t limit = kEventTimeMaxUs;
    if (options_.max_drift_ms > 0) limit = context().clock->NowUs() + options_.max_drift_ms * 1000;
    const data::Column& column = times.columns[0];
    const int64_t* values = column.Values<int64_t>();
    static const TopicPartition kWhole;
    bool by_partition = times.origins && !source_->partitions.empty();
    Partition* partition = by_partition ? nullptr : &Find(kWhole);
    const TopicPartition* from = nullptr;
    for (uint32_t row = 0; row < times.rows; row++) {
      if (by_partition && times.origins[row].from != from) {
        from = times.origins[row].from;
        partition = &Find(*from);
      }
      if (!column.IsValid(row) || values[row] > limit || values[row] < -kEventTimeMaxUs) continue;
      partition->highest_us = std::max(partition->highest_us, values[row]);
      partition->touched = true;
      partition->idle = false;
    }
    TRY(Emit(batch));
    return Advance();
  }

  Status OnWatermark(int, int64_t watermark_us) override {
    if (watermark_us != kEndOfTime) return {};  // this operator makes its own
    current_us_ = kEndOfTime;
    return EmitWatermark(kEndOfTime);
  }

  Status OnTick(int64_t monotonic_ms) override {
    if (started_ms_ < 0) started_ms_ = monotonic_ms;
    for (Partition& partition : partitions_) {
      if (partition.touched) {
        partition.touched = false;
        partition.last_row_ms = monotonic_ms;
      } else if (partition.last_row_ms < 0) {
        partition.last_row_ms = monotonic_ms;  // just restored
      }
      partition.idle = TimedOut(monotonic_ms - partition.last_row_ms);
    }
    if (options_.idle_timeout_ms > 0) unseen_are_idle_ = TimedOut(monotonic_ms - started_ms_);
    else unseen_are_left_out_ = source_->caught_up && monotonic_ms - started_ms_ >= kUnseenMs;
    return Advance();
  }

  void Snapshot(OperatorState* out) const override {
    if (partitions_.empty()) return;
    StateWriter writer(&out->whole);
    writer.U8(kVersion);
    writer.I64(current_us_);
    writer.Varint(partitions_.size());
    for (const Partition& partition : partitions_) {
      writer.Bytes(partition.from.topic);
      writer.U32(static_cast<uint32_t>(partition.from.partition));
      writer.I64(partition.highest_us);
    }
  }

  Status Restore(const OperatorState& state) override {
    if (state.whole.empty()) return {};
    StateReader reader(state.whole);
    if (reader.U8() != kVersion) return Corrupt("watermark state of an unknown version");
    current_us_ = reader.I64();
    uint64_t n = reader.Count();
    for (uint64_t i = 0; i < n && reader.ok(); i++) {
      Partition partition;
      partition.from.topic = reader.Bytes();
      partition.from.partition = static_cast<int32_t>(reader.U32());
      partition.highest_us = reader.I64();
      partitions_.push_back(std::move(partition));
    }
    if (!reader.ok()) return Corrupt("watermark state is cut short");
    restored_ = true;
    return {};
  }
  bool stateful() const override { return false; }

 private:
  static constexpr uint8_t kVersion = 1;
  static constexpr int64_t kUnseenMs = 10'000;
  struct Partition {
    TopicPartition from;
    int64_t highest_us = kNoWatermark;
    int64_t last_row_ms = -1;
    bool touched = false, idle = false;
  };

  bool TimedOut(int64_t silent_ms) const {
    return options_.idle_timeout_ms > 0 && silent_ms >= options_.idle_timeout_ms;
  }

  Partition& Find(const TopicPartition& from) {
    for (Partition& partition : partitions_) {
      if (partition.from == from) return partition;
    }
    partitions_.push_back(Partition{from});
    return partitions_.back();
  }

  Status Advance() {
    if (restored_) {
      restored_ = false;
      if (current_us_ != kNoWatermark) TRY(EmitWatermark(current_us_));
    }
    if (current_us_ == kEndOfTime) return {};
    bool all_idle = partitions_.empty()
                        ? unseen_are_idle_
                        : std::all_of(partitions_.begin(), partitions_.end(), [](auto& p) { return p.idle; });
    if (all_idle != idle_) {
      idle_ = all_idle;
      TRY(EmitIdle(idle_));
    }
    if (!unseen_are_left_out_ && !unseen_are_idle_) {
      for (const TopicPartition& expected : source_->partitions) {
        bool seen =
            std::any_of(partitions_.begin(), partitions_.end(), [&](const Partition& p) { return p.from == expected; });
        if (!seen) return {};
      }
    }
    int64_t lowest = kEndOfTime;
    for (const Partition& partition : partitions_) {
      if (!partition.idle) lowest = std::min(lowest, partition.highest_us);
    }
    if (lowest == kEndOfTime) return {};  // all idle: time stands still
    if (lowest <= current_us_) return {};
    current_us_ = lowest;
    return EmitWatermark(current_us_);
  }

  std::unique_ptr<sql::Expressions> expression_;
  const SourceStatus* const source_;
  const WatermarkOptions options_;
  std::vector<Partition> partitions_;
  int64_t current_us_ = kNoWatermark;
  bool restored_ = false;
  bool idle_ = false, unseen_are_idle_ = false, unseen_are_left_out_ = false;
  int64_t started_ms_ = -1;
  std::vector<sql::Expressions::Failure> failed_;
};

}  // namespace

std::unique_ptr<Operator> MakeWatermark(std::string name, OperatorContext* context,
                                        std::unique_ptr<sql::Expressions> expression, const SourceStatus* source,
                                        WatermarkOptions options) {
  return std::make_unique<WatermarkGenerator>(std::move(name), context, std::move(expression), source, options);
}

}  // namespace tailrace::stream
