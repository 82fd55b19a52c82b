#include "http/json_writer.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace tailrace::http {
namespace {

/// Length of the well-formed UTF-8 sequence at the front of `s`; 0 where there is none (Unicode 15, table 3-7).
size_t SequenceLength(std::string_view s) {
  auto at = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0; };
  auto follows = [&](size_t i) { return (at(i) & 0xC0) == 0x80; };
  const unsigned c = at(0);
  if (c < 0x80) return 1;
  if (c >= 0xC2 && c <= 0xDF) return follows(1) ? 2 : 0;
  if (c >= 0xE0 && c <= 0xEF) {
    if (!follows(1) || !follows(2)) return 0;
    if ((c == 0xE0 && at(1) < 0xA0) || (c == 0xED && at(1) > 0x9F)) return 0;
    return 3;
  }
  if (c >= 0xF0 && c <= 0xF4) {
    if (!follows(1) || !follows(2) || !follows(3)) return 0;
    if ((c == 0xF0 && at(1) < 0x90) || (c == 0xF4 && at(1) > 0x8F)) return 0;
    return 4;
  }
  return 0;
}

void AppendString(std::string* out, std::string_view s) {
  *out += '"';
  while (!s.empty()) {
    const char c = s[0];
    const size_t length = SequenceLength(s);
    if (length == 0) {
      *out += "\xEF\xBF\xBD";
    } else if (length > 1) {
      out->append(s.substr(0, length));
    } else if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '\t') {
      *out += "\\t";
    } else if (c == '\r') {
      *out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      *out += escaped;
    } else {
      *out += c;
    }
    s.remove_prefix(length == 0 ? 1 : length);
  }
  *out += '"';
}

}  // namespace

void JsonWriter::Comma() {
  if (after_key_) after_key_ = false;
  else if (!first_) out_ += ',';
  first_ = false;
}

JsonWriter& JsonWriter::Open(char c) {
  Comma();
  out_ += c;
  first_ = true;
  return *this;
}
JsonWriter& JsonWriter::Close(char c) {
  out_ += c;
  first_ = false;
  return *this;
}
JsonWriter& JsonWriter::Key(std::string_view name) {
  Comma();
  AppendString(&out_, name);
  out_ += ':';
  after_key_ = true;
  return *this;
}
JsonWriter& JsonWriter::Value(std::string_view text) {
  Comma();
  AppendString(&out_, text);
  return *this;
}
JsonWriter& JsonWriter::Value(double value) {
  if (!std::isfinite(value)) return Null();
  char text[40];
  auto [end, failed] = std::to_chars(text, text + sizeof text, value);
  return Raw(failed == std::errc() ? std::string_view(text, static_cast<size_t>(end - text)) : "null");
}
JsonWriter& JsonWriter::Raw(std::string_view json) {
  Comma();
  out_ += json;
  return *this;
}
JsonWriter& JsonWriter::Field(std::string_view name, const std::vector<std::string>& values) {
  Key(name).BeginArray();
  for (const std::string& value : values) Value(value);
  return EndArray();
}

std::string JsonString(std::string_view text) {
  std::string out;
  AppendString(&out, text);
  return out;
}

}  // namespace tailrace::http
