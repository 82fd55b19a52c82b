#include "data/json_tokens.h"

#include <simdjson.h>

#include <vector>

#include "base/check.h"
#include "data/value_text.h"

namespace tailrace::data {

struct JsonIndexer::Impl {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
};

JsonIndexer::JsonIndexer() : impl_(std::make_unique<Impl>()) {}
JsonIndexer::~JsonIndexer() = default;

bool JsonIndexer::Index(std::string_view text, std::string* reason) {
  if (text.size() > capacity_ || !impl_->parser) {
    capacity_ = std::max<size_t>(text.size() * 2, 4096);
    auto error =
        simdjson::get_active_implementation()->create_dom_parser_implementation(capacity_, 1024, impl_->parser);
    CHECK(error == simdjson::SUCCESS);
  }
  auto error =
      impl_->parser->stage1(reinterpret_cast<const uint8_t*>(text.data()), text.size(), simdjson::stage1_mode::regular);
  switch (error) {
    case simdjson::SUCCESS: break;
    case simdjson::EMPTY: *reason = "the record is empty"; return false;
    case simdjson::UTF8_ERROR: *reason = "the record is not valid UTF-8"; return false;
    case simdjson::UNCLOSED_STRING: *reason = "a string is not closed: the record is cut off"; return false;
    case simdjson::UNESCAPED_CHARS: *reason = "a string has a control character that is not escaped"; return false;
    default: *reason = std::string("not JSON: ") + simdjson::error_message(error); return false;
  }
  begin_ = impl_->parser->structural_indexes.get();
  count_ = impl_->parser->n_structural_indexes;
  return true;
}

namespace {

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int Hex4(const char* p, const char* end) {
  if (end - p < 4) return -1;
  int value = 0;
  for (int i = 0; i < 4; i++) {
    int d = HexDigit(p[i]);
    if (d < 0) return -1;
    value = value << 4 | d;
  }
  return value;
}

void AppendUtf8(uint32_t c, std::string* out) {
  if (c < 0x80) {
    *out += static_cast<char>(c);
  } else if (c < 0x800) {
    *out += static_cast<char>(0xC0 | c >> 6);
    *out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    *out += static_cast<char>(0xE0 | c >> 12);
    *out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    *out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    *out += static_cast<char>(0xF0 | c >> 18);
    *out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    *out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    *out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

/// At most 40 bytes, whole characters.
std::string Excerpt(std::string_view s) {
  if (s.size() <= 40) return std::string(s);
  size_t n = 37;
  while (n > 0 && (static_cast<unsigned char>(s[n]) & 0xC0) == 0x80) n--;
  return std::string(s.substr(0, n)) + "...";
}

}  // namespace

bool JsonWalk::Fail(std::string what) {
  if (reason.empty()) reason = std::move(what);
  return false;
}

bool JsonWalk::Expected(std::string_view what) {
  std::string found;
  if (AtEnd()) return Fail("expected " + std::string(what) + ", found the end of the record");
  uint32_t at = *token;
  switch (Peek()) {
    case '"': found = "a string \"" + Excerpt(JsonWalk(*this).TakeString()) + "\""; break;
    case '{': found = "an object"; break;
    case '[': found = "an array"; break;
    case '}':
    case ']':
    case ',':
    case ':': found = std::string("'") + Peek() + "'"; break;
    default: {
      std::string_view scalar = JsonWalk(*this).TakeScalar();
      if (scalar == "true" || scalar == "false" || scalar == "null") found = std::string(scalar);
      else found = (IsNumber(scalar) ? "a number " : "'") + Excerpt(scalar) + (IsNumber(scalar) ? "" : "'");
    }
  }
  return Fail("expected " + std::string(what) + ", found " + found + " at byte " + std::to_string(at));
}

bool JsonWalk::IsNumber(std::string_view s) {
  const char* p = s.data();
  const char* e = p + s.size();
  if (p < e && *p == '-') p++;
  if (p == e || !IsDigit(*p)) return false;
  if (*p++ != '0')
    while (p < e && IsDigit(*p)) p++;
  if (p < e && *p == '.') {
    if (++p == e || !IsDigit(*p)) return false;
    while (p < e && IsDigit(*p)) p++;
  }
  if (p < e && (*p == 'e' || *p == 'E')) {
    p++;
    if (p < e && (*p == '+' || *p == '-')) p++;
    if (p == e || !IsDigit(*p)) return false;
    while (p < e && IsDigit(*p)) p++;
  }
  return p == e;
}

bool JsonWalk::SkipScalar() {
  if (Peek() == '"') {
    std::string_view s = TakeString();
    if (__builtin_expect(!has_escapes, 1)) return true;
    if (!memchr(s.data(), '\\', s.size())) return true;
    std::string scratch;
    return Unescape(s, &scratch);
  }
  if (AtEnd()) return Expected("a value");
  std::string_view s(text + *token, TrimmedEnd() - *token);
  char c = s[0];
  bool valid = IsDigit(c) || c == '-' ? IsNumber(s) : c == 't' ? s == "true" : c == 'f' ? s == "false" : s == "null";
  if (!valid) return Expected("a value");
  token++;
  return true;
}

bool JsonWalk::Skip(int depth) {
  char c = Peek();
  if (c != '{' && c != '[') return SkipScalar();
  // One entry an open container: the byte that closes it.
  char open[128];
  int open_max = std::min<int>(depth_max - depth, sizeof(open));
  int n = 0;
  while (true) {
    // At the start of a value.
    c = Peek();
    if (c == '{' || c == '[') {
      if (n >= open_max) return Fail("nested deeper than " + std::to_string(depth_max) + " levels");
      token++;
      open[n++] = c == '{' ? '}' : ']';
      if (Peek() == open[n - 1]) {
        token++;
        n--;
      } else {
        if (c == '[') continue;
        goto key;
      }
    } else if (!SkipScalar()) {
      return false;
    }
    // Behind a value.
    while (true) {
      if (n == 0) return true;
      c = Peek();
      if (c == ',') {
        token++;
        break;
      }
      if (c != open[n - 1]) return Expected(open[n - 1] == '}' ? "',' or '}'" : "',' or ']'");
      token++;
      n--;
    }
    if (open[n - 1] == ']') continue;
  key:
    if (Peek() != '"') return Expected("a field name");
    if (!SkipScalar()) return false;
    if (Peek() != ':') return Expected("':'");
    token++;
  }
}

bool JsonWalk::Unescape(std::string_view s, std::string* out) {
  out->clear();
  const char* p = s.data();
  const char* e = p + s.size();
  while (p < e) {
    auto* slash = static_cast<const char*>(memchr(p, '\\', static_cast<size_t>(e - p)));
    if (!slash) slash = e;
    out->append(p, static_cast<size_t>(slash - p));
    p = slash;
    if (p == e) break;
    if (e - p < 2) return Fail("a string ends in a backslash");
    char c = p[1];
    p += 2;
    switch (c) {
      case '"':
      case '\\':
      case '/': *out += c; break;
      case 'b': *out += '\b'; break;
      case 'f': *out += '\f'; break;
      case 'n': *out += '\n'; break;
      case 'r': *out += '\r'; break;
      case 't': *out += '\t'; break;
      case 'u': {
        int unit = Hex4(p, e);
        if (unit < 0) return Fail("a string has \\u without four hexadecimal digits");
        p += 4;
        auto code = static_cast<uint32_t>(unit);
        if (unit >= 0xD800 && unit < 0xE000) {
          int low = unit < 0xDC00 && e - p >= 6 && p[0] == '\\' && p[1] == 'u' ? Hex4(p + 2, e) : -1;
          if (low < 0xDC00 || low > 0xDFFF) return Fail("a string has half a surrogate pair: not a character");
          p += 6;
          code = 0x10000 + ((code - 0xD800) << 10) + (static_cast<uint32_t>(low) - 0xDC00);
        }
        AppendUtf8(code, out);
        break;
      }
      default: return Fail(std::string("a string has the unknown escape \\") + (c >= ' ' && c < 127 ? c : '?'));
    }
  }
  return true;
}

}  // namespace tailrace::data
