#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "data/codec_internal.h"
#include "data/json_tokens.h"
#include "data/value_text.h"

namespace tailrace::data {

namespace {

/// Where the values of one wanted column, struct field or list element go.
struct Slot {
  std::string name;
  Type type;
  Column* column = nullptr;    // of the batch being filled
  uint64_t capacity = 0;       // of a list's child
  std::vector<Slot> children;  // struct: fields; list: the element; map: key and value
  uint64_t seen_in = 0;        // the object (by its number) that last had this field
  bool has_nulls = false;
  // Objects of one kind come with the same fields in the same order: for each position in the object the field that
  // was there last, so that finding it again is one comparison.
  struct Remembered {
    std::string key;
    int child;  // -1: not wanted
  };
  std::vector<Remembered> order;  // struct
};

constexpr size_t kRememberedMax = 256;

Slot MakeSlot(std::string name, const Type& type) {
  Slot slot;
  slot.name = std::move(name);
  slot.type = type;
  if (type.id == TypeId::kMap) {
    for (const Field& f : type.children.at(0).type.children) slot.children.push_back(MakeSlot(f.name, f.type));
  } else {
    for (const Field& f : type.children) slot.children.push_back(MakeSlot(f.name, f.type));
  }
  return slot;
}

bool HasLists(const Type& type) {
  if (type.id == TypeId::kList || type.id == TypeId::kMap) return true;
  for (const Field& f : type.children)
    if (HasLists(f.type)) return true;
  return false;
}

class JsonDecoder final : public Decoder {
 public:
  explicit JsonDecoder(FormatOptions options) : options_(std::move(options)) {
    for (int c : options_.columns) {
      const Field& field = options_.schema.at(static_cast<size_t>(c));
      root_.children.push_back(MakeSlot(field.name, field.type));
      any_lists_ |= HasLists(field.type);
    }
    walk_.depth_max = options_.max_depth;
  }

  uint32_t Decode(const TopicPartition& from, std::span<const RecordView> records, Batch* out,
                  std::vector<DecodeFailure>* failures) override {
    RowSink rows(arenas_.Take(), from_.Keep(from), options_, records.size(), out);
    arena_ = rows.arena.get();
    for (size_t i = 0; i < root_.children.size(); i++) Bind(root_.children[i], &out->columns[i]);
    uint32_t taken = 0;
    while (taken < records.size() && out->rows < rows.capacity) {
      const RecordView& record = records[taken++];
      if (record.value.data() == nullptr) continue;  // a tombstone is no row
      if (DecodeOne(record.value, out->rows)) {
        rows.Add(record);
      } else {
        rows.Drop();
        failures->push_back({taken - 1, Reason()});
      }
    }
    for (size_t i = 0; i < root_.children.size(); i++)
      if (!root_.children[i].has_nulls) out->columns[i].validity = nullptr;
    return taken;
  }

 private:
  void Bind(Slot& slot, Column* column) {
    slot.column = column;
    slot.has_nulls = false;
    if (slot.type.id == TypeId::kStruct) {
      for (size_t i = 0; i < slot.children.size(); i++) Bind(slot.children[i], &column->children[i]);
    } else if (slot.type.id == TypeId::kList) {
      AllocateChild(*arena_, *column, 0);
      slot.capacity = 0;
      Bind(slot.children[0], &column->children[0]);
    } else if (slot.type.id == TypeId::kMap) {
      AllocateChild(*arena_, *column, 0);
      slot.capacity = 0;
      Bind(slot.children[0], &column->children[0].children[0]);
      Bind(slot.children[1], &column->children[0].children[1]);
    }
  }

  bool DecodeOne(BytesView value, uint64_t row) {
    path_.clear();
    if (value.size() > options_.max_record_bytes) {
      walk_.reason = "the record has " + std::to_string(value.size()) + " bytes, over the limit of " +
                     std::to_string(options_.max_record_bytes);
      return false;
    }
    walk_.reason.clear();
    if (!index_.Index(value, &walk_.reason)) return false;
    walk_.Start(value, index_);
    if (walk_.Peek() != '{') return walk_.Expected("a JSON object");
    if (any_lists_) {
      list_sizes_.clear();
      for (Slot& slot : root_.children) SaveListSizes(slot);
    }
    bool good = Object(root_, row, 1);
    if (good && !walk_.AtEnd()) good = walk_.Expected("the end of the record");
    if (!good && any_lists_) {
      size_t next = 0;
      for (Slot& slot : root_.children) RestoreListSizes(slot, &next);
    }
    return good;
  }

  std::string Reason() const {
    if (path_.empty()) return walk_.reason;
    std::string name;
    for (auto it = path_.rbegin(); it != path_.rend(); ++it)
      name += (it == path_.rbegin() || (*it)[0] == '[' ? "" : ".") + *it;
    return "field " + name + ": " + walk_.reason;
  }

  int FindChild(Slot& object, size_t position, std::string_view key, bool escaped) {
    if (position < object.order.size()) {
      const auto& last = object.order[position];
      if (last.key.size() == key.size() && memcmp(last.key.data(), key.data(), key.size()) == 0 && !escaped)
        return last.child;
    }
    int found = -1;
    for (size_t i = 0; i < object.children.size(); i++) {
      if (object.children[i].name == key) {
        found = static_cast<int>(i);
        break;
      }
    }
    if (!escaped && position < kRememberedMax && key.size() < 256) {
      if (position == object.order.size()) object.order.push_back({std::string(key), found});
      else if (position < object.order.size()) object.order[position] = {std::string(key), found};
    }
    return found;
  }

  /// REQUIRES: at '{'.
  bool Object(Slot& object, uint64_t row, int depth) {
    if (depth > options_.max_depth)
      return walk_.Fail("nested deeper than " + std::to_string(options_.max_depth) + " levels");
    walk_.token++;
    uint64_t number = ++objects_;
    size_t found = 0;
    if (walk_.Peek() == '}') {
      walk_.token++;
    } else {
      for (size_t position = 0;; position++) {
        if (walk_.Peek() != '"') return walk_.Expected("a field name");
        std::string_view key = walk_.TakeString();
        bool escaped = false;
        if (__builtin_expect(walk_.has_escapes, 0) && memchr(key.data(), '\\', key.size())) {
          if (!walk_.Unescape(key, &scratch_)) return false;
          key = scratch_;
          escaped = true;
        }
        if (walk_.Peek() != ':') return walk_.Expected("':'");
        walk_.token++;
        int child = FindChild(object, position, key, escaped);
        if (child < 0) {
          if (!walk_.Skip(depth)) {
            path_.emplace_back(key);
            return false;
          }
        } else {
          Slot& slot = object.children[static_cast<size_t>(child)];
          if (slot.seen_in == number) {
            path_.push_back(slot.name);
            return walk_.Fail("appears twice");
          }
          slot.seen_in = number;
          found++;
          if (!Value(slot, row, depth)) {
            path_.push_back(slot.name);
            return false;
          }
        }
        char c = walk_.Peek();
        if (c == ',') {
          walk_.token++;
          continue;
        }
        if (c != '}') return walk_.Expected("',' or '}'");
        walk_.token++;
        break;
      }
    }
    if (found == object.children.size()) return true;
    for (Slot& slot : object.children) {
      if (slot.seen_in == number) continue;
      if (options_.fail_on_missing_field) {
        path_.push_back(slot.name);
        return walk_.Fail("is missing");
      }
      SetNull(slot, row);
    }
    return true;
  }

  void SetNull(Slot& slot, uint64_t row) {
    slot.has_nulls = true;
    slot.column->SetNull(row);
    switch (slot.type.id) {
      case TypeId::kVarchar:
      case TypeId::kBlob: slot.column->Values<StringRef>()[row] = StringRef(); break;
      case TypeId::kList:
      case TypeId::kMap: slot.column->Values<ListEntry>()[row] = {0, 0}; break;
      case TypeId::kStruct:
        for (Slot& child : slot.children) SetNull(child, row);
        break;
      default: memset(static_cast<char*>(slot.column->data) + row * slot.type.ValueSize(), 0, slot.type.ValueSize());
    }
  }

  /// A string's content, unescaped into the arena where it has escapes.
  bool StringContent(std::string_view* content) {
    std::string_view raw = walk_.TakeString();
    if (__builtin_expect(walk_.has_escapes, 0) && memchr(raw.data(), '\\', raw.size())) {
      if (!walk_.Unescape(raw, &scratch_)) return false;
      char* kept = static_cast<char*>(arena_->Allocate(scratch_.size()));
      memcpy(kept, scratch_.data(), scratch_.size());
      *content = {kept, scratch_.size()};
    } else {
      *content = raw;
    }
    return true;
  }

  bool Value(Slot& slot, uint64_t row, int depth) {
    char c = walk_.Peek();
    if (c == 'n') {
      const uint32_t* at = walk_.token;
      if (walk_.TakeScalar() != "null") {
        walk_.token = at;
        return walk_.Expected(slot.type.ToString());
      }
      SetNull(slot, row);
      return true;
    }
    switch (slot.type.id) {
      case TypeId::kStruct:
        if (c != '{') return walk_.Expected(slot.type.ToString());
        return Object(slot, row, depth + 1);
      case TypeId::kList: return Array(slot, row, depth + 1);
      case TypeId::kMap: return Map(slot, row, depth + 1);
      case TypeId::kVarchar: {
        // As Flink: numbers and booleans as their text, objects and arrays as theirs.
        std::string_view content;
        if (c == '"') {
          if (!StringContent(&content)) return false;
        } else {
          uint32_t first = walk_.token < walk_.end ? *walk_.token : 0;
          const uint32_t* at = walk_.token;
          if (!walk_.Skip(depth)) return false;
          if (walk_.token == at + 1) {
            walk_.token = at;
            content = walk_.TakeScalar();
          } else {
            content = {walk_.text + first, walk_.token[-1] + 1 - first};
          }
        }
        slot.column->Values<StringRef>()[row] = StringRef(content);
        return true;
      }
      default: return Scalar(slot, row, c);
    }
  }

  bool Scalar(Slot& slot, uint64_t row, char c) {
    const uint32_t* at = walk_.token;
    std::string_view content;
    if (c == '"') {
      if (!StringContent(&content)) return false;
    } else {
      if (c == '{' || c == '[' || c == '}' || c == ']' || c == ',' || c == ':' || c == 0)
        return walk_.Expected(slot.type.ToString());
      content = walk_.TakeScalar();
      bool good;
      switch (slot.type.id) {
        case TypeId::kBoolean: good = content == "true" || content == "false"; break;
        case TypeId::kTinyInt:
        case TypeId::kSmallInt:
        case TypeId::kInteger:
        case TypeId::kBigInt:
        case TypeId::kHugeInt:
        case TypeId::kFloat:
        case TypeId::kDouble:
        case TypeId::kDecimal: good = JsonWalk::IsNumber(content); break;
        default: good = false;  // times, UUIDs and bytes are strings in JSON
      }
      if (!good) {
        walk_.token = at;
        return walk_.Expected(slot.type.ToString());
      }
    }
    if (slot.type.id == TypeId::kBlob) {
      if (DecodeBase64(content, &scratch_)) {
        slot.column->Values<StringRef>()[row] = arena_->Copy(scratch_);
        return true;
      }
    } else if (CastText(content, *slot.column, row)) {
      return true;
    }
    walk_.token = at;
    return walk_.Expected(slot.type.ToString());
  }

  /// Room for one more element behind the list's.
  void Reserve(Slot& slot) {
    Column& list = *slot.column;
    if (list.list_size < slot.capacity) return;
    uint64_t capacity = std::max<uint64_t>(slot.capacity * 2, 64);
    Grow(list.children[0], list.list_size, capacity);
    slot.capacity = capacity;
  }

  void Grow(Column& column, uint64_t used, uint64_t capacity) {
    size_t words = (capacity + 63) / 64, used_words = (used + 63) / 64;
    auto* validity = static_cast<uint64_t*>(arena_->Allocate(words * 8));
    memset(validity, 0xff, words * 8);
    if (used) memcpy(validity, column.validity, used_words * 8);
    column.validity = validity;
    if (column.type.id == TypeId::kStruct) {
      for (Column& child : column.children) Grow(child, used, capacity);
      return;
    }
    size_t size = column.type.ValueSize();
    void* data = arena_->Allocate(size * capacity);
    if (used) memcpy(data, column.data, size * used);
    column.data = data;
  }

  /// Elements one by one up to `close`, each at the place that `element` is given.
  /// REQUIRES: at the opening bracket.
  template <typename Element>
  bool Elements(Slot& slot, uint64_t row, char close, int depth, Element element) {
    if (depth > options_.max_depth)
      return walk_.Fail("nested deeper than " + std::to_string(options_.max_depth) + " levels");
    walk_.token++;
    Column& list = *slot.column;
    uint64_t first = list.list_size;
    bool more = walk_.Peek() != close;
    if (!more) walk_.token++;
    while (more) {
      Reserve(slot);
      uint64_t at = list.list_size++;
      ClearNull(list.children[0], at);  // a failed record may have had the place before
      if (!element(at, at - first)) return false;
      more = walk_.Peek() == ',';
      if (!more && walk_.Peek() != close) return walk_.Expected(std::string("',' or '") + close + "'");
      walk_.token++;
    }
    list.Values<ListEntry>()[row] = {first, list.list_size - first};
    return true;
  }

  bool Array(Slot& slot, uint64_t row, int depth) {
    if (walk_.Peek() != '[') return walk_.Expected(slot.type.ToString());
    return Elements(slot, row, ']', depth, [&](uint64_t at, uint64_t index) {
      if (Value(slot.children[0], at, depth)) return true;
      path_.push_back("[" + std::to_string(index) + "]");
      return false;
    });
  }

  bool Map(Slot& slot, uint64_t row, int depth) {
    if (walk_.Peek() != '{') return walk_.Expected(slot.type.ToString());
    return Elements(slot, row, '}', depth, [&](uint64_t at, uint64_t) {
      if (walk_.Peek() != '"') return walk_.Expected("a field name");
      const uint32_t* token = walk_.token;
      std::string_view key;
      if (!StringContent(&key)) return false;
      if (!CastText(key, *slot.children[0].column, at)) {
        walk_.token = token;
        return walk_.Expected(slot.children[0].type.ToString() + " as the key");
      }
      if (walk_.Peek() != ':') return walk_.Expected("':'");
      walk_.token++;
      if (Value(slot.children[1], at, depth)) return true;
      path_.emplace_back(key);
      return false;
    });
  }

  // A record that fails half-way gives back the list elements it added.
  void SaveListSizes(Slot& slot) {
    if (slot.type.id == TypeId::kList || slot.type.id == TypeId::kMap) list_sizes_.push_back(slot.column->list_size);
    for (Slot& child : slot.children) SaveListSizes(child);
  }
  void RestoreListSizes(Slot& slot, size_t* next) {
    if (slot.type.id == TypeId::kList || slot.type.id == TypeId::kMap) slot.column->list_size = list_sizes_[(*next)++];
    for (Slot& child : slot.children) RestoreListSizes(child, next);
  }

  FormatOptions options_;
  Slot root_;  // a struct of the wanted columns
  bool any_lists_ = false;
  JsonIndexer index_;
  JsonWalk walk_;
  uint64_t objects_ = 0;
  std::vector<std::string> path_;  // of the field at fault, innermost first
  std::vector<uint64_t> list_sizes_;
  std::string scratch_;
  ArenaPool arenas_;
  FromKeeper from_;
  Arena* arena_ = nullptr;  // of the batch being filled
};

}  // namespace

std::unique_ptr<Decoder> MakeJsonDecoder(FormatOptions options) {
  return std::make_unique<JsonDecoder>(std::move(options));
}

}  // namespace tailrace::data
