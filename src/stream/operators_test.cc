#include <gtest/gtest.h>

#include <algorithm>

#include "base/clock.h"
#include "stream/operators/operators.h"
#include "stream/testing.h"

namespace tailrace::stream {
namespace {

using data::TypeId;
using testing::Collector;
using testing::FunctionExpressions;
using testing::Integers;
using Rows = std::vector<std::string>;

const data::Schema kSchema = {{"key", TypeId::kBigInt}, {"ts", TypeId::kTimestamp}};
const data::Schema kWindowed = {{"key", TypeId::kBigInt},
                                {"ts", TypeId::kTimestamp},
                                {"window_start", TypeId::kTimestamp},
                                {"window_end", TypeId::kTimestamp},
                                {"window_time", TypeId::kTimestamp}};

class OperatorTest : public ::testing::Test {
 protected:
  OperatorTest() {
    context_.clock = &clock_;
    context_.counters = &counters_;
    context_.bad = &bad_;
  }
  /// `rows` with origins in partition `from`, offsets from 100.
  data::Batch From(const TopicPartition& from, const std::vector<std::vector<int64_t>>& rows) {
    data::Batch batch = Integers(rows, kSchema);
    auto origins = std::make_shared<std::vector<data::RowOrigin>>();
    for (size_t r = 0; r < rows.size(); r++)
      origins->push_back({&from, 100 + static_cast<int64_t>(r), 5, "k", "original"});
    batch.origins = origins->data();
    batch.owners.push_back(origins);
    return batch;
  }
  static std::unique_ptr<sql::Expressions> TimeColumn() {
    return std::make_unique<FunctionExpressions>(
        data::Schema{{"w", TypeId::kTimestamp}},
        [](const data::Batch& in, data::Arena&) { return std::vector<data::Column>{in.columns[1]}; });
  }
  static std::unique_ptr<sql::Expressions> KeyAtLeast(int64_t least) {
    return std::make_unique<FunctionExpressions>(
        data::Schema{{"c", TypeId::kBoolean}}, [least](const data::Batch& in, data::Arena& arena) {
          data::Column out = data::AllocateColumn(arena, TypeId::kBoolean, in.rows);
          for (uint32_t r = 0; r < in.rows; r++) {
            if (in.columns[0].Values<int64_t>()[r] == 0) out.SetNull(r);
            out.Values<uint8_t>()[r] = in.columns[0].Values<int64_t>()[r] >= least;
          }
          return std::vector<data::Column>{out};
        });
  }

  ManualClock clock_;
  JobCounters counters_;
  std::vector<BadRecord> bad_;
  OperatorContext context_;
  Collector out_{&context_};
};

TEST_F(OperatorTest, FilterKeepsRowsThatAreTrue) {
  auto filter = MakeFilter("filter-1", &context_, KeyAtLeast(3));
  filter->AddOutput(&out_, 0);
  ASSERT_TRUE(filter->Process(0, Integers({{1, 10}, {3, 20}, {0, 30}, {5, 40}}, kSchema)).ok());
  EXPECT_EQ(out_.rows, (Rows{"+I 3|20", "+I 5|40"}));
}

TEST_F(OperatorTest, ConstraintSendsBrokenRowsWithTheirOriginAndPassesNull) {
  auto constraint = MakeConstraint("constraint-1", &context_, KeyAtLeast(3), {"constraint big failed: key >= 3"});
  constraint->AddOutput(&out_, 0);
  TopicPartition from{"events", 2};
  ASSERT_TRUE(constraint->Process(0, From(from, {{1, 10}, {3, 20}, {0, 30}})).ok());
  EXPECT_EQ(out_.rows, (Rows{"+I 3|20", "+I 0|30"}));
  ASSERT_EQ(bad_.size(), 1u);
  EXPECT_EQ(bad_[0].reason, "constraint big failed: key >= 3");
  EXPECT_EQ(bad_[0].stage, "constraint");
  EXPECT_EQ(bad_[0].original, "original");
  EXPECT_EQ(bad_[0].from.topic, "events");
  EXPECT_EQ(bad_[0].from.partition, 2);
  EXPECT_EQ(bad_[0].offset, 100);
}

TEST_F(OperatorTest, WatermarkIsTheLowestOfThePartitions) {
  SourceStatus source;
  source.partitions = {{"t", 0}, {"t", 1}};
  auto watermark = MakeWatermark("watermark-1", &context_, TimeColumn(), &source, {});
  watermark->AddOutput(&out_, 0);
  TopicPartition p0{"t", 0}, p1{"t", 1};
  ASSERT_TRUE(watermark->Process(0, From(p0, {{1, 50}, {1, 40}})).ok());
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{}));  // partition 1 may still have older rows
  ASSERT_TRUE(watermark->Process(0, From(p1, {{1, 20}})).ok());
  ASSERT_TRUE(watermark->Process(0, From(p1, {{1, 10}})).ok());  // never goes back
  ASSERT_TRUE(watermark->Process(0, From(p1, {{1, 90}})).ok());
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{20, 50}));
}

TEST_F(OperatorTest, APartitionThatNeverHadARowHoldsTheWatermarkForTenSecondsOnly) {
  SourceStatus source;
  source.partitions = {{"t", 0}, {"t", 1}};
  auto watermark = MakeWatermark("watermark-1", &context_, TimeColumn(), &source, {});
  watermark->AddOutput(&out_, 0);
  TopicPartition p0{"t", 0};
  ASSERT_TRUE(watermark->OnTick(1000).ok());
  ASSERT_TRUE(watermark->Process(0, From(p0, {{1, 50}})).ok());
  ASSERT_TRUE(watermark->OnTick(20'000).ok());  // not caught up: older rows of the other may be unread
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{}));
  source.caught_up = true;
  ASSERT_TRUE(watermark->OnTick(20'100).ok());
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{50}));
}

TEST_F(OperatorTest, AnIdlePartitionIsLeftOut) {
  SourceStatus source;
  source.partitions = {{"t", 0}, {"t", 1}};
  WatermarkOptions options;
  options.idle_timeout_ms = 1000;
  auto watermark = MakeWatermark("watermark-1", &context_, TimeColumn(), &source, options);
  watermark->AddOutput(&out_, 0);
  TopicPartition p0{"t", 0}, p1{"t", 1};
  ASSERT_TRUE(watermark->Process(0, From(p1, {{1, 10}})).ok());
  ASSERT_TRUE(watermark->Process(0, From(p0, {{1, 50}})).ok());
  ASSERT_TRUE(watermark->OnTick(5000).ok());
  ASSERT_TRUE(watermark->Process(0, From(p0, {{1, 70}})).ok());
  ASSERT_TRUE(watermark->OnTick(5900).ok());
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{10}));
  ASSERT_TRUE(watermark->OnTick(6100).ok());  // p1 silent since 5000
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{10, 70}));
}

TEST_F(OperatorTest, RowsFromTheFutureMoveNoWatermarkWhereADriftIsSet) {
  SourceStatus source;
  WatermarkOptions options;
  options.max_drift_ms = 60'000;
  auto watermark = MakeWatermark("watermark-1", &context_, TimeColumn(), &source, options);
  watermark->AddOutput(&out_, 0);
  int64_t now = clock_.NowUs();
  ASSERT_TRUE(watermark->Process(0, Integers({{1, now}, {2, now + 86'400'000'000}}, kSchema)).ok());
  EXPECT_EQ(out_.rows.size(), 2u);
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{now}));
}

TEST_F(OperatorTest, InfiniteTimesMoveNoWatermark) {
  SourceStatus source;
  auto watermark = MakeWatermark("watermark-1", &context_, TimeColumn(), &source, {});
  watermark->AddOutput(&out_, 0);
  ASSERT_TRUE(watermark->Process(0, Integers({{1, -INT64_MAX}, {1, INT64_MAX}, {1, INT64_MIN}}, kSchema)).ok());
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{}));
  ASSERT_TRUE(watermark->Process(0, Integers({{1, 7}}, kSchema)).ok());
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{7}));
}

TEST_F(OperatorTest, ARestoredWatermarkIsKnownBeforeTheFirstRow) {
  SourceStatus source;
  auto before = MakeWatermark("watermark-1", &context_, TimeColumn(), &source, {});
  ASSERT_TRUE(before->Process(0, Integers({{1, 50}}, kSchema)).ok());
  OperatorState state;
  before->Snapshot(&state);
  auto after = MakeWatermark("watermark-1", &context_, TimeColumn(), &source, {});
  after->AddOutput(&out_, 0);
  ASSERT_TRUE(after->Restore(state).ok());
  ASSERT_TRUE(after->Process(0, Integers({{1, 20}}, kSchema)).ok());
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{50}));
}

TEST_F(OperatorTest, UnionTakesTheLowestWatermark) {
  auto both = MakeUnionAll("union_all-1", &context_, 2);
  both->AddOutput(&out_, 0);
  ASSERT_TRUE(both->OnWatermark(0, 10).ok());
  ASSERT_TRUE(both->OnWatermark(1, 5).ok());
  ASSERT_TRUE(both->OnWatermark(1, 30).ok());
  ASSERT_TRUE(both->OnWatermark(0, kEndOfTime).ok());
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{5, 10, 30}));
}

TEST_F(OperatorTest, AnIdleInputHoldsNoUnionBack) {
  SourceStatus quiet, busy;
  WatermarkOptions options;
  options.idle_timeout_ms = 1000;
  auto first = MakeWatermark("watermark-1", &context_, TimeColumn(), &quiet, options);
  auto second = MakeWatermark("watermark-2", &context_, TimeColumn(), &busy, options);
  auto both = MakeUnionAll("union_all-3", &context_, 2);
  first->AddOutput(both.get(), 0);
  second->AddOutput(both.get(), 1);
  both->AddOutput(&out_, 0);
  auto tick = [&](int64_t ms) {
    ASSERT_TRUE(first->OnTick(ms).ok());
    ASSERT_TRUE(second->OnTick(ms).ok());
  };
  tick(0);
  ASSERT_TRUE(second->Process(0, Integers({{1, 50}}, kSchema)).ok());
  tick(900);
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{}));
  tick(1100);  // the first has never had a row
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{50}));
  tick(3000);                                                         // both are idle: time stands still
  ASSERT_TRUE(first->Process(0, Integers({{1, 70}}, kSchema)).ok());  // and moves with whoever wakes
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{50, 70}));
  ASSERT_TRUE(second->Process(0, Integers({{1, 60}}, kSchema)).ok());  // behind, but active again
  ASSERT_TRUE(first->Process(0, Integers({{1, 90}}, kSchema)).ok());
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{50, 70}));
  ASSERT_TRUE(second->Process(0, Integers({{1, 80}}, kSchema)).ok());
  EXPECT_EQ(out_.watermarks, (std::vector<int64_t>{50, 70, 80}));
}

sql::WindowSpec Tumble(int64_t size) {
  sql::WindowSpec window;
  window.time_column = 1;
  window.size_us = window.slide_us = size;
  return window;
}

TEST_F(OperatorTest, WindowsOfTimesBeforeTheEpochAndAtTheirEdges) {
  auto window = MakeWindowAssign("window-1", &context_, Tumble(10));
  window->AddOutput(&out_, 0);
  ASSERT_TRUE(window->Process(0, Integers({{1, -1}, {1, -10}, {1, 0}, {1, 9}, {1, 10}}, kSchema)).ok());
  EXPECT_EQ(out_.rows,
            (Rows{"+I 1|-1|-10|0|-1", "+I 1|-10|-10|0|-1", "+I 1|0|0|10|9", "+I 1|9|0|10|9", "+I 1|10|10|20|19"}));
}

TEST_F(OperatorTest, HopPutsARowIntoEveryWindowThatHoldsIt) {
  sql::WindowSpec hop = Tumble(10);
  hop.kind = sql::WindowKind::kHop;
  hop.slide_us = 4;
  auto window = MakeWindowAssign("window-1", &context_, hop);
  window->AddOutput(&out_, 0);
  ASSERT_TRUE(window->Process(0, Integers({{1, 9}}, kSchema)).ok());
  EXPECT_EQ(out_.rows, (Rows{"+I 1|9|0|10|9", "+I 1|9|4|14|13", "+I 1|9|8|18|17"}));
}

TEST_F(OperatorTest, LateRowsAreCountedAndReportedWhereAsked) {
  context_.report_late = true;
  auto window = MakeWindowAssign("window-1", &context_, Tumble(10));
  window->AddOutput(&out_, 0);
  TopicPartition from{"t", 0};
  ASSERT_TRUE(window->OnWatermark(0, 9).ok());  // window [0, 10) closes at 9
  ASSERT_TRUE(window->Process(0, From(from, {{1, 5}, {2, 15}})).ok());
  EXPECT_EQ(out_.rows, (Rows{"+I 2|15|10|20|19"}));
  EXPECT_EQ(counters_.late_records.load(), 1u);
  ASSERT_EQ(bad_.size(), 1u);
  EXPECT_EQ(bad_[0].stage, "late");
}

TEST_F(OperatorTest, NullAndInfiniteTimesBecomeBadRecords) {
  auto window = MakeWindowAssign("window-1", &context_, Tumble(10));
  window->AddOutput(&out_, 0);
  data::Batch batch = Integers({{1, 5}, {2, 5}, {3, INT64_MAX}}, kSchema);
  batch.columns[1].SetNull(0);
  ASSERT_TRUE(window->Process(0, batch).ok());
  EXPECT_EQ(out_.rows, (Rows{"+I 2|5|0|10|9"}));
  EXPECT_EQ(bad_.size(), 2u);
}

sql::Node CountNode(int window_end) {
  auto input = std::make_shared<sql::Node>();
  input->output = kWindowed;
  sql::Node node;
  node.kind = sql::Node::Kind::kWindowAggregate;
  node.inputs = {input};
  node.window_start = window_end < 0 ? -1 : 2;
  node.window_end = window_end;
  node.keys = {0};
  node.output = {{"key", TypeId::kBigInt}};
  if (window_end >= 0) node.keys.push_back(2), node.output.push_back({"window_start", TypeId::kTimestamp});
  sql::Aggregate count;
  count.kind = sql::AggregateKind::kCountStar;
  count.result = TypeId::kBigInt;
  node.aggregates = {count};
  node.output.push_back({"n", TypeId::kBigInt});
  return node;
}

TEST_F(OperatorTest, WindowsGoOutInOrderOfTheirEnd) {
  auto aggregate = std::move(*MakeWindowAggregate("aggregate-1", &context_, CountNode(3)));
  aggregate->AddOutput(&out_, 0);
  ASSERT_TRUE(
      aggregate->Process(0, Integers({{7, 11, 10, 20, 19}, {8, 1, 0, 10, 9}, {7, 12, 10, 20, 19}}, kWindowed)).ok());
  ASSERT_TRUE(aggregate->OnWatermark(0, 8).ok());
  EXPECT_TRUE(out_.rows.empty());
  ASSERT_TRUE(aggregate->OnWatermark(0, 100).ok());
  EXPECT_EQ(out_.rows, (Rows{"+I 8|0|1", "+I 7|10|2"}));
  ASSERT_TRUE(aggregate->Process(0, Integers({{8, 1, 0, 10, 9}}, kWindowed)).ok());  // closed
  ASSERT_TRUE(aggregate->OnWatermark(0, kEndOfTime).ok());
  EXPECT_EQ(out_.rows.size(), 2u);
}

TEST_F(OperatorTest, KeyGroupsOfASnapshotCanBeSharedOut) {
  auto whole = std::move(*MakeWindowAggregate("aggregate-1", &context_, CountNode(3)));
  std::vector<std::vector<int64_t>> rows;
  for (int64_t key = 0; key < 500; key++) rows.push_back({key, 1, 0, 10, 9});
  ASSERT_TRUE(whole->Process(0, Integers(rows, kWindowed)).ok());
  OperatorState state;
  whole->Snapshot(&state);
  EXPECT_GT(state.keyed.size(), 100u);  // of 128
  size_t got = 0;
  for (uint32_t first : {0u, 40u, 90u}) {
    uint32_t last = first == 0 ? 39 : first == 40 ? 89 : 127;
    OperatorState part;
    part.whole = state.whole;
    for (auto& [group, blob] : state.keyed)
      if (first <= group && group <= last) part.keyed[group] = blob;
    auto instance = std::move(*MakeWindowAggregate("aggregate-1", &context_, CountNode(3)));
    Collector out(&context_);
    instance->AddOutput(&out, 0);
    ASSERT_TRUE(instance->Restore(part).ok());
    ASSERT_TRUE(instance->OnWatermark(0, kEndOfTime).ok());
    got += out.rows.size();
  }
  EXPECT_EQ(got, 500u);
}

TEST_F(OperatorTest, BrokenStateIsAnErrorNotACrash) {
  auto whole = std::move(*MakeWindowAggregate("aggregate-1", &context_, CountNode(3)));
  ASSERT_TRUE(whole->Process(0, Integers({{1, 1, 0, 10, 9}, {2, 1, 0, 10, 9}}, kWindowed)).ok());
  OperatorState state;
  whole->Snapshot(&state);
  for (auto& [group, blob] : state.keyed) {
    for (size_t n = 2; n < blob.size(); n++) {
      OperatorState cut;
      cut.keyed[group] = blob.substr(0, n);
      EXPECT_FALSE(std::move(*MakeWindowAggregate("aggregate-1", &context_, CountNode(3)))->Restore(cut).ok());
    }
  }
}

TEST_F(OperatorTest, GroupByWithoutAWindowUpdatesItsRows) {
  auto aggregate = std::move(*MakeGroupAggregate("aggregate-1", &context_, CountNode(-1)));
  aggregate->AddOutput(&out_, 0);
  ASSERT_TRUE(aggregate->Process(0, Integers({{7, 0, 0, 0, 0}, {7, 0, 0, 0, 0}, {8, 0, 0, 0, 0}}, kWindowed)).ok());
  OperatorState state;
  aggregate->Snapshot(&state);
  auto next = std::move(*MakeGroupAggregate("aggregate-1", &context_, CountNode(-1)));
  next->AddOutput(&out_, 0);
  ASSERT_TRUE(next->Restore(state).ok());
  ASSERT_TRUE(next->Process(0, Integers({{7, 0, 0, 0, 0}}, kWindowed)).ok());
  EXPECT_EQ(out_.rows, (Rows{"+I 7|2", "+I 8|1", "-U 7|2", "+U 7|3"}));
}

sql::Node DeduplicateNode(bool windowed, bool last, int64_t limit, int rank) {
  auto input = std::make_shared<sql::Node>();
  input->output = kWindowed;
  sql::Node node;
  node.kind = sql::Node::Kind::kDeduplicate;
  node.inputs = {input};
  node.window_start = windowed ? 2 : -1;
  node.window_end = windowed ? 3 : -1;
  node.keys = {0};
  if (windowed) node.keys.push_back(3);
  node.order_column = 1;
  node.keep_last = last;
  node.limit = limit;
  node.rank_column = rank;
  node.output = kWindowed;
  if (rank >= 0) node.output.push_back({"rank", TypeId::kBigInt});
  return node;
}

TEST_F(OperatorTest, DeduplicateKeepsTheFirstRowOfAKeyInAWindow) {
  auto first = std::move(*MakeDeduplicate("deduplicate-1", &context_, DeduplicateNode(true, false, 1, -1)));
  first->AddOutput(&out_, 0);
  ASSERT_TRUE(
      first
          ->Process(0, Integers({{7, 5, 0, 10, 9}, {7, 3, 0, 10, 9}, {7, 12, 10, 20, 19}, {8, 1, 0, 10, 9}}, kWindowed))
          .ok());
  OperatorState state;
  first->Snapshot(&state);
  auto next = std::move(*MakeDeduplicate("deduplicate-1", &context_, DeduplicateNode(true, false, 1, -1)));
  next->AddOutput(&out_, 0);
  ASSERT_TRUE(next->Restore(state).ok());
  ASSERT_TRUE(next->OnWatermark(0, 9).ok());
  std::sort(out_.rows.begin(), out_.rows.end());
  EXPECT_EQ(out_.rows, (Rows{"+I 7|3|0|10|9", "+I 8|1|0|10|9"}));
  ASSERT_TRUE(next->OnWatermark(0, kEndOfTime).ok());
  EXPECT_EQ(out_.rows.back(), "+I 7|12|10|20|19");
  EXPECT_LT(next->state_bytes(), 1u);
}

TEST_F(OperatorTest, TopNOfAWindowWithRanks) {
  auto top = std::move(*MakeDeduplicate("deduplicate-1", &context_, DeduplicateNode(true, true, 2, 5)));
  top->AddOutput(&out_, 0);
  ASSERT_TRUE(top->Process(0, Integers({{7, 1, 0, 10, 9}, {7, 5, 0, 10, 9}, {7, 3, 0, 10, 9}}, kWindowed)).ok());
  ASSERT_TRUE(top->OnWatermark(0, kEndOfTime).ok());
  EXPECT_EQ(out_.rows, (Rows{"+I 7|5|0|10|9|1", "+I 7|3|0|10|9|2"}));
}

TEST_F(OperatorTest, DeduplicateWithoutAWindowGivesTheFirstAtOnceAndRetractsItForAnEarlierOne) {
  auto first = std::move(*MakeDeduplicate("deduplicate-1", &context_, DeduplicateNode(false, false, 1, -1)));
  first->AddOutput(&out_, 0);
  ASSERT_TRUE(first->Process(0, Integers({{7, 5, 0, 0, 0}, {7, 6, 0, 0, 0}, {7, 3, 0, 0, 0}}, kWindowed)).ok());
  EXPECT_EQ(out_.rows, (Rows{"+I 7|5|0|0|0", "-U 7|5|0|0|0", "+U 7|3|0|0|0"}));
}

}  // namespace
}  // namespace tailrace::stream
