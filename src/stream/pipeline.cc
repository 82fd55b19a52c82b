#include "stream/pipeline.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "base/logging.h"
#include "base/waker.h"

namespace tailrace::stream {
namespace {

constexpr int64_t kTickMs = 100;
constexpr int64_t kLagMs = 500;       // asking a cluster for its end offsets is a round trip
constexpr int64_t kIdleLogMs = 100;   // sources on the log wake us
constexpr int64_t kIdleOtherMs = 10;  // others (generators, growing files) are asked
/// An idle job confirms its epoch so often, because Kafka forgets offsets that nobody has committed for a week.
constexpr int64_t kRenewMs = 3'600'000;
/// At-least-once jobs make their rows visible so often, and when there is nothing more to read.
constexpr int64_t kFlushMs = 20;
/// While there is more to read, checkpoints of a large state take at most about one part in so many of the time; those
/// of a small one wait for the disk rather than use it, and rows in flight should not wait ten times as long because
/// the disk is slow. With nothing more to read the interval is what was asked for.
constexpr int64_t kCheckpointShareLarge = 10, kCheckpointShareSmall = 2;
constexpr int64_t kLargeStateBytes = 4 << 20;

const char* kFreshRemedy =
    "start with --fresh to begin anew (results already written stay), give the job another pipeline.name, or undo the "
    "change";

}  // namespace

Pipeline::Pipeline(PipelineOptions options, JobConnectors& connectors, CheckpointStore& store, Waker& waker,
                   Clock& clock, JobCounters& counters)
    : options_(std::move(options)), connectors_(connectors), store_(store), clock_(clock), counters_(counters) {
  connector_context_.job = options_.job;
  connector_context_.waker = &waker;
  connector_context_.clock = &clock;
  connector_context_.base_dir = options_.base_dir;
  connector_context_.exactly_once = options_.settings.exactly_once;
  operator_context_.gate = this;
  operator_context_.clock = &clock;
  operator_context_.counters = &counters;
  operator_context_.bad = &bad_;
  operator_context_.report_late = !options_.settings.late_topic.empty();
  operator_context_.allowed_lateness_us = options_.settings.allowed_lateness_ms * 1000;
  operator_context_.key_groups = options_.settings.key_groups;
}

Pipeline::~Pipeline() {
  // Readers of committed results need not wait for the next start to learn that this epoch never was.
  if (begun_ && commit_point_) {
    if (Status aborted = commit_point_->Abort(); !aborted.ok()) {
      LogWarning("stream",
                 fmt::format("job {}: abort of epoch {}: {}", options_.job, epoch_, aborted.error().ToString()));
    }
  }
}

Result<std::unique_ptr<Pipeline>> Pipeline::Make(const sql::Plan& plan, PipelineOptions options,
                                                 JobConnectors& connectors, CheckpointStore& store, Waker& waker,
                                                 Clock& clock, JobCounters& counters) {
  std::unique_ptr<Pipeline> made(new Pipeline(std::move(options), connectors, store, waker, clock, counters));
  WatermarkOptions watermarks{made->options_.settings.source_idle_timeout_ms,
                              made->options_.settings.watermark_max_drift_ms};
  made->graph_ = TRY(Lower(plan, connectors, made->connector_context_, &made->operator_context_, watermarks));
  made->ended_.resize(made->graph_.sources.size());
  return made;
}

Result<Checkpoint> Pipeline::FindStanding(bool* fresh, uint64_t* last_committed) {
  std::vector<uint64_t> epochs = TRY(store_.List());
  uint64_t newest = epochs.empty() ? 0 : epochs.back();
  uint64_t stands = commit_point_ ? TRY(commit_point_->Recover()) : newest;
  // An epoch begins when the one before it stands. So the log has forgotten what it decided: Kafka drops a group's
  // offsets a week after their last commit (offsets.retention.minutes), or with their topic.
  bool decided = std::adjacent_find(epochs.begin(), epochs.end(), [](uint64_t a, uint64_t b) { return b == a + 1; }) !=
                 epochs.end();
  if (stands == 0 && decided && options_.resume) {
    return Error(ErrorCode::kConflict, fmt::format("there are checkpoints up to epoch {}, but the log has no committed "
                                                   "offsets of this job any more: they expired or were deleted",
                                                   newest))
        .Remedy("start with --fresh to begin anew (results already written stay), or restore the group's offsets");
  }
  Checkpoint standing;
  *fresh = true;
  *last_committed = stands;
  if (stands > 0 && options_.resume) {
    auto bytes = store_.Read(stands);
    Result<Checkpoint> read = bytes.ok() ? DecodeCheckpoint(*bytes) : Result<Checkpoint>(std::move(bytes).error());
    if (!read.ok()) {
      // Going back further would repeat results that are out.
      return std::move(read)
          .error()
          .Context(fmt::format("epoch {} is committed, but its checkpoint cannot be read", stands))
          .Remedy("restore the file, or start with --fresh to begin anew (results already written stay)");
    }
    standing = std::move(*read);
    if (standing.epoch != stands)
      return Corrupt(fmt::format("checkpoint chk-{} says it is of epoch {}", stands, standing.epoch));
    *fresh = standing.finished;
  }
  // A sink may remember epochs of a run whose checkpoints were deleted, so a new run counts on from the clock.
  standing.epoch =
      *fresh ? std::max({stands, newest, static_cast<uint64_t>(std::max<int64_t>(1, clock_.NowMs()))}) : stands;
  // The first checkpoint of a new run must not be written over the one that stands until it stands itself.
  if (*fresh && (standing.epoch + 1 - stands) % 2 == 0) standing.epoch++;
  for (uint64_t epoch : epochs) {
    if (epoch > stands && (!*fresh || stands == 0)) TRY(store_.Remove(epoch));  // written, never decided
  }
  return standing;
}

Status Pipeline::Recover() {
  commit_point_ = TRY(connectors_.MakeCommitPoint(connector_context_));
  bool fresh = true;
  uint64_t last_committed = 0;
  Checkpoint standing = TRY(FindStanding(&fresh, &last_committed));
  bool has_state =
      std::any_of(graph_.operators.begin(), graph_.operators.end(), [](auto& op) { return op->stateful(); });
  if (!fresh) {
    bool had_state = false;
    for (const auto& [name, state] : standing.operators) had_state |= !state.keyed.empty();
    if (standing.fingerprint != graph_.fingerprint && (had_state || has_state || !standing.prepared.empty())) {
      return Error(ErrorCode::kConflict,
                   "the query has changed since its checkpoint, whose state does not fit it any more")
          .Remedy(kFreshRemedy);
    }
  }
  for (GraphSink& sink : graph_.sinks) {
    TRY(sink.sink->Open());
    // Commit first: it may need what Discard would take for left-overs.
    if (!fresh) {
      auto prepared = standing.prepared.find(sink.id);
      TRY(sink.sink->Commit(standing.epoch, prepared == standing.prepared.end() ? std::string() : prepared->second));
    }
    TRY(sink.sink->Discard(last_committed));
  }
  if (!fresh && standing.fingerprint == graph_.fingerprint) {
    for (auto& op : graph_.operators) {
      auto state = standing.operators.find(op->name());
      if (state == standing.operators.end()) continue;
      if (Status restored = op->Restore(state->second); !restored.ok()) {
        return std::move(restored).error().Context("state of " + op->name());
      }
    }
  }
  for (GraphSource& source : graph_.sources) {
    auto position = standing.positions.find(source.id);
    TRY(source.source->Open(fresh || position == standing.positions.end() ? std::string() : position->second));
    for (auto& [partition, offset] : source.source->LogOffsets()) source.status->partitions.push_back(partition);
  }
  epoch_ = standing.epoch + 1;
  last_end_ms_ = clock_.MonotonicMs();
  Publish();
  if (!fresh) LogInfo("stream", fmt::format("job {}: resumes from epoch {}", options_.job, standing.epoch));
  return {};
}

Status Pipeline::EnsureBegun() {
  if (begun_) return {};
  if (commit_point_) TRY(commit_point_->Begin(epoch_));
  begun_ = true;
  dirty_ = true;
  return {};
}

Status Pipeline::SendBad() {
  if (bad_.empty()) return {};
  TRY(EnsureBegun());
  uint64_t late =
      static_cast<uint64_t>(std::count_if(bad_.begin(), bad_.end(), [](auto& b) { return b.stage == "late"; }));
  counters_.bad_records.fetch_add(bad_.size() - late, std::memory_order_relaxed);  // late rows have their own counter
  TRY(connectors_.WriteBadRecords(bad_, connector_context_));
  bad_.clear();
  return {};
}

Status Pipeline::Poll(GraphSource& source, bool* worked, bool* idle) {
  polled_.batches.clear();
  polled_.bad.clear();
  polled_.records = polled_.bytes = 0;
  PollState state = TRY(source.source->Poll(&polled_));
  if (polled_.records > 0 || !polled_.batches.empty() || !polled_.bad.empty()) {
    *worked = dirty_ = true;
    counters_.records_in.fetch_add(polled_.records, std::memory_order_relaxed);
    counters_.bytes_in.fetch_add(polled_.bytes, std::memory_order_relaxed);
    for (BadRecord& bad : polled_.bad) bad_.push_back(std::move(bad));
    for (data::Batch& batch : polled_.batches) {
      if (batch.rows == 0) continue;
      pending_.Add(batch);
      TRY(source.first->Process(0, batch));
      batch = data::Batch();  // its memory goes back before the next one is worked on
    }
    TRY(SendBad());
  }
  *idle = state == PollState::kIdle;
  if (state != PollState::kMore) source.status->caught_up = true;
  if (state == PollState::kEnd) {
    ended_[&source - graph_.sources.data()] = true;
    dirty_ = true;
    TRY(source.first->OnWatermark(0, kEndOfTime));
    TRY(SendBad());
  }
  return {};
}

Result<Pipeline::Step> Pipeline::Run(int64_t* idle_ms) {
  bool worked = false, all_idle = true, all_ended = true;
  for (size_t i = 0; i < graph_.sources.size(); i++) {
    if (ended_[i]) continue;
    bool idle = false;
    TRY(Poll(graph_.sources[i], &worked, &idle));
    all_ended &= ended_[i];
    all_idle &= idle || ended_[i];
  }
  int64_t now = clock_.MonotonicMs();
  if (now - last_tick_ms_ >= kTickMs) {
    last_tick_ms_ = now;
    size_t state_bytes = 0;
    for (auto& op : graph_.operators) {
      TRY(op->OnTick(now));
      state_bytes += op->state_bytes();
    }
    TRY(SendBad());
    if (state_bytes > static_cast<size_t>(options_.settings.state_bytes_max)) {
      return Error(ErrorCode::kLimitExceeded, fmt::format("the job's state takes {} MB, the limit is {} MB",
                                                          state_bytes >> 20, options_.settings.state_bytes_max >> 20))
          .Remedy("group by fewer keys, use shorter windows, or raise it with SET 'state.max-size'");
    }
  }
  unflushed_ |= worked;
  if (!options_.settings.exactly_once && unflushed_ && (all_idle || all_ended || now - last_flush_ms_ >= kFlushMs)) {
    for (GraphSink& sink : graph_.sinks) TRY(sink.sink->Flush());
    unflushed_ = false;
    last_flush_ms_ = now;
  }
  if (all_ended) {
    TRY(EndEpoch());
    return Step::kFinished;
  }
  int64_t interval = options_.settings.checkpoint_interval_ms;
  if (!all_idle) {
    int64_t share = state_bytes_ > kLargeStateBytes ? kCheckpointShareLarge : kCheckpointShareSmall;
    interval = std::max(interval, checkpoint_duration_ms_ * share);
  }
  if (commit_point_ && now - last_end_ms_ >= kRenewMs) dirty_ = true;
  int64_t due_ms = last_end_ms_ + interval - now;
  if (dirty_ && due_ms <= 0) TRY(EndEpoch());
  if (now - last_publish_ms_ >= kTickMs) Publish();
  if (!all_idle) return Step::kWorked;
  *idle_ms = kIdleLogMs;
  for (size_t i = 0; i < graph_.sources.size(); i++) {
    if (!ended_[i] && graph_.sources[i].status->partitions.empty()) *idle_ms = kIdleOtherMs;
  }
  if (dirty_) *idle_ms = std::clamp<int64_t>(due_ms, 0, *idle_ms);
  return Step::kIdle;
}

Checkpoint Pipeline::TakeCheckpoint(std::vector<std::string>* prepared_by_sink) const {
  Checkpoint checkpoint;
  checkpoint.epoch = epoch_;
  checkpoint.created_ms = clock_.NowMs();
  checkpoint.fingerprint = graph_.fingerprint;
  checkpoint.key_groups = options_.settings.key_groups;
  for (const GraphSource& source : graph_.sources) checkpoint.positions[source.id] = source.source->Position();
  for (size_t i = 0; i < graph_.sinks.size(); i++) {
    if (!(*prepared_by_sink)[i].empty()) checkpoint.prepared[graph_.sinks[i].id] = (*prepared_by_sink)[i];
  }
  for (const auto& op : graph_.operators) {
    OperatorState state;
    op->Snapshot(&state);
    if (!state.empty()) checkpoint.operators[op->name()] = std::move(state);
  }
  return checkpoint;
}

Status Pipeline::EndEpoch() {
  if (!dirty_) return {};
  int64_t started = clock_.MonotonicMs();
  if (Status committed = Commit(); !committed.ok()) {
    return std::move(committed).error().Context(fmt::format("commit of epoch {}", epoch_));
  }
  last_end_ms_ = clock_.MonotonicMs();
  checkpoint_duration_ms_ = last_end_ms_ - started;
  {
    std::lock_guard lock(mutex_);
    pending_.Commit(clock_.NowUs(), last_end_ms_, &latency_);
  }
  begun_ = dirty_ = false;
  committed_ = true;
  epoch_++;
  Publish();
  return {};
}

Status Pipeline::Commit() {
  TRY(EnsureBegun());
  std::vector<std::string> prepared;
  for (GraphSink& sink : graph_.sinks) prepared.push_back(TRY(sink.sink->Prepare(epoch_)));
  std::string bytes = EncodeCheckpoint(TakeCheckpoint(&prepared));
  state_bytes_ = static_cast<int64_t>(bytes.size());
  TRY(store_.Write(epoch_, bytes, /*decides=*/commit_point_ == nullptr));
  std::vector<std::pair<TopicPartition, int64_t>> offsets;
  for (const GraphSource& source : graph_.sources) {
    auto of_source = source.source->LogOffsets();
    if (of_source.size() != source.status->partitions.size()) {  // partitions were added
      source.status->partitions.clear();
      for (auto& offset : of_source) source.status->partitions.push_back(offset.first);
    }
    for (auto& offset : of_source) {
      // Two scans of one topic: a restart of the group reads on from where the slower one is.
      auto same = std::find_if(offsets.begin(), offsets.end(), [&](auto& o) { return o.first == offset.first; });
      if (same == offsets.end()) offsets.push_back(offset);
      else same->second = std::min(same->second, offset.second);
    }
  }
  if (commit_point_) {
    TRY(commit_point_->Commit(epoch_, offsets));
    begun_ = false;  // nothing to abort any more
  }
  for (size_t i = 0; i < graph_.sinks.size(); i++) TRY(graph_.sinks[i].sink->Commit(epoch_, prepared[i]));
  return store_.RemoveBefore(epoch_ - 1);
}

Status Pipeline::MarkFinished() {
  Checkpoint last;
  last.epoch = epoch_ - 1;
  last.created_ms = clock_.NowMs();
  last.fingerprint = graph_.fingerprint;
  last.key_groups = options_.settings.key_groups;
  last.finished = true;
  Publish();
  TRY(store_.Write(last.epoch, EncodeCheckpoint(last), /*decides=*/true));
  return store_.RemoveBefore(last.epoch);
}

void Pipeline::Publish() {
  int64_t now = clock_.MonotonicMs();
  last_publish_ms_ = now;
  int64_t lag = 0, watermark = kEndOfTime;
  bool lag_known = true;
  bool ask = last_lag_ms_ < 0 || now - last_lag_ms_ >= kLagMs;
  if (ask) last_lag_ms_ = now;
  lags_.resize(graph_.sources.size());
  for (size_t i = 0; i < graph_.sources.size(); i++) {
    if (ended_[i]) lags_[i] = 0;
    else if (ask) lags_[i] = graph_.sources[i].source->Lag();
    if (lags_[i] < 0) lag_known = false;
    lag += lags_[i];
  }
  for (const GraphSink& sink : graph_.sinks) watermark = std::min(watermark, *sink.watermark_us);
  std::lock_guard lock(mutex_);
  published_.lag = lag_known ? lag : -1;
  published_.watermark_ms = watermark == kNoWatermark || graph_.sinks.empty() ? INT64_MIN
                            : watermark == kEndOfTime                         ? INT64_MAX
                                                                              : watermark / 1000;
  published_.epoch = epoch_ - 1;
  published_.checkpoint_duration_ms = checkpoint_duration_ms_;
  published_.state_bytes = state_bytes_;
  if (!dirty_) published_.last_checkpoint_ms = clock_.NowMs();
  if (samples_.empty() || now - samples_.back().at_ms >= 1000) {
    samples_.push_back({now, counters_.records_in.load(), counters_.rows_out.load()});
    if (samples_.size() > 11) samples_.erase(samples_.begin());
  }
}

void Pipeline::Describe(JobInfo* info) const {
  int64_t now = clock_.MonotonicMs();
  std::lock_guard lock(mutex_);
  info->lag = published_.lag;
  info->watermark_ms = published_.watermark_ms;
  info->epoch = published_.epoch;
  info->last_checkpoint_ms = published_.last_checkpoint_ms;
  info->checkpoint_duration_ms = published_.checkpoint_duration_ms;
  info->state_bytes = published_.state_bytes;
  info->latency = latency_.Stats(now);
  if (!samples_.empty() && now > samples_.front().at_ms) {
    double seconds = static_cast<double>(now - samples_.front().at_ms) / 1000;
    info->records_in_per_second =
        static_cast<double>(counters_.records_in.load() - samples_.front().records_in) / seconds;
    info->rows_out_per_second = static_cast<double>(counters_.rows_out.load() - samples_.front().rows_out) / seconds;
  }
}

}  // namespace tailrace::stream
