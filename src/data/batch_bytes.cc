#include "data/batch_bytes.h"

#include <cstring>

#include "base/bytes.h"

namespace tailrace::data {

namespace {

constexpr uint32_t kMagic = 0x31425254;  // "TRB1" on disk: the version is in it
constexpr size_t kHeaderBytes = 20;  // magic, CRC-32C of all behind it, length of all behind these 12, rows, columns

void Append32(uint32_t v, std::string* out) {
  char b[4];
  StoreLe32(b, v);
  out->append(b, 4);
}

void AppendColumn(const Column& column, uint64_t rows, std::string* out) {
  *out += static_cast<char>(column.type.id);
  bool nulls = false;
  for (uint64_t i = 0; i < rows && !nulls; i++) nulls = !column.IsValid(i);
  *out += static_cast<char>(nulls);
  if (nulls) out->append(reinterpret_cast<const char*>(column.validity), (rows + 63) / 64 * 8);
  switch (column.type.id) {
    case TypeId::kStruct:
      for (const Column& child : column.children) AppendColumn(child, rows, out);
      return;
    case TypeId::kVarchar:
    case TypeId::kBlob:
      for (uint64_t i = 0; i < rows; i++) Append32(column.IsValid(i) ? column.Values<StringRef>()[i].size() : 0, out);
      for (uint64_t i = 0; i < rows; i++)
        if (column.IsValid(i)) out->append(column.Values<StringRef>()[i].view());
      return;
    case TypeId::kList:
    case TypeId::kMap: {
      // Only the elements that rows point at, in the order of the rows.
      std::vector<uint32_t> elements;
      for (uint64_t i = 0; i < rows; i++) {
        ListEntry entry = column.IsValid(i) ? column.Values<ListEntry>()[i] : ListEntry{0, 0};
        Append32(static_cast<uint32_t>(entry.length), out);
        for (uint64_t k = 0; k < entry.length; k++) elements.push_back(static_cast<uint32_t>(entry.offset + k));
      }
      Append32(static_cast<uint32_t>(elements.size()), out);
      if (elements.empty()) return;
      Batch child;
      child.rows = static_cast<uint32_t>(column.list_size);
      child.columns.push_back(column.children[0]);
      auto arena = std::make_shared<Arena>();
      AppendColumn(Gather(child, elements.data(), static_cast<uint32_t>(elements.size()), arena).columns[0],
                   elements.size(), out);
      return;
    }
    default: out->append(static_cast<const char*>(column.data), rows * column.type.ValueSize());
  }
}

struct Reader {
  BytesView rest;
  Arena& arena;
  bool Take(size_t n, BytesView* out) {
    if (rest.size() < n) return false;
    *out = rest.substr(0, n);
    rest.remove_prefix(n);
    return true;
  }

  bool ReadColumn(const Type& type, uint64_t rows, Column* column) {
    BytesView head, bytes;
    if (!Take(2, &head) || static_cast<uint8_t>(head[0]) != static_cast<uint8_t>(type.id)) return false;
    // Bounded by what is there, before anything of `rows` is allocated.
    uint32_t size = type.ValueSize();
    if (type.id == TypeId::kVarchar || type.id == TypeId::kBlob || type.id == TypeId::kList || type.id == TypeId::kMap)
      size = 4;
    if (rest.size() / std::max<uint32_t>(size, 1) < rows && size > 0) return false;
    *column = AllocateColumn(arena, type, static_cast<uint32_t>(rows));
    if (head[1]) {
      if (!Take((rows + 63) / 64 * 8, &bytes)) return false;
      memcpy(column->validity, bytes.data(), bytes.size());
    }
    switch (type.id) {
      case TypeId::kStruct:
        for (size_t c = 0; c < type.children.size(); c++)
          if (!ReadColumn(type.children[c].type, rows, &column->children[c])) return false;
        return true;
      case TypeId::kVarchar:
      case TypeId::kBlob: {
        BytesView lengths;
        if (!Take(rows * 4, &lengths)) return false;
        for (uint64_t i = 0; i < rows; i++) {
          if (!Take(LoadLe32(lengths.data() + i * 4), &bytes)) return false;
          column->Values<StringRef>()[i] = arena.Copy(bytes);
        }
        return true;
      }
      case TypeId::kList:
      case TypeId::kMap: {
        BytesView lengths, count;
        if (!Take(rows * 4, &lengths) || !Take(4, &count)) return false;
        uint64_t at = 0;
        for (uint64_t i = 0; i < rows; i++) {
          uint64_t length = LoadLe32(lengths.data() + i * 4);
          column->Values<ListEntry>()[i] = {at, length};
          at += length;
        }
        if (at != LoadLe32(count.data())) return false;
        if (at == 0) {
          AllocateChild(arena, *column, 0);
          return true;
        }
        column->list_size = at;
        return ReadColumn(type.children[0].type, at, &column->children[0]);
      }
      default:
        if (!Take(rows * type.ValueSize(), &bytes)) return false;
        memcpy(column->data, bytes.data(), bytes.size());
        return true;
    }
  }
};

}  // namespace

void AppendBatchBytes(const Batch& batch, std::string* out) {
  size_t start = out->size();
  out->append(kHeaderBytes, '\0');
  *out += static_cast<char>(batch.kinds != nullptr);
  if (batch.kinds) out->append(reinterpret_cast<const char*>(batch.kinds), batch.rows);
  for (const Column& column : batch.columns) AppendColumn(column, batch.rows, out);
  char* p = out->data() + start;
  StoreLe32(p, kMagic);
  StoreLe32(p + 8, static_cast<uint32_t>(out->size() - start - 12));
  StoreLe32(p + 12, batch.rows);
  StoreLe32(p + 16, static_cast<uint32_t>(batch.columns.size()));
  StoreLe32(p + 4, Crc32c(BytesView(*out).substr(start + 8)));
}

Result<Batch> ReadBatchBytes(BytesView* bytes, const std::vector<Type>& types) {
  if (bytes->size() < kHeaderBytes) return Corrupt("a batch is cut off");
  const char* p = bytes->data();
  if (LoadLe32(p) != kMagic) {
    if ((LoadLe32(p) & 0xffffff) == (kMagic & 0xffffff)) return Unsupported("a batch of a newer version");
    return Corrupt("not a batch");
  }
  size_t length = LoadLe32(p + 8);
  if (length < 8 || bytes->size() < length + 12) return Corrupt("a batch is cut off");
  if (Crc32c(bytes->substr(8, length + 4)) != LoadLe32(p + 4)) return Corrupt("a batch has a wrong checksum");
  auto arena = std::make_shared<Arena>();
  Batch batch;
  batch.rows = LoadLe32(p + 12);
  if (LoadLe32(p + 16) != types.size()) return Corrupt("a batch has other columns than its table");
  Reader reader{bytes->substr(kHeaderBytes, length - 8), *arena};
  BytesView head, kinds;
  if (!reader.Take(1, &head)) return Corrupt("a batch is cut off");
  if (head[0]) {
    if (!reader.Take(batch.rows, &kinds)) return Corrupt("a batch is cut off");
    auto* copy = static_cast<RowKind*>(arena->Allocate(batch.rows));
    memcpy(copy, kinds.data(), batch.rows);
    batch.kinds = copy;
  }
  batch.columns.resize(types.size());
  for (size_t c = 0; c < types.size(); c++)
    if (!reader.ReadColumn(types[c], batch.rows, &batch.columns[c]))
      return Corrupt("a batch has other columns than its table");
  batch.owners.push_back(arena);
  bytes->remove_prefix(length + 12);
  return batch;
}

}  // namespace tailrace::data
