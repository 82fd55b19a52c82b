#include "log/journal.h"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"
#include "io/file.h"
#include "log/flusher.h"

namespace tailrace::log {
namespace {

// docs/formats/journal.md. Integers are little-endian.
constexpr char kFileMagic[8] = {'T', 'R', 'J', 'O', 'U', 'R', 'N', 'L'};
constexpr uint32_t kVersion = 1;
constexpr size_t kFileHeaderBytes = 16;        // magic, version, CRC-32C of these twelve bytes
constexpr uint32_t kBatchMagic = 0x3142'4a54;  // "TJB1"
constexpr size_t kBatchHeaderBytes = 24;       // magic, payload length, synced position (8), CRC-32C, entry count
constexpr size_t kEntryHeaderBytes = 9;        // kind, key length, value length
constexpr uint8_t kPut = 1;
constexpr uint8_t kDelete = 2;
constexpr size_t kSnapshotBatchBytes = 1 << 20;

std::string FileHeader() {
  std::string header(kFileHeaderBytes, '\0');
  memcpy(header.data(), kFileMagic, 8);
  StoreLe32(header.data() + 8, kVersion);
  StoreLe32(header.data() + 12, Crc32c({header.data(), 12}));
  return header;
}

std::string BatchHeader(BytesView entries, uint32_t count, uint64_t synced) {
  std::string header(kBatchHeaderBytes, '\0');
  StoreLe32(header.data(), kBatchMagic);
  StoreLe32(header.data() + 4, static_cast<uint32_t>(entries.size()));
  StoreLe64(header.data() + 8, synced);
  StoreLe32(header.data() + 20, count);
  uint32_t crc = Crc32c({header.data(), 16});
  crc = Crc32c({header.data() + 20, 4}, crc);
  StoreLe32(header.data() + 16, Crc32c(entries, crc));
  return header;
}

void AppendEntry(std::string* out, uint8_t kind, BytesView key, BytesView value) {
  char header[kEntryHeaderBytes];
  header[0] = static_cast<char>(kind);
  StoreLe32(header + 1, static_cast<uint32_t>(key.size()));
  StoreLe32(header + 5, static_cast<uint32_t>(value.size()));
  out->append(header, sizeof header).append(key).append(value);
}

struct BatchView {
  BytesView entries;
  uint32_t count = 0;
  uint64_t synced = 0;
  size_t size = 0;  // with its header
};

// The batch at the start of `bytes`; nothing where it is cut short or damaged.
std::optional<BatchView> ParseBatch(BytesView bytes) {
  if (bytes.size() < kBatchHeaderBytes || LoadLe32(bytes.data()) != kBatchMagic) return std::nullopt;
  size_t length = LoadLe32(bytes.data() + 4);
  if (length > Journal::kBatchBytesMax || length > bytes.size() - kBatchHeaderBytes) return std::nullopt;
  BatchView batch{bytes.substr(kBatchHeaderBytes, length), LoadLe32(bytes.data() + 20), LoadLe64(bytes.data() + 8),
                  kBatchHeaderBytes + length};
  uint32_t crc = Crc32c(bytes.substr(0, 16));
  crc = Crc32c(bytes.substr(20, 4), crc);
  if (Crc32c(batch.entries, crc) != LoadLe32(bytes.data() + 16)) return std::nullopt;
  return batch;
}

class JournalFile final : public Journal, public Flushable, public std::enable_shared_from_this<JournalFile> {
 public:
  JournalFile(std::string path, Flusher& flusher, Options options)
      : path_(std::move(path)), flusher_(flusher), options_(options) {}

  Status Load();

  std::optional<std::string> Get(std::string_view key) const override {
    std::lock_guard lock(mutex_);
    auto found = live_.find(key);
    if (found == live_.end()) return std::nullopt;
    return found->second;
  }
  void ForEach(std::string_view prefix,
               const std::function<void(std::string_view, std::string_view)>& visit) const override {
    std::lock_guard lock(mutex_);
    for (auto at = live_.lower_bound(prefix); at != live_.end() && at->first.starts_with(prefix); ++at)
      visit(at->first, at->second);
  }

  Status Append(const JournalBatch& batch) override;
  void Append(const JournalBatch& batch, Done done) override;
  Status Close() override;
  uint64_t file_bytes() const override {
    std::lock_guard lock(mutex_);
    return end_;
  }

  void Flush() override;
  void Checkpoint() override {}  // Flush, which comes before it, did all

 private:
  struct Waiter {
    uint64_t end;
    Done done;
  };

  Status ReadBatches(BytesView bytes, uint64_t* end);
  Status Apply(BytesView entries, uint32_t count, uint64_t position);
  Status Write(const JournalBatch& batch);  // REQUIRES: mutex_ held
  Status RollBack();                        // likewise
  void Compact();
  bool WantsCompaction() const {
    return end_ > static_cast<uint64_t>(options_.compact_bytes_min) &&
           end_ - live_bytes_ > static_cast<uint64_t>(options_.garbage_ratio) * live_bytes_;
  }

  const std::string path_;
  Flusher& flusher_;
  const Options options_;

  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<io::File> file_;
  std::map<std::string, std::string, std::less<>> live_;
  uint64_t live_bytes_ = 0;      // what live_ would take on disk
  uint64_t end_ = 0;             // where the next batch goes
  uint64_t synced_ = 0;          // everything below is on disk
  std::deque<Waiter> waiters_;   // in order of end
  bool must_roll_back_ = false;  // a write or a sync failed and the file's tail could not be cut off yet
  bool closed_ = false;
};

Status JournalFile::Load() {
  std::string temporary = path_ + ".compact";
  TRY(io::RemoveFile(temporary));  // a compaction that did not get to its rename
  bool fresh = !io::Exists(path_);
  auto file = std::make_shared<io::File>(TRY(io::File::Open(path_, io::File::Mode::kCreate)));
  uint64_t size = TRY(file->Size());
  if (size < kFileHeaderBytes) {
    // Torn while it was first made: nothing was acknowledged.
    TRY(file->Truncate(0));
    TRY(file->WriteAt(FileHeader(), 0));
    TRY(file->SyncData());
    size = kFileHeaderBytes;
    fresh = true;
  }
  if (fresh) TRY(io::SyncDirectory(path_.substr(0, path_.rfind('/'))));
  auto mapping = TRY(io::Mapping::Map(*file, size));
  BytesView bytes(mapping->data(), size);
  if (bytes.substr(0, 8) != BytesView(kFileMagic, 8) || Crc32c(bytes.substr(0, 12)) != LoadLe32(bytes.data() + 12))
    return Corrupt(path_ + ": not a journal, or its first 16 bytes are damaged")
        .Remedy("restore the file from a backup");
  if (LoadLe32(bytes.data() + 8) != kVersion)
    return Unsupported(path_ + ": journal version " + std::to_string(LoadLe32(bytes.data() + 8)) +
                       ", this program reads " + std::to_string(kVersion))
        .Remedy("use the program version that wrote it");
  file_ = std::move(file);
  TRY(ReadBatches(bytes, &end_));
  if (end_ < size) {
    LogWarning("journal",
               path_ + ": dropped a torn tail of " + std::to_string(size - end_) + " bytes at " + std::to_string(end_));
    TRY(file_->Truncate(end_));
  }
  TRY(file_->SyncData());  // batches of a killed process may still be in the page cache only
  synced_ = end_;
  return Ok();
}

Status JournalFile::ReadBatches(BytesView bytes, uint64_t* end) {
  live_.clear();
  live_bytes_ = kFileHeaderBytes;
  size_t at = kFileHeaderBytes;
  while (at < bytes.size()) {
    auto batch = ParseBatch(bytes.substr(at));
    if (!batch) {
      // A tail that was never synced may be torn anywhere. But a later batch that was written when this place had been
      // synced already says that acknowledged bytes are damaged.
      for (size_t next = at + 1; next + kBatchHeaderBytes <= bytes.size(); next++) {
        if (LoadLe32(bytes.data() + next) != kBatchMagic) continue;
        auto later = ParseBatch(bytes.substr(next));
        if (later && later->synced > at)
          return Corrupt(path_ + ": damaged batch at byte " + std::to_string(at) +
                         ", though it had been synced (the batch at byte " + std::to_string(next) + " says so)")
              .Remedy("restore the file from a backup; check the disk");
      }
      break;
    }
    TRY(Apply(batch->entries, batch->count, at));
    at += batch->size;
  }
  *end = at;
  return Ok();
}

Status JournalFile::Apply(BytesView entries, uint32_t count, uint64_t position) {
  auto damaged = [&] {
    return Corrupt(path_ + ": entries that don't fit in the batch at byte " + std::to_string(position));
  };
  while (count-- > 0) {
    if (entries.size() < kEntryHeaderBytes) return damaged();
    uint8_t kind = static_cast<uint8_t>(entries[0]);
    size_t key_size = LoadLe32(entries.data() + 1);
    size_t value_size = LoadLe32(entries.data() + 5);
    entries.remove_prefix(kEntryHeaderBytes);
    if (key_size > entries.size() || value_size > entries.size() - key_size) return damaged();
    BytesView key = entries.substr(0, key_size);
    BytesView value = entries.substr(key_size, value_size);
    entries.remove_prefix(key_size + value_size);
    auto found = live_.find(key);
    if (found != live_.end()) live_bytes_ -= kEntryHeaderBytes + found->first.size() + found->second.size();
    if (kind == kPut) {
      live_bytes_ += kEntryHeaderBytes + key_size + value_size;
      if (found != live_.end()) found->second.assign(value);
      else live_.emplace(std::string(key), std::string(value));
    } else if (kind == kDelete) {
      if (found != live_.end()) live_.erase(found);
    } else {
      return damaged();
    }
  }
  return Ok();
}

Status JournalFile::RollBack() {
  TRY(file_->Truncate(synced_));
  auto mapping = TRY(io::Mapping::Map(*file_, synced_));
  TRY(ReadBatches({mapping->data(), synced_}, &end_));
  must_roll_back_ = false;
  return Ok();
}

Status JournalFile::Write(const JournalBatch& batch) {
  if (closed_) return Error(ErrorCode::kCancelled, path_ + " is closed");
  BytesView entries = EntriesOf(batch);
  if (entries.size() > kBatchBytesMax)
    return Error(ErrorCode::kLimitExceeded, "journal batch of " + std::to_string(entries.size()) + " bytes, at most " +
                                                std::to_string(kBatchBytesMax) + " are allowed");
  if (must_roll_back_) TRY(RollBack());
  std::string header = BatchHeader(entries, batch.count(), synced_);
  BytesView pieces[] = {header, entries};
  Status written = file_->WriteAt(pieces, end_);
  if (!written.ok()) {
    if (!file_->Truncate(end_).ok()) must_roll_back_ = true;
    return written;
  }
  Status applied = Apply(entries, batch.count(), end_);
  CHECK(applied.ok());  // JournalBatch made the entries
  end_ += header.size() + entries.size();
  return Ok();
}

void JournalFile::Append(const JournalBatch& batch, Done done) {
  Status written;
  bool wait = false;
  {
    std::lock_guard lock(mutex_);
    written = Write(batch);
    if (written.ok() && options_.flush_before_ack && done) {
      waiters_.push_back({end_, std::move(done)});
      wait = true;
    }
  }
  if (wait) {
    flusher_.Request(shared_from_this());
    return;
  }
  if (written.ok()) flusher_.NoteDirty(shared_from_this());
  else if (!done) LogError("journal", written.error().ToString());
  if (done) done(std::move(written));
}

Status JournalFile::Append(const JournalBatch& batch) {
  std::mutex mutex;
  std::condition_variable cv;
  std::optional<Status> result;
  Append(batch, [&](Status status) {
    std::lock_guard lock(mutex);
    result = std::move(status);
    cv.notify_one();
  });
  std::unique_lock lock(mutex);
  cv.wait(lock, [&] { return result.has_value(); });
  return *std::move(result);
}

void JournalFile::Flush() {
  std::shared_ptr<io::File> file;
  uint64_t target;
  {
    std::lock_guard lock(mutex_);
    if (synced_ == end_ && waiters_.empty()) return;
    file = file_;
    target = end_;
  }
  int64_t start_ns = Clock::System().MonotonicNs();
  Status synced = file->SyncData();
  flusher_.CountFsync(static_cast<uint64_t>(Clock::System().MonotonicNs() - start_ns) / 1000);
  std::deque<Waiter> served;
  bool compact = false;
  {
    std::lock_guard lock(mutex_);
    if (synced.ok()) {
      synced_ = target;
      while (!waiters_.empty() && waiters_.front().end <= target) {
        served.push_back(std::move(waiters_.front()));
        waiters_.pop_front();
      }
      compact = WantsCompaction();
    } else {
      // What the disk holds past synced_ is unknown from now on: cut it off, and tell all who wait for it.
      LogError("journal", synced.error().ToString());
      served.swap(waiters_);
      must_roll_back_ = true;
      if (Status rolled = RollBack(); !rolled.ok()) LogError("journal", rolled.error().ToString());
    }
  }
  for (Waiter& waiter : served) waiter.done(synced);
  if (compact) Compact();
}

// Runs in a flusher thread. Appends go on into the old file until the last step, which copies what came meanwhile.
void JournalFile::Compact() {
  std::string temporary = path_ + ".compact";
  std::vector<JournalBatch> snapshot(1);
  std::shared_ptr<io::File> old;
  uint64_t copied;
  {
    std::lock_guard lock(mutex_);
    old = file_;
    copied = end_;
    for (const auto& [key, value] : live_) {
      if (EntriesOf(snapshot.back()).size() > kSnapshotBatchBytes) snapshot.emplace_back();
      snapshot.back().Put(key, value);
    }
  }
  auto write_all = [&]() -> Status {
    auto fresh = std::make_shared<io::File>(TRY(io::File::Open(temporary, io::File::Mode::kTruncate)));
    TRY(fresh->WriteAt(FileHeader(), 0));
    uint64_t at = kFileHeaderBytes;
    for (const JournalBatch& batch : snapshot) {
      if (batch.empty()) continue;
      std::string header = BatchHeader(EntriesOf(batch), batch.count(), 0);
      BytesView pieces[] = {header, EntriesOf(batch)};
      TRY(fresh->WriteAt(pieces, at));
      at += header.size() + EntriesOf(batch).size();
    }
    TRY(fresh->SyncData());
    std::lock_guard lock(mutex_);
    if (closed_ || must_roll_back_) return Error(ErrorCode::kConflict, "compaction given up");
    std::string tail(end_ - copied, '\0');
    TRY(old->ReadExactlyAt(tail.data(), tail.size(), copied));
    TRY(fresh->WriteAt(tail, at));
    TRY(fresh->SyncData());
    TRY(io::Rename(temporary, path_));
    // From here on the new file is the journal, whatever the directory's fsync says.
    uint64_t before = end_;
    for (Waiter& waiter : waiters_) waiter.end = 0;  // the next Flush serves them
    end_ = at + tail.size();
    synced_ = end_;
    file_ = std::move(fresh);
    LogInfo("journal", path_ + ": compacted from " + std::to_string(before) + " to " + std::to_string(end_) + " bytes");
    return io::SyncDirectory(path_.substr(0, path_.rfind('/')));
  };
  if (Status done = write_all(); !done.ok()) {
    (void)io::RemoveFile(temporary);
    LogWarning("journal", path_ + ": not compacted: " + done.error().ToString());
  }
  std::lock_guard lock(mutex_);
  if (!waiters_.empty()) flusher_.Request(shared_from_this());
}

Status JournalFile::Close() {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return Ok();
    closed_ = true;
  }
  flusher_.Request(shared_from_this());
  flusher_.Drain(shared_from_this());
  std::lock_guard lock(mutex_);
  if (must_roll_back_) return Error(ErrorCode::kIo, path_ + ": its last writes could not be synced");
  if (synced_ == end_) return Ok();
  TRY(file_->SyncData());
  synced_ = end_;
  return Ok();
}

}  // namespace

void JournalBatch::Put(std::string_view key, std::string_view value) {
  CHECK(key.size() <= Journal::kKeyBytesMax);
  AppendEntry(&bytes_, kPut, key, value);
  count_++;
}

void JournalBatch::Delete(std::string_view key) {
  AppendEntry(&bytes_, kDelete, key, {});
  count_++;
}

Result<std::shared_ptr<Journal>> Journal::Open(const std::string& path, Flusher& flusher) {
  return Open(path, flusher, Options{});
}

Result<std::shared_ptr<Journal>> Journal::Open(const std::string& path, Flusher& flusher, Options options) {
  auto journal = std::make_shared<JournalFile>(path, flusher, options);
  TRY(journal->Load());
  return std::shared_ptr<Journal>(std::move(journal));
}

}  // namespace tailrace::log
