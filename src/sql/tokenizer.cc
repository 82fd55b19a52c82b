#include "sql/tokenizer.h"

#include <algorithm>
#include <cctype>

namespace tailrace::sql {

namespace {

bool IsWordStart(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80); }
bool IsWordPart(char c) { return IsWordStart(c) || std::isdigit(static_cast<unsigned char>(c)) || c == '$'; }

// Longest first.
constexpr std::string_view kOperators[] = {"->>", "<=>", "!~~", "<>", "!=", "<=", ">=", "==", "||", "::",
                                           "->",  "=>",  ":=",  "<<", ">>", "**", "//", "!~", "~~"};

}  // namespace

std::string ToLower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string ToUpper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

namespace {
std::string Quote(std::string_view text, char quote) {
  std::string out(1, quote);
  for (char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  return out + quote;
}
}  // namespace

std::string QuoteIdentifier(std::string_view name) { return Quote(name, '"'); }
std::string QuoteString(std::string_view text) { return Quote(text, '\''); }

bool Token::Is(std::string_view keyword) const {
  if (kind != Kind::kWord || text.size() != keyword.size()) return false;
  return std::equal(text.begin(), text.end(), keyword.begin(), [](char a, char b) {
    return std::toupper(static_cast<unsigned char>(a)) == std::toupper(static_cast<unsigned char>(b));
  });
}

std::string Token::Describe() const {
  std::string_view shown = text;
  const bool cut = shown.size() > 40;
  if (cut) shown = shown.substr(0, 40);
  switch (kind) {
    case Kind::kEnd: return "the end of the file";
    case Kind::kString: return "the string '" + std::string(shown) + (cut ? "...'" : "'");
    case Kind::kQuoted: return "`" + std::string(shown) + "`";
    default: return "'" + std::string(shown) + (cut ? "...'" : "'");
  }
}

SourceText::SourceText(SourceLocation start, std::string text) : start_(std::move(start)), text_(std::move(text)) {
  if (start_.line <= 0) start_.line = 1;
  if (start_.column <= 0) start_.column = 1;
  lines_.push_back(0);
  for (size_t i = 0; i < text_.size(); i++)
    if (text_[i] == '\n') lines_.push_back(i + 1);
}

SourceLocation SourceText::At(size_t offset) const {
  offset = std::min(offset, text_.size());
  const auto line = static_cast<size_t>(std::upper_bound(lines_.begin(), lines_.end(), offset) - lines_.begin()) - 1;
  const int column = static_cast<int>(offset - lines_[line]) + (line == 0 ? start_.column : 1);
  return {start_.file, start_.line + static_cast<int>(line), column};
}

Result<std::vector<Token>> Tokenize(const SourceText& source) {
  const std::string_view text = source.text();
  if (text.size() > kScriptBytesMax)
    return Error(ErrorCode::kLimitExceeded, "the SQL text has " + std::to_string(text.size()) + " bytes; at most " +
                                                std::to_string(kScriptBytesMax) + " are allowed")
        .At(source.At(0));
  std::vector<Token> tokens;
  size_t i = 0;
  if (text.substr(0, 3) == "\xEF\xBB\xBF") i = 3;
  auto add = [&](Token::Kind kind, std::string value, size_t begin, size_t end) {
    tokens.push_back({kind, std::move(value), begin, end});
  };
  while (i < text.size()) {
    const char c = text[i];
    if (std::isspace(static_cast<unsigned char>(c))) {
      i++;
      continue;
    }
    if (c == '-' && text.substr(i, 2) == "--") {
      i = std::min(text.find('\n', i), text.size());
      continue;
    }
    if (c == '/' && text.substr(i, 2) == "/*") {
      const size_t end = text.find("*/", i + 2);
      if (end == std::string_view::npos)
        return InvalidArgument("the comment that starts here is not closed")
            .At(source.At(i))
            .Remedy("close it with */");
      i = end + 2;
      continue;
    }
    const size_t begin = i;
    if (c == '\'' || c == '"' || c == '`') {
      std::string value;
      bool closed = false;
      for (i++; i < text.size(); i++) {
        if (text[i] != c) {
          value += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == c) {
          value += c;
          i++;
        } else {
          closed = true;
          i++;
          break;
        }
      }
      if (!closed)
        return InvalidArgument(std::string("the ") + (c == '\'' ? "string" : "quoted name") +
                               " that starts here is not closed")
            .At(source.At(begin))
            .Remedy(std::string("close it with ") + c);
      if (c != '\'' && value.empty()) return InvalidArgument("a quoted name is empty").At(source.At(begin));
      add(c == '\'' ? Token::Kind::kString : Token::Kind::kQuoted, std::move(value), begin, i);
      continue;
    }
    if (IsWordStart(c)) {
      while (i < text.size() && IsWordPart(text[i])) i++;
      add(Token::Kind::kWord, std::string(text.substr(begin, i - begin)), begin, i);
      continue;
    }
    const bool fraction = c == '.' && i + 1 < text.size() && std::isdigit(static_cast<unsigned char>(text[i + 1])) &&
                          (tokens.empty() || !tokens.back().IsIdentifier() || tokens.back().end != i);
    if (std::isdigit(static_cast<unsigned char>(c)) || fraction) {
      auto digits = [&] {
        while (i < text.size() && (std::isdigit(static_cast<unsigned char>(text[i])) || text[i] == '_')) i++;
      };
      digits();
      if (i < text.size() && text[i] == '.') {
        i++;
        digits();
      }
      if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
        size_t exponent = i + 1;
        if (exponent < text.size() && (text[exponent] == '+' || text[exponent] == '-')) exponent++;
        if (exponent < text.size() && std::isdigit(static_cast<unsigned char>(text[exponent]))) {
          i = exponent;
          digits();
        }
      }
      add(Token::Kind::kNumber, std::string(text.substr(begin, i - begin)), begin, i);
      continue;
    }
    std::string_view symbol = text.substr(i, 1);
    for (std::string_view op : kOperators)
      if (text.substr(i, op.size()) == op) {
        symbol = text.substr(i, op.size());
        break;
      }
    i += symbol.size();
    add(Token::Kind::kSymbol, std::string(symbol), begin, i);
  }
  add(Token::Kind::kEnd, "", text.size(), text.size());
  return tokens;
}

}  // namespace tailrace::sql
