#include "data/codec.h"

#include "data/codec_internal.h"

namespace tailrace::data {

namespace {

/// The value as it is, in one column.
class RawDecoder final : public Decoder {
 public:
  explicit RawDecoder(FormatOptions options) : options_(std::move(options)) {}
  uint32_t Decode(const TopicPartition& from, std::span<const RecordView> records, Batch* out,
                  std::vector<DecodeFailure>* failures) override {
    RowSink rows(arenas_.Take(), from_.Keep(from), options_, records.size(), out);
    bool text = options_.schema[0].type.id == TypeId::kVarchar;
    uint32_t taken = 0;
    while (taken < records.size() && out->rows < rows.capacity) {
      const RecordView& record = records[taken++];
      if (record.value.data() == nullptr) continue;
      if (record.value.size() > options_.max_record_bytes) {
        failures->push_back({taken - 1, "the record has " + std::to_string(record.value.size()) +
                                            " bytes, over the limit of " + std::to_string(options_.max_record_bytes)});
        continue;
      }
      if (text && !IsUtf8(record.value)) {
        failures->push_back({taken - 1, "field " + options_.schema[0].name + ": the record is not valid UTF-8"});
        continue;
      }
      for (Column& column : out->columns) column.Values<StringRef>()[out->rows] = StringRef(record.value);
      rows.Add(record);
    }
    return taken;
  }

 private:
  FormatOptions options_;
  ArenaPool arenas_;
  FromKeeper from_;
};

class RawEncoder final : public Encoder {
 public:
  Status Encode(const Batch& in, std::vector<BytesView>* values) override {
    if (in.columns.size() != 1) return Internal("raw encoder: one column expected");
    const Column& column = in.columns[0];
    for (uint32_t row = 0; row < in.rows; row++) {
      // A view into the batch, whose StringRefs stay where they are until the caller lets go of it; null is a
      // tombstone.
      values->push_back(column.IsValid(row) ? column.Values<StringRef>()[row].view() : BytesView());
    }
    return Ok();
  }
};

Status CheckOptions(const std::string& format, const FormatOptions& options) {
  if (format == "csv") {
    for (const Field& field : options.schema)
      if (IsNested(field.type))
        return Unsupported("format csv: column " + field.name + " has the nested type " + field.type.ToString());
  } else if (format == "raw") {
    if (options.schema.size() != 1 ||
        (options.schema[0].type.id != TypeId::kVarchar && options.schema[0].type.id != TypeId::kBlob))
      return Error(InvalidArgument("format raw takes exactly one column of type VARCHAR or BYTES"))
          .Remedy("declare one such column, or use the format json or csv");
  } else if (format != "json") {
    return Error(InvalidArgument("unknown format '" + format + "'")).Remedy("use json, csv or raw");
  }
  return Ok();
}

}  // namespace

std::unique_ptr<Decoder> MakeRawDecoder(FormatOptions options) {
  return std::make_unique<RawDecoder>(std::move(options));
}
std::unique_ptr<Encoder> MakeRawEncoder(FormatOptions) { return std::make_unique<RawEncoder>(); }

Result<std::unique_ptr<Decoder>> MakeDecoder(const std::string& format, FormatOptions options) {
  TRY(CheckOptions(format, options));
  if (format == "json") return MakeJsonDecoder(std::move(options));
  if (format == "csv") return MakeCsvDecoder(std::move(options));
  return MakeRawDecoder(std::move(options));
}

Result<std::unique_ptr<Encoder>> MakeEncoder(const std::string& format, FormatOptions options) {
  TRY(CheckOptions(format, options));
  if (format == "json") return MakeJsonEncoder(std::move(options));
  if (format == "csv") return MakeCsvEncoder(std::move(options));
  return MakeRawEncoder(std::move(options));
}

}  // namespace tailrace::data
