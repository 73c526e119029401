#include "tranche/batch/cutter.h"

#include <random>

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/util/byte_size.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tranche/batch/batch_testing.h"

namespace tranche {
namespace {

using testing::ElementsAre;

class CutterTest : public SpoolTest {
 protected:
  static std::vector<Batch> CutAll(const Spool& spool, std::vector<Span> gaps, BatchPolicy policy) {
    Cutter cutter(spool, std::move(gaps), policy);
    std::vector<Batch> batches;
    while (true) {
      auto batch = cutter.Next();
      EXPECT_TRUE(batch) << batch.error().message;
      if (!batch || !*batch) return batches;
      auto joined = Joined(**batch);
      EXPECT_TRUE(joined) << joined.error().message;
      batches.push_back(*joined);
    }
  }
  static std::vector<Span> Spans(const std::vector<Batch>& batches) {
    std::vector<Span> spans;
    for (const Batch& batch : batches) spans.push_back(batch.span);
    return spans;
  }
};

TEST_F(CutterTest, CutsByRows) {
  Spool spool = MakeSpool({{7, 1, 5}, {3}});
  EXPECT_THAT(Spans(CutAll(spool, {{0, 16}}, {.rows = 5})),
              ElementsAre(Span{0, 5}, Span{5, 10}, Span{10, 15}, Span{15, 16}));
  EXPECT_THAT(Spans(CutAll(spool, {{0, 16}}, {.rows = 100})), ElementsAre(Span{0, 16}));
}

TEST_F(CutterTest, CutsWhatStillGrowsToItsEnd) {
  const Spool made = MakeSpool({{7}, {3}});
  Spool spool(folder_, TestSchema());
  for (const SegmentInfo& segment : made.segments()) spool.Append(segment);
  spool.Seal();
  EXPECT_THAT(Spans(CutAll(spool, {{0, Spool::kEnd}}, {.rows = 5})), ElementsAre(Span{0, 5}, Span{5, 10}));
  EXPECT_THAT(CutAll(Spool(folder_, TestSchema(), {}), {{0, Spool::kEnd}}, {}), testing::IsEmpty());
}

TEST_F(CutterTest, NeverCrossesAGap) {
  Spool spool = MakeSpool({{10}, {10}});
  EXPECT_THAT(Spans(CutAll(spool, {{1, 3}, {5, 5}, {8, 12}, {12, 14}}, {.rows = 3})),
              ElementsAre(Span{1, 3}, Span{8, 11}, Span{11, 12}, Span{12, 14}));
  EXPECT_THAT(CutAll(spool, {}, {}), testing::IsEmpty());
}

TEST_F(CutterTest, CutsByBytes) {
  Spool spool = MakeSpool({{1000}, {1000}});
  std::vector<Batch> batches = CutAll(spool, {{0, 2000}}, {.rows = 100'000, .bytes = 4096});
  EXPECT_GT(batches.size(), 10u);
  for (const Batch& batch : batches) EXPECT_LE(batch.bytes, 4096);
  for (size_t i = 0; i + 1 < batches.size(); ++i) EXPECT_GT(batches[i].bytes, 4096 - 100) << "cut too early";
}

TEST_F(CutterTest, ALargeRowIsABatchOfItsOwn) {
  Spool spool = MakeSpool({{5}});
  EXPECT_EQ(CutAll(spool, {{0, 5}}, {.bytes = 1}).size(), 5u);
}

TEST_F(CutterTest, CutsAtGroups) {
  auto group = [](int64_t id) { return id < 4 ? 1 : id < 12 ? -1 : 3; };  // the middle one is NULL
  Spool spool = MakeSpool({{6}, {10}}, group);
  EXPECT_THAT(Spans(CutAll(spool, {{0, 16}}, {.rows = 5})),
              ElementsAre(Span{0, 4}, Span{4, 9}, Span{9, 12}, Span{12, 16}));
}

TEST_F(CutterTest, BorderOfAGroupBetweenSegments) {
  Spool spool = MakeSpool({{6}, {6}}, [](int64_t id) { return id / 6; });
  EXPECT_THAT(Spans(CutAll(spool, {{0, 12}}, {.rows = 100})), ElementsAre(Span{0, 6}, Span{6, 12}));
}

TEST_F(CutterTest, HiddenColumnsAreTakenOut) {
  Spool spool = MakeSpool({{3}});
  EXPECT_EQ(VisibleSchema(*spool.schema())->field_names(), (std::vector<std::string>{"id", "name"}));
  std::vector<Batch> batches = CutAll(spool, {{0, 3}}, {});
  EXPECT_TRUE(batches[0].rows()->schema()->Equals(*VisibleSchema(*spool.schema())));
  EXPECT_EQ(batches[0].bytes, RowBytes(*batches[0].rows(), 0, 3));
}

TEST_F(CutterTest, DamageIsAnErrorAndNoEnd) {
  Spool spool = MakeSpool({{10}, {10}});
  std::filesystem::remove(SegmentPath(folder_, 1));
  Cutter cutter(spool, {{0, 20}}, {.rows = 10});
  EXPECT_TRUE(cutter.Next());
  EXPECT_FALSE(cutter.Next());
}

TEST(RowBytes, CountsOnlyWhatTheRowsHold) {
  auto rows = TestRows(0, 1000)->SelectColumns({0}).ValueOrDie();
  EXPECT_EQ(RowBytes(*rows, 0, 1000), 8000);
  EXPECT_EQ(RowBytes(*rows, 990, 10), 80);
  EXPECT_EQ(RowBytes(*rows->Slice(500, 100), 10, 5), 40);
  EXPECT_EQ(RowBytes(*rows, 0, 0), 0);
}

// Arrow counts them too, more slowly.
TEST(RowBytes, AreThoseThatArrowCounts) {
  arrow::Int64Builder numbers;
  for (int64_t i = 0; i < 1000; ++i)
    ASSERT_TRUE((i % 7 == 0 ? numbers.AppendNull() : numbers.Append(i * i)).ok());
  const arrow::Datum sparse = numbers.Finish().ValueOrDie();
  const arrow::Datum dense = NumbersFrom(0, 1000).value();
  for (const auto& type :
       {arrow::boolean(), arrow::int64(), arrow::float32(), arrow::timestamp(arrow::TimeUnit::MICRO),
        arrow::utf8(), arrow::large_utf8(), arrow::decimal128(20, 0)}) {
    for (const arrow::Datum& values : {sparse, dense}) {
      const auto column = arrow::compute::Cast(values, type).ValueOrDie().make_array()->Slice(13, 900);
      const auto nested = arrow::StructArray::Make({column}, std::vector<std::string>{"c"}).ValueOrDie();
      const auto rows = arrow::RecordBatch::Make(
          arrow::schema({arrow::field("flat", type), arrow::field("nested", nested->type())}), 900,
          {column, nested});
      for (const auto& [from, count] : {std::pair{0, 900}, {3, 5}, {8, 16}, {899, 1}}) {
        int64_t counted = 0;
        for (const auto& one : rows->columns())
          counted += arrow::util::ReferencedBufferSize(*one->Slice(from, count)).ValueOrDie();
        EXPECT_EQ(RowBytes(*rows, from, count), counted) << type->ToString() << " " << from << " " << count;
      }
    }
  }
}

// Whatever the policy, the gaps and the groups: the batches tile the gaps, keep to the limits, cross no
// border, and hold the rows that their spans say.
TEST_F(CutterTest, RandomCutsKeepEveryPromise) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    auto below = [&](int64_t limit) { return static_cast<int64_t>(random() % static_cast<uint64_t>(limit)); };
    std::vector<std::vector<int64_t>> sizes(1 + below(4));
    int64_t rows = 0;
    for (auto& segment : sizes) {
      for (int64_t n = below(4); n >= 0; --n) rows += segment.emplace_back(1 + below(40));
    }
    int64_t group_rows = 1 + below(50);
    auto group = [&](int64_t id) { return id / group_rows % 3 - 1; };
    Spool spool = MakeSpool(sizes, group);
    std::vector<Span> gaps;
    for (int64_t at = below(10); at < rows;) {
      Span gap = {at, std::min(rows, at + below(60))};
      gaps.push_back(gap);
      at = gap.to + below(10);
    }
    BatchPolicy policy = {.rows = 1 + below(30), .bytes = 1 + below(2000)};

    SpanSet cut;
    size_t gap = 0;
    for (const Batch& batch : CutAll(spool, gaps, policy)) {
      while (gap < gaps.size() && gaps[gap].to <= batch.span.from) ++gap;
      ASSERT_LT(gap, gaps.size());
      ASSERT_GE(batch.span.from, gaps[gap].from);
      ASSERT_LE(batch.span.to, gaps[gap].to);
      ASSERT_TRUE(cut.Add(batch.span));
      ASSERT_EQ(batch.rows()->num_rows(), batch.span.rows());
      ASSERT_TRUE(batch.rows()->ValidateFull().ok());
      ASSERT_GT(batch.span.rows(), 0);
      ASSERT_LE(batch.span.rows(), policy.rows);
      ASSERT_TRUE(batch.bytes <= policy.bytes || batch.span.rows() == 1);
      ASSERT_EQ(group(batch.span.from), group(batch.span.to - 1));
      const auto& ids = static_cast<const arrow::Int64Array&>(*batch.rows()->column(0));
      const auto& names = static_cast<const arrow::StringArray&>(*batch.rows()->column(1));
      for (int64_t i = 0; i < batch.span.rows(); ++i) {
        int64_t id = batch.span.from + i;
        ASSERT_EQ(ids.Value(i), id);
        ASSERT_EQ(names.IsNull(i), id % 7 == 0);
        ASSERT_TRUE(names.IsNull(i) || names.GetString(i) == TestName(id));
        ASSERT_EQ(group(id), group(batch.span.from));
      }
    }
    int64_t expected = 0;
    for (Span span : gaps) expected += span.rows();
    ASSERT_EQ(cut.rows(), expected);
  }
}

}  // namespace
}  // namespace tranche
