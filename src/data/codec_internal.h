#pragma once
// What the formats of this module share. Not for other modules: they take codec.h.

#include <atomic>
#include <memory>
#include <new>
#include <vector>

#include "data/codec.h"

namespace tailrace::data {

/// Arenas given out with batches come back once their batches are gone: no malloc and no page fault a batch.
class ArenaPool {
 public:
  std::shared_ptr<Arena> Take() {
    for (auto& arena : arenas_) {
      if (arena.use_count() != 1) continue;
      std::atomic_thread_fence(std::memory_order_acquire);  // what the last holder did happened before
      arena->Reset();
      return arena;
    }
    auto arena = std::make_shared<Arena>();
    if (arenas_.size() < kKept) arenas_.push_back(arena);
    return arena;
  }

 private:
  static constexpr size_t kKept = 16;
  std::vector<std::shared_ptr<Arena>> arenas_;
};

/// Origins point at a TopicPartition that their batch keeps alive.
class FromKeeper {
 public:
  const std::shared_ptr<const TopicPartition>& Keep(const TopicPartition& from) {
    if (!from_ || *from_ != from) from_ = std::make_shared<const TopicPartition>(from);
    return from_;
  }

 private:
  std::shared_ptr<const TopicPartition> from_;
};

/// The row's values are valid, as AllocateColumn leaves them.
inline void ClearNull(Column& column, uint64_t row) {
  column.validity[row >> 6] |= uint64_t{1} << (row & 63);
  if (column.type.id == TypeId::kStruct)
    for (Column& child : column.children) ClearNull(child, row);
}

/// Sets up `out` for up to `records` rows of the columns wanted, and adds origins.
struct RowSink {
  RowSink(std::shared_ptr<Arena> a, const std::shared_ptr<const TopicPartition>& from, const FormatOptions& options,
          size_t records, Batch* batch)
      : arena(std::move(a)), from_(from.get()), out(batch) {
    capacity = static_cast<uint32_t>(records < kBatchRows ? records : kBatchRows);
    out->rows = 0;
    out->columns.clear();
    out->columns.reserve(options.columns.size());
    for (int c : options.columns)
      out->columns.push_back(AllocateColumn(*arena, options.schema.at(static_cast<size_t>(c)).type, capacity));
    origins = static_cast<RowOrigin*>(arena->Allocate(sizeof(RowOrigin) * capacity));
    out->origins = origins;
    out->kinds = nullptr;
    out->owners.clear();
    out->owners.push_back(arena);
    out->owners.push_back(from);
  }
  void Add(const RecordView& record) {
    new (&origins[out->rows++]) RowOrigin{from_, record.offset, record.timestamp_ms, record.key, record.value};
  }

  /// A record failed half-way: the nulls it has set must not be the next record's, which takes its row.
  void Drop() {
    for (Column& column : out->columns) ClearNull(column, out->rows);
  }

  std::shared_ptr<Arena> arena;
  const TopicPartition* from_;
  Batch* out;
  RowOrigin* origins;
  uint32_t capacity;
};

std::unique_ptr<Decoder> MakeJsonDecoder(FormatOptions options);
std::unique_ptr<Encoder> MakeJsonEncoder(FormatOptions options);
std::unique_ptr<Decoder> MakeCsvDecoder(FormatOptions options);
std::unique_ptr<Encoder> MakeCsvEncoder(FormatOptions options);
std::unique_ptr<Decoder> MakeRawDecoder(FormatOptions options);
std::unique_ptr<Encoder> MakeRawEncoder(FormatOptions options);

}  // namespace tailrace::data
