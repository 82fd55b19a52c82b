// Files as a bounded table: one record a line, file after file in the order of their names.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "connectors/filesystem/filesystem.h"
#include "connectors/filesystem/line_reader.h"

namespace tailrace::connectors {

namespace {

constexpr OptionSpec kOwn[] = {
    {"path", OptionType::kString, true, "", "", "a file, a directory or a glob; a sink takes a directory"},
    {"format", OptionType::kChoice, true, "", "json|csv|raw", "one record a line"},
    {"sink.rolling-policy.file-size", OptionType::kBytes, false, "128MB", "",
     "a part file is ended when it is this big, and at each checkpoint"},
    {"sink.parallelism", OptionType::kInt, false, "", "", "accepted for Flink's sake"},
};

class FilesystemSource final : public stream::Source {
 public:
  FilesystemSource(SourceArguments arguments, std::string path)
      : options_(std::move(arguments.options)),
        clock_(arguments.context.clock ? *arguments.context.clock : Clock::System()),
        path_(std::move(path)),
        ignores_errors_(IgnoresParseErrors(options_)) {
    format_name_ = options_.String("format");
    format_.schema = arguments.scan.table->physical_schema();
    format_.columns = arguments.scan.columns;
  }

  Status Open(const std::string& position) override {
    TRY(ReadFormatOptions(options_, &format_));
    auto files = ListFiles(path_);
    if (!files.ok()) return std::move(files).error().At(options_.Where("path"));
    files_ = std::move(files).value();
    int64_t byte = 0, line = 0;
    if (!position.empty()) {
      auto json = nlohmann::json::parse(position, nullptr, false);
      if (!json.is_object() || json.value("v", 0) != 1)
        return Corrupt("not a filesystem position: " + position.substr(0, 80));
      std::string file = json.value("file", std::string());
      if (json.value("done", false)) {
        next_file_ = static_cast<size_t>(std::upper_bound(files_.begin(), files_.end(), file) - files_.begin());
        done_file_ = file;
        return Ok();
      }
      if (!file.empty()) {
        next_file_ = static_cast<size_t>(std::lower_bound(files_.begin(), files_.end(), file) - files_.begin());
        if (next_file_ == files_.size() || files_[next_file_] != file)
          return Error(ErrorCode::kNotFound, "the file " + file + " that the checkpoint reads is gone")
              .Remedy("put it back, or start the job without its checkpoint");
        byte = json.value("byte", int64_t{0});
        line = json.value("line", int64_t{0});
      }
    }
    if (byte > 0) TRY(OpenFile(byte, line));
    return Ok();
  }

  Result<stream::PollState> Poll(stream::Polled* out) override {
    if (!reader_) {
      if (next_file_ == files_.size()) return stream::PollState::kEnd;
      TRY(OpenFile(0, 0));
    }
    lines_.clear();
    too_long_.clear();
    std::shared_ptr<const void> owner;
    if (!TRY(reader_->Read(&lines_, &owner, &too_long_))) {
      reader_.reset();
      done_file_ = from_.topic;
      next_file_++;
      return next_file_ == files_.size() ? stream::PollState::kEnd : stream::PollState::kMore;
    }
    int64_t now_ms = clock_.NowMs();
    records_.clear();
    size_t next_too_long = 0;
    for (size_t i = 0; i < lines_.size(); i++) {
      int64_t line = line_++;
      out->bytes += lines_[i].size() + 1;
      if (next_too_long < too_long_.size() && too_long_[next_too_long] == i) {
        next_too_long++;
        out->records++;
        if (!ignores_errors_)
          out->bad.push_back({"the record is over the limit of " + std::to_string(format_.max_record_bytes) + " bytes",
                              "decode", from_, line, now_ms, "", std::string(lines_[i].substr(0, 4096))});
        continue;
      }
      if (lines_[i].empty() && format_name_ != "raw") continue;
      records_.push_back(
          {.offset = line, .timestamp_ms = now_ms, .value = lines_[i].data() ? lines_[i] : BytesView("")});
    }
    out->records += records_.size();
    for (std::span<const RecordView> rest = records_; !rest.empty();) {
      data::Batch batch;
      failures_.clear();
      uint32_t n = decoder_->Decode(from_, rest, &batch, &failures_);
      CHECK(n > 0);
      if (!ignores_errors_)
        for (auto& f : failures_)
          out->bad.push_back({std::move(f.reason), "decode", from_, rest[f.record].offset, now_ms, "",
                              std::string(rest[f.record].value)});
      if (batch.rows) {
        batch.owners.push_back(owner);
        out->batches.push_back(std::move(batch));
      }
      rest = rest.subspan(n);
    }
    return stream::PollState::kMore;
  }

  std::string Position() const override {
    nlohmann::json json = {{"v", 1}};
    if (reader_) {
      json["file"] = from_.topic;
      json["byte"] = reader_->byte();
      json["line"] = line_;
    } else if (!done_file_.empty()) {
      json["file"] = done_file_;
      json["done"] = true;
    }
    return json.dump();
  }

  bool bounded() const override { return true; }

 private:
  Status OpenFile(int64_t byte, int64_t line) {
    const std::string& file = files_[next_file_];
    bool quotes = format_name_ == "csv";
    from_ = {file, 0};
    decoder_ = TRY(data::MakeDecoder(format_name_, format_));
    if (byte > 0 && quotes && format_.header) {
      // The header again: it says which column is where.
      auto head = TRY(LineReader::Open(file, true, format_.max_record_bytes, 0));
      std::vector<BytesView> lines;
      std::vector<size_t> too_long;
      std::shared_ptr<const void> owner;
      if (TRY(head->Read(&lines, &owner, &too_long)) && !lines.empty()) {
        RecordView header{.value = lines[0]};
        data::Batch ignored;
        decoder_->Decode(from_, {&header, 1}, &ignored, &failures_);
      }
    }
    reader_ = TRY(LineReader::Open(file, quotes, format_.max_record_bytes, byte));
    line_ = line;
    return Ok();
  }

  OptionValues options_;
  Clock& clock_;
  std::string path_;
  bool ignores_errors_;
  std::string format_name_;
  data::FormatOptions format_;
  std::vector<std::string> files_;
  size_t next_file_ = 0;
  std::string done_file_;
  TopicPartition from_;
  int64_t line_ = 0;
  std::unique_ptr<LineReader> reader_;
  std::unique_ptr<data::Decoder> decoder_;
  std::vector<BytesView> lines_;
  std::vector<size_t> too_long_;
  std::vector<RecordView> records_;
  std::vector<data::DecodeFailure> failures_;
};

Status CheckFilesystem(const sql::Table& table, const OptionValues& options) {
  data::FormatOptions format;
  format.schema = table.physical_schema();
  TRY(ReadFormatOptions(options, &format));
  auto decoder = data::MakeDecoder(options.String("format"), format);
  if (!decoder.ok()) return std::move(decoder).error().At(options.Where("format"));
  for (const sql::Column& column : table.columns)
    if (column.metadata)
      return Error(ErrorCode::kUnsupported, "column " + column.name + " of table " + table.name +
                                                ": the connector 'filesystem' has no metadata columns")
          .At(column.where);
  return Ok();
}

}  // namespace

Result<std::unique_ptr<stream::Source>> MakeFilesystemSource(SourceArguments arguments) {
  std::string path = ResolvePath(arguments.context, arguments.options.String("path"));
  if (path.rfind("file://", 0) == 0) path.erase(0, 7);
  return std::unique_ptr<stream::Source>(std::make_unique<FilesystemSource>(std::move(arguments), std::move(path)));
}

const ConnectorSpec& FilesystemConnector() {
  static const std::vector<OptionSpec> options = WithFormatOptions(kOwn);
  static const ConnectorSpec spec = {"filesystem",
                                     "files of this machine: a bounded source, a sink of part files",
                                     options,
                                     &CheckFilesystem,
                                     &MakeFilesystemSource,
                                     &MakeFilesystemSink};
  return spec;
}

}  // namespace tailrace::connectors
