#pragma once
// An operator takes batches and watermarks and pushes what follows to its outputs, all on the pipeline's thread.

#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/batch.h"
#include "stream/connector.h"

namespace tailrace::stream {

/// Watermarks are microseconds of event time: no row at or before it is expected any more.
inline constexpr int64_t kNoWatermark = std::numeric_limits<int64_t>::min();
inline constexpr int64_t kEndOfTime = std::numeric_limits<int64_t>::max();  // the input is over
/// Event times beyond it on either side (DuckDB's infinities among them) move no watermark and lie in no window.
inline constexpr int64_t kEventTimeMaxUs = 8'000'000'000'000'000'000;

/// Written by the pipeline's thread, read by any.
struct JobCounters {
  std::atomic<uint64_t> records_in{0}, bytes_in{0}, rows_out{0}, bad_records{0}, late_records{0};
};

/// Opens the epoch's transaction before the first row of the epoch goes out.
class EpochGate {
 public:
  virtual ~EpochGate() = default;
  virtual Status EnsureBegun() = 0;
};

/// What an operator may use of its job. Owned by the pipeline; outlives the operators.
struct OperatorContext {
  EpochGate* gate = nullptr;
  Clock* clock = nullptr;
  JobCounters* counters = nullptr;
  std::vector<BadRecord>* bad = nullptr;  // sent and cleared by the pipeline after every poll
  bool report_late = false;               // late rows also go to `bad`, stage "late"
  int64_t allowed_lateness_us = 0;        // windows close that much after their end
  uint32_t key_groups = 128;
};

/// State of one operator in a checkpoint. Every blob is in the operator's own versioned format.
struct OperatorState {
  std::string whole;                      // what belongs to no key (watermarks)
  std::map<uint32_t, std::string> keyed;  // by key group
  bool empty() const { return whole.empty() && keyed.empty(); }
};

class Operator {
 public:
  Operator(std::string name, OperatorContext* context) : name_(std::move(name)), context_(context) {}
  virtual ~Operator() = default;
  Operator(const Operator&) = delete;
  Operator& operator=(const Operator&) = delete;

  /// REQUIRES: before the first Process. `input`: which of its inputs this is to `to`.
  void AddOutput(Operator* to, int input) { outputs_.push_back({to, input}); }

  /// The batch is on loan until the return; whoever keeps it copies its owners.
  virtual Status Process(int input, const data::Batch& batch) = 0;
  /// Watermarks of one input never go back.
  virtual Status OnWatermark(int input, int64_t watermark_us);
  /// An idle input gives no rows for now and holds no watermark back; it is active again from its next row on.
  virtual Status OnIdle(int input, bool idle);
  /// About every 100 ms.
  virtual Status OnTick(int64_t monotonic_ms) {
    (void)monotonic_ms;
    return {};
  }

  virtual void Snapshot(OperatorState* out) const { (void)out; }
  /// State of one or more snapshots' key groups, before the first Process. Groups of others are left alone.
  virtual Status Restore(const OperatorState& state) {
    (void)state;
    return {};
  }
  virtual size_t state_bytes() const { return 0; }
  virtual bool stateful() const { return false; }

  /// Stable for the same plan: kind and place, "window_aggregate-3". Names the state in a checkpoint.
  const std::string& name() const { return name_; }

 protected:
  Status Emit(const data::Batch& batch);
  Status EmitWatermark(int64_t watermark_us);
  Status EmitIdle(bool idle);
  /// kUnsupported ("WHAT over rows that are ...") where the batch changes rows given before.
  static Status RequireInserts(const data::Batch& batch, const char* what);
  /// A window is closed once the watermark has reached its last microsecond, or the allowed lateness after that.
  bool WindowClosed(int64_t end_us, int64_t watermark_us) const {
    if (watermark_us == kNoWatermark || watermark_us == kEndOfTime) return watermark_us == kEndOfTime;
    return end_us - 1 <= watermark_us - context_->allowed_lateness_us;
  }
  void ReportBad(const data::Batch& batch, uint32_t row, const char* stage, std::string reason);
  OperatorContext& context() { return *context_; }
  const OperatorContext& context() const { return *context_; }
  /// An arena for one output batch; reused once nobody downstream holds it any more.
  std::shared_ptr<data::Arena> FreshArena();

 private:
  struct Output {
    Operator* to;
    int input;
  };
  const std::string name_;
  OperatorContext* const context_;
  std::vector<Output> outputs_;
  std::shared_ptr<data::Arena> arena_;
};

}  // namespace tailrace::stream
