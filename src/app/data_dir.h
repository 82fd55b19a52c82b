#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace tailrace::app {

/// Where a platform answers. Kept in DATA_DIR/tailrace.json while it runs, so that commands find it without being told.
struct Endpoint {
  int64_t pid = 0;
  std::string kafka;     // "127.0.0.1:9092"
  std::string http;      // "http://127.0.0.1:8080"; empty: broker only
  std::string data_dir;  // absolute
  std::string project;   // absolute; empty: none
  std::string ToJson() const;
};

/// The right to use a data directory; given up by the destructor or by the end of the process, however it ends.
class DataDir {
 public:
  /// Makes the directory where it is missing. kConflict: another process has it; the error names its pid and what to
  /// do.
  static Result<std::unique_ptr<DataDir>> Open(const std::string& path);
  ~DataDir();
  DataDir(const DataDir&) = delete;
  DataDir& operator=(const DataDir&) = delete;
  const std::string& path() const { return path_; }  // absolute
  Status Publish(const Endpoint& endpoint);

 private:
  DataDir(std::string path, int fd) : path_(std::move(path)), lock_fd_(fd) {}
  std::string path_;
  int lock_fd_;
};

/// The platform that runs on this data directory now, if one does.
std::optional<Endpoint> FindRunning(const std::string& data_dir);

}  // namespace tailrace::app
