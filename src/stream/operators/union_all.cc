#include <algorithm>

#include "stream/operators/operators.h"

namespace tailrace::stream {
namespace {

/// Rows pass; the watermark is the lowest of the inputs'.
class UnionAll final : public Operator {
 public:
  UnionAll(std::string name, OperatorContext* context, int inputs)
      : Operator(std::move(name), context), watermarks_(inputs, kNoWatermark) {}

  Status Process(int, const data::Batch& batch) override { return Emit(batch); }

  Status OnWatermark(int input, int64_t watermark_us) override {
    watermarks_[input] = watermark_us;
    int64_t lowest = *std::min_element(watermarks_.begin(), watermarks_.end());
    if (lowest <= current_us_) return {};
    current_us_ = lowest;
    return EmitWatermark(lowest);
  }

 private:
  std::vector<int64_t> watermarks_;
  int64_t current_us_ = kNoWatermark;
};

}  // namespace

std::unique_ptr<Operator> MakeUnionAll(std::string name, OperatorContext* context, int inputs) {
  return std::make_unique<UnionAll>(std::move(name), context, inputs);
}

}  // namespace tailrace::stream
