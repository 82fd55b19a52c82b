#include "wire/compression.h"

#include <fmt/format.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace tailrace::wire {
namespace {

// xerial's snappy-java stream: this, two int32 versions, then blocks of int32 length + raw snappy.
constexpr std::string_view kXerialMagic("\x82SNAPPY\0", 8);
constexpr size_t kXerialHeader = 16;
constexpr size_t kXerialBlock = 32 * 1024;
constexpr size_t kFirstGuess = 64 * 1024;

Error Damaged(Compression codec, std::string_view why) {
  return Corrupt(fmt::format("{} data does not inflate: {}", CompressionName(codec), why));
}

Error TooLarge(Compression codec, size_t limit) {
  return Error(ErrorCode::kLimitExceeded,
               fmt::format("{} data inflates to more than {} bytes", CompressionName(codec), limit))
      .Remedy("send smaller batches");
}

// Codec states are large (zlib 40 KB, zstd 150 KB) and dear to make: each thread keeps the ones it used.
struct ZlibInflate {
  z_stream stream{};
  bool ok;
  ZlibInflate() : ok(inflateInit2(&stream, 15 + 16) == Z_OK) {}
  ~ZlibInflate() { inflateEnd(&stream); }
};
struct Lz4Context {
  LZ4F_dctx* context = nullptr;
  Lz4Context() { CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))); }
  ~Lz4Context() { LZ4F_freeDecompressionContext(context); }
};
struct ZstdDecompress {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ~ZstdDecompress() { ZSTD_freeDCtx(context); }
};
struct ZstdCompress {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ~ZstdCompress() { ZSTD_freeCCtx(context); }
};

}  // namespace

std::string_view CompressionName(Compression codec) {
  static constexpr std::string_view kNames[] = {"none", "gzip", "snappy", "lz4", "zstd"};
  auto i = static_cast<size_t>(codec);
  return i < std::size(kNames) ? kNames[i] : "unknown";
}

Result<Compression> ParseCompression(std::string_view name) {
  for (int i = 0; i <= 4; i++) {
    if (CompressionName(static_cast<Compression>(i)) == name) return static_cast<Compression>(i);
  }
  return InvalidArgument(fmt::format("unknown compression '{}'", name)).Remedy("use none, gzip, snappy, lz4 or zstd");
}

SharedBytes InflateBuffer::Share() {
  BytesView bytes = view();
  std::shared_ptr<const void> owner(data_.release(), [](const void* p) { delete[] static_cast<const char*>(p); });
  capacity_ = size_ = 0;
  return {std::move(owner), bytes};
}

void InflateBuffer::Grow(size_t capacity) {
  if (capacity <= capacity_) return;
  auto bigger = std::make_unique_for_overwrite<char[]>(capacity);
  if (size_) std::memcpy(bigger.get(), data_.get(), size_);
  data_ = std::move(bigger);
  capacity_ = capacity;
}

class Inflater {
 public:
  Inflater(Compression codec, BytesView in, size_t limit, InflateBuffer* out)
      : codec_(codec), in_(in), limit_(limit), out_(out) {
    out_->size_ = 0;
  }

  Status None() {
    if (in_.size() > limit_) return TooLarge(codec_, limit_);
    out_->Grow(in_.size());
    if (!in_.empty()) std::memcpy(out_->data_.get(), in_.data(), in_.size());
    out_->size_ = in_.size();
    return Ok();
  }

  Status Gzip() {
    thread_local ZlibInflate zlib;
    if (!zlib.ok) return Error(ErrorCode::kInternal, "no memory for zlib");
    z_stream& s = zlib.stream;
    inflateReset(&s);
    s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in_.data()));
    s.avail_in = static_cast<uInt>(in_.size());
    for (;;) {
      TRY(Room());
      s.next_out = reinterpret_cast<Bytef*>(out_->data_.get() + out_->size_);
      const size_t room = std::min<size_t>(out_->capacity_ - out_->size_, 1u << 30);
      s.avail_out = static_cast<uInt>(room);
      int rc = inflate(&s, Z_NO_FLUSH);
      out_->size_ += room - s.avail_out;
      if (rc == Z_STREAM_END) {
        if (s.avail_in == 0) return Checked();
        inflateReset(&s);  // members of a gzip file may follow each other
      } else if (rc != Z_OK && !(rc == Z_BUF_ERROR && s.avail_out == 0)) {
        return Damaged(codec_, s.msg ? s.msg : "it ends too early");
      }
    }
  }

  Status Snappy() {
    if (!in_.starts_with(kXerialMagic)) return SnappyBlock(in_);
    if (in_.size() < kXerialHeader) return Damaged(codec_, "it ends in the header");
    for (size_t at = kXerialHeader; at < in_.size();) {
      if (in_.size() - at < 4) return Damaged(codec_, "it ends in a block's length");
      size_t n = LoadBe32(in_.data() + at);
      at += 4;
      if (n > in_.size() - at) return Damaged(codec_, "a block is longer than the bytes left");
      TRY(SnappyBlock(in_.substr(at, n)));
      at += n;
    }
    return Ok();
  }

  Status Lz4() {
    thread_local Lz4Context lz4;
    LZ4F_resetDecompressionContext(lz4.context);
    size_t at = 0;
    for (;;) {
      TRY(Room());
      size_t room = out_->capacity_ - out_->size_, taken = in_.size() - at;
      size_t rc =
          LZ4F_decompress(lz4.context, out_->data_.get() + out_->size_, &room, in_.data() + at, &taken, nullptr);
      if (LZ4F_isError(rc)) return Damaged(codec_, LZ4F_getErrorName(rc));
      out_->size_ += room;
      at += taken;
      if (rc == 0 && at == in_.size()) return Checked();
      if (room == 0 && taken == 0 && out_->size_ < out_->capacity_) return Damaged(codec_, "it ends too early");
    }
  }

  Status Zstd() {
    thread_local ZstdDecompress zstd;
    ZSTD_DCtx* context = zstd.context;
    if (!context) return Error(ErrorCode::kInternal, "no memory for zstd");
    const unsigned long long size = ZSTD_getFrameContentSize(in_.data(), in_.size());
    if (size == ZSTD_CONTENTSIZE_ERROR) return Damaged(codec_, "no zstd frame");
    if (size != ZSTD_CONTENTSIZE_UNKNOWN && size > limit_) return TooLarge(codec_, limit_);
    ZSTD_DCtx_reset(context, ZSTD_reset_session_and_parameters);
    // A frame may ask for a window of its own: not for more than could come out of it.
    int window_log = 10;
    while (window_log < 27 && (size_t{1} << window_log) < limit_) window_log++;
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, window_log);
    if (size != ZSTD_CONTENTSIZE_UNKNOWN) out_->Grow(static_cast<size_t>(std::max<unsigned long long>(size, 1)));
    ZSTD_inBuffer in{in_.data(), in_.size(), 0};
    for (;;) {
      TRY(Room());
      ZSTD_outBuffer to{out_->data_.get(), out_->capacity_, out_->size_};
      const size_t before_in = in.pos, before_out = to.pos;
      size_t rc = ZSTD_decompressStream(context, &to, &in);
      if (ZSTD_isError(rc)) return Damaged(codec_, ZSTD_getErrorName(rc));
      out_->size_ = to.pos;
      if (rc == 0 && in.pos == in.size) return Checked();
      if (in.pos == before_in && to.pos == before_out && to.pos < to.size) return Damaged(codec_, "it ends too early");
    }
  }

 private:
  // One byte more than the limit, so that a result of exactly `limit` bytes is told from a longer one.
  Status Room() {
    if (out_->size_ > limit_) return TooLarge(codec_, limit_);
    if (out_->size_ < out_->capacity_) return Ok();
    const size_t guess = std::max({kFirstGuess, in_.size() * 3, out_->capacity_ * 2});
    out_->Grow(std::max(out_->size_ + 1, std::min(guess, limit_ + 1)));
    return Ok();
  }
  Status Checked() { return out_->size_ > limit_ ? Status(TooLarge(codec_, limit_)) : Ok(); }

  Status SnappyBlock(BytesView block) {
    size_t n;
    if (!snappy::GetUncompressedLength(block.data(), block.size(), &n)) return Damaged(codec_, "no length");
    if (n > limit_ - out_->size_) return TooLarge(codec_, limit_);
    // Snappy holds at most about 21 bytes per byte: a length beyond that is a lie, not worth the memory.
    if (n / 32 > block.size()) return Damaged(codec_, "it claims more than it can hold");
    if (out_->size_ + n > out_->capacity_) {
      out_->Grow(std::max(out_->size_ + n, std::min(limit_, out_->capacity_ * 2)));
    }
    if (!snappy::RawUncompress(block.data(), block.size(), out_->data_.get() + out_->size_)) {
      return Damaged(codec_, "a block is damaged");
    }
    out_->size_ += n;
    return Ok();
  }

  Compression codec_;
  BytesView in_;
  size_t limit_;
  InflateBuffer* out_;
};

Status Inflate(Compression codec, BytesView in, size_t limit, InflateBuffer* out) {
  Inflater inflater(codec, in, limit, out);
  if (in.empty() && codec != Compression::kNone) return Damaged(codec, "it is empty");
  switch (codec) {
    case Compression::kNone: return inflater.None();
    case Compression::kGzip: return inflater.Gzip();
    case Compression::kSnappy: return inflater.Snappy();
    case Compression::kLz4: return inflater.Lz4();
    case Compression::kZstd: return inflater.Zstd();
  }
  return Unsupported(fmt::format("compression type {}", static_cast<int>(codec)));
}

void Deflate(Compression codec, BytesView in, int level, std::string* out) {
  const size_t start = out->size();
  switch (codec) {
    case Compression::kNone: out->append(in); return;
    case Compression::kGzip: {
      z_stream s{};
      CHECK(deflateInit2(&s, level ? level : Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) ==
            Z_OK);
      out->resize(start + deflateBound(&s, in.size()));
      s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
      s.avail_in = static_cast<uInt>(in.size());
      s.next_out = reinterpret_cast<Bytef*>(out->data() + start);
      s.avail_out = static_cast<uInt>(out->size() - start);
      CHECK(deflate(&s, Z_FINISH) == Z_STREAM_END);
      out->resize(start + s.total_out);
      deflateEnd(&s);
      return;
    }
    case Compression::kSnappy: {
      out->append(kXerialMagic);
      out->append("\0\0\0\1\0\0\0\1", 8);
      for (size_t at = 0; at < in.size(); at += kXerialBlock) {
        BytesView block = in.substr(at, kXerialBlock);
        const size_t length_at = out->size();
        out->resize(length_at + 4 + snappy::MaxCompressedLength(block.size()));
        size_t n;
        snappy::RawCompress(block.data(), block.size(), out->data() + length_at + 4, &n);
        StoreBe32(out->data() + length_at, static_cast<uint32_t>(n));
        out->resize(length_at + 4 + n);
      }
      return;
    }
    case Compression::kLz4: {
      LZ4F_preferences_t preferences{};
      preferences.frameInfo.blockMode = LZ4F_blockIndependent;
      preferences.frameInfo.blockSizeID = LZ4F_max64KB;
      preferences.compressionLevel = level;
      out->resize(start + LZ4F_compressFrameBound(in.size(), &preferences));
      size_t n = LZ4F_compressFrame(out->data() + start, out->size() - start, in.data(), in.size(), &preferences);
      CHECK(!LZ4F_isError(n));
      out->resize(start + n);
      return;
    }
    case Compression::kZstd: {
      thread_local ZstdCompress zstd;
      CHECK(zstd.context != nullptr);
      out->resize(start + ZSTD_compressBound(in.size()));
      size_t n = ZSTD_compressCCtx(zstd.context, out->data() + start, out->size() - start, in.data(), in.size(),
                                   level ? level : 3);
      CHECK(!ZSTD_isError(n));
      out->resize(start + n);
      return;
    }
  }
  CHECK(!"a codec that exists");
}

}  // namespace tailrace::wire
