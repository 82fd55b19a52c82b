#include "sql/expressions.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/check.h"
#include "duckdb.hpp"
#include "duckdb/common/types/vector_cache.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/function/scalar/struct_utils.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "sql/front_end.h"

namespace tailrace::sql {

using data::Batch;
using data::TypeId;
using duckdb::FlatVector;
using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::SelectionVector;
using duckdb::Vector;

namespace {

/// `column - INTERVAL '5' SECOND`, what nearly every watermark is: done here at 1 ns a row instead of DuckDB's 24,
/// which takes the time apart into date and time of day (docs/decisions/0003).
struct Shift {
  std::vector<int> path;  // empty: another expression
  int64_t micros = 0;
};

/// What all clones share; read-only once made.
struct Shared {
  std::shared_ptr<duckdb::Connection> origin;
  std::vector<std::shared_ptr<duckdb::Expression>> expressions;  // references are positions in `used`
  // For each expression: the path of a plain column or of a field in it (column, field, field...), which needs no
  // evaluation; empty for others.
  std::vector<std::vector<int>> paths;
  std::vector<std::vector<std::vector<int>>> reads;  // of each expression
  std::vector<int> evaluated;                        // indices of expressions without a path, in order
  std::vector<Shift> shifts;                         // of each evaluated one
  std::vector<bool> copy_strings;  // of each evaluated one: its strings may lie in a function's own memory
  std::vector<int> used;           // columns of the input that `evaluated` read
  std::vector<LogicalType> used_types;
  data::Schema output;
  std::vector<std::string> text;
};

// bid.price as column 3, field 2.
bool FindPath(const duckdb::Expression& expression, std::vector<int>* path) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF) {
    path->push_back(static_cast<int>(expression.Cast<duckdb::BoundReferenceExpression>().index));
    return true;
  }
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_FUNCTION) return false;
  const auto& function = expression.Cast<duckdb::BoundFunctionExpression>();
  if (function.function.name != "struct_extract" && function.function.name != "struct_extract_at") return false;
  if (!function.bind_info || function.children.empty()) return false;
  if (!FindPath(*function.children[0], path)) return false;
  path->push_back(static_cast<int>(function.bind_info->Cast<duckdb::StructExtractBindData>().index));
  return true;
}

void ForEachReference(duckdb::Expression& expression,
                      const std::function<void(duckdb::BoundReferenceExpression&)>& visit) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF)
    visit(expression.Cast<duckdb::BoundReferenceExpression>());
  duckdb::ExpressionIterator::EnumerateChildren(expression,
                                                [&](duckdb::Expression& child) { ForEachReference(child, visit); });
}

Shift FindShift(const duckdb::Expression& expression) {
  Shift shift;
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_FUNCTION) return shift;
  const auto& function = expression.Cast<duckdb::BoundFunctionExpression>();
  const bool minus = function.function.name == "-";
  if ((!minus && function.function.name != "+") || function.children.size() != 2) return shift;
  const auto type = function.children[0]->return_type.id();
  if (type != duckdb::LogicalTypeId::TIMESTAMP && type != duckdb::LogicalTypeId::TIMESTAMP_TZ) return shift;
  if (expression.return_type.id() != type) return shift;
  if (function.children[1]->GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) return shift;
  const auto& value = function.children[1]->Cast<duckdb::BoundConstantExpression>().value;
  if (value.IsNull() || value.type().id() != duckdb::LogicalTypeId::INTERVAL) return shift;
  const auto interval = value.GetValue<duckdb::interval_t>();
  constexpr int64_t kYear = int64_t{366} * 86'400 * 1'000'000;
  if (interval.months != 0 || interval.days != 0 || interval.micros > kYear || interval.micros < -kYear) return shift;
  std::vector<int> path;
  if (!FindPath(*function.children[0], &path)) return shift;
  shift.path = std::move(path);
  shift.micros = minus ? -interval.micros : interval.micros;
  return shift;
}

/// The input may hold fewer fields of a struct than the expression was bound with (field_pruning.h): references and
/// struct_extract are moved to where the fields now are. Returns the actual type of a column or field, else null.
const data::Type* FitToInput(duckdb::Expression& expression, const data::Schema& input) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF) {
    const data::Type& actual = input.at(expression.Cast<duckdb::BoundReferenceExpression>().index).type;
    if (actual.id != TypeId::kStruct) return &actual;
    bool exact = false;
    const auto bound = FromDuck(expression.return_type, &exact);
    if (bound.ok() && !(*bound == actual)) expression.return_type = ToDuck(actual);
    return &actual;
  }
  const data::Type* below = nullptr;
  std::vector<int> path;
  if (FindPath(expression, &path)) {
    auto& extract = expression.Cast<duckdb::BoundFunctionExpression>();
    const auto index = extract.bind_info->Cast<duckdb::StructExtractBindData>().index;
    const std::string name = duckdb::StructType::GetChildName(extract.children[0]->return_type, index);
    below = FitToInput(*extract.children[0], input);
    if (!below || name.empty()) return nullptr;
    const int at = data::FindField(below->children, name);
    CHECK(at >= 0);
    if (static_cast<idx_t>(at) != index)
      extract.bind_info = duckdb::make_uniq<duckdb::StructExtractBindData>(static_cast<idx_t>(at));
    const data::Type& actual = below->children[static_cast<size_t>(at)].type;
    bool exact = false;
    const auto bound = FromDuck(expression.return_type, &exact);
    if (actual.id == TypeId::kStruct && bound.ok() && !(*bound == actual)) expression.return_type = ToDuck(actual);
    return &actual;
  }
  duckdb::ExpressionIterator::EnumerateChildren(expression,
                                                [&](duckdb::Expression& child) { FitToInput(child, input); });
  return nullptr;
}

void CollectPaths(const duckdb::Expression& expression, std::vector<std::vector<int>>* paths) {
  std::vector<int> path;
  if (FindPath(expression, &path)) {
    paths->push_back(std::move(path));
    return;
  }
  duckdb::ExpressionIterator::EnumerateChildren(expression,
                                                [&](const duckdb::Expression& child) { CollectPaths(child, paths); });
}

void ClearAliases(duckdb::Expression& expression) {
  expression.alias.clear();
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION &&
      expression.Cast<duckdb::BoundFunctionExpression>().function.name == "struct_pack")
    return;  // there they are the fields' names
  duckdb::ExpressionIterator::EnumerateChildren(expression, [](duckdb::Expression& child) { ClearAliases(child); });
}

// Functions with a state of their own (JSON's, for one) may give strings that lie in it and are gone at the next batch.
bool HasLocalState(const duckdb::Expression& expression) {
  bool found = false;
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION)
    found = expression.Cast<duckdb::BoundFunctionExpression>().function.init_local_state != nullptr;
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_CAST)
    found = expression.Cast<duckdb::BoundCastExpression>().bound_cast.init_local_state != nullptr;
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const duckdb::Expression& child) { found |= HasLocalState(child); });
  return found;
}

uint64_t Words(uint64_t rows) { return (rows + 63) / 64; }

/// Both valid; kept by `owners`.
uint64_t* AndValidity(const uint64_t* a, const uint64_t* b, uint64_t rows,
                      std::vector<std::shared_ptr<const void>>* owners) {
  std::shared_ptr<uint64_t[]> bits(new uint64_t[Words(rows)]);
  for (uint64_t i = 0; i < Words(rows); i++) bits[i] = a[i] & b[i];
  uint64_t* out = bits.get();
  owners->push_back(std::move(bits));
  return out;
}

/// Field `index` of a struct column; null where the struct is.
data::Column FieldOf(const data::Column& column, int index, uint64_t rows,
                     std::vector<std::shared_ptr<const void>>* owners) {
  data::Column field = column.children[static_cast<size_t>(index)];
  if (!column.validity) return field;
  field.validity = field.validity ? AndValidity(field.validity, column.validity, rows, owners) : column.validity;
  return field;
}

/// Points `vector` at the column's arrays. DuckDB wants the fields of a null struct to be null too.
void PointAt(Vector& vector, const data::Column& column, uint64_t rows,
             std::vector<std::shared_ptr<const void>>* owners) {
  if (vector.GetVectorType() != duckdb::VectorType::FLAT_VECTOR) vector.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  if (column.type.id == TypeId::kStruct) {
    auto& entries = duckdb::StructVector::GetEntries(vector);
    for (size_t i = 0; i < entries.size(); i++)
      PointAt(*entries[i], FieldOf(column, static_cast<int>(i), rows, owners), rows, owners);
  } else {
    FlatVector::SetData(vector, static_cast<duckdb::data_ptr_t>(column.data));
    if (column.type.id == TypeId::kList || column.type.id == TypeId::kMap) {
      duckdb::ListVector::SetListSize(vector, column.list_size);
      if (column.list_size > 0)
        PointAt(duckdb::ListVector::GetEntry(vector), column.children[0], column.list_size, owners);
    }
  }
  FlatVector::SetValidity(vector, duckdb::ValidityMask(column.validity, rows));
}

void FlattenAll(Vector& vector, idx_t rows) {
  vector.Flatten(rows);
  if (vector.GetType().InternalType() == duckdb::PhysicalType::STRUCT) {
    for (auto& entry : duckdb::StructVector::GetEntries(vector)) FlattenAll(*entry, rows);
  } else if (vector.GetType().InternalType() == duckdb::PhysicalType::LIST) {
    FlattenAll(duckdb::ListVector::GetEntry(vector), duckdb::ListVector::GetListSize(vector));
  }
}

/// REQUIRES: flat all the way down.
data::Column ColumnOf(Vector& vector, const data::Type& type) {
  data::Column column;
  column.type = type;
  column.validity = FlatVector::Validity(vector).GetData();
  if (type.id == TypeId::kStruct) {
    auto& entries = duckdb::StructVector::GetEntries(vector);
    for (size_t i = 0; i < entries.size(); i++) column.children.push_back(ColumnOf(*entries[i], type.children[i].type));
    return column;
  }
  column.data = FlatVector::GetData(vector);
  if (type.id == TypeId::kList || type.id == TypeId::kMap) {
    column.list_size = duckdb::ListVector::GetListSize(vector);
    column.children.push_back(ColumnOf(duckdb::ListVector::GetEntry(vector), type.children[0].type));
  }
  return column;
}

/// Result vectors of one batch; used again once no batch holds them.
struct ResultBlock {
  std::vector<duckdb::VectorCache> caches;
  std::vector<std::unique_ptr<Vector>> vectors;
  std::vector<std::unique_ptr<Vector>> copies;  // of nested results
  std::vector<duckdb::data_ptr_t> arrays;       // the vectors' own
  data::Arena strings;
};

constexpr size_t kBlocksMax = 8;

class DuckExpressions final : public Expressions {
 public:
  explicit DuckExpressions(std::shared_ptr<const Shared> shared) : shared_(std::move(shared)) {}

  std::unique_ptr<Expressions> Clone() const override { return std::make_unique<DuckExpressions>(shared_); }
  const data::Schema& output() const override { return shared_->output; }
  std::vector<std::string> Describe() const override { return shared_->text; }

  const Shared& shared() const { return *shared_; }

  Status Evaluate(const Batch& in, Batch* out, std::vector<Failure>* failed) override {
    CHECK(in.rows <= data::kBatchRows);
    try {
      Run(in, out);
      return {};
    } catch (const std::exception& exception) {
      if (!IsRowError(exception)) return Broken(exception);
    }
    // Some rows throw: find them, and evaluate the others.
    std::vector<Failure> found;
    for (size_t e = 0; e < shared_->evaluated.size(); e++) TRY(FindFailures(in, e, &found));
    std::vector<uint32_t> rest = Rest(in.rows, &found);
    auto arena = std::make_shared<data::Arena>();
    const Batch good = data::Gather(in, rest.data(), static_cast<uint32_t>(rest.size()), arena);
    try {
      Run(good, out);
    } catch (const std::exception& exception) { return Broken(exception); }
    failed->insert(failed->end(), found.begin(), found.end());
    return {};
  }

  Result<uint32_t> Select(const Batch& in, uint32_t* selection, std::vector<Failure>* failed) override {
    CHECK(in.rows <= data::kBatchRows && shared_->expressions.size() == 1);
    if (!shared_->paths[0].empty()) return SelectColumn(in, selection);
    try {
      return RunSelect(in, selection);
    } catch (const std::exception& exception) {
      if (!IsRowError(exception)) return Broken(exception);
    }
    std::vector<Failure> found;
    TRY(FindFailures(in, 0, &found));
    std::vector<uint32_t> rest = Rest(in.rows, &found);
    auto arena = std::make_shared<data::Arena>();
    const Batch good = data::Gather(in, rest.data(), static_cast<uint32_t>(rest.size()), arena);
    uint32_t count = 0;
    try {
      count = RunSelect(good, selection);
    } catch (const std::exception& exception) { return Broken(exception); }
    for (uint32_t i = 0; i < count; i++) selection[i] = rest[selection[i]];
    failed->insert(failed->end(), found.begin(), found.end());
    return count;
  }

 private:
  static Error Broken(const std::exception& exception) {
    return Internal("an expression could not be evaluated: " + CleanMessage(exception));
  }

  /// What a value can cause; memory or a bug of DuckDB's is nothing a row is to blame for.
  static bool IsRowError(const std::exception& exception) {
    const duckdb::ErrorData error(exception);
    switch (error.Type()) {
      case duckdb::ExceptionType::INTERNAL:
      case duckdb::ExceptionType::FATAL:
      case duckdb::ExceptionType::OUT_OF_MEMORY:
      case duckdb::ExceptionType::INTERRUPT: return false;
      default: return true;
    }
  }

  void Prepare() {
    if (executor_) return;
    connection_ = NewConnection();
    executor_ = std::make_unique<duckdb::ExpressionExecutor>(*connection_->context);
    for (int e : shared_->evaluated) executor_->AddExpression(*shared_->expressions[static_cast<size_t>(e)]);
    for (const LogicalType& type : shared_->used_types) chunk_.data.emplace_back(type, 1);
  }

  void Point(const Batch& in, std::vector<std::shared_ptr<const void>>* owners) {
    Prepare();
    for (size_t i = 0; i < shared_->used.size(); i++)
      PointAt(chunk_.data[i], in.columns[static_cast<size_t>(shared_->used[i])], in.rows, owners);
    chunk_.SetCapacity(in.rows);
    chunk_.SetCardinality(in.rows);
    executor_->SetChunk(chunk_);
  }

  std::shared_ptr<ResultBlock> FreeBlock() {
    for (const auto& block : blocks_)
      if (block.use_count() == 1) {
        std::atomic_thread_fence(std::memory_order_acquire);  // another thread may have let it go
        for (size_t i = 0; i < block->vectors.size(); i++) {
          block->caches[i].ResetFromCache(*block->vectors[i]);
          block->copies[i].reset();
        }
        block->strings.Reset();
        return block;
      }
    auto block = std::make_shared<ResultBlock>();
    auto& allocator = duckdb::Allocator::DefaultAllocator();
    for (int e : shared_->evaluated) {
      block->caches.emplace_back(allocator, shared_->expressions[static_cast<size_t>(e)]->return_type);
      block->vectors.push_back(std::make_unique<Vector>(block->caches.back()));
      block->arrays.push_back(IsNested(shared_->output[static_cast<size_t>(e)].type)
                                  ? nullptr
                                  : FlatVector::GetData(*block->vectors.back()));
      block->copies.emplace_back();
    }
    if (blocks_.size() < kBlocksMax) blocks_.push_back(block);
    return block;
  }

  void Run(const Batch& in, Batch* out) {
    out->rows = in.rows;
    out->kinds = in.kinds;
    out->origins = in.origins;
    out->owners = in.owners;
    out->columns.resize(shared_->expressions.size());
    for (size_t e = 0; e < shared_->paths.size(); e++) {
      const std::vector<int>& path = shared_->paths[e];
      if (path.empty()) continue;
      const data::Column* column = &in.columns[static_cast<size_t>(path[0])];
      data::Column field;
      for (size_t i = 1; i < path.size(); i++) {
        field = FieldOf(*column, path[i], in.rows, &out->owners);
        column = &field;
      }
      out->columns[e] = *column;
    }
    if (shared_->evaluated.empty() || in.rows == 0) {
      for (int e : shared_->evaluated)
        out->columns[static_cast<size_t>(e)] = data::Column{shared_->output[static_cast<size_t>(e)].type};
      return;
    }
    Point(in, &out->owners);
    const std::shared_ptr<ResultBlock> block = FreeBlock();
    for (size_t i = 0; i < shared_->evaluated.size(); i++) {
      const auto e = static_cast<size_t>(shared_->evaluated[i]);
      const data::Type& type = shared_->output[e].type;
      if (DoShift(shared_->shifts[i], in, block->arrays[i], &out->columns[e], &out->owners)) continue;
      Vector& vector = *block->vectors[i];
      executor_->ExecuteExpression(i, vector);
      if (IsNested(type)) {
        // Children may lie in the executor's own memory, which the next batch overwrites.
        block->copies[i] = std::make_unique<Vector>(vector.GetType(), in.rows);
        duckdb::VectorOperations::Copy(vector, *block->copies[i], in.rows, 0, 0);
        FlattenAll(*block->copies[i], in.rows);
        out->columns[e] = ColumnOf(*block->copies[i], type);
        continue;
      }
      // A flat result that is not in its own array refers to memory of the input or of the executor, and the next batch
      // overwrites the latter. (Strings keep their heap alive; only the array is copied.)
      const bool borrowed =
          vector.GetVectorType() == duckdb::VectorType::FLAT_VECTOR && FlatVector::GetData(vector) != block->arrays[i];
      vector.Flatten(in.rows);
      out->columns[e] = ColumnOf(vector, type);
      if (borrowed) {
        std::memcpy(block->arrays[i], out->columns[e].data, static_cast<size_t>(in.rows) * type.ValueSize());
        out->columns[e].data = block->arrays[i];
      }
      if (shared_->copy_strings[i]) CopyStrings(&out->columns[e], in.rows, &block->strings);
    }
    out->owners.push_back(block);
  }

  /// False where it is something else, or a time is so far out (infinity among them) that DuckDB has to judge it.
  static bool DoShift(const Shift& shift, const Batch& in, duckdb::data_ptr_t array, data::Column* out,
                      std::vector<std::shared_ptr<const void>>* owners) {
    if (shift.path.empty()) return false;
    data::Column column = in.columns[static_cast<size_t>(shift.path[0])];
    for (size_t i = 1; i < shift.path.size(); i++) column = FieldOf(column, shift.path[i], in.rows, owners);
    constexpr uint64_t kFar = uint64_t{1} << 57;  // 4,500 years from 1970 on either side
    const auto* from = column.Values<int64_t>();
    auto* to = reinterpret_cast<int64_t*>(array);
    uint64_t far = 0;
    for (uint32_t row = 0; row < in.rows; row++) {
      to[row] = static_cast<int64_t>(static_cast<uint64_t>(from[row]) + static_cast<uint64_t>(shift.micros));
      far |= static_cast<uint64_t>(from[row]) + kFar;
    }
    if (far >= kFar * 2) return false;  // what lies in null rows may send us there too, at no harm
    out->type = column.type;
    out->data = array;
    out->validity = column.validity;
    out->children.clear();
    return true;
  }

  static void CopyStrings(data::Column* column, uint32_t rows, data::Arena* arena) {
    auto* strings = column->Values<data::StringRef>();
    for (uint32_t row = 0; row < rows; row++)
      if (column->IsValid(row) && strings[row].size() > data::StringRef::kInlined)
        strings[row] = arena->Copy(strings[row].view());
  }

  uint32_t RunSelect(const Batch& in, uint32_t* selection) {
    if (in.rows == 0) return 0;
    std::vector<std::shared_ptr<const void>> owners;
    Point(in, &owners);
    SelectionVector chosen(selection);
    return static_cast<uint32_t>(executor_->SelectExpression(chunk_, chosen));
  }

  uint32_t SelectColumn(const Batch& in, uint32_t* selection) const {
    std::vector<std::shared_ptr<const void>> owners;
    const std::vector<int>& path = shared_->paths[0];
    data::Column column = in.columns[static_cast<size_t>(path[0])];
    for (size_t i = 1; i < path.size(); i++) column = FieldOf(column, path[i], in.rows, &owners);
    uint32_t count = 0;
    for (uint32_t row = 0; row < in.rows; row++)
      if (column.IsValid(row) && column.Values<uint8_t>()[row]) selection[count++] = row;
    return count;
  }

  /// Halves the rows until those that throw stand alone.
  Status FindFailures(const Batch& in, size_t e, std::vector<Failure>* failures) {
    std::vector<std::shared_ptr<const void>> owners;
    Point(in, &owners);
    std::vector<duckdb::sel_t> rows(in.rows);
    for (uint32_t i = 0; i < in.rows; i++) rows[i] = i;
    return Halve(e, rows.data(), in.rows, failures);
  }

  Status Halve(size_t e, duckdb::sel_t* rows, uint32_t count, std::vector<Failure>* failures) {
    try {
      duckdb::DataChunk part;
      SelectionVector selection(rows);
      for (Vector& column : chunk_.data) part.data.emplace_back(column, selection, count);
      part.SetCapacity(count);
      part.SetCardinality(count);
      executor_->SetChunk(part);
      Vector result(shared_->expressions[static_cast<size_t>(shared_->evaluated[e])]->return_type);
      executor_->ExecuteExpression(e, result);
      return {};
    } catch (const std::exception& exception) {
      if (!IsRowError(exception)) return Broken(exception);
      if (count == 1) {
        failures->push_back({rows[0], CleanMessage(exception)});
        return {};
      }
    }
    TRY(Halve(e, rows, count / 2, failures));
    return Halve(e, rows + count / 2, count - count / 2, failures);
  }

  /// Sorts the failures, one a row, and returns the other rows.
  static std::vector<uint32_t> Rest(uint32_t rows, std::vector<Failure>* failures) {
    std::stable_sort(failures->begin(), failures->end(),
                     [](const Failure& a, const Failure& b) { return a.row < b.row; });
    failures->erase(std::unique(failures->begin(), failures->end(),
                                [](const Failure& a, const Failure& b) { return a.row == b.row; }),
                    failures->end());
    std::vector<uint32_t> rest;
    size_t next = 0;
    for (uint32_t row = 0; row < rows; row++) {
      if (next < failures->size() && (*failures)[next].row == row) next++;
      else rest.push_back(row);
    }
    return rest;
  }

  std::shared_ptr<const Shared> shared_;
  // Made at the first batch, on the thread that evaluates.
  std::shared_ptr<duckdb::Connection> connection_;
  std::unique_ptr<duckdb::ExpressionExecutor> executor_;
  duckdb::DataChunk chunk_;
  std::vector<std::shared_ptr<ResultBlock>> blocks_;
};

}  // namespace

std::vector<std::vector<std::vector<int>>> FieldReads(const Expressions& expressions) {
  return static_cast<const DuckExpressions&>(expressions).shared().reads;
}

bool IsPlainPath(const Expressions& expressions, size_t index) {
  return !static_cast<const DuckExpressions&>(expressions).shared().paths[index].empty();
}

std::shared_ptr<Expressions> MakeExpressions(std::shared_ptr<duckdb::Connection> connection,
                                             std::vector<std::shared_ptr<duckdb::Expression>> expressions,
                                             std::vector<std::string> names, const data::Schema& input) {
  auto shared = std::make_shared<Shared>();
  shared->origin = std::move(connection);
  for (size_t e = 0; e < expressions.size(); e++) {
    std::shared_ptr<duckdb::Expression> expression(expressions[e]->Copy().release());
    const data::Type* plain = FitToInput(*expression, input);
    ClearAliases(*expression);  // DuckDB shows an alias in place of what it stands for
    ForEachReference(*expression, [&](duckdb::BoundReferenceExpression& reference) {
      reference.alias = input.at(reference.index).name;
    });
    shared->text.push_back(expression->ToString());
    bool exact = false;
    Result<data::Type> type = FromDuck(expression->return_type, &exact);
    CHECK(type.ok() && (exact || expression->return_type.id() == duckdb::LogicalTypeId::SQLNULL));
    shared->reads.emplace_back();
    CollectPaths(*expression, &shared->reads.back());
    std::vector<int> path;
    if (!FindPath(*expression, &path)) path.clear();
    if (!path.empty() && plain) type = *plain;  // names of fields as declared
    if (path.empty()) {
      shared->evaluated.push_back(static_cast<int>(e));
      shared->shifts.push_back(FindShift(*expression));
      const bool text = type->id == TypeId::kVarchar || type->id == TypeId::kBlob;
      shared->copy_strings.push_back(text && HasLocalState(*expression));
      ForEachReference(*expression, [&](duckdb::BoundReferenceExpression& reference) {
        const int column = static_cast<int>(reference.index);
        auto at = std::find(shared->used.begin(), shared->used.end(), column);
        if (at == shared->used.end()) {
          shared->used.push_back(column);
          shared->used_types.push_back(reference.return_type);
          at = shared->used.end() - 1;
        }
        reference.index = static_cast<idx_t>(at - shared->used.begin());
      });
    }
    shared->paths.push_back(std::move(path));
    shared->output.push_back({std::move(names[e]), std::move(type).value()});
    shared->expressions.push_back(std::move(expression));
  }
  return std::make_shared<DuckExpressions>(std::move(shared));
}

}  // namespace tailrace::sql
