#include "io/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace tailrace::io {
namespace {

Error PathError(std::string_view what, const std::string& path, int errno_value) {
  Error error = IoError(std::string(what) + " " + path, errno_value);
  if (errno_value == ENOENT) return NotFound(error.message());
  if (errno_value == EEXIST) return {ErrorCode::kAlreadyExists, error.message()};
  if (errno_value == EACCES || errno_value == EPERM)
    return Error(ErrorCode::kPermissionDenied, error.message()).Remedy(error.remedy());
  if (errno_value == EMFILE || errno_value == ENFILE)
    return std::move(error).Remedy("raise the limit of open files (ulimit -n)");
  return error;
}

struct SyncFault {
  std::string part;
  std::atomic<int> left{0};
};
SyncFault sync_fault;

std::string Parent(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<File> File::Open(const std::string& path, Mode mode) {
  int flags = O_CLOEXEC;
  switch (mode) {
    case Mode::kRead: flags |= O_RDONLY; break;
    case Mode::kReadWrite: flags |= O_RDWR; break;
    case Mode::kCreate: flags |= O_RDWR | O_CREAT; break;
    case Mode::kCreateNew: flags |= O_RDWR | O_CREAT | O_EXCL; break;
    case Mode::kTruncate: flags |= O_RDWR | O_CREAT | O_TRUNC; break;
  }
  int fd;
  do { fd = ::open(path.c_str(), flags, 0644); } while (fd < 0 && errno == EINTR);
  if (fd < 0) return PathError("open", path, errno);
  File file;
  file.fd_ = fd;
  file.path_ = path;
  return file;
}

File::File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    path_ = std::move(other.path_);
  }
  return *this;
}
File::~File() { Close(); }
void File::Close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Status File::WriteAt(BytesView bytes, uint64_t position) {
  while (!bytes.empty()) {
    ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (n < 0) {
      if (errno == EINTR) continue;
      return PathError("write", path_, errno);
    }
    bytes.remove_prefix(static_cast<size_t>(n));
    position += static_cast<uint64_t>(n);
  }
  return Ok();
}

Status File::WriteAt(std::span<const BytesView> pieces, uint64_t position) {
  size_t first = 0;  // first piece not wholly written
  size_t skip = 0;   // bytes of it that are
  while (first < pieces.size()) {
    iovec vectors[64];
    int count = 0;
    for (size_t i = first; i < pieces.size() && count < 64; i++) {
      size_t from = i == first ? skip : 0;
      vectors[count++] = {const_cast<char*>(pieces[i].data()) + from, pieces[i].size() - from};
    }
    ssize_t n = ::pwritev(fd_, vectors, count, static_cast<off_t>(position));
    if (n < 0) {
      if (errno == EINTR) continue;
      return PathError("write", path_, errno);
    }
    position += static_cast<uint64_t>(n);
    size_t left = static_cast<size_t>(n) + skip;
    while (first < pieces.size() && left >= pieces[first].size()) left -= pieces[first++].size();
    skip = left;
  }
  return Ok();
}

Result<size_t> File::ReadAt(void* to, size_t length, uint64_t position) const {
  size_t done = 0;
  while (done < length) {
    ssize_t n = ::pread(fd_, static_cast<char*>(to) + done, length - done, static_cast<off_t>(position + done));
    if (n < 0) {
      if (errno == EINTR) continue;
      return PathError("read", path_, errno);
    }
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

Status File::ReadExactlyAt(void* to, size_t length, uint64_t position) const {
  size_t n = TRY(ReadAt(to, length, position));
  if (n < length)
    return Corrupt(path_ + " ends at byte " + std::to_string(position + n) + ", expected at least " +
                   std::to_string(position + length));
  return Ok();
}

Result<uint64_t> File::Size() const {
  struct stat info;
  if (::fstat(fd_, &info) < 0) return PathError("stat", path_, errno);
  return static_cast<uint64_t>(info.st_size);
}

Status File::Truncate(uint64_t size) {
  int result;
  do { result = ::ftruncate(fd_, static_cast<off_t>(size)); } while (result < 0 && errno == EINTR);
  if (result < 0) return PathError("truncate", path_, errno);
  return Ok();
}

bool File::Reserve(uint64_t from, uint64_t length) {
  return ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from), static_cast<off_t>(length)) == 0;
}

void File::StartWriteback() const { (void)::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE); }

void File::AwaitWriteback() const { (void)::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE); }

Status File::SyncData() const {
  if (sync_fault.left.load(std::memory_order_relaxed) > 0 && path_.find(sync_fault.part) != std::string::npos &&
      sync_fault.left.fetch_sub(1) > 0)
    return PathError("fdatasync", path_, EIO);
  if (::fdatasync(fd_) < 0) return PathError("fdatasync", path_, errno);
  return Ok();
}

void FailSyncs(const std::string& part, int count) {
  sync_fault.left = 0;
  sync_fault.part = part;
  sync_fault.left = count;
}

Result<std::shared_ptr<const Mapping>> Mapping::Map(const File& file, size_t capacity) {
  if (capacity == 0) return InvalidArgument("mapping of no bytes of " + file.path());
  void* data = ::mmap(nullptr, capacity, PROT_READ, MAP_SHARED | MAP_NORESERVE, file.fd(), 0);
  if (data == MAP_FAILED) return PathError("mmap", file.path(), errno);
  return std::shared_ptr<const Mapping>(new Mapping(static_cast<const char*>(data), capacity));
}
Mapping::~Mapping() { ::munmap(const_cast<char*>(data_), capacity_); }

Result<DirectoryLock> DirectoryLock::Acquire(const std::string& directory) {
  TRY(MakeDirectories(directory));
  File file = TRY(File::Open(directory + "/.lock", File::Mode::kCreate));
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK) return PathError("lock", file.path(), errno);
    char text[32] = {};
    auto n = file.ReadAt(text, sizeof text - 1, 0);
    std::string owner(text, n.ok() ? *n : 0);
    while (!owner.empty() && owner.back() == '\n') owner.pop_back();
    return Error(ErrorCode::kConflict, "data directory " + directory + " is in use by process " +
                                           (owner.empty() ? std::string("(unknown)") : owner))
        .Remedy("stop that process or name another directory with --data-dir");
  }
  TRY(file.Truncate(0));
  TRY(file.WriteAt(std::to_string(::getpid()) + "\n", 0));
  DirectoryLock lock;
  lock.file_ = std::move(file);
  return lock;
}

Status SyncDirectory(const std::string& directory) {
  int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return PathError("open", directory, errno);
  int result = ::fsync(fd);
  int why = errno;
  ::close(fd);
  if (result < 0) return PathError("fsync", directory, why);
  return Ok();
}

Status MakeDirectories(const std::string& directory) {
  for (size_t at = 1; at <= directory.size(); at++) {
    if (at < directory.size() && directory[at] != '/') continue;
    std::string part = directory.substr(0, at);
    if (::mkdir(part.c_str(), 0755) == 0 || errno == EEXIST) continue;
    int why = errno;
    struct stat info;
    if (::stat(part.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;  // e.g. EROFS on an existing parent
    return PathError("make directory", part, why);
  }
  struct stat info;
  if (::stat(directory.c_str(), &info) < 0) return PathError("stat", directory, errno);
  if (!S_ISDIR(info.st_mode)) return Error(ErrorCode::kAlreadyExists, directory + " exists and is not a directory");
  return Ok();
}

Result<std::vector<std::string>> ListDirectory(const std::string& directory) {
  DIR* stream = ::opendir(directory.c_str());
  if (!stream) return PathError("open directory", directory, errno);
  std::vector<std::string> names;
  while (dirent* entry = ::readdir(stream)) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Status RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) return PathError("remove", path, errno);
  return Ok();
}

Status RemoveTree(const std::string& directory) {
  auto names = ListDirectory(directory);
  if (!names.ok()) {
    if (names.error().code() == ErrorCode::kNotFound) return Ok();
    return std::move(names).error();
  }
  for (const std::string& name : *names) {
    std::string path = directory + "/" + name;
    struct stat info;
    if (::lstat(path.c_str(), &info) < 0) {
      if (errno == ENOENT) continue;
      return PathError("stat", path, errno);
    }
    if (S_ISDIR(info.st_mode)) TRY(RemoveTree(path));
    else TRY(RemoveFile(path));
  }
  if (::rmdir(directory.c_str()) < 0 && errno != ENOENT) return PathError("remove", directory, errno);
  return Ok();
}

Status Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) < 0) return PathError("rename to " + to + " from", from, errno);
  return Ok();
}

Result<std::string> ReadFile(const std::string& path, size_t bytes_max) {
  File file = TRY(File::Open(path, File::Mode::kRead));
  uint64_t size = TRY(file.Size());
  if (size > bytes_max)
    return Error(ErrorCode::kLimitExceeded,
                 path + " has " + std::to_string(size) + " bytes, at most " + std::to_string(bytes_max) + " are read");
  std::string bytes(size, '\0');
  size_t n = TRY(file.ReadAt(bytes.data(), size, 0));
  bytes.resize(n);
  return bytes;
}

Status WriteFileAtomically(const std::string& path, BytesView bytes) {
  std::string temporary = path + ".tmp";
  {
    File file = TRY(File::Open(temporary, File::Mode::kTruncate));
    Status written = file.WriteAt(bytes, 0);
    if (written.ok()) written = file.SyncData();
    if (!written.ok()) {
      (void)RemoveFile(temporary);
      return written;
    }
  }
  TRY(Rename(temporary, path));
  return SyncDirectory(Parent(path));
}

uint64_t RaiseOpenFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    rlimit raised{limit.rlim_max, limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur;
}

Result<uint64_t> FreeBytes(const std::string& path) {
  struct statvfs info;
  if (::statvfs(path.c_str(), &info) < 0) return PathError("statvfs", path, errno);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace tailrace::io
