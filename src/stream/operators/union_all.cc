#include <algorithm>
#include <vector>

#include "stream/operators/operators.h"

namespace tailrace::stream {
namespace {

/// Rows pass; the watermark is the lowest of the inputs' that are not idle.
class UnionAll final : public Operator {
 public:
  UnionAll(std::string name, OperatorContext* context, int inputs)
      : Operator(std::move(name), context), inputs_(inputs) {}

  Status Process(int, const data::Batch& batch) override { return Emit(batch); }

  Status OnWatermark(int input, int64_t watermark_us) override {
    inputs_[input].watermark_us = watermark_us;
    return Advance();
  }

  Status OnIdle(int input, bool idle) override {
    inputs_[input].idle = idle;
    bool all = std::all_of(inputs_.begin(), inputs_.end(), [](const Input& i) { return i.idle; });
    if (all != idle_) {
      idle_ = all;
      TRY(EmitIdle(all));
    }
    return Advance();
  }

 private:
  struct Input {
    int64_t watermark_us = kNoWatermark;
    bool idle = false;
  };

  Status Advance() {
    int64_t lowest = kEndOfTime;
    for (const Input& input : inputs_) {
      if (!input.idle || input.watermark_us == kEndOfTime) lowest = std::min(lowest, input.watermark_us);
    }
    if (idle_ && lowest == kEndOfTime) return {};  // nobody knows the time
    if (lowest <= current_us_) return {};
    current_us_ = lowest;
    return EmitWatermark(lowest);
  }

  std::vector<Input> inputs_;
  int64_t current_us_ = kNoWatermark;
  bool idle_ = false;
};

}  // namespace

std::unique_ptr<Operator> MakeUnionAll(std::string name, OperatorContext* context, int inputs) {
  return std::make_unique<UnionAll>(std::move(name), context, inputs);
}

}  // namespace tailrace::stream
