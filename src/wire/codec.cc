#include "wire/codec.h"

#include <fmt/format.h>

namespace tailrace::wire {

std::string Uuid::ToString() const {
  std::string text = Base64Encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  text.resize(22);  // 16 bytes make 22 digits and two of padding
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}

size_t Records::size() const {
  if (chain.empty()) return view.size();
  size_t n = 0;
  for (const SharedBytes& s : chain) n += s.size();
  return n;
}

std::string Records::Flatten() const {
  if (chain.empty()) return std::string(view);
  std::string out;
  out.reserve(size());
  for (const SharedBytes& s : chain) out.append(s.view);
  return out;
}

bool Records::operator==(const Records& other) const { return null == other.null && Flatten() == other.Flatten(); }

void ByteChain::Append(SharedBytes bytes) {
  if (bytes.size() < kShareMin) return Append(bytes.view);
  shared_size_ += bytes.size();
  shared_.push_back({buffer_.size(), std::move(bytes)});
}

std::string ByteChain::Flatten() const {
  std::string out;
  out.reserve(size());
  ForEach([&](BytesView piece) { out.append(piece); });
  return out;
}

void Encoder::Uvarint(uint32_t v) {
  char bytes[5];
  int n = 0;
  for (; v >= 0x80; v >>= 7) bytes[n++] = static_cast<char>(v | 0x80);
  bytes[n++] = static_cast<char>(v);
  out_.buffer_.append(bytes, static_cast<size_t>(n));
}

void Encoder::String(std::string_view v, bool flexible) {
  v = v.substr(0, Decoder::kMaxString);
  if (flexible) {
    Uvarint(static_cast<uint32_t>(v.size()) + 1);
  } else {
    Int16(static_cast<int16_t>(v.size()));
  }
  out_.buffer_.append(v);
}

void Encoder::NullableString(const std::optional<std::string>& v, bool flexible, bool nullable) {
  if (v || !nullable) return String(v ? std::string_view(*v) : std::string_view(), flexible);
  if (flexible) {
    Uvarint(0);
  } else {
    Int16(-1);
  }
}

void Encoder::Bytes(BytesView v, bool flexible) {
  ArrayCount(v.size(), flexible);
  out_.buffer_.append(v);
}

void Encoder::NullableBytes(const std::optional<std::string>& v, bool flexible, bool nullable) {
  if (v || !nullable) return Bytes(v ? BytesView(*v) : BytesView(), flexible);
  NullArray(flexible, true);
}

void Encoder::RecordsValue(const Records& v, bool flexible, bool nullable) {
  if (v.null) return NullArray(flexible, nullable);
  ArrayCount(v.size(), flexible);
  if (v.chain.empty()) {
    out_.Append(v.view);
  } else {
    for (const SharedBytes& s : v.chain) out_.Append(s);
  }
}

void Encoder::ArrayCount(size_t n, bool flexible) {
  if (flexible) {
    Uvarint(static_cast<uint32_t>(n) + 1);
  } else {
    Int32(static_cast<int32_t>(n));
  }
}

void Encoder::NullArray(bool flexible, bool nullable) {
  if (!nullable) return ArrayCount(0, flexible);
  if (flexible) {
    Uvarint(0);
  } else {
    Int32(-1);
  }
}

size_t Encoder::BeginTag(uint32_t tag) {
  Uvarint(tag);
  return out_.buffer_.size();
}

void Encoder::EndTag(size_t mark) {
  // Tagged fields are few and short (never records): moving them costs less than computing sizes ahead.
  std::string body = out_.buffer_.substr(mark);
  out_.buffer_.resize(mark);
  Uvarint(static_cast<uint32_t>(body.size()));
  out_.buffer_.append(body);
}

ByteChain Encoder::FinishFrame() && {
  StoreBe32(out_.buffer_.data(), static_cast<uint32_t>(out_.size() - 4));
  return std::move(out_);
}

void Decoder::Fail(const char* reason, const char* field) {
  if (reason_) return;
  reason_ = reason;
  field_ = field;
  failed_at_ = position();
  p_ = end_ = begin_;  // nothing remains: every later read fails its check at once
  tag_depth_ = 0;
}

Error Decoder::ToError(std::string_view message, int16_t version) const {
  return Corrupt(fmt::format("{} v{}: {}: {} (byte {})", message, version, field_, reason_, failed_at_));
}

Uuid Decoder::UuidValue(const char* field) {
  Uuid v;
  if (Need(16, field)) std::memcpy(v.bytes.data(), Take(16), 16);
  return v;
}

uint32_t Decoder::Uvarint(const char* field) {
  uint64_t v = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (!Need(1, field)) return 0;
    auto b = static_cast<uint8_t>(*p_++);
    v |= static_cast<uint64_t>(b & 0x7f) << shift;
    if (b < 0x80) {
      if (v > UINT32_MAX) break;
      return static_cast<uint32_t>(v);
    }
  }
  Fail("a varint of more than 32 bits", field);
  return 0;
}

// Any negative length or count means null, as Apache Kafka reads it.
int64_t Decoder::StringLength(bool flexible, const char* field) {
  int64_t n = flexible ? static_cast<int64_t>(Uvarint(field)) - 1 : Int16(field);
  if (!ok()) return 0;
  if (n > static_cast<int64_t>(kMaxString)) Fail("longer than 32767 bytes", field);
  if (n > static_cast<int64_t>(remaining())) Fail("longer than the bytes left", field);
  return ok() ? n : 0;
}

int64_t Decoder::BytesLength(bool flexible, const char* field) {
  int64_t n = flexible ? static_cast<int64_t>(Uvarint(field)) - 1 : Int32(field);
  if (!ok()) return 0;
  if (n > static_cast<int64_t>(remaining())) Fail("longer than the bytes left", field);
  return ok() ? n : 0;
}

std::optional<std::string> Decoder::Copied(int64_t length, bool nullable, const char* field) {
  if (length < 0 && !nullable) Fail("null is not allowed", field);
  if (length < 0 || !ok()) return std::nullopt;
  return std::string(Take(static_cast<size_t>(length)), static_cast<size_t>(length));
}

std::string Decoder::String(bool flexible, const char* field) {
  return Copied(StringLength(flexible, field), false, field).value_or(std::string());
}

std::optional<std::string> Decoder::NullableString(bool flexible, bool nullable, const char* field) {
  return Copied(StringLength(flexible, field), nullable, field);
}

std::string Decoder::Bytes(bool flexible, const char* field) {
  return Copied(BytesLength(flexible, field), false, field).value_or(std::string());
}

std::optional<std::string> Decoder::NullableBytes(bool flexible, bool nullable, const char* field) {
  return Copied(BytesLength(flexible, field), nullable, field);
}

Records Decoder::RecordsValue(bool flexible, bool nullable, const char* field) {
  Records v;
  int64_t n = BytesLength(flexible, field);
  if (n < 0 && !nullable) Fail("null is not allowed", field);
  if (!ok()) return v;
  v.null = n < 0;
  if (n > 0) v.view = {Take(static_cast<size_t>(n)), static_cast<size_t>(n)};
  return v;
}

int32_t Decoder::ArrayCount(bool flexible, bool nullable, const char* field) {
  int64_t n = flexible ? static_cast<int64_t>(Uvarint(field)) - 1 : Int32(field);
  if (!ok()) return 0;
  if (n < 0 && !nullable) Fail("null is not allowed", field);
  if (n > static_cast<int64_t>(remaining())) Fail("more elements than bytes left", field);
  if (n > static_cast<int64_t>(elements_left_)) Fail("more array elements than a message may have", field);
  if (!ok()) return 0;
  if (n < 0) return -1;
  elements_left_ -= static_cast<size_t>(n);
  return static_cast<int32_t>(n);
}

uint32_t Decoder::TagCount() {
  uint32_t n = Uvarint("_tagged_fields");
  if (n > remaining()) Fail("more tagged fields than bytes left", "_tagged_fields");
  return ok() ? n : 0;
}

void Decoder::SkipTags() {
  for (uint32_t n = TagCount(); n > 0 && ok(); n--) {
    BeginTag();
    EndTag();
  }
}

uint32_t Decoder::BeginTag() {
  uint32_t tag = Uvarint("_tagged_fields");
  uint32_t size = Uvarint("_tagged_fields");
  if (ok() && size > remaining()) Fail("longer than the bytes left", "_tagged_fields");
  if (ok() && tag_depth_ == 4) Fail("nested too deep", "_tagged_fields");
  if (!ok()) return UINT32_MAX;
  end_outside_tag_[tag_depth_++] = end_;
  end_ = p_ + size;
  return tag;
}

void Decoder::EndTag() {
  if (!ok()) return;
  p_ = end_;
  end_ = end_outside_tag_[--tag_depth_];
}

}  // namespace tailrace::wire
