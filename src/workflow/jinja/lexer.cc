#include "workflow/jinja/lexer.h"

#include <fmt/format.h>

#include <string_view>

#include "workflow/jinja/parser.h"

namespace tailrace::workflow::jinja {
namespace {

constexpr size_t kTokensMax = 200'000;

bool NameStart(char c) { return isalpha(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80) != 0; }
bool NamePart(char c) { return NameStart(c) || isdigit(static_cast<unsigned char>(c)); }
bool Space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

void AppendUtf8(std::string* out, uint32_t c) {
  if (c < 0x80) {
    *out += static_cast<char>(c);
  } else if (c < 0x800) {
    *out += static_cast<char>(0xc0 | c >> 6);
    *out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    *out += static_cast<char>(0xe0 | c >> 12);
    *out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    *out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

class Lexer {
 public:
  explicit Lexer(const std::string& text) : text_(text) {}

  Result<std::vector<Token>> Template() {
    bool trim_next = false;
    while (at_ < text_.size()) {
      size_t open = FindOpen(at_);
      std::string data = text_.substr(at_, open - at_);
      if (trim_next) data.erase(0, std::min(data.size(), FirstNotSpace(data)));
      trim_next = false;
      Place data_place = place_;
      if (open >= text_.size()) {
        if (!data.empty()) Add(Token::Kind::kText, std::move(data), data_place);
        Advance(text_.size());
        break;
      }
      char kind = text_[open + 1];
      size_t inner = open + 2;
      bool strip_before = inner < text_.size() && text_[inner] == '-';
      if (strip_before) {
        while (!data.empty() && Space(data.back())) data.pop_back();
        ++inner;
      } else if (inner < text_.size() && text_[inner] == '+') {
        ++inner;
      }
      if (!data.empty()) Add(Token::Kind::kText, std::move(data), data_place);
      Advance(open);
      Place open_place = place_;
      Advance(inner);
      if (kind == '#') {
        size_t close = text_.find("#}", at_);
        if (close == std::string::npos) return ErrorAt(open_place, "a comment is not closed with #}");
        trim_next = close > at_ && text_[close - 1] == '-';
        Advance(close + 2);
        continue;
      }
      if (kind == '%' && AtRaw()) {
        TRY(Raw(open_place, &trim_next));
        continue;
      }
      Add(kind == '{' ? Token::Kind::kOutputBegin : Token::Kind::kBlockBegin, "", open_place);
      trim_next = TRY(Inside(kind == '{' ? "}}" : "%}", open_place));
      Add(kind == '{' ? Token::Kind::kOutputEnd : Token::Kind::kBlockEnd, "", close_place_);
      if (tokens_.size() > kTokensMax) return ErrorAt(place_, "a template of more than 200,000 tokens");
    }
    Add(Token::Kind::kEnd, "", place_);
    return std::move(tokens_);
  }

  Result<std::vector<Token>> Expression() {
    TRY(Inside("", place_));
    Add(Token::Kind::kEnd, "", place_);
    return std::move(tokens_);
  }

 private:
  static size_t FirstNotSpace(const std::string& s) {
    size_t i = 0;
    while (i < s.size() && Space(s[i])) ++i;
    return i;
  }
  size_t FindOpen(size_t from) const {
    for (size_t i = text_.find('{', from); i != std::string::npos; i = text_.find('{', i + 1)) {
      if (i + 1 < text_.size() && (text_[i + 1] == '{' || text_[i + 1] == '%' || text_[i + 1] == '#')) return i;
    }
    return text_.size();
  }
  void Advance(size_t to) {
    for (; at_ < to && at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n') {
        ++place_.line;
        place_.column = 1;
      } else {
        ++place_.column;
      }
    }
  }
  void Add(Token::Kind kind, std::string text, Place place) { tokens_.push_back({kind, std::move(text), place}); }

  bool AtRaw() const {
    size_t i = at_;
    while (i < text_.size() && Space(text_[i])) ++i;
    return text_.compare(i, 3, "raw") == 0 && i + 3 < text_.size() && !NamePart(text_[i + 3]);
  }
  Status Raw(Place open, bool* trim_next) {
    size_t begin = text_.find("%}", at_);
    if (begin == std::string::npos) return ErrorAt(open, "a block is not closed with %}");
    bool strip_first = text_[begin - 1] == '-';
    begin += 2;
    for (size_t end = text_.find("{%", begin); end != std::string::npos; end = text_.find("{%", end + 2)) {
      size_t i = end + 2;
      bool strip_last = i < text_.size() && text_[i] == '-';
      if (strip_last) ++i;
      while (i < text_.size() && Space(text_[i])) ++i;
      if (text_.compare(i, 6, "endraw") != 0) continue;
      size_t close = text_.find("%}", i);
      if (close == std::string::npos) break;
      std::string data = text_.substr(begin, end - begin);
      if (strip_first) data.erase(0, FirstNotSpace(data));
      if (strip_last)
        while (!data.empty() && Space(data.back())) data.pop_back();
      if (!data.empty()) Add(Token::Kind::kText, std::move(data), open);
      *trim_next = text_[close - 1] == '-';
      Advance(close + 2);
      return {};
    }
    return ErrorAt(open, "raw is not closed with {% endraw %}");
  }

  /// Tokens up to `close` (left behind); true where it was written with a '-'.
  Result<bool> Inside(std::string_view close, Place open) {
    int braces = 0;
    while (true) {
      while (at_ < text_.size() && Space(text_[at_])) Advance(at_ + 1);
      if (at_ >= text_.size()) {
        if (close.empty()) return false;
        return ErrorAt(open, fmt::format("not closed with {}", close));
      }
      if (!close.empty() && braces == 0) {
        close_place_ = place_;
        if (text_.compare(at_, 2, close) == 0) {
          Advance(at_ + 2);
          return false;
        }
        if ((text_[at_] == '-' || text_[at_] == '+') && text_.compare(at_ + 1, 2, close) == 0) {
          bool strip = text_[at_] == '-';
          Advance(at_ + 3);
          return strip;
        }
      }
      Place place = place_;
      char c = text_[at_];
      if (NameStart(c)) {
        size_t end = at_;
        while (end < text_.size() && NamePart(text_[end])) ++end;
        Add(Token::Kind::kName, text_.substr(at_, end - at_), place);
        Advance(end);
      } else if (isdigit(static_cast<unsigned char>(c))) {
        Number(place);
      } else if (c == '"' || c == '\'') {
        TRY(String(place));
      } else {
        static constexpr std::string_view kTwo[] = {"**", "//", "==", "!=", "<=", ">="};
        std::string op(1, c);
        for (std::string_view two : kTwo)
          if (text_.compare(at_, 2, two) == 0) op = two;
        if (op.size() == 1 && std::string_view("+-*/%~<>()[]{}.,:|=").find(c) == std::string_view::npos)
          return ErrorAt(place, fmt::format("unexpected character '{}'", c));
        if (c == '{' || c == '[' || c == '(') ++braces;
        if ((c == '}' || c == ']' || c == ')') && braces > 0) --braces;
        Add(Token::Kind::kOperator, op, place);
        Advance(at_ + op.size());
      }
    }
  }

  void Number(Place place) {
    size_t end = at_;
    bool is_float = false;
    auto digits = [&] {
      while (end < text_.size() && (isdigit(static_cast<unsigned char>(text_[end])) || text_[end] == '_')) ++end;
    };
    digits();
    if (end + 1 < text_.size() && text_[end] == '.' && isdigit(static_cast<unsigned char>(text_[end + 1]))) {
      is_float = true;
      ++end;
      digits();
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      size_t sign = end + 1;
      if (sign < text_.size() && (text_[sign] == '+' || text_[sign] == '-')) ++sign;
      if (sign < text_.size() && isdigit(static_cast<unsigned char>(text_[sign]))) {
        is_float = true;
        end = sign;
        digits();
      }
    }
    std::string number = text_.substr(at_, end - at_);
    std::erase(number, '_');
    Add(is_float ? Token::Kind::kFloat : Token::Kind::kInteger, std::move(number), place);
    Advance(end);
  }

  Status String(Place place) {
    char quote = text_[at_];
    std::string out;
    size_t i = at_ + 1;
    for (;; ++i) {
      if (i >= text_.size()) return ErrorAt(place, "a string is not closed");
      char c = text_[i];
      if (c == quote) break;
      if (c != '\\' || i + 1 >= text_.size()) {
        out += c;
        continue;
      }
      char e = text_[++i];
      auto hex = [&](size_t count) {
        uint32_t value = 0;
        for (size_t k = 0; k < count && i + 1 < text_.size() && isxdigit(static_cast<unsigned char>(text_[i + 1]));
             ++k) {
          char h = text_[++i];
          value = value * 16 +
                  static_cast<uint32_t>(isdigit(static_cast<unsigned char>(h)) ? h - '0' : (h | 0x20) - 'a' + 10);
        }
        return value;
      };
      switch (e) {
        case 'n': out += '\n'; break;
        case 't': out += '\t'; break;
        case 'r': out += '\r'; break;
        case '0': out += '\0'; break;
        case 'x': AppendUtf8(&out, hex(2)); break;
        case 'u': AppendUtf8(&out, hex(4)); break;
        case '\n': break;
        case '\\':
        case '\'':
        case '"': out += e; break;
        default: out += '\\', out += e;
      }
    }
    Add(Token::Kind::kString, std::move(out), place);
    Advance(i + 1);
    return {};
  }

  const std::string& text_;
  size_t at_ = 0;
  Place place_, close_place_;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> Lex(const std::string& text, bool expression) {
  Lexer lexer(text);
  return expression ? lexer.Expression() : lexer.Template();
}

}  // namespace tailrace::workflow::jinja
