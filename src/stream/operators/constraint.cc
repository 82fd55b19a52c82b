#include "stream/operators/operators.h"

namespace tailrace::stream {
namespace {

class Constraint final : public Operator {
 public:
  Constraint(std::string name, OperatorContext* context, std::unique_ptr<sql::Expressions> conditions,
             std::vector<std::string> labels)
      : Operator(std::move(name), context), conditions_(std::move(conditions)), labels_(std::move(labels)) {
    texts_ = conditions_->Describe();
  }

  Status Process(int, const data::Batch& batch) override {
    failed_.clear();
    data::Batch verdicts;
    TRY(conditions_->Evaluate(batch, &verdicts, &failed_));
    // Rows the evaluation lost are missing from `verdicts`; row numbers of the others shift by as many.
    bool clean = failed_.empty();
    for (const data::Column& column : verdicts.columns) {
      if (!clean) break;
      const uint8_t* passed = column.Values<uint8_t>();
      for (uint32_t row = 0; row < verdicts.rows && clean; row++) clean = passed[row] || !column.IsValid(row);
    }
    if (clean) return Emit(batch);

    keep_.clear();
    size_t next_failed = 0;
    uint32_t verdict = 0;
    for (uint32_t row = 0; row < batch.rows; row++) {
      if (next_failed < failed_.size() && failed_[next_failed].row == row) {
        ReportBad(batch, row, "constraint", "constraint failed: " + failed_[next_failed++].reason);
        continue;
      }
      size_t broken = Broken(verdicts, verdict++);
      if (broken == verdicts.columns.size()) keep_.push_back(row);
      else ReportBad(batch, row, "constraint", Reason(broken));
    }
    if (keep_.empty()) return {};
    data::Batch out = data::Gather(batch, keep_.data(), static_cast<uint32_t>(keep_.size()), FreshArena());
    return Emit(out);
  }

 private:
  /// Index of the first condition that is false for the row; the number of conditions where none is. Null passes.
  static size_t Broken(const data::Batch& verdicts, uint32_t row) {
    size_t c = 0;
    for (; c < verdicts.columns.size(); c++) {
      const data::Column& column = verdicts.columns[c];
      if (column.IsValid(row) && !column.Values<uint8_t>()[row]) break;
    }
    return c;
  }
  std::string Reason(size_t condition) const {
    return condition < labels_.size() ? labels_[condition] : "constraint failed: " + texts_[condition];
  }

  std::unique_ptr<sql::Expressions> conditions_;
  std::vector<std::string> labels_, texts_;
  std::vector<sql::Expressions::Failure> failed_;
  std::vector<uint32_t> keep_;
};

}  // namespace

std::unique_ptr<Operator> MakeConstraint(std::string name, OperatorContext* context,
                                         std::unique_ptr<sql::Expressions> conditions,
                                         std::vector<std::string> labels) {
  return std::make_unique<Constraint>(std::move(name), context, std::move(conditions), std::move(labels));
}

}  // namespace tailrace::stream
