#include "stream/operator.h"

#include <algorithm>

namespace tailrace::stream {

Status Operator::Emit(const data::Batch& batch) {
  if (batch.rows == 0) return {};
  for (const Output& output : outputs_) TRY(output.to->Process(output.input, batch));
  return {};
}

Status Operator::EmitWatermark(int64_t watermark_us) {
  for (const Output& output : outputs_) TRY(output.to->OnWatermark(output.input, watermark_us));
  return {};
}

Status Operator::OnWatermark(int input, int64_t watermark_us) {
  (void)input;
  return EmitWatermark(watermark_us);
}

Status Operator::EmitIdle(bool idle) {
  for (const Output& output : outputs_) TRY(output.to->OnIdle(output.input, idle));
  return {};
}

Status Operator::OnIdle(int input, bool idle) {
  (void)input;
  return EmitIdle(idle);
}

Status Operator::RequireInserts(const data::Batch& batch, const char* what) {
  if (!batch.kinds) return {};
  bool inserts = std::all_of(batch.kinds, batch.kinds + batch.rows,
                             [](data::RowKind kind) { return kind == data::RowKind::kInsert; });
  if (inserts) return {};
  return Unsupported(std::string(what) + " over rows that are updated or deleted is not supported")
      .Remedy("use a table, or a query, that only adds rows");
}

void Operator::ReportBad(const data::Batch& batch, uint32_t row, const char* stage, std::string reason) {
  BadRecord bad;
  bad.reason = std::move(reason);
  bad.stage = stage;
  if (batch.origins) {
    const data::RowOrigin& origin = batch.origins[row];
    if (origin.from) bad.from = *origin.from;
    bad.offset = origin.offset;
    bad.timestamp_ms = origin.timestamp_ms;
    bad.key = origin.key;
    bad.original = origin.value;
  }
  context_->bad->push_back(std::move(bad));
}

std::shared_ptr<data::Arena> Operator::FreshArena() {
  if (arena_ && arena_.use_count() == 1) arena_->Reset();
  else arena_ = std::make_shared<data::Arena>();
  return arena_;
}

}  // namespace tailrace::stream
