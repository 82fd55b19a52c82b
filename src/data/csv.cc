// CSV as RFC 4180 has it: a record is one line, or several where a quoted field holds line ends (whoever cuts a file
// into records keeps those together). An empty field is NULL, a quoted empty one an empty string.

#include <cstring>

#include "data/codec_internal.h"
#include "data/value_text.h"

namespace tailrace::data {

namespace {

struct CsvField {
  std::string_view text;
  bool quoted = false;
};

std::string Excerpt(std::string_view s) {
  if (s.size() <= 40) return std::string(s);
  size_t n = 37;
  while (n > 0 && (static_cast<unsigned char>(s[n]) & 0xC0) == 0x80) n--;
  return std::string(s.substr(0, n)) + "...";
}

class CsvDecoder final : public Decoder {
 public:
  explicit CsvDecoder(FormatOptions options) : options_(std::move(options)) {
    header_pending_ = options_.header;
    for (int c : options_.columns) positions_.push_back(c);
  }

  uint32_t Decode(const TopicPartition& from, std::span<const RecordView> records, Batch* out,
                  std::vector<DecodeFailure>* failures) override {
    RowSink rows(arenas_.Take(), from_.Keep(from), options_, records.size(), out);
    std::string reason;
    uint32_t taken = 0;
    while (taken < records.size() && out->rows < rows.capacity) {
      const RecordView& record = records[taken++];
      if (record.value.data() == nullptr) continue;
      BytesView line = record.value;
      while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
      bool good;
      if (header_pending_) {
        if (line.substr(0, 3) == "\xEF\xBB\xBF") line.remove_prefix(3);
        header_pending_ = false;
        good = Split(line, *rows.arena, &reason) && ReadHeader(&reason);
        if (good) continue;
        header_failed_ = reason;
      } else if (!header_failed_.empty()) {
        reason = header_failed_;
        good = false;
      } else {
        good = Row(line, *rows.arena, out, &reason);
      }
      if (good) {
        rows.Add(record);
      } else {
        rows.Drop();
        failures->push_back({taken - 1, reason});
      }
    }
    return taken;
  }

 private:
  bool Row(BytesView line, Arena& arena, Batch* out, std::string* reason) {
    if (line.size() > options_.max_record_bytes) {
      *reason = "the record has " + std::to_string(line.size()) + " bytes, over the limit of " +
                std::to_string(options_.max_record_bytes);
      return false;
    }
    if (!IsUtf8(line)) {
      *reason = "the record is not valid UTF-8";
      return false;
    }
    if (!Split(line, arena, reason)) return false;
    size_t expected = header_fields_ ? header_fields_ : options_.schema.size();
    if (fields_.size() != expected) {
      *reason = "expected " + std::to_string(expected) + " fields, found " + std::to_string(fields_.size());
      return false;
    }
    for (size_t i = 0; i < positions_.size(); i++) {
      Column& column = out->columns[i];
      const Field& field = options_.schema[static_cast<size_t>(options_.columns[i])];
      if (positions_[i] < 0) {
        Null(column, out->rows);
        continue;
      }
      const CsvField& text = fields_[static_cast<size_t>(positions_[i])];
      if (text.text.empty() && !text.quoted) {
        Null(column, out->rows);
      } else if (column.type.id == TypeId::kBlob) {
        if (!DecodeBase64(text.text, &scratch_)) return Wrong(field, text, reason);
        column.Values<StringRef>()[out->rows] = arena.Copy(scratch_);
      } else {
        std::string_view value = text.text;
        if (column.type.id != TypeId::kVarchar) {
          while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
          while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
        }
        if (!CastText(value, column, out->rows)) return Wrong(field, text, reason);
      }
    }
    return true;
  }

  static bool Wrong(const Field& field, const CsvField& text, std::string* reason) {
    *reason = "field " + field.name + ": expected " + field.type.ToString() + ", found \"" + Excerpt(text.text) + "\"";
    return false;
  }

  static void Null(Column& column, uint32_t row) {
    column.SetNull(row);
    memset(static_cast<char*>(column.data) + size_t{row} * column.type.ValueSize(), 0, column.type.ValueSize());
  }

  bool Split(BytesView line, Arena& arena, std::string* reason) {
    fields_.clear();
    const char* p = line.data();
    const char* end = p + line.size();
    while (true) {
      if (p < end && *p == '"') {
        const char* start = ++p;
        bool doubled = false;
        while (true) {
          auto* quote = static_cast<const char*>(memchr(p, '"', static_cast<size_t>(end - p)));
          if (!quote) {
            *reason = "a quoted field is not closed: the record is cut off";
            return false;
          }
          if (quote + 1 < end && quote[1] == '"') {
            doubled = true;
            p = quote + 2;
            continue;
          }
          p = quote;
          break;
        }
        std::string_view text(start, static_cast<size_t>(p - start));
        p++;
        if (p < end && *p != options_.delimiter) {
          *reason = "text behind a quoted field at byte " + std::to_string(p - line.data());
          return false;
        }
        if (doubled) {
          auto* undoubled = static_cast<char*>(arena.Allocate(text.size()));
          size_t n = 0;
          for (size_t i = 0; i < text.size(); i++) {
            undoubled[n++] = text[i];
            if (text[i] == '"') i++;
          }
          text = {undoubled, n};
        }
        fields_.push_back({text, true});
      } else {
        auto* stop =
            p < end ? static_cast<const char*>(memchr(p, options_.delimiter, static_cast<size_t>(end - p))) : nullptr;
        if (!stop) stop = end;
        fields_.push_back({{p, static_cast<size_t>(stop - p)}, false});
        p = stop;
      }
      if (p >= end) return true;
      p++;  // the delimiter
      if (fields_.size() > 10'000) {
        *reason = "more than 10,000 fields";
        return false;
      }
    }
  }

  bool ReadHeader(std::string* reason) {
    header_fields_ = fields_.size();
    for (size_t i = 0; i < options_.columns.size(); i++) {
      const Field& field = options_.schema[static_cast<size_t>(options_.columns[i])];
      positions_[i] = -1;
      for (size_t k = 0; k < fields_.size(); k++)
        if (fields_[k].text == field.name) positions_[i] = static_cast<int>(k);
      if (positions_[i] < 0 && options_.fail_on_missing_field) {
        *reason = "the header has no field " + field.name;
        return false;
      }
    }
    return true;
  }

  FormatOptions options_;
  std::vector<int> positions_;  // of each wanted column among the record's fields; -1: none
  size_t header_fields_ = 0;
  bool header_pending_ = false;
  std::string header_failed_;
  std::vector<CsvField> fields_;
  std::string scratch_;
  ArenaPool arenas_;
  FromKeeper from_;
};

class CsvEncoder final : public Encoder {
 public:
  explicit CsvEncoder(FormatOptions options) : options_(std::move(options)) {}

  Status Encode(const Batch& in, std::vector<BytesView>* values) override {
    if (in.columns.size() != options_.schema.size()) return Internal("csv encoder: columns do not fit the schema");
    buffer_.clear();
    ends_.clear();
    for (uint32_t row = 0; row < in.rows; row++) {
      for (size_t i = 0; i < in.columns.size(); i++) {
        if (i) buffer_ += options_.delimiter;
        const Column& column = in.columns[i];
        if (!column.IsValid(row)) continue;
        if (column.type.id == TypeId::kVarchar) {
          AppendField(column.Values<StringRef>()[row].view());
        } else {
          size_t start = buffer_.size();
          AppendValueText(column, row, options_.timestamps, &buffer_);
          if (buffer_.find(options_.delimiter, start) != std::string::npos) {
            std::string text = buffer_.substr(start);
            buffer_.resize(start);
            AppendField(text);
          }
        }
      }
      ends_.push_back(buffer_.size());
    }
    size_t start = 0;
    for (size_t end : ends_) {
      values->emplace_back(buffer_.data() + start, end - start);
      start = end;
    }
    return Ok();
  }

 private:
  void AppendField(std::string_view text) {
    bool quote = text.empty() || text.front() == ' ' || text.back() == ' ';
    for (char c : text) quote |= c == '"' || c == options_.delimiter || c == '\n' || c == '\r';
    if (!quote) {
      buffer_ += text;
      return;
    }
    buffer_ += '"';
    for (char c : text) {
      if (c == '"') buffer_ += '"';
      buffer_ += c;
    }
    buffer_ += '"';
  }

  FormatOptions options_;
  std::string buffer_;
  std::vector<size_t> ends_;
};

}  // namespace

std::unique_ptr<Decoder> MakeCsvDecoder(FormatOptions options) {
  return std::make_unique<CsvDecoder>(std::move(options));
}
std::unique_ptr<Encoder> MakeCsvEncoder(FormatOptions options) {
  return std::make_unique<CsvEncoder>(std::move(options));
}

}  // namespace tailrace::data
