#pragma once
// Files and directories: the only place that makes these system calls. Everything returns kIo with the path in the
// message where the operating system refuses.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace tailrace::io {

/// An open file. Positions are explicit, so any number of threads may read and write it at once. Closed by the
/// destructor; a shared_ptr<const File> keeps a deleted file readable.
class File {
 public:
  enum class Mode {
    kRead,       // must exist
    kReadWrite,  // must exist
    kCreate,     // made where missing
    kCreateNew,  // kAlreadyExists where it exists
    kTruncate,   // made where missing, emptied where not
  };
  /// kNotFound, kAlreadyExists, kPermissionDenied or kIo.
  static Result<File> Open(const std::string& path, Mode mode);

  File() = default;
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  /// Writes all of it. kIo where the disk is full; then some of the bytes may be there (the caller truncates).
  Status WriteAt(BytesView bytes, uint64_t position);
  Status WriteAt(std::span<const BytesView> pieces, uint64_t position);
  /// Reads up to `length` bytes; fewer only at the end of the file. Returns how many.
  Result<size_t> ReadAt(void* to, size_t length, uint64_t position) const;
  /// Exactly `length` bytes. kCorrupt where the file ends before.
  Status ReadExactlyAt(void* to, size_t length, uint64_t position) const;
  Result<uint64_t> Size() const;
  Status Truncate(uint64_t size);
  /// Asks for disk space for [from, from + length), which may lie beyond the end; the size stays. False where that is
  /// not to be had: a hint, nothing depends on it.
  bool Reserve(uint64_t from, uint64_t length);
  /// Starts writing to disk what is dirty and doesn't wait: syncs of several files then run side by side.
  void StartWriteback() const;
  /// Waits for what was started. Durable only after SyncData.
  void AwaitWriteback() const;
  /// fdatasync: contents and size survive power loss.
  Status SyncData() const;

  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  const std::string& path() const { return path_; }
  void Close();

 private:
  int fd_ = -1;
  std::string path_;
};

/// For tests: the next `count` SyncData calls on files whose path contains `part` fail with EIO, as a dying disk does.
void FailSyncs(const std::string& part, int count);

/// A read-only shared mapping of a file's first `capacity` bytes. The file may be shorter and grow into it; touching
/// bytes beyond its end kills the process (SIGBUS), so users read below an end they know to be written.
class Mapping {
 public:
  static Result<std::shared_ptr<const Mapping>> Map(const File& file, size_t capacity);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  const char* data() const { return data_; }
  size_t capacity() const { return capacity_; }

 private:
  Mapping(const char* data, size_t capacity) : data_(data), capacity_(capacity) {}
  const char* data_;
  size_t capacity_;
};

/// One process at a time uses a data directory. Held until destroyed or the process ends, however it ends.
class DirectoryLock {
 public:
  /// Makes DIR/.lock and locks it. kConflict: "data directory DIR is in use by process N".
  static Result<DirectoryLock> Acquire(const std::string& directory);

 private:
  File file_;
};

/// fsync of a directory: files made, renamed or removed in it stay so after power loss.
Status SyncDirectory(const std::string& directory);
/// With its parents; nothing to do where it exists.
Status MakeDirectories(const std::string& directory);
/// Names without "." and "..", sorted. kNotFound where the directory is missing.
Result<std::vector<std::string>> ListDirectory(const std::string& directory);
bool Exists(const std::string& path);
/// Missing already: no error.
Status RemoveFile(const std::string& path);
/// The directory with all that is in it. Follows no symbolic links. Missing already: no error.
Status RemoveTree(const std::string& directory);
Status Rename(const std::string& from, const std::string& to);
/// kLimitExceeded where the file is larger than `bytes_max`.
Result<std::string> ReadFile(const std::string& path, size_t bytes_max);
/// Readers see the old contents or the new, after power loss too: temporary file, fsync, rename, fsync of the
/// directory.
Status WriteFileAtomically(const std::string& path, BytesView bytes);
/// Lets this process open as many files as the system allows it (the soft limit is often 1,024); returns the limit now.
uint64_t RaiseOpenFileLimit();
/// Bytes a user may still write on the file system that holds `path`.
Result<uint64_t> FreeBytes(const std::string& path);

}  // namespace tailrace::io
