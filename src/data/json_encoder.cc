#include <cmath>
#include <cstdlib>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/check.h"
#include "data/codec_internal.h"
#include "data/value_text.h"

namespace tailrace::data {

namespace {

constexpr char kHex[] = "0123456789abcdef";

bool NeedsEscape(unsigned char c) { return c < 0x20 || c == '"' || c == '\\'; }

char* WriteEscape(char* p, unsigned char c) {
  *p++ = '\\';
  switch (c) {
    case '"': *p++ = '"'; break;
    case '\\': *p++ = '\\'; break;
    case '\b': *p++ = 'b'; break;
    case '\f': *p++ = 'f'; break;
    case '\n': *p++ = 'n'; break;
    case '\r': *p++ = 'r'; break;
    case '\t': *p++ = 't'; break;
    default:
      memcpy(p, "u00", 3);
      p[3] = kHex[c >> 4];
      p[4] = kHex[c & 15];
      p += 5;
  }
  return p;
}

/// REQUIRES: room for 6 bytes for every byte of `s`, and two.
char* WriteJsonString(char* p, std::string_view s) {
  *p++ = '"';
  const char* from = s.data();
  const char* end = from + s.size();
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), least = _mm_set1_epi8(0x1f);
  while (end - from >= 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, slash)),
                                   _mm_cmpeq_epi8(_mm_min_epu8(bytes, least), bytes));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
    auto mask = static_cast<unsigned>(_mm_movemask_epi8(special));
    if (mask == 0) {
      from += 16;
      p += 16;
      continue;
    }
    int clean = __builtin_ctz(mask);
    p = WriteEscape(p + clean, static_cast<unsigned char>(from[clean]));
    from += clean + 1;
  }
#endif
  for (; from < end; from++) {
    auto c = static_cast<unsigned char>(*from);
    if (__builtin_expect(NeedsEscape(c), 0)) p = WriteEscape(p, c);
    else *p++ = *from;
  }
  *p++ = '"';
  return p;
}

class JsonEncoder final : public Encoder {
 public:
  explicit JsonEncoder(FormatOptions options) : options_(std::move(options)) {
    for (const Field& field : options_.schema) names_.push_back(MakeName(field));
  }
  ~JsonEncoder() override { free(buffer_); }

  Status Encode(const Batch& in, std::vector<BytesView>* values) override {
    if (in.columns.size() != options_.schema.size())
      return Internal("json encoder: " + std::to_string(in.columns.size()) + " columns given, the schema has " +
                      std::to_string(options_.schema.size()));
    p_ = buffer_;
    ends_.clear();
    for (uint32_t row = 0; row < in.rows; row++) {
      Reserve(2);
      *p_++ = '{';
      for (size_t i = 0; i < in.columns.size(); i++) {
        Prefix(names_[i], i != 0);
        Value(in.columns[i], row, names_[i]);
      }
      *p_++ = '}';
      ends_.push_back(static_cast<size_t>(p_ - buffer_));
    }
    size_t start = 0;
    values->reserve(values->size() + ends_.size());
    for (size_t end : ends_) {
      values->emplace_back(buffer_ + start, end - start);
      start = end;
    }
    return Ok();
  }

 private:
  struct Name {
    std::string prefix;  // ,"name":
    std::vector<Name> children;
  };

  static Name MakeName(const Field& field) {
    Name name;
    std::string buffer(field.name.size() * 6 + 2, '\0');
    buffer.resize(static_cast<size_t>(WriteJsonString(buffer.data(), field.name) - buffer.data()));
    name.prefix = "," + buffer + ":";
    for (const Field& child : field.type.children) name.children.push_back(MakeName(child));
    return name;
  }

  /// Room for `bytes` and for one scalar and a few brackets behind them.
  void Reserve(size_t bytes) {
    constexpr size_t kSlack = kValueTextMax + 16;
    if (__builtin_expect(static_cast<size_t>(limit_ - p_) >= bytes + kSlack, 1)) return;
    auto used = static_cast<size_t>(p_ - buffer_);
    size_t capacity = std::max<size_t>((used + bytes + kSlack) * 2, 64 << 10);
    buffer_ = static_cast<char*>(realloc(buffer_, capacity));
    CHECK(buffer_ != nullptr);
    p_ = buffer_ + used;
    limit_ = buffer_ + capacity;
  }

  void Prefix(const Name& name, bool comma) {
    Reserve(name.prefix.size());
    size_t skip = comma ? 0 : 1;
    memcpy(p_, name.prefix.data() + skip, name.prefix.size() - skip);
    p_ += name.prefix.size() - skip;
  }

  void Literal(std::string_view text) {
    memcpy(p_, text.data(), text.size());
    p_ += text.size();
  }

  void Value(const Column& column, uint64_t row, const Name& name) {
    if (!column.IsValid(row)) return Literal("null");
    switch (column.type.id) {
      case TypeId::kBoolean: return Literal(column.Values<uint8_t>()[row] ? "true" : "false");
      case TypeId::kTinyInt: p_ = WriteInt64(p_, column.Values<int8_t>()[row]); return;
      case TypeId::kSmallInt: p_ = WriteInt64(p_, column.Values<int16_t>()[row]); return;
      case TypeId::kInteger: p_ = WriteInt64(p_, column.Values<int32_t>()[row]); return;
      case TypeId::kBigInt: p_ = WriteInt64(p_, column.Values<int64_t>()[row]); return;
      case TypeId::kHugeInt: {
        __int128 value;
        memcpy(&value, column.Values<char>() + row * 16, 16);
        p_ = WriteInt128(p_, value);
        return;
      }
      case TypeId::kFloat: {
        float value = column.Values<float>()[row];
        bool quoted = !std::isfinite(value);  // JSON has no such number; decoders take the string
        if (quoted) *p_++ = '"';
        p_ = WriteFloat(p_, value);
        if (quoted) *p_++ = '"';
        return;
      }
      case TypeId::kDouble: {
        double value = column.Values<double>()[row];
        bool quoted = !std::isfinite(value);
        if (quoted) *p_++ = '"';
        p_ = WriteDouble(p_, value);
        if (quoted) *p_++ = '"';
        return;
      }
      case TypeId::kDecimal: p_ = WriteDecimal(p_, DecimalAt(column, row), column.type.scale); return;
      case TypeId::kVarchar: {
        std::string_view s = column.Values<StringRef>()[row].view();
        Reserve(s.size() * 6 + 2);
        p_ = WriteJsonString(p_, s);
        return;
      }
      case TypeId::kBlob: {
        std::string s = Base64Encode(column.Values<StringRef>()[row].view());
        Reserve(s.size() + 2);
        *p_++ = '"';
        Literal(s);
        *p_++ = '"';
        return;
      }
      case TypeId::kDate:
        *p_++ = '"';
        p_ = WriteDate(p_, column.Values<int32_t>()[row]);
        *p_++ = '"';
        return;
      case TypeId::kTime:
        *p_++ = '"';
        p_ = WriteTime(p_, column.Values<int64_t>()[row]);
        *p_++ = '"';
        return;
      case TypeId::kTimestamp:
      case TypeId::kTimestampTz:
        *p_++ = '"';
        p_ = WriteTimestamp(p_, column.Values<int64_t>()[row], options_.timestamps,
                            column.type.id == TypeId::kTimestampTz);
        *p_++ = '"';
        return;
      case TypeId::kInterval:
        *p_++ = '"';
        p_ = WriteInterval(p_, column.Values<Interval>()[row]);
        *p_++ = '"';
        return;
      case TypeId::kUuid: {
        __int128 value;
        memcpy(&value, column.Values<char>() + row * 16, 16);
        *p_++ = '"';
        p_ = WriteUuid(p_, value);
        *p_++ = '"';
        return;
      }
      case TypeId::kStruct:
        *p_++ = '{';
        for (size_t i = 0; i < column.children.size(); i++) {
          Prefix(name.children[i], i != 0);
          Value(column.children[i], row, name.children[i]);
        }
        Reserve(1);
        *p_++ = '}';
        return;
      case TypeId::kList: {
        ListEntry entry = column.Values<ListEntry>()[row];
        *p_++ = '[';
        for (uint64_t i = 0; i < entry.length; i++) {
          Reserve(1);
          if (i) *p_++ = ',';
          Value(column.children[0], entry.offset + i, name.children[0]);
        }
        Reserve(1);
        *p_++ = ']';
        return;
      }
      case TypeId::kMap: {
        ListEntry entry = column.Values<ListEntry>()[row];
        const Column& keys = column.children[0].children[0];
        const Column& map_values = column.children[0].children[1];
        *p_++ = '{';
        for (uint64_t i = 0; i < entry.length; i++) {
          key_.clear();
          if (keys.IsValid(entry.offset + i)) AppendValueText(keys, entry.offset + i, options_.timestamps, &key_);
          Reserve(key_.size() * 6 + 4);
          if (i) *p_++ = ',';
          p_ = WriteJsonString(p_, key_);
          *p_++ = ':';
          Value(map_values, entry.offset + i, name.children[0].children[1]);
        }
        Reserve(1);
        *p_++ = '}';
        return;
      }
    }
  }

  FormatOptions options_;
  std::vector<Name> names_;
  std::vector<size_t> ends_;
  std::string key_;
  char* buffer_ = nullptr;
  char* p_ = nullptr;
  char* limit_ = nullptr;
};

}  // namespace

std::unique_ptr<Encoder> MakeJsonEncoder(FormatOptions options) {
  return std::make_unique<JsonEncoder>(std::move(options));
}

}  // namespace tailrace::data
