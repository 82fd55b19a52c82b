#pragma once
// From keys to dense group numbers: an open-addressing hash table over fixed-width encoded keys. Whatever belongs to a
// key (aggregate states, rows) lies in arrays indexed by its group number.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/batch.h"
#include "stream/state/codec.h"

namespace tailrace::stream {

/// Not thread-safe.
class KeyTable {
 public:
  explicit KeyTable(std::vector<data::Type> types);
  ~KeyTable();
  KeyTable(KeyTable&&) noexcept;

  /// groups[i] = the number of the key in row rows[i] of `columns` (rows nullptr: row i); new keys get the next
  /// numbers. Null equals null, as GROUP BY has it.
  void FindOrAdd(const std::vector<const data::Column*>& columns, const uint32_t* rows, uint32_t count,
                 uint32_t* groups);
  /// Likewise for one key of a snapshot (see WriteKey).
  uint32_t AddFrom(StateReader& in);
  void WriteKey(uint32_t group, StateWriter& out) const;

  uint32_t size() const { return size_; }
  uint64_t HashOf(uint32_t group) const { return hashes_[group]; }
  /// Keys of groups[0..count) as columns, strings shared with the table.
  void Read(const uint32_t* groups, uint32_t count, std::vector<data::Column>* out, data::Arena& arena) const;
  size_t bytes() const;

 private:
  struct Slot {
    uint32_t tag;
    uint32_t group;  // kEmpty: free
  };
  struct Part {       // of the encoded key
    uint32_t offset;  // bytes
    uint32_t words;   // 1 or 2
    bool string;      // a StringRef: long ones compare by content
    bool cell;        // a nested value, kept as the StringRef of its cell
  };
  static constexpr uint32_t kEmpty = 0xffffffff;

  void Encode(const std::vector<const data::Column*>& columns, const uint32_t* rows, uint32_t count);
  void Probe(uint32_t count, uint32_t* groups);
  template <uint32_t kWords>
  void ProbeWords(uint32_t count, uint32_t* groups);
  bool EqualSlow(const uint64_t* a, const uint64_t* b) const;
  uint32_t Insert(const uint64_t* key, uint64_t hash);
  void Grow();

  std::vector<data::Type> types_;
  std::vector<Part> parts_;
  uint32_t words_ = 1;  // of a key: the mask of nulls, then the parts
  bool has_strings_ = false;
  uint32_t size_ = 0;
  std::vector<Slot> slots_;
  std::vector<uint64_t> keys_;    // size_ x words_
  std::vector<uint64_t> hashes_;  // size_
  std::unique_ptr<data::Arena> strings_;
  // Of the batch at hand.
  std::vector<uint64_t> batch_keys_, batch_hashes_;
  std::vector<std::string> cells_;  // nested parts' values, one string a part
};

}  // namespace tailrace::stream
