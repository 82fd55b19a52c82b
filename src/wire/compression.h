#pragma once
// The codecs of record batches, in the framings that Kafka's clients use. Inflating never takes more memory than the
// caller's limit (plus a codec's fixed state), however much the input claims to hold.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace tailrace::wire {

enum class Compression : uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };  // attribute bits 0-2

/// "none", "gzip", "snappy", "lz4", "zstd".
std::string_view CompressionName(Compression codec);
Result<Compression> ParseCompression(std::string_view name);

/// Memory for inflated bytes, reused from call to call, not cleared. One thread at a time.
class InflateBuffer {
 public:
  BytesView view() const { return {data_.get(), size_}; }
  /// Hands the memory over to shared ownership; the buffer is empty afterwards.
  SharedBytes Share();

 private:
  friend Status Inflate(Compression, BytesView, size_t, InflateBuffer*);
  friend class Inflater;
  /// Room for at least `capacity` bytes; keeps the first size_ ones.
  void Grow(size_t capacity);
  std::unique_ptr<char[]> data_;
  size_t capacity_ = 0;
  size_t size_ = 0;
};

/// Replaces `out` by the inflated bytes. Errors: kLimitExceeded (more than `limit` bytes come out: a bomb), kCorrupt.
Status Inflate(Compression codec, BytesView in, size_t limit, InflateBuffer* out);

/// Appends the compressed form to `out`. Snappy in xerial's framing, lz4 as frame with independent blocks, as Kafka's
/// Java client reads them. `level` 0 = the codec's default. kNone copies.
void Deflate(Compression codec, BytesView in, int level, std::string* out);

}  // namespace tailrace::wire
