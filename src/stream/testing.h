#pragma once
// Doubles for tests: expressions made of functions, plans put together by hand, sources and sinks in memory.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/batch.h"
#include "sql/plan.h"
#include "stream/operator.h"

namespace tailrace::stream::testing {

/// Output columns made by a function from the input's batch. Fails no row.
class FunctionExpressions final : public sql::Expressions {
 public:
  using Function = std::function<std::vector<data::Column>(const data::Batch&, data::Arena&)>;
  FunctionExpressions(data::Schema output, Function function)
      : output_(std::move(output)), function_(std::move(function)) {}
  std::unique_ptr<sql::Expressions> Clone() const override {
    return std::make_unique<FunctionExpressions>(output_, function_);
  }
  const data::Schema& output() const override { return output_; }
  Status Evaluate(const data::Batch& in, data::Batch* out, std::vector<Failure>*) override {
    auto arena = std::make_shared<data::Arena>();
    out->rows = in.rows;
    out->kinds = in.kinds;
    out->origins = in.origins;
    out->columns = function_(in, *arena);
    out->owners = in.owners;
    out->owners.push_back(std::move(arena));
    return {};
  }
  Result<uint32_t> Select(const data::Batch& in, uint32_t* selection, std::vector<Failure>*) override {
    data::Arena arena;
    std::vector<data::Column> columns = function_(in, arena);
    uint32_t count = 0;
    for (uint32_t row = 0; row < in.rows; row++) {
      if (columns[0].IsValid(row) && columns[0].Values<uint8_t>()[row]) selection[count++] = row;
    }
    return count;
  }
  std::vector<std::string> Describe() const override { return {"function"}; }

 private:
  data::Schema output_;
  Function function_;
};

/// Keeps what comes: rows as text, watermarks.
class Collector final : public Operator {
 public:
  explicit Collector(OperatorContext* context) : Operator("collector", context) {}
  Status Process(int, const data::Batch& batch) override;
  Status OnWatermark(int, int64_t watermark_us) override {
    watermarks.push_back(watermark_us);
    return {};
  }
  std::vector<std::string> rows;  // "+I 1|abc|NULL"
  std::vector<int64_t> watermarks;
};

/// One value as DuckDB writes it, but times as their number: "NULL", "1.50", "[1, 2]".
std::string ValueText(const data::Column& column, uint64_t row);
std::string RowText(const data::Batch& batch, uint32_t row);

/// A batch of BIGINT columns from rows.
data::Batch Integers(const std::vector<std::vector<int64_t>>& rows, const data::Schema& schema);

}  // namespace tailrace::stream::testing
