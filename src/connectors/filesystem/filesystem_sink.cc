// Part files. Rows go to a hidden file; it gets its visible name by rename when its epoch stands, so that a reader of
// the directory sees whole files of committed rows only. Names: .part-JOB.SINK-EPOCH-RUN-N.inprogress, then
// part-JOB.SINK-EPOCH-RUN-N.json (docs/formats/filesystem-sink.md).

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "connectors/filesystem/filesystem.h"

namespace tailrace::connectors {

namespace {

constexpr size_t kBufferBytes = 256 << 10;

std::string SafeName(const std::string& name) {
  std::string safe;
  for (char c : name) safe += isalnum(static_cast<unsigned char>(c)) || c == '_' ? c : '_';
  return safe;
}

Status MakeDirectories(const std::string& path) {
  for (size_t at = 1; at <= path.size(); at++) {
    if (at < path.size() && path[at] != '/') continue;
    std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) return IoError(part, errno);
  }
  return Ok();
}

Status SyncDirectory(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return IoError(path, errno);
  int result = fsync(fd);
  int error = errno;
  close(fd);
  return result == 0 ? Ok() : Status(IoError(path, error));
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

class FilesystemSink final : public stream::Sink {
 public:
  FilesystemSink(SinkArguments arguments, std::string directory)
      : options_(std::move(arguments.options)),
        schema_(arguments.table.physical_schema()),
        directory_(std::move(directory)),
        prefix_(SafeName(arguments.context.job) + "." + SafeName(arguments.id) + "-"),
        format_name_(options_.String("format")),
        file_bytes_max_(static_cast<uint64_t>(options_.Int("sink.rolling-policy.file-size"))) {
    Random random = Random::FromSystem();
    run_ = MakeUuid(random).substr(0, 8);
  }
  ~FilesystemSink() override {
    if (fd_ >= 0) close(fd_);
    // What no Prepare took will never stand.
    if (!open_path_.empty()) unlink(open_path_.c_str());
    for (const std::string& path : ended_) unlink(path.c_str());
  }

  Status Open() override {
    Status made = MakeDirectories(directory_);
    if (!made.ok()) return std::move(made).error().At(options_.Where("path"));
    data::FormatOptions format;
    format.schema = schema_;
    TRY(ReadFormatOptions(options_, &format));
    delimiter_ = format.delimiter;
    encoder_ = TRY(data::MakeEncoder(format_name_, format));
    return Ok();
  }

  Status Write(const data::Batch& batch) override {
    values_.clear();
    TRY(encoder_->Encode(batch, &values_));
    for (uint32_t row = 0; row < batch.rows; row++) {
      if (batch.KindOf(row) != data::RowKind::kInsert)
        return Error(ErrorCode::kUnsupported, "files take only new rows, and the query also changes (" +
                                                  std::string(data::RowKindName(batch.KindOf(row))) +
                                                  ") rows it gave before")
            .Remedy("write to a table that can be updated, such as one of the connector 'duckdb'");
      if (fd_ < 0) TRY(OpenPart());
      buffer_ += values_[row];
      buffer_ += '\n';
      if (buffer_.size() >= kBufferBytes) {
        TRY(WriteBuffer());
        if (written_ >= file_bytes_max_) TRY(EndPart());
      }
    }
    return Ok();
  }

  Result<std::string> Prepare(uint64_t epoch) override {
    if (fd_ >= 0) TRY(EndPart());
    if (ended_.empty()) return std::string();
    nlohmann::json json = {{"v", 1}};
    int number = 0;
    for (const std::string& path : ended_) {
      std::string name = prefix_ + std::to_string(epoch) + "-" + run_ + "-" + std::to_string(number++);
      std::string hidden = ".part-" + name + ".inprogress";
      std::string target = directory_ + "/" + hidden;
      if (rename(path.c_str(), target.c_str()) != 0) return IoError(target, errno);
      json["files"].push_back({hidden, "part-" + name + "." + (format_name_ == "raw" ? "txt" : format_name_)});
    }
    ended_.clear();
    TRY(SyncDirectory(directory_));
    return json.dump();
  }

  Status Commit(uint64_t epoch, const std::string& prepared) override {
    if (prepared.empty()) return Ok();
    auto json = nlohmann::json::parse(prepared, nullptr, false);
    if (!json.is_object() || json.value("v", 0) != 1 || !json["files"].is_array())
      return Corrupt("epoch " + std::to_string(epoch) +
                     " of a filesystem sink does not read: " + prepared.substr(0, 80));
    for (const auto& pair : json["files"]) {
      std::string hidden = directory_ + "/" + pair.at(0).get<std::string>();
      std::string visible = directory_ + "/" + pair.at(1).get<std::string>();
      if (rename(hidden.c_str(), visible.c_str()) == 0) continue;
      if (errno == ENOENT && Exists(visible)) continue;  // done before the crash
      // A consumer may have taken the visible file away already; then there is nothing left to do either.
      if (errno == ENOENT) continue;
      return IoError(hidden, errno);
    }
    return SyncDirectory(directory_);
  }

  Status Discard(uint64_t last_committed) override {
    DIR* dir = opendir(directory_.c_str());
    if (!dir) return Ok();
    std::string start = ".part-" + prefix_;
    while (dirent* entry = readdir(dir)) {
      std::string name = entry->d_name;
      if (name.rfind(start, 0) != 0) continue;
      uint64_t epoch = 0;
      auto [end, error] = std::from_chars(name.data() + start.size(), name.data() + name.size(), epoch);
      bool open = error != std::errc();  // "open-…": no Prepare took it
      if ((open && name.find("-" + run_ + "-") == std::string::npos) || (!open && epoch > last_committed))
        unlink((directory_ + "/" + name).c_str());
      (void)end;
    }
    closedir(dir);
    return Ok();
  }

 private:
  Status OpenPart() {
    open_path_ = directory_ + "/.part-" + prefix_ + "open-" + run_ + "-" + std::to_string(next_part_++) + ".inprogress";
    fd_ = open(open_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd_ < 0) return IoError(open_path_, errno);
    written_ = 0;
    buffer_.clear();
    if (format_name_ == "csv" && options_.Bool("csv.header")) {
      for (size_t i = 0; i < schema_.size(); i++) buffer_ += (i ? std::string(1, delimiter_) : "") + schema_[i].name;
      buffer_ += '\n';
    }
    return Ok();
  }

  Status WriteBuffer() {
    for (std::string_view rest = buffer_; !rest.empty();) {
      ssize_t n = write(fd_, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return IoError(open_path_, errno);
      rest.remove_prefix(static_cast<size_t>(n));
      written_ += static_cast<uint64_t>(n);
    }
    buffer_.clear();
    return Ok();
  }

  Status EndPart() {
    TRY(WriteBuffer());
    int synced = fdatasync(fd_), error = errno;
    close(fd_);
    fd_ = -1;
    if (synced != 0) return IoError(open_path_, error);
    ended_.push_back(std::move(open_path_));
    open_path_.clear();
    return Ok();
  }

  OptionValues options_;
  data::Schema schema_;
  std::string directory_;
  std::string prefix_;
  std::string format_name_;
  uint64_t file_bytes_max_;
  std::string run_;
  char delimiter_ = ',';
  std::unique_ptr<data::Encoder> encoder_;
  std::vector<BytesView> values_;
  std::string buffer_;
  int fd_ = -1;
  std::string open_path_;
  uint64_t written_ = 0;
  int next_part_ = 0;
  std::vector<std::string> ended_;  // of the epoch under way
};

}  // namespace

Result<std::unique_ptr<stream::Sink>> MakeFilesystemSink(SinkArguments arguments) {
  std::string path = ResolvePath(arguments.context, arguments.options.String("path"));
  if (path.rfind("file://", 0) == 0) path.erase(0, 7);
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return std::unique_ptr<stream::Sink>(std::make_unique<FilesystemSink>(std::move(arguments), std::move(path)));
}

}  // namespace tailrace::connectors
