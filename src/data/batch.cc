#include "data/batch.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace tailrace::data {

namespace {

constexpr size_t kFirstBlockBytes = 16 << 10;
constexpr size_t kLargestBlockBytes = 4 << 20;

size_t AlignUp(size_t bytes) { return (bytes + 15) & ~size_t{15}; }
size_t ValidityWords(uint64_t rows) { return (rows + 63) / 64; }

template <typename T>
void GatherValues(const void* from, void* to, const uint32_t* selection, uint32_t count) {
  const T* source = static_cast<const T*>(from);
  T* target = static_cast<T*>(to);
  for (uint32_t i = 0; i < count; i++) target[i] = source[selection[i]];
}

struct Bytes16 {
  uint64_t a, b;
};

Column GatherColumn(const Column& in, const uint32_t* selection, uint32_t count, Arena& arena) {
  Column out;
  out.type = in.type;
  if (in.validity) {
    out.validity = static_cast<uint64_t*>(arena.Allocate(ValidityWords(count) * 8));
    memset(out.validity, 0xff, ValidityWords(count) * 8);
    for (uint32_t i = 0; i < count; i++)
      if (!in.IsValid(selection[i])) out.SetNull(i);
  }
  if (in.type.id == TypeId::kStruct) {
    for (const Column& child : in.children) out.children.push_back(GatherColumn(child, selection, count, arena));
    return out;
  }
  uint32_t size = in.type.ValueSize();
  out.data = arena.Allocate(size_t{size} * count);
  switch (size) {
    case 1: GatherValues<uint8_t>(in.data, out.data, selection, count); break;
    case 2: GatherValues<uint16_t>(in.data, out.data, selection, count); break;
    case 4: GatherValues<uint32_t>(in.data, out.data, selection, count); break;
    case 8: GatherValues<uint64_t>(in.data, out.data, selection, count); break;
    default: GatherValues<Bytes16>(in.data, out.data, selection, count); break;
  }
  out.children = in.children;  // of lists: entries keep pointing into the shared child
  out.list_size = in.list_size;
  return out;
}

}  // namespace

struct alignas(16) Arena::Block {
  Block* next;
  size_t capacity;  // bytes after the header
  size_t used;
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
};

Arena::~Arena() {
  while (head_) {
    Block* next = head_->next;
    free(head_);
    head_ = next;
  }
}

void* Arena::Allocate(size_t bytes) {
  bytes = AlignUp(std::max<size_t>(bytes, 1));
  if (!head_ || head_->capacity - head_->used < bytes) {
    size_t capacity = head_ ? std::min(head_->capacity * 2, kLargestBlockBytes) : kFirstBlockBytes;
    capacity = std::max(capacity, bytes);
    auto* block = static_cast<Block*>(malloc(sizeof(Block) + capacity));
    CHECK(block != nullptr);
    block->next = head_;
    block->capacity = capacity;
    block->used = 0;
    head_ = block;
  }
  void* p = head_->bytes() + head_->used;
  head_->used += bytes;
  used_ += bytes;
  return p;
}

StringRef Arena::Copy(std::string_view s) {
  if (s.size() <= StringRef::kInlined) return StringRef(s);
  char* p = static_cast<char*>(Allocate(s.size()));
  memcpy(p, s.data(), s.size());
  return StringRef(p, static_cast<uint32_t>(s.size()));
}

void Arena::Reset() {
  if (!head_) return;
  // Keep the largest, so that a reused arena soon has all it needs in one block.
  Block* keep = head_;
  for (Block* b = head_; b; b = b->next)
    if (b->capacity > keep->capacity) keep = b;
  for (Block* b = head_; b;) {
    Block* next = b->next;
    if (b != keep) free(b);
    b = next;
  }
  keep->next = nullptr;
  keep->used = 0;
  head_ = keep;
  used_ = 0;
}

const char* RowKindName(RowKind kind) {
  switch (kind) {
    case RowKind::kInsert: return "+I";
    case RowKind::kUpdateBefore: return "-U";
    case RowKind::kUpdateAfter: return "+U";
    case RowKind::kDelete: return "-D";
  }
  return "?";
}

Column AllocateColumn(Arena& arena, const Type& type, uint32_t rows) {
  Column column;
  column.type = type;
  size_t words = std::max<size_t>(ValidityWords(rows), 1);
  column.validity = static_cast<uint64_t*>(arena.Allocate(words * 8));
  memset(column.validity, 0xff, words * 8);
  if (type.id == TypeId::kStruct) {
    for (const Field& field : type.children) column.children.push_back(AllocateColumn(arena, field.type, rows));
    return column;
  }
  column.data = arena.Allocate(size_t{type.ValueSize()} * rows);
  if (type.id == TypeId::kList || type.id == TypeId::kMap) {
    column.children.emplace_back();
    column.children[0].type = type.children.at(0).type;
  }
  return column;
}

void AllocateChild(Arena& arena, Column& list, uint64_t size) {
  CHECK(list.type.id == TypeId::kList || list.type.id == TypeId::kMap);
  CHECK(size <= UINT32_MAX);
  list.children.resize(1);
  list.children[0] = AllocateColumn(arena, list.type.children.at(0).type, static_cast<uint32_t>(size));
  list.list_size = size;
}

Batch Gather(const Batch& in, const uint32_t* selection, uint32_t count, const std::shared_ptr<Arena>& arena) {
  Batch out;
  out.rows = count;
  out.columns.reserve(in.columns.size());
  for (const Column& column : in.columns) out.columns.push_back(GatherColumn(column, selection, count, *arena));
  if (in.kinds) {
    auto* kinds = static_cast<RowKind*>(arena->Allocate(count));
    for (uint32_t i = 0; i < count; i++) kinds[i] = in.kinds[selection[i]];
    out.kinds = kinds;
  }
  if (in.origins) {
    auto* origins = static_cast<RowOrigin*>(arena->Allocate(sizeof(RowOrigin) * count));
    for (uint32_t i = 0; i < count; i++) new (&origins[i]) RowOrigin(in.origins[selection[i]]);
    out.origins = origins;
  }
  out.owners = in.owners;
  out.owners.push_back(arena);
  return out;
}

}  // namespace tailrace::data
