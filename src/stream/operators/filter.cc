#include "stream/operators/operators.h"

namespace tailrace::stream {
namespace {

class Filter final : public Operator {
 public:
  Filter(std::string name, OperatorContext* context, std::unique_ptr<sql::Expressions> condition)
      : Operator(std::move(name), context), condition_(std::move(condition)) {}

  Status Process(int, const data::Batch& batch) override {
    failed_.clear();
    selection_.resize(batch.rows);
    uint32_t count = TRY(condition_->Select(batch, selection_.data(), &failed_));
    for (auto& failure : failed_) ReportBad(batch, failure.row, "expression", std::move(failure.reason));
    if (count == batch.rows) return Emit(batch);
    if (count == 0) return {};
    data::Batch out = data::Gather(batch, selection_.data(), count, FreshArena());
    return Emit(out);
  }

 private:
  std::unique_ptr<sql::Expressions> condition_;
  std::vector<uint32_t> selection_;
  std::vector<sql::Expressions::Failure> failed_;
};

}  // namespace

std::unique_ptr<Operator> MakeFilter(std::string name, OperatorContext* context,
                                     std::unique_ptr<sql::Expressions> condition) {
  return std::make_unique<Filter>(std::move(name), context, std::move(condition));
}

}  // namespace tailrace::stream
