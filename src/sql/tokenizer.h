#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace::sql {

/// A script is written by people; what is larger is a wrong file.
inline constexpr size_t kScriptBytesMax = 4 << 20;

struct Token {
  enum class Kind : uint8_t {
    kWord,    // a keyword or a plain identifier
    kQuoted,  // `identifier` or "identifier"; text without quotes, doubled ones halved
    kString,  // 'literal'; text without quotes, '' halved
    kNumber,
    kSymbol,  // one of ( ) , ; . = < > [ ] ... or an operator of two or three characters
    kEnd,
  };
  Kind kind = Kind::kEnd;
  std::string text;
  size_t begin = 0;  // in the source text
  size_t end = 0;

  /// Case-insensitive for words.
  bool Is(std::string_view keyword) const;
  bool IsSymbol(std::string_view symbol) const { return kind == Kind::kSymbol && text == symbol; }
  bool IsIdentifier() const { return kind == Kind::kWord || kind == Kind::kQuoted; }
  /// For "found ..." in errors.
  std::string Describe() const;
};

/// A piece of a file with the place of its first character.
class SourceText {
 public:
  SourceText(SourceLocation start, std::string text);
  SourceLocation At(size_t offset) const;
  std::string_view text() const { return text_; }
  const std::string& file() const { return start_.file; }

 private:
  SourceLocation start_;
  std::string text_;
  std::vector<size_t> lines_;  // offsets of line starts
};

/// Comments (--, /* */) are dropped. The last token is kEnd. Fails on an unclosed string or comment, with its place.
Result<std::vector<Token>> Tokenize(const SourceText& source);

std::string QuoteIdentifier(std::string_view name);  // "a""b"
std::string QuoteString(std::string_view text);      // 'it''s'
std::string ToLower(std::string_view text);
std::string ToUpper(std::string_view text);

}  // namespace tailrace::sql
