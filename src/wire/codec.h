#pragma once
// The primitive types of the Kafka protocol, in both directions. Generated messages are made of these calls.
// `flexible` chooses the compact forms of KIP-482: lengths as unsigned varint plus one, tagged fields after each
// struct.

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/types.h"

namespace tailrace::wire {

/// Bytes to send: small ones copied together, large ones shared in place, in order.
class ByteChain {
 public:
  void Append(BytesView bytes) { buffer_.append(bytes); }
  /// Shares from kShareMin bytes on, copies below: a copy of a little costs less than one more iovec.
  void Append(SharedBytes bytes);
  size_t size() const { return buffer_.size() + shared_size_; }
  /// Calls fn(BytesView) for each piece in order. Valid until the chain changes or goes.
  template <typename Fn>
  void ForEach(Fn fn) const {
    size_t from = 0;
    for (const Shared& s : shared_) {
      if (s.at > from) fn(BytesView(buffer_).substr(from, s.at - from));
      fn(s.bytes.view);
      from = s.at;
    }
    if (buffer_.size() > from) fn(BytesView(buffer_).substr(from));
  }
  std::string Flatten() const;

  static constexpr size_t kShareMin = 1024;

 private:
  friend class Encoder;
  struct Shared {
    size_t at;  // offset in buffer_ before which it stands
    SharedBytes bytes;
  };
  std::string buffer_;
  std::vector<Shared> shared_;
  size_t shared_size_ = 0;
};

class Encoder {
 public:
  void Bool(bool v) { Int8(v ? 1 : 0); }
  void Int8(int8_t v) { out_.buffer_.push_back(static_cast<char>(v)); }
  void Int16(int16_t v) { StoreBe16(Extend(2), static_cast<uint16_t>(v)); }
  void Int32(int32_t v) { StoreBe32(Extend(4), static_cast<uint32_t>(v)); }
  void Int64(int64_t v) { StoreBe64(Extend(8), static_cast<uint64_t>(v)); }
  void UuidValue(const Uuid& v) { std::memcpy(Extend(16), v.bytes.data(), 16); }
  void Uvarint(uint32_t v);
  /// REQUIRES: at most 32767 bytes (longer is cut: such a string is always a message for people).
  void String(std::string_view v, bool flexible);
  /// A null where `nullable` is false (an older version) goes out as empty.
  void NullableString(const std::optional<std::string>& v, bool flexible, bool nullable);
  void Bytes(BytesView v, bool flexible);
  void NullableBytes(const std::optional<std::string>& v, bool flexible, bool nullable);
  void RecordsValue(const Records& v, bool flexible, bool nullable);
  void ArrayCount(size_t n, bool flexible);
  void NullArray(bool flexible, bool nullable);
  void NoTags() { Uvarint(0); }
  /// Writes tag and room for a size; EndTag(mark) fills it in.
  size_t BeginTag(uint32_t tag);
  void EndTag(size_t mark);
  /// Reserves the int32 size that goes before every frame; FinishFrame fills it in.
  void BeginFrame() { Int32(0); }
  ByteChain FinishFrame() &&;
  ByteChain Finish() && { return std::move(out_); }

 private:
  char* Extend(size_t n) {
    size_t at = out_.buffer_.size();
    out_.buffer_.resize(at + n);
    return out_.buffer_.data() + at;
  }
  ByteChain out_;
};

/// Reads from bytes nobody trusts. The first failure sticks: later reads return zeros at once, arrays end, and ToError
/// tells field, reason and byte. Every length and count is held against the bytes left before anything is allocated;
/// all arrays of one message together have at most `max_elements` elements.
class Decoder {
 public:
  static constexpr size_t kMaxElements = 1'000'000;
  static constexpr size_t kMaxString = 32767;

  explicit Decoder(BytesView in, size_t max_elements = kMaxElements)
      : begin_(in.data()), p_(in.data()), end_(in.data() + in.size()), elements_left_(max_elements) {}

  // `field` names the field for errors ("topics[].name") and must outlive the decoder: a literal.
  bool Bool(const char* field) { return Int8(field) != 0; }
  int8_t Int8(const char* field) { return Need(1, field) ? static_cast<int8_t>(*p_++) : 0; }
  int16_t Int16(const char* field) { return Need(2, field) ? static_cast<int16_t>(LoadBe16(Take(2))) : 0; }
  int32_t Int32(const char* field) { return Need(4, field) ? static_cast<int32_t>(LoadBe32(Take(4))) : 0; }
  int64_t Int64(const char* field) { return Need(8, field) ? static_cast<int64_t>(LoadBe64(Take(8))) : 0; }
  Uuid UuidValue(const char* field);
  uint32_t Uvarint(const char* field);
  std::string String(bool flexible, const char* field);
  std::optional<std::string> NullableString(bool flexible, bool nullable, const char* field);
  std::string Bytes(bool flexible, const char* field);
  std::optional<std::string> NullableBytes(bool flexible, bool nullable, const char* field);
  Records RecordsValue(bool flexible, bool nullable, const char* field);
  /// Number of elements, or -1 for null where that is allowed.
  int32_t ArrayCount(bool flexible, bool nullable, const char* field);

  /// How many elements to reserve for at once: the rest grows with bytes that really come.
  static size_t Reserve(int32_t count) { return count < 256 ? static_cast<size_t>(count) : 256; }

  /// Skips all tagged fields of a struct that knows none.
  void SkipTags();
  /// One tagged field: its tag; reads are confined to it until EndTag, which skips what was not read.
  uint32_t BeginTag();
  void EndTag();
  uint32_t TagCount();

  bool ok() const { return !reason_; }
  size_t remaining() const { return static_cast<size_t>(end_ - p_); }
  size_t position() const { return static_cast<size_t>(p_ - begin_); }
  /// The rest, not read.
  BytesView rest() const { return {p_, remaining()}; }
  /// REQUIRES: !ok().
  Error ToError(std::string_view message, int16_t version) const;
  void Fail(const char* reason, const char* field);

 private:
  bool Need(size_t n, const char* field) {
    if (__builtin_expect(static_cast<size_t>(end_ - p_) >= n, 1)) return true;
    Fail("the bytes end inside it", field);
    return false;
  }
  const char* Take(size_t n) {
    const char* at = p_;
    p_ += n;
    return at;
  }
  /// Length of a string or of bytes; -1 for null.
  int64_t StringLength(bool flexible, const char* field);
  std::optional<std::string> Copied(int64_t length, bool nullable, const char* field);  // length < 0: null
  int64_t BytesLength(bool flexible, const char* field);

  const char* begin_;
  const char* p_;
  const char* end_;
  const char* end_outside_tag_[4] = {};  // structs with tagged fields inside tagged fields: two levels in Kafka
  int tag_depth_ = 0;
  size_t elements_left_;
  const char* reason_ = nullptr;
  const char* field_ = "";
  size_t failed_at_ = 0;
};

}  // namespace tailrace::wire
