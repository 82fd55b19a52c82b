#include "connectors/filesystem/line_reader.h"

#include <dirent.h>
#include <glob.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace tailrace::connectors {

namespace {

constexpr size_t kBlockBytes = 256 << 10;

class GzLineReader final : public LineReader {
 public:
  GzLineReader(std::string path, gzFile file, bool quotes, size_t record_bytes_max, int64_t byte)
      : path_(std::move(path)), file_(file), quotes_(quotes), record_bytes_max_(record_bytes_max), byte_(byte) {}
  ~GzLineReader() override { gzclose(file_); }

  Result<bool> Read(std::vector<BytesView>* records, std::shared_ptr<const void>* owner,
                    std::vector<size_t>* too_long) override {
    while (true) {
      if (ended_ && rest_.empty()) return false;
      // The unfinished record of the last block goes before the new one.
      auto block = std::make_shared<std::string>(std::move(rest_));
      rest_.clear();
      size_t scanned = block->size();
      if (!ended_) TRY(Fill(*block));
      if (byte_ == 0 && block->compare(0, 3, "\xEF\xBB\xBF") == 0) {
        block->erase(0, 3);
        scanned -= std::min<size_t>(scanned, 3);
        byte_ = 3;
      }
      size_t found = records->size();
      Cut(*block, scanned, records, too_long);
      *owner = block;
      if (records->size() > found) return true;
    }
  }

  int64_t byte() const override { return byte_; }

 private:
  Status Fill(std::string& block) {
    size_t had = block.size();
    block.resize(had + kBlockBytes);
    int n = gzread(file_, block.data() + had, static_cast<unsigned>(kBlockBytes));
    if (n < 0) {
      int error;
      const char* message = gzerror(file_, &error);
      return error == Z_ERRNO ? IoError(path_, errno) : Corrupt(path_ + ": " + message);
    }
    if (n < static_cast<int>(kBlockBytes)) {
      int error;
      gzerror(file_, &error);
      if (error == Z_BUF_ERROR) return Corrupt(path_ + ": the gzip stream is cut off");
      ended_ = true;
    }
    block.resize(had + static_cast<size_t>(n));
    return Ok();
  }

  void Cut(const std::string& block, size_t scanned, std::vector<BytesView>* records, std::vector<size_t>* too_long) {
    const char* begin = block.data();
    const char* end = begin + block.size();
    const char* start = begin;
    // What was scanned before has no record end; with quotes their parity is needed again.
    const char* p = quotes_ ? begin : begin + scanned;
    bool open_quote = false;
    while (p < end) {
      auto* newline = static_cast<const char*>(memchr(p, '\n', static_cast<size_t>(end - p)));
      if (!newline) break;
      if (quotes_) {
        for (const char* q = p; q < newline; q++) open_quote ^= *q == '"';
        // A quote that stays open past the limit is a stray one: the line ends here.
        if (open_quote && static_cast<size_t>(newline - start) < record_bytes_max_ && !(ended_ && newline + 1 == end)) {
          p = newline + 1;
          continue;
        }
        open_quote = false;
      }
      Add(start, newline, records, too_long);
      byte_ += newline + 1 - start;
      start = p = newline + 1;
    }
    if (start < end) {
      if (ended_) {
        Add(start, end, records, too_long);
        byte_ += end - start;
        return;
      }
      if (static_cast<size_t>(end - start) > record_bytes_max_ + kBlockBytes && skipping_ == false) {
        // Too long to keep: give its beginning as a failure, then drop bytes until it ends.
        Add(start, end, records, too_long);
        byte_ += end - start;
        skipping_ = true;
        return;
      }
      if (skipping_) {
        byte_ += end - start;
        return;
      }
      rest_.assign(start, static_cast<size_t>(end - start));
    }
  }

  void Add(const char* from, const char* to, std::vector<BytesView>* records, std::vector<size_t>* too_long) {
    if (skipping_) {  // the tail of a record already given as too long
      skipping_ = false;
      return;
    }
    if (to > from && to[-1] == '\r') to--;
    BytesView record(from, static_cast<size_t>(to - from));
    if (record.size() > record_bytes_max_) {
      too_long->push_back(records->size());
      record = record.substr(0, record_bytes_max_);
    }
    records->push_back(record);
  }

  std::string path_;
  gzFile file_;
  bool quotes_;
  size_t record_bytes_max_;
  int64_t byte_;
  bool ended_ = false;
  bool skipping_ = false;
  std::string rest_;
};

}  // namespace

Result<std::unique_ptr<LineReader>> LineReader::Open(const std::string& path, bool quotes, size_t record_bytes_max,
                                                     int64_t byte) {
  gzFile file = gzopen(path.c_str(), "rb");  // reads what is not gzip as it is
  if (!file) {
    if (errno == ENOENT) return NotFound("there is no file " + path);
    return IoError(path, errno);
  }
  gzbuffer(file, 128 << 10);
  if (byte > 0 && gzseek(file, byte, SEEK_SET) != byte) {
    gzclose(file);
    return Corrupt(path + ": shorter than the position " + std::to_string(byte) + " that the checkpoint has");
  }
  return std::unique_ptr<LineReader>(std::make_unique<GzLineReader>(path, file, quotes, record_bytes_max, byte));
}

Result<std::vector<std::string>> ListFiles(const std::string& path) {
  std::vector<std::string> files;
  struct stat info;
  if (stat(path.c_str(), &info) == 0) {
    if (!S_ISDIR(info.st_mode)) return std::vector<std::string>{path};
    DIR* dir = opendir(path.c_str());
    if (!dir) return IoError(path, errno);
    while (dirent* entry = readdir(dir)) {
      if (entry->d_name[0] == '.' || entry->d_name[0] == '_') continue;
      std::string file = path + (path.back() == '/' ? "" : "/") + entry->d_name;
      if (stat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode)) files.push_back(std::move(file));
    }
    closedir(dir);
  } else if (path.find_first_of("*?[") != std::string::npos) {
    glob_t matches{};
    int error = glob(path.c_str(), GLOB_ERR, nullptr, &matches);
    if (error == 0)
      for (size_t i = 0; i < matches.gl_pathc; i++)
        if (stat(matches.gl_pathv[i], &info) == 0 && S_ISREG(info.st_mode)) files.emplace_back(matches.gl_pathv[i]);
    globfree(&matches);
    if (error != 0 && error != GLOB_NOMATCH) return IoError(path, errno);
  }
  if (files.empty()) return NotFound("there is no file " + path);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace tailrace::connectors
