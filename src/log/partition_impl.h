#pragma once
// The one implementation of Partition, for the files partition_*.cc only.
//
// Locks: mutex_ guards all state and is never held during an fsync; waiters_mutex_ guards the readers' waiters and may
// be taken before mutex_, never after it, and likewise write_mutex_, which whoever writes unwritten_ to the file holds
// meanwhile. Flush and Checkpoint run in a flusher thread, one at a time.
//
// With flush_before_ack an append only notes its bytes; what has gathered is written by one call before each sync.
// Large writes get large folios and preallocated blocks: a third of the CPU of one write an append
// (docs/profiles/log.md). Readers see nothing of it before: the high watermark follows the sync.

#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "log/flusher.h"
#include "log/partition.h"
#include "log/producer_state.h"
#include "log/segment.h"

namespace tailrace::log {

class PartitionImpl final : public Partition, public Flushable, public std::enable_shared_from_this<PartitionImpl> {
 public:
  PartitionImpl(std::string directory, TopicPartition name, const PartitionOptions& options, Clock& clock,
                Flusher& flusher)
      : directory_(std::move(directory)), name_(std::move(name)), clock_(clock), flusher_(flusher), options_(options) {}

  Status Recover();

  const TopicPartition& name() const override { return name_; }
  PartitionOptions options() const override;
  void SetOptions(const PartitionOptions& options) override;
  using Partition::Append;
  AppendResult Append(std::span<char> batches, std::shared_ptr<const void> owner) override;
  void WhenFlushed(int64_t end_offset, FlushDone done) override;
  Status WaitFlushed(int64_t end_offset) override;
  AppendResult AppendMarker(int64_t producer_id, int16_t producer_epoch, int32_t coordinator_epoch,
                            bool commit) override;
  Result<ReadResult> ReadRange(int64_t offset, uint32_t max_bytes, bool at_least_one, Isolation isolation) override;
  Result<ReadResult> ReadBytes(int64_t offset, uint32_t max_bytes, Isolation isolation) override;
  PartitionEnds Ends() const override;
  Result<TimestampOffset> OffsetForTime(int64_t timestamp_ms, Isolation isolation) override;
  Result<TimestampOffset> MaxTimestamp(Isolation isolation) override;
  uint64_t AddWaiter(int64_t offset, Isolation isolation, std::function<void()> wake) override;
  void RemoveWaiter(uint64_t id) override;
  Result<int64_t> DeleteRecords(int64_t offset) override;
  Result<int> ApplyRetention(int64_t now_ms) override;
  int64_t SizeBytes() const override;
  std::vector<ProducerInfo> Producers() const override;
  Status Close() override;
  Status Delete() override;

  void Prepare() override;
  void Settle() override;
  void Flush() override;
  void Checkpoint() override;

 private:
  using SegmentPtr = std::shared_ptr<Segment>;
  // A place between two batches.
  struct Position {
    int64_t offset = 0;  // of the next record
    int64_t segment_base = 0;
    uint64_t bytes = 0;  // in that segment
  };
  struct FlushWaiter {
    int64_t end_offset;
    FlushDone done;
  };
  struct ReadWaiter {
    int64_t offset;
    Isolation isolation;
    std::function<void()> wake;
  };
  // A recovery point (docs/formats/segment.md): everything before `at` was synced, and what was known there.
  struct RecoveryPoint {
    Position at;
    uint64_t index_entries = 0;
    int64_t max_timestamp_ms = -1;
    int64_t max_timestamp_offset = -1;
    ProducerState producers;
  };
  // Appended bytes of one segment, one behind the other, that are not in its file yet.
  struct Unwritten {
    SegmentPtr segment;
    uint64_t begin = 0;
    uint64_t end = 0;
    std::vector<SharedBytes> pieces;
    std::pair<uint64_t, uint64_t> reserve{0, 0};
  };
  struct Sync {
    struct OneFile {
      SegmentPtr segment;
      std::shared_ptr<io::File> file;
      uint64_t size;
    };
    std::vector<OneFile> files;  // in order
    Position target;
    bool directory = false, parent = false;
    uint64_t roll_backs = 0;
    Status written;
    std::string recovery_point;  // and what belongs to it, where one is taken
    std::vector<IndexFile::Unwritten> indexes;
    std::vector<SegmentPtr> sealing;
  };
  struct Marker {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t coordinator_epoch;
    bool commit;
  };
  // Where a read begins and how far it may go in that segment.
  struct Located {
    SegmentPtr segment;
    std::shared_ptr<const io::Mapping> mapping;
    std::shared_ptr<const io::File> file;
    uint64_t begin = 0;  // position of the first batch
    uint64_t end = 0;
    int64_t end_offset = 0;  // one past the last record of the range
    PartitionEnds ends;
  };

  // All with mutex_ held, where not said otherwise.
  PartitionEnds EndsLocked() const;
  Segment& active() { return *segments_.back(); }
  Position EndPosition() const { return {end_offset_, segments_.back()->base(), segments_.back()->size()}; }
  size_t SegmentIndexFor(int64_t offset) const;
  Status Roll();
  Status MakeWritable();
  AppendResult AppendLocked(std::span<char> batches, std::span<const wire::BatchView> views, int64_t now_ms,
                            std::shared_ptr<const void> owner, const Marker* marker = nullptr);
  void Keep(const SegmentPtr& segment, BytesView bytes, std::shared_ptr<const void> owner);
  std::vector<Unwritten> TakeUnwritten();
  static Status Write(const std::vector<Unwritten>& runs);  // with write_mutex_, not mutex_
  void WriteAndCheck();                                     // without either
  Status MakeIndexesAnew(const SegmentPtr& segment);        // without either
  void GiveUpUnwritten(const Status& why, std::deque<FlushWaiter>* served);
  void Advance();  // the high watermark, where it follows the end
  bool SetHighWatermark(const Position& position);
  Status RollBack();
  void AfterAppend(bool visible, bool checkpoint, bool note_dirty);                                    // without mutex_
  Result<Located> Locate(int64_t offset, uint32_t max_bytes, bool at_least_one, Isolation isolation);  // without mutex_
  Result<TimestampOffset> FindTime(const SegmentPtr& segment, int64_t timestamp_ms, int64_t limit);    // without mutex_
  int64_t VisibleEnd(Isolation isolation) const;
  void WakeReaders();  // without mutex_
  std::deque<FlushWaiter> TakeServed(int64_t end_offset);
  // One sync in two halves: what there is is noted and written; then it is synced and told of. Without mutex_, both.
  // False where there was nothing to do or it failed.
  bool BeginSync(bool take_recovery_point, Sync* sync);
  bool FinishSync(const Sync& sync);
  // Takes the segments that end at or below the log start out of the list.
  std::vector<SegmentPtr> TakeBelowLogStart();
  void KeepPositionsInside();
  void RemoveFiles(const std::vector<SegmentPtr>& segments);  // without mutex_

  // Recovery (partition_recovery.cc), with mutex_ held or before anybody else knows of it.
  std::string EncodeRecoveryPoint() const;
  Result<RecoveryPoint> DecodeRecoveryPoint(const std::string& path) const;
  Result<RecoveryPoint> NewestRecoveryPoint(int64_t offset_max);
  Status ScanFrom(const RecoveryPoint& point, bool opening, uint64_t* scanned);
  Status CutTail(size_t segment_index, uint64_t position, const std::string& why);
  Status DropNewest();
  Result<int64_t> ReadLogStart() const;
  Status WriteLogStart(int64_t offset) const;

  std::optional<Sync> prepared_;  // between Prepare and Flush; the flusher's thread only
  std::mutex log_start_mutex_;    // one DeleteRecords at a time; taken before mutex_
  std::mutex write_mutex_;        // one write of unwritten_ at a time; taken before mutex_

  const std::string directory_;
  const TopicPartition name_;
  Clock& clock_;
  Flusher& flusher_;

  mutable std::mutex mutex_;  // guards what follows
  PartitionOptions options_;
  std::vector<SegmentPtr> segments_;  // in order of base; the last one grows
  int64_t log_start_ = 0;
  int64_t end_offset_ = 0;
  Position flushed_;  // everything before is on disk
  Position visible_;  // the high watermark
  ProducerState producers_;
  std::deque<FlushWaiter> flush_waiters_;  // in order of end_offset
  // Ends that were handed out and then cut off again after a failed fsync: (first, last]. Their offsets are not used
  // again in this process, so that nobody takes a later record for his.
  std::vector<std::pair<int64_t, int64_t>> cut_;
  std::vector<Unwritten> unwritten_;
  uint64_t unwritten_bytes_ = 0;
  std::shared_ptr<char[]> chunk_;  // small appends are copied behind one another
  size_t chunk_used_ = 0;
  bool write_through_ = false;    // a write failed: appends write at once, until one succeeds, to be told at once
  Position roll_back_to_;         // set with must_roll_back_
  bool directory_dirty_ = false;  // files were made and the directory not synced
  bool parent_dirty_ = false;     // the directory itself is new
  bool must_roll_back_ = false;   // the end of the log is not trusted until RollBack
  bool tail_torn_ = false;        // a write failed half way and could not be cut off yet
  uint64_t roll_backs_ = 0;
  bool dirty_noted_ = false;  // the flusher knows that a checkpoint is due
  int64_t bytes_since_checkpoint_ = 0;
  int64_t checkpointed_offset_ = -1;
  bool deleted_ = false;
  bool closed_ = false;

  std::mutex waiters_mutex_;
  std::unordered_map<uint64_t, ReadWaiter> read_waiters_;
  uint64_t next_waiter_ = 1;
  std::atomic<int> read_waiter_count_{0};
};

}  // namespace tailrace::log
