#pragma once
// The tokens of one JSON text, in order, with full validation: what the decoder walks and what skips a field nobody
// asked for. Finding the tokens (and checking UTF-8 and control characters) is simdjson's first stage; walking them is
// ours, because simdjson's on-demand walk does not check what it skips (docs/decisions/0010).

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace tailrace::data {

/// Positions of structural characters and of the first bytes of scalars and strings. One thread at a time.
class JsonIndexer {
 public:
  JsonIndexer();
  ~JsonIndexer();
  /// False: `*reason` says what is wrong (empty, not UTF-8, unclosed string, control character in a string). Needs no
  /// padding after the text.
  bool Index(std::string_view text, std::string* reason);
  const uint32_t* begin() const { return begin_; }
  uint32_t count() const { return count_; }  // begin()[count()] is the text's length

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  size_t capacity_ = 0;
  const uint32_t* begin_ = nullptr;
  uint32_t count_ = 0;
};

/// A walk over the tokens of one text. Failures land in `reason`, first one wins; afterwards the walk is over.
struct JsonWalk {
  const char* text = nullptr;
  const uint32_t* token = nullptr;
  const uint32_t* end = nullptr;
  bool has_escapes = false;
  int depth_max = 64;
  std::string reason;

  void Start(std::string_view bytes, const JsonIndexer& index) {
    text = bytes.data();
    token = index.begin();
    end = token + index.count();
    has_escapes = memchr(bytes.data(), '\\', bytes.size()) != nullptr;
    reason.clear();
  }

  /// The first byte of the current token; 0 at the end of the text.
  char Peek() const { return token < end ? text[*token] : '\0'; }
  bool AtEnd() const { return token == end; }

  /// REQUIRES: Peek() is '"'. The text between the quotes, escapes as they stand.
  std::string_view TakeString() {
    uint32_t first = *token + 1;
    uint32_t last = TrimmedEnd() - 1;  // the closing quote: the indexer lets no string stay open
    token++;
    return {text + first, last - first};
  }
  /// REQUIRES: a token is there. It and what is glued to it, up to the next token or space.
  std::string_view TakeScalar() {
    std::string_view scalar(text + *token, TrimmedEnd() - *token);
    token++;
    return scalar;
  }

  bool Fail(std::string what);
  /// "expected WHAT, found a number 12 at byte 7" about the current token.
  bool Expected(std::string_view what);
  /// Moves past any valid value, or fails.
  bool Skip(int depth);
  /// Escapes undone; false with a reason where one is malformed or half a surrogate pair.
  bool Unescape(std::string_view escaped, std::string* out);
  static bool IsNumber(std::string_view scalar);

 private:
  uint32_t TrimmedEnd() const {
    uint32_t e = token[1];
    while (text[e - 1] == ' ' || text[e - 1] == '\n' || text[e - 1] == '\t' || text[e - 1] == '\r') e--;
    return e;
  }
  bool SkipScalar();
};

}  // namespace tailrace::data
