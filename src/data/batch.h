#pragma once
// The column batch that travels from decode to encode. Its arrays have the layout of DuckDB's flat vectors, so that a
// bound expression runs over them in place and its result comes back in place (docs/decisions/0003).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/record.h"
#include "data/types.h"

namespace tailrace::data {

/// Rows in a batch at most: DuckDB's STANDARD_VECTOR_SIZE.
inline constexpr uint32_t kBatchRows = 2048;

/// Bump allocator behind a batch's arrays and strings. Not thread-safe; what it gave lives as long as it does.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();
  /// Aligned to 16 bytes, not cleared.
  void* Allocate(size_t bytes);
  StringRef Copy(std::string_view s);
  size_t used() const { return used_; }
  /// Forgets all and keeps one block for reuse. REQUIRES: nobody holds anything from it.
  void Reset();

 private:
  struct Block;
  Block* head_ = nullptr;
  size_t used_ = 0;
};

/// Kinds of a changelog row, as Flink's RowKind.
enum class RowKind : uint8_t { kInsert = 0, kUpdateBefore = 1, kUpdateAfter = 2, kDelete = 3 };
const char* RowKindName(RowKind kind);  // "+I" "-U" "+U" "-D"

/// A flat column on loan from its batch's owners.
struct Column {
  Type type;
  void* data = nullptr;          // rows x type.ValueSize(); nullptr for kStruct
  uint64_t* validity = nullptr;  // one bit a row, 1 = valid; nullptr = every row valid
  std::vector<Column> children;  // kStruct: one a field, as long as this; kList and kMap: one, list_size long
  uint64_t list_size = 0;

  template <typename T>
  T* Values() {
    return static_cast<T*>(data);
  }
  template <typename T>
  const T* Values() const {
    return static_cast<const T*>(data);
  }
  bool IsValid(uint64_t row) const { return !validity || (validity[row >> 6] >> (row & 63) & 1); }
  /// REQUIRES: validity was allocated (AllocateColumn does).
  void SetNull(uint64_t row) { validity[row >> 6] &= ~(uint64_t{1} << (row & 63)); }
};

/// Where a row came from, kept until its first stateful operator, so that an error names the record and carries its
/// bytes.
struct RowOrigin {
  const TopicPartition* from;  // owned by the batch's owners
  int64_t offset;
  int64_t timestamp_ms;
  BytesView key;
  BytesView value;
};

struct Batch {
  uint32_t rows = 0;
  std::vector<Column> columns;
  const RowKind* kinds = nullptr;      // nullptr = every row kInsert
  const RowOrigin* origins = nullptr;  // nullptr = not known (derived rows)
  /// Arenas, network buffers, DuckDB vectors: whatever the arrays point into.
  std::vector<std::shared_ptr<const void>> owners;

  RowKind KindOf(uint32_t row) const { return kinds ? kinds[row] : RowKind::kInsert; }
};

/// A column of `rows` uninitialised values, all valid; children of structs likewise. Lists start empty (list_size 0,
/// child unallocated: see AllocateChild).
Column AllocateColumn(Arena& arena, const Type& type, uint32_t rows);
/// The child of a list column, `size` elements long.
void AllocateChild(Arena& arena, Column& list, uint64_t size);
/// The rows named by `selection`, in that order: fixed-size values are gathered into `arena`, string bytes and list
/// children are shared with `in`. Kinds and origins go along.
Batch Gather(const Batch& in, const uint32_t* selection, uint32_t count, const std::shared_ptr<Arena>& arena);

}  // namespace tailrace::data
