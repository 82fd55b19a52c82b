#include "stream/operators/operators.h"

namespace tailrace::stream {
namespace {

class SinkWriter final : public Operator {
 public:
  SinkWriter(std::string name, OperatorContext* context, Sink* sink, int64_t* watermark_us)
      : Operator(std::move(name), context), sink_(sink), watermark_us_(watermark_us) {}

  Status Process(int, const data::Batch& batch) override {
    TRY(context().gate->EnsureBegun());
    TRY(sink_->Write(batch));
    context().counters->rows_out.fetch_add(batch.rows, std::memory_order_relaxed);
    return {};
  }
  Status OnWatermark(int, int64_t watermark_us) override {
    *watermark_us_ = watermark_us;
    return {};
  }

 private:
  Sink* const sink_;
  int64_t* const watermark_us_;
};

}  // namespace

std::unique_ptr<Operator> MakeSinkWriter(std::string name, OperatorContext* context, Sink* sink,
                                         int64_t* watermark_us) {
  return std::make_unique<SinkWriter>(std::move(name), context, sink, watermark_us);
}

}  // namespace tailrace::stream
