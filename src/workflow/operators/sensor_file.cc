#include <glob.h>

#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// True once a file is there (Airflow: FileSensor); * ? [ ] match names.
class FileSensor final : public Operator {
 public:
  Result<bool> Poke(TaskContext& context, Outcome* outcome) override {
    std::string path = context.Path(TRY(context.Text("path")));
    glob_t found = {};
    int failed = glob(path.c_str(), 0, nullptr, &found);
    std::string first = failed == 0 && found.gl_pathc > 0 ? found.gl_pathv[0] : "";
    globfree(&found);
    outcome->message = first.empty() ? path + " is not there" : "";
    if (first.empty()) return false;
    outcome->xcoms.emplace_back("return_value", ToJson(Value(first)));
    return true;
  }
};

}  // namespace

std::unique_ptr<Operator> MakeFileSensor() { return std::make_unique<FileSensor>(); }

}  // namespace tailrace::workflow
