#include "stream/operators/operators.h"

namespace tailrace::stream {
namespace {

class Project final : public Operator {
 public:
  Project(std::string name, OperatorContext* context, std::unique_ptr<sql::Expressions> expressions)
      : Operator(std::move(name), context), expressions_(std::move(expressions)) {}

  Status Process(int, const data::Batch& batch) override {
    failed_.clear();
    data::Batch out;
    TRY(expressions_->Evaluate(batch, &out, &failed_));
    for (auto& failure : failed_) ReportBad(batch, failure.row, "expression", std::move(failure.reason));
    return Emit(out);
  }

 private:
  std::unique_ptr<sql::Expressions> expressions_;
  std::vector<sql::Expressions::Failure> failed_;
};

}  // namespace

std::unique_ptr<Operator> MakeProject(std::string name, OperatorContext* context,
                                      std::unique_ptr<sql::Expressions> expressions) {
  return std::make_unique<Project>(std::move(name), context, std::move(expressions));
}

}  // namespace tailrace::stream
