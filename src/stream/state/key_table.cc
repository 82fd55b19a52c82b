#include "stream/state/key_table.h"

#include <bit>
#include <cstring>

#include "stream/state/cell.h"
#include "stream/state/key_group.h"

namespace tailrace::stream {

using data::Column;
using data::StringRef;
using data::TypeId;

namespace {

uint64_t HashBytes(const char* p, size_t n) {
  uint64_t h = n;
  for (; n >= 16; p += 16, n -= 16) {
    uint64_t a, b;
    std::memcpy(&a, p, 8);
    std::memcpy(&b, p + 8, 8);
    h = MixHash(h ^ a, b);
  }
  uint64_t tail[2] = {0, 0};
  std::memcpy(tail, p, n);
  return MixHash(h ^ tail[0], tail[1]);
}

/// Short strings are hashed by what lies inline, which is the same for equal strings.
uint64_t HashString(StringRef s) {
  if (s.size() > StringRef::kInlined) return HashBytes(s.data(), s.size());
  uint64_t words[2];
  std::memcpy(words, &s, 16);
  return MixHash(words[0], words[1]);
}

template <typename Get>
void EncodeWords(const uint32_t* rows, uint32_t count, uint64_t* out, uint32_t stride, Get get) {
  if (rows) {
    for (uint32_t i = 0; i < count; i++) out[i * stride] = get(rows[i]);
  } else {
    for (uint32_t i = 0; i < count; i++) out[i * stride] = get(i);
  }
}

template <typename T>
void EncodeInts(const Column& c, const uint32_t* rows, uint32_t count, uint64_t* out, uint32_t stride) {
  const T* values = c.Values<T>();
  EncodeWords(rows, count, out, stride,
              [values](uint32_t r) { return static_cast<uint64_t>(static_cast<int64_t>(values[r])); });
}

}  // namespace

KeyTable::KeyTable(std::vector<data::Type> types)
    : types_(std::move(types)), strings_(std::make_unique<data::Arena>()) {
  uint32_t word = 1;
  for (const data::Type& type : types_) {
    bool nested = IsNested(type), string = IsString(type) || nested;
    uint32_t words = string || type.ValueSize() == 16 ? 2 : 1;
    parts_.push_back({word, words, string, nested});
    has_strings_ |= string;
    word += words;
  }
  words_ = word;
  slots_.assign(64, {0, kEmpty});
}

KeyTable::~KeyTable() = default;
KeyTable::KeyTable(KeyTable&&) noexcept = default;

void KeyTable::Encode(const std::vector<const Column*>& columns, const uint32_t* rows, uint32_t count) {
  batch_keys_.resize(size_t{count} * words_);
  batch_hashes_.resize(count);
  uint64_t* keys = batch_keys_.data();
  uint64_t* hashes = batch_hashes_.data();
  for (uint32_t i = 0; i < count; i++) keys[size_t{i} * words_] = 0;
  cells_.resize(parts_.size());
  for (size_t p = 0; p < parts_.size(); p++) {
    const Column& column = *columns[p];
    uint64_t* out = keys + parts_[p].offset;
    switch (column.type.ValueSize()) {
      case 1: EncodeInts<int8_t>(column, rows, count, out, words_); break;
      case 2: EncodeInts<int16_t>(column, rows, count, out, words_); break;
      case 4:
        if (column.type.id == TypeId::kFloat) {
          const float* v = column.Values<float>();
          EncodeWords(rows, count, out, words_,
                      [v](uint32_t r) { return std::bit_cast<uint64_t>(Canonical<double>(v[r])); });
        } else {
          EncodeInts<int32_t>(column, rows, count, out, words_);
        }
        break;
      case 8:
        if (column.type.id == TypeId::kDouble) {
          const double* v = column.Values<double>();
          EncodeWords(rows, count, out, words_,
                      [v](uint32_t r) { return std::bit_cast<uint64_t>(Canonical<double>(v[r])); });
        } else {
          EncodeInts<int64_t>(column, rows, count, out, words_);
        }
        break;
      default: {
        if (parts_[p].cell) break;  // below
        const char* values = static_cast<const char*>(column.data);
        for (uint32_t i = 0; i < count; i++) {
          std::memcpy(out + size_t{i} * words_, values + size_t{rows ? rows[i] : i} * 16, 16);
        }
      }
    }
    if (parts_[p].cell) {
      std::string& cells = cells_[p];
      cells.clear();
      std::vector<size_t> ends(count);
      StateWriter writer(&cells);
      for (uint32_t i = 0; i < count; i++) {
        WriteCell(column, rows ? rows[i] : i, writer);
        ends[i] = cells.size();
      }
      for (uint32_t i = 0; i < count; i++) {  // pointers only now that the buffer has stopped moving
        size_t from = i ? ends[i - 1] : 0;
        StringRef cell(cells.data() + from, static_cast<uint32_t>(ends[i] - from));
        std::memcpy(out + size_t{i} * words_, &cell, 16);
      }
    } else if (column.validity) {
      for (uint32_t i = 0; i < count; i++) {
        if (column.IsValid(rows ? rows[i] : i)) continue;
        keys[size_t{i} * words_] |= uint64_t{1} << (p & 63);
        if (parts_[p].string) {
          StringRef empty;
          std::memcpy(out + size_t{i} * words_, &empty, 16);
        } else {
          for (uint32_t w = 0; w < parts_[p].words; w++) out[size_t{i} * words_ + w] = 0;
        }
      }
    }
  }
  for (uint32_t i = 0; i < count; i++) hashes[i] = keys[size_t{i} * words_];
  for (const Part& part : parts_) {
    const uint64_t* in = keys + part.offset;
    if (part.string) {
      for (uint32_t i = 0; i < count; i++) {
        StringRef s;
        std::memcpy(static_cast<void*>(&s), in + size_t{i} * words_, 16);
        hashes[i] = MixHash(hashes[i], HashString(s));
      }
    } else if (part.words == 2) {
      for (uint32_t i = 0; i < count; i++) {
        hashes[i] = MixHash(MixHash(hashes[i], in[size_t{i} * words_]), in[size_t{i} * words_ + 1]);
      }
    } else {
      for (uint32_t i = 0; i < count; i++) hashes[i] = MixHash(hashes[i], in[size_t{i} * words_]);
    }
  }
}

bool KeyTable::EqualSlow(const uint64_t* a, const uint64_t* b) const {
  if (a[0] != b[0]) return false;
  for (const Part& part : parts_) {
    const uint64_t *x = a + part.offset, *y = b + part.offset;
    if (!part.string) {
      if (std::memcmp(x, y, part.words * 8) != 0) return false;
      continue;
    }
    if (x[0] != y[0]) return false;  // length and first four bytes
    if (static_cast<uint32_t>(x[0]) <= StringRef::kInlined) {
      if (x[1] != y[1]) return false;
    } else {
      StringRef s, t;
      std::memcpy(static_cast<void*>(&s), x, 16);
      std::memcpy(static_cast<void*>(&t), y, 16);
      if (s.view() != t.view()) return false;
    }
  }
  return true;
}

uint32_t KeyTable::Insert(const uint64_t* key, uint64_t hash) {
  size_t at = keys_.size();
  keys_.insert(keys_.end(), key, key + words_);
  for (const Part& part : parts_) {
    if (!part.string) continue;
    StringRef s;
    std::memcpy(static_cast<void*>(&s), &keys_[at + part.offset], 16);
    if (s.size() <= StringRef::kInlined) continue;
    s = strings_->Copy(s.view());
    std::memcpy(&keys_[at + part.offset], &s, 16);
  }
  hashes_.push_back(hash);
  return size_++;
}

void KeyTable::Grow() {
  std::vector<Slot> slots(slots_.size() * 2, {0, kEmpty});
  size_t mask = slots.size() - 1;
  for (uint32_t g = 0; g < size_; g++) {
    size_t at = hashes_[g] & mask;
    while (slots[at].group != kEmpty) at = (at + 1) & mask;
    slots[at] = {static_cast<uint32_t>(hashes_[g] >> 32), g};
  }
  slots_ = std::move(slots);
}

template <uint32_t kWords>
void KeyTable::ProbeWords(uint32_t count, uint32_t* groups) {
  constexpr uint32_t kAhead = 8;
  const uint64_t* hashes = batch_hashes_.data();
  for (uint32_t i = 0; i < count; i++) {
    if (i + kAhead < count) __builtin_prefetch(&slots_[hashes[i + kAhead] & (slots_.size() - 1)]);
    if (size_ * 2 >= slots_.size()) Grow();
    size_t mask = slots_.size() - 1;
    uint64_t hash = hashes[i];
    uint32_t tag = static_cast<uint32_t>(hash >> 32);
    const uint64_t* key = batch_keys_.data() + size_t{i} * words_;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
      Slot& slot = slots_[at];
      if (slot.group == kEmpty) {
        uint32_t group = Insert(key, hash);
        slot = {tag, group};
        groups[i] = group;
        break;
      }
      if (slot.tag != tag) continue;
      const uint64_t* other = keys_.data() + size_t{slot.group} * words_;
      bool equal;
      if constexpr (kWords > 0) equal = std::memcmp(key, other, kWords * 8) == 0;
      else equal = EqualSlow(key, other);
      if (equal) {
        groups[i] = slot.group;
        break;
      }
    }
  }
}

void KeyTable::Probe(uint32_t count, uint32_t* groups) {
  if (has_strings_) return ProbeWords<0>(count, groups);
  switch (words_) {
    case 2: return ProbeWords<2>(count, groups);
    case 3: return ProbeWords<3>(count, groups);
    case 4: return ProbeWords<4>(count, groups);
    default: return ProbeWords<0>(count, groups);
  }
}

void KeyTable::FindOrAdd(const std::vector<const Column*>& columns, const uint32_t* rows, uint32_t count,
                         uint32_t* groups) {
  if (parts_.empty()) {  // one group for all
    if (count && size_ == 0) {
      uint64_t none = 0;
      Insert(&none, 0);
    }
    std::memset(groups, 0, count * sizeof(uint32_t));
    return;
  }
  Encode(columns, rows, count);
  Probe(count, groups);
}

uint32_t KeyTable::AddFrom(StateReader& in) {
  if (parts_.empty()) {
    uint32_t group;
    FindOrAdd({}, nullptr, 1, &group);
    return group;
  }
  batch_keys_.assign(words_, 0);
  batch_hashes_.assign(1, 0);
  uint64_t* key = batch_keys_.data();
  key[0] = in.U64();
  uint64_t hash = key[0];
  for (const Part& part : parts_) {
    if (part.string) {
      BytesView bytes = in.Bytes();
      StringRef s(bytes);
      std::memcpy(key + part.offset, &s, 16);
      hash = MixHash(hash, HashString(s));
    } else {
      for (uint32_t w = 0; w < part.words; w++) {
        key[part.offset + w] = in.U64();
        hash = MixHash(hash, key[part.offset + w]);
      }
    }
  }
  batch_hashes_[0] = hash;
  uint32_t group;
  Probe(1, &group);
  return group;
}

void KeyTable::WriteKey(uint32_t group, StateWriter& out) const {
  if (parts_.empty()) return;
  const uint64_t* key = keys_.data() + size_t{group} * words_;
  out.U64(key[0]);
  for (const Part& part : parts_) {
    if (part.string) {
      StringRef s;
      std::memcpy(static_cast<void*>(&s), key + part.offset, 16);
      out.Bytes(s.view());
    } else {
      for (uint32_t w = 0; w < part.words; w++) out.U64(key[part.offset + w]);
    }
  }
}

void KeyTable::Read(const uint32_t* groups, uint32_t count, std::vector<Column>* out, data::Arena& arena) const {
  out->clear();
  for (size_t p = 0; p < parts_.size(); p++) {
    const Part& part = parts_[p];
    auto word = [&](uint32_t i) { return keys_.data() + size_t{groups[i]} * words_ + part.offset; };
    if (part.cell) {
      CellColumn cells(types_[p]);
      for (uint32_t i = 0; i < count; i++) {
        StringRef s;
        std::memcpy(static_cast<void*>(&s), word(i), 16);
        StateReader reader(s.view());
        cells.Append(reader);
      }
      out->push_back(cells.Build(arena));
      continue;
    }
    Column column = data::AllocateColumn(arena, types_[p], count);
    uint32_t size = types_[p].ValueSize();
    char* values = static_cast<char*>(column.data);
    if (types_[p].id == TypeId::kFloat) {
      for (uint32_t i = 0; i < count; i++) {
        reinterpret_cast<float*>(values)[i] = static_cast<float>(std::bit_cast<double>(*word(i)));
      }
    } else {
      for (uint32_t i = 0; i < count; i++) std::memcpy(values + size_t{i} * size, word(i), size);  // little-endian
    }
    for (uint32_t i = 0; i < count; i++) {
      if (keys_[size_t{groups[i]} * words_] >> (p & 63) & 1) column.SetNull(i);
    }
    out->push_back(std::move(column));
  }
}

size_t KeyTable::bytes() const {
  return slots_.size() * sizeof(Slot) + keys_.capacity() * 8 + hashes_.capacity() * 8 + strings_->used();
}

}  // namespace tailrace::stream
