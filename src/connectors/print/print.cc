// Rows on standard output, one JSON object a changelog row, "op" first. For looking at and for scripts: rows show as
// they come, whether or not their epoch stands later.

#include <unistd.h>

#include <cerrno>

#include "base/clock.h"
#include "connectors/connector_spec.h"

namespace tailrace::connectors {

namespace {

constexpr size_t kBufferBytes = 64 << 10;
constexpr int64_t kFlushIntervalMs = 100;

constexpr OptionSpec kOwn[] = {
    {"print-identifier", OptionType::kString, false, "", "", "shown as \"table\" in each row; default: nothing"},
    {"standard-error", OptionType::kBool, false, "false", "", "print to standard error"},
    {"sink.parallelism", OptionType::kInt, false, "", "", "accepted for Flink's sake"},
};

class PrintSink final : public stream::Sink {
 public:
  explicit PrintSink(SinkArguments arguments)
      : schema_(arguments.table.physical_schema()),
        options_(std::move(arguments.options)),
        clock_(arguments.context.clock ? *arguments.context.clock : Clock::System()),
        fd_(options_.Bool("standard-error") ? 2 : 1) {
    std::string identifier = options_.String("print-identifier");
    if (!identifier.empty()) {
      for (char& c : identifier)
        if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) c = '_';
      middle_ = ",\"table\":\"" + identifier + "\"";
    }
  }

  Status Open() override {
    data::FormatOptions format;
    format.schema = schema_;
    TRY(ReadFormatOptions(options_, &format));
    encoder_ = TRY(data::MakeEncoder("json", format));
    last_flush_ms_ = clock_.MonotonicMs();
    return Ok();
  }

  Status Write(const data::Batch& batch) override {
    values_.clear();
    TRY(encoder_->Encode(batch, &values_));
    for (uint32_t row = 0; row < batch.rows; row++) {
      buffer_ += "{\"op\":\"";
      buffer_ += data::RowKindName(batch.KindOf(row));
      buffer_ += '"';
      buffer_ += middle_;
      BytesView value = values_[row];
      if (value.size() > 2) buffer_ += ',';
      buffer_ += value.substr(1);
      buffer_ += '\n';
    }
    if (buffer_.size() >= kBufferBytes || clock_.MonotonicMs() - last_flush_ms_ >= kFlushIntervalMs) return Flush();
    return Ok();
  }

  Result<std::string> Prepare(uint64_t) override {
    TRY(Flush());
    return std::string();
  }
  Status Commit(uint64_t, const std::string&) override { return Ok(); }

  Status Flush() override {
    last_flush_ms_ = clock_.MonotonicMs();
    for (std::string_view rest = buffer_; !rest.empty();) {
      ssize_t n = write(fd_, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        // A reader that has seen enough is no trouble that passes.
        Error error = errno == EPIPE ? Error(ErrorCode::kCancelled, "nobody reads the printed rows any more")
                                     : IoError("standard output", errno);
        buffer_.clear();
        return error;
      }
      rest.remove_prefix(static_cast<size_t>(n));
    }
    buffer_.clear();
    return Ok();
  }

 private:
  data::Schema schema_;
  OptionValues options_;
  Clock& clock_;
  int fd_;
  std::string middle_;
  std::unique_ptr<data::Encoder> encoder_;
  std::vector<BytesView> values_;
  std::string buffer_;
  int64_t last_flush_ms_ = 0;
};

}  // namespace

const ConnectorSpec& PrintConnector() {
  static const std::vector<OptionSpec> options = WithFormatOptions(kOwn);
  static const ConnectorSpec spec = {
      "print",
      "rows on standard output, as JSON",
      options,
      nullptr,
      nullptr,
      [](SinkArguments arguments) -> Result<std::unique_ptr<stream::Sink>> {
        return std::unique_ptr<stream::Sink>(std::make_unique<PrintSink>(std::move(arguments)));
      }};
  return spec;
}

}  // namespace tailrace::connectors
