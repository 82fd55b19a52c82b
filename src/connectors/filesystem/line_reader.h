#pragma once
// Files cut into records: lines, or CSV records whose quoted fields hold line ends. Gzip is undone on the way.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/record.h"
#include "base/result.h"

namespace tailrace::connectors {

/// The files a path names, sorted: itself, a directory's (not those starting with '.' or '_', not below it), a glob's.
Result<std::vector<std::string>> ListFiles(const std::string& path);

class LineReader {
 public:
  /// Opens at `byte` of the inflated text. A file that ends in .gz is inflated.
  static Result<std::unique_ptr<LineReader>> Open(const std::string& path, bool quotes, size_t record_bytes_max,
                                                  int64_t byte);
  virtual ~LineReader() = default;
  /// Appends whole records, without their line end, from a block of a few hundred KB; `owner` keeps the views alive.
  /// False at the end of the file. A record over the limit comes cut to the limit and is named in `too_long`.
  virtual Result<bool> Read(std::vector<BytesView>* records, std::shared_ptr<const void>* owner,
                            std::vector<size_t>* too_long) = 0;
  /// Behind the last record given.
  virtual int64_t byte() const = 0;
};

}  // namespace tailrace::connectors
