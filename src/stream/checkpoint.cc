#include "stream/checkpoint.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "stream/state/codec.h"

namespace tailrace::stream {
namespace {

constexpr char kMagic[8] = {'t', 'r', 'c', 'h', 'k', 'p', 't', '\n'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kBytesMax = uint64_t{16} << 30;

/// How a section's state is stored. Only kFull is written now; the others have their numbers reserved.
enum class StateForm : uint8_t { kFull = 0, kDelta = 1, kExternal = 2 };

}  // namespace

std::string EncodeCheckpoint(const Checkpoint& c) {
  std::string body;
  StateWriter out(&body);
  out.U64(c.epoch);
  out.I64(c.created_ms);
  out.U8(c.finished);
  out.Bytes(c.fingerprint);
  out.U32(c.key_groups);
  out.Varint(c.positions.size());
  for (const auto& [id, position] : c.positions) {
    out.Bytes(id);
    out.Bytes(position);
  }
  out.Varint(c.prepared.size());
  for (const auto& [id, prepared] : c.prepared) {
    out.Bytes(id);
    out.Bytes(prepared);
  }
  out.Varint(c.operators.size());
  for (const auto& [name, state] : c.operators) {
    out.Bytes(name);
    out.Bytes(state.whole);
    out.Varint(state.keyed.size());
    for (const auto& [group, blob] : state.keyed) {
      out.Varint(group);
      out.U8(static_cast<uint8_t>(StateForm::kFull));
      out.Bytes(blob);
    }
  }
  std::string file(kMagic, sizeof kMagic);
  StateWriter head(&file);
  head.U32(kVersion);
  head.U64(body.size());
  head.U32(Crc32c(body));
  file += body;
  return file;
}

Result<Checkpoint> DecodeCheckpoint(BytesView bytes) {
  constexpr size_t kHead = sizeof kMagic + 4 + 8 + 4;
  if (bytes.size() < kHead || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) {
    return Corrupt("not a checkpoint, or cut short");
  }
  uint32_t version = LoadLe32(bytes.data() + 8);
  uint64_t size = LoadLe64(bytes.data() + 12);
  uint32_t crc = LoadLe32(bytes.data() + 20);
  if (version != kVersion) {
    return Corrupt(fmt::format("checkpoint of version {}; this program reads version {}", version, kVersion))
        .Remedy("resume with the version of tailrace that wrote it");
  }
  BytesView body = bytes.substr(kHead);
  if (body.size() != size) return Corrupt(fmt::format("checkpoint is cut short: {} of {} bytes", body.size(), size));
  if (Crc32c(body) != crc) return Corrupt("checkpoint's checksum does not match");

  Checkpoint c;
  StateReader in(body);
  c.epoch = in.U64();
  c.created_ms = in.I64();
  c.finished = in.U8() != 0;
  c.fingerprint = in.Bytes();
  c.key_groups = in.U32();
  for (uint64_t n = in.Count(); n > 0 && in.ok(); n--) {
    std::string id(in.Bytes());
    c.positions[id] = in.Bytes();
  }
  for (uint64_t n = in.Count(); n > 0 && in.ok(); n--) {
    std::string id(in.Bytes());
    c.prepared[id] = in.Bytes();
  }
  for (uint64_t n = in.Count(); n > 0 && in.ok(); n--) {
    OperatorState& state = c.operators[std::string(in.Bytes())];
    state.whole = in.Bytes();
    for (uint64_t groups = in.Count(); groups > 0 && in.ok(); groups--) {
      uint32_t group = static_cast<uint32_t>(in.Varint());
      if (in.U8() != static_cast<uint8_t>(StateForm::kFull))
        return Corrupt("checkpoint holds state in an unknown form");
      state.keyed[group] = in.Bytes();
    }
  }
  if (!in.ok() || !in.AtEnd()) return Corrupt("checkpoint's contents do not add up");
  return c;
}

namespace {

Status MakeDirectories(const std::string& path) {
  for (size_t at = 1; at <= path.size(); at++) {
    if (at < path.size() && path[at] != '/') continue;
    std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return IoError("cannot create " + part, errno);
  }
  return {};
}

/// Closes on the way out.
struct Fd {
  int fd;
  ~Fd() {
    if (fd >= 0) close(fd);
  }
};

/// What fits into a slot; larger checkpoints get files of their own.
constexpr size_t kSlotBytesMax = 1 << 20;
constexpr size_t kHeadBytes = sizeof kMagic + 4 + 8 + 4;

class CheckpointDirectory final : public CheckpointStore {
 public:
  explicit CheckpointDirectory(std::string directory) : directory_(std::move(directory)) {}
  ~CheckpointDirectory() override {
    for (int fd : slots_)
      if (fd >= 0) close(fd);
  }

  Status Write(uint64_t epoch, const std::string& bytes, bool decides) override {
    if (!decides && bytes.size() <= kSlotBytesMax) return WriteSlot(epoch, bytes);
    std::string path = PathOf(epoch), temporary = path + ".tmp";
    {
      Fd file{open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
      if (file.fd < 0) return IoError("cannot create checkpoint " + temporary, errno);
      TRY(WriteAt(file.fd, bytes, temporary));
    }
    if (rename(temporary.c_str(), path.c_str()) != 0) return IoError("cannot rename checkpoint to " + path, errno);
    files_.push_back(epoch);
    return SyncDirectory();
  }

  Result<std::string> Read(uint64_t epoch) override {
    auto file = ReadFile(PathOf(epoch));
    if (file.ok() || file.error().code() != ErrorCode::kNotFound) return file;
    for (int slot = 0; slot < 2; slot++) {
      auto bytes = ReadFile(SlotPath(slot));
      if (!bytes.ok()) continue;
      if (EpochOf(*bytes) != epoch) continue;
      // Behind a shorter checkpoint lies what an earlier one left.
      uint64_t size = LoadLe64(bytes->data() + 12);
      if (size <= bytes->size() - kHeadBytes) bytes->resize(kHeadBytes + size);
      return bytes;
    }
    return file;
  }

  Result<std::vector<uint64_t>> List() override {
    DIR* dir = opendir(directory_.c_str());
    if (!dir) return IoError("cannot list " + directory_, errno);
    std::vector<uint64_t> epochs;
    while (dirent* entry = readdir(dir)) {
      std::string_view name = entry->d_name;
      if (name.substr(0, 4) != "chk-") continue;
      name.remove_prefix(4);
      uint64_t epoch = 0;
      auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), epoch);
      if (error == std::errc() && end == name.data() + name.size()) epochs.push_back(epoch);
    }
    closedir(dir);
    for (int slot = 0; slot < 2; slot++) {
      auto bytes = ReadFile(SlotPath(slot));
      if (!bytes.ok()) continue;
      if (uint64_t epoch = EpochOf(*bytes)) epochs.push_back(epoch);
    }
    std::sort(epochs.begin(), epochs.end());
    epochs.erase(std::unique(epochs.begin(), epochs.end()), epochs.end());
    return epochs;
  }

  Status Remove(uint64_t epoch) override {
    if (unlink(PathOf(epoch).c_str()) != 0 && errno != ENOENT) return IoError("cannot remove " + PathOf(epoch), errno);
    for (int slot = 0; slot < 2; slot++) {
      auto bytes = ReadFile(SlotPath(slot));
      if (!bytes.ok() || EpochOf(*bytes) != epoch) continue;
      int fd = TRY(OpenSlot(slot));
      char nothing[kHeadBytes] = {};
      if (pwrite(fd, nothing, sizeof nothing, 0) < 0) return IoError("cannot clear " + SlotPath(slot), errno);
    }
    return {};
  }

  Status RemoveBefore(uint64_t epoch) override {
    if (!files_known_) {  // those of an earlier run
      for (uint64_t old : TRY(List())) files_.push_back(old);
      files_known_ = true;
    }
    for (uint64_t old : files_) {
      if (old < epoch && unlink(PathOf(old).c_str()) != 0 && errno != ENOENT)
        return IoError("cannot remove " + PathOf(old), errno);
    }
    std::erase_if(files_, [&](uint64_t old) { return old < epoch; });
    return {};
  }

 private:
  std::string PathOf(uint64_t epoch) const { return fmt::format("{}/chk-{}", directory_, epoch); }
  std::string SlotPath(int slot) const { return fmt::format("{}/slot-{}", directory_, slot); }

  /// 0: none.
  static uint64_t EpochOf(const std::string& bytes) {
    if (bytes.size() < kHeadBytes + 8 || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) return 0;
    return LoadLe64(bytes.data() + kHeadBytes);
  }

  Result<int> OpenSlot(int slot) {
    if (slots_[slot] >= 0) return slots_[slot];
    int fd = open(SlotPath(slot).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return IoError("cannot create checkpoint " + SlotPath(slot), errno);
    slots_[slot] = fd;
    TRY(SyncDirectory());
    return fd;
  }

  /// The one before stays as it is until this one is durable. Written over in place, so that the disk has one thing to
  /// do: no new file, no new name, and seldom a new size.
  Status WriteSlot(uint64_t epoch, const std::string& bytes) {
    int slot = static_cast<int>(epoch % 2);
    return WriteAt(TRY(OpenSlot(slot)), bytes, SlotPath(slot));
  }

  Status WriteAt(int fd, const std::string& bytes, const std::string& path) {
    size_t done = 0;
    while (done < bytes.size()) {
      ssize_t n = pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        return IoError("cannot write checkpoint " + path, errno)
            .Remedy("free space on the disk; the job goes on from its last checkpoint");
      }
      done += static_cast<size_t>(n);
    }
    if (fdatasync(fd) != 0) return IoError("cannot sync checkpoint " + path, errno);
    return {};
  }

  static Result<std::string> ReadFile(const std::string& path) {
    Fd file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.fd < 0) {
      if (errno == ENOENT) return NotFound("checkpoint " + path + " is not there");
      return IoError("cannot open checkpoint " + path, errno);
    }
    struct stat about;
    if (fstat(file.fd, &about) != 0) return IoError("cannot read checkpoint " + path, errno);
    if (static_cast<uint64_t>(about.st_size) > kBytesMax)
      return Corrupt("checkpoint " + path + " is larger than 16 GiB");
    std::string bytes(static_cast<size_t>(about.st_size), '\0');
    size_t done = 0;
    while (done < bytes.size()) {
      ssize_t n = read(file.fd, bytes.data() + done, bytes.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return IoError("cannot read checkpoint " + path, errno);
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    bytes.resize(done);
    return bytes;
  }

  Status SyncDirectory() {
    Fd dir{open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (dir.fd < 0 || fsync(dir.fd) != 0) return IoError("cannot sync " + directory_, errno);
    return {};
  }

  const std::string directory_;
  int slots_[2] = {-1, -1};
  std::vector<uint64_t> files_;  // chk-N that may be there
  bool files_known_ = false;
};

}  // namespace

Result<std::unique_ptr<CheckpointStore>> OpenCheckpointDirectory(const std::string& directory) {
  TRY(MakeDirectories(directory));
  if (access(directory.c_str(), W_OK) != 0) {
    return IoError("cannot write to checkpoint directory " + directory, errno)
        .Remedy("name another one with --data-dir");
  }
  return std::unique_ptr<CheckpointStore>(new CheckpointDirectory(directory));
}

}  // namespace tailrace::stream
