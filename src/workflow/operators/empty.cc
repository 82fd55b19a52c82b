#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// Does nothing (Airflow: EmptyOperator). Without callbacks the scheduler ends it without an executor.
class Empty final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext&) override { return Outcome::Success(); }
};

}  // namespace

std::unique_ptr<Operator> MakeEmpty() { return std::make_unique<Empty>(); }

}  // namespace tailrace::workflow
