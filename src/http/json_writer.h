#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tailrace::http {

/// Writes JSON front to back; commas come by themselves. Invalid UTF-8 becomes U+FFFD, NaN and infinities null.
class JsonWriter {
 public:
  JsonWriter& BeginObject() { return Open('{'); }
  JsonWriter& EndObject() { return Close('}'); }
  JsonWriter& BeginArray() { return Open('['); }
  JsonWriter& EndArray() { return Close(']'); }
  JsonWriter& Key(std::string_view name);
  JsonWriter& Value(std::string_view text);
  JsonWriter& Value(const char* text) { return Value(std::string_view(text)); }
  JsonWriter& Value(bool value) { return Raw(value ? "true" : "false"); }
  JsonWriter& Value(double value);
  template <std::integral T>
  requires(!std::same_as<T, bool>) JsonWriter& Value(T value) { return Raw(std::to_string(value)); }
  JsonWriter& Null() { return Raw("null"); }
  /// `json` as it is: one whole value.
  JsonWriter& Raw(std::string_view json);

  template <typename T>
  JsonWriter& Field(std::string_view name, const T& value) {
    return Key(name).Value(value);
  }
  template <typename T>
  JsonWriter& Field(std::string_view name, const std::optional<T>& value) {
    return value ? Key(name).Value(*value) : Key(name).Null();
  }
  JsonWriter& Field(std::string_view name, const std::vector<std::string>& values);

  std::string Take() { return std::move(out_); }

 private:
  JsonWriter& Open(char c);
  JsonWriter& Close(char c);
  void Comma();
  std::string out_;
  bool first_ = true;  // in the innermost array or object
  bool after_key_ = false;
};

/// `text` as a JSON string with its quotes.
std::string JsonString(std::string_view text);

}  // namespace tailrace::http
