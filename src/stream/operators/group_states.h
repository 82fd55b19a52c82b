#pragma once
// Keys and aggregate states of one window (or of no window), and their way into a snapshot and back. Shared by
// window_aggregate and group_aggregate.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sql/plan.h"
#include "stream/aggregates/aggregate.h"
#include "stream/state/key_group.h"
#include "stream/state/key_table.h"

namespace tailrace::stream {

/// What is the same for all windows of an operator.
struct GroupLayout {
  std::vector<int> key_columns;  // of the input, without the window's
  std::vector<data::Type> key_types;
  std::vector<int> output_of_key;  // place of each in the output
  std::vector<sql::Aggregate> aggregates;
  data::Schema input;

  /// Fails where an aggregate is not supported.
  static Result<GroupLayout> From(const sql::Node& node);
};

/// Scratch of one Update, reused from batch to batch.
struct GroupScratch {
  std::vector<const data::Column*> keys;
  std::vector<uint32_t> groups, filtered_rows, filtered_groups;
};

class GroupStates {
 public:
  /// REQUIRES: `layout` outlives it and came from GroupLayout::From.
  explicit GroupStates(const GroupLayout& layout);
  /// Rows `rows[0..count)` of the batch (nullptr: 0..count) belong here. scratch.groups then names their groups.
  void Update(const data::Batch& batch, const uint32_t* rows, uint32_t count, GroupScratch& scratch);
  uint32_t size() const { return keys_.size(); }
  /// Key columns of `groups` and the aggregates' results.
  std::vector<data::Column> Keys(const uint32_t* groups, uint32_t count, data::Arena& arena) const;
  std::vector<data::Column> Results(uint32_t first, uint32_t count, data::Arena& arena) const;
  uint64_t HashOf(uint32_t group) const { return keys_.HashOf(group); }

  void SaveGroup(uint32_t group, StateWriter& out) const;
  void LoadGroup(StateReader& in);
  size_t bytes() const;

 private:
  const GroupLayout& layout_;
  KeyTable keys_;
  std::vector<std::unique_ptr<Aggregator>> aggregators_;
};

}  // namespace tailrace::stream
