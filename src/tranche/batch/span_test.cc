#include "tranche/batch/span.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tranche {
namespace {

using testing::ElementsAre;

TEST(SpanSet, MergesNeighbours) {
  SpanSet set;
  EXPECT_TRUE(set.Add({10, 20}));
  EXPECT_TRUE(set.Add({0, 5}));
  EXPECT_TRUE(set.Add({5, 10}));
  EXPECT_THAT(set.spans(), ElementsAre(Span{0, 20}));
  EXPECT_TRUE(set.Tiles(20));
  EXPECT_FALSE(set.Tiles(21));
  EXPECT_FALSE(set.Tiles(19)) << "more was stored than there is";
}

TEST(SpanSet, RefusesAnOverlap) {
  SpanSet set;
  ASSERT_TRUE(set.Add({10, 20}));
  for (Span span :
       {Span{10, 20}, Span{9, 11}, Span{19, 21}, Span{5, 25}, Span{12, 13}, Span{-1, 2}, Span{3, 2}}) {
    EXPECT_FALSE(set.Add(span)) << span.from;
  }
  EXPECT_THAT(set.spans(), ElementsAre(Span{10, 20}));
  EXPECT_THAT(set.Gaps(30), ElementsAre(Span{0, 10}, Span{20, 30}));
  EXPECT_THAT(set.Gaps(15), ElementsAre(Span{0, 10}));
}

TEST(SpanSet, EmptyStageIsTiled) {
  EXPECT_TRUE(SpanSet().Tiles(0));
  EXPECT_FALSE(SpanSet().Tiles(1));
}

// Against an array of flags, one a row.
TEST(SpanSet, AgreesWithFlags) {
  constexpr int64_t kRows = 60;
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    SpanSet set;
    std::vector<bool> flags(kRows);
    for (int i = 0; i < 60; ++i) {
      int64_t from = random() % kRows;
      Span span = {from, std::min<int64_t>(kRows, from + random() % 6)};
      bool overlaps = std::count(flags.begin() + span.from, flags.begin() + span.to, true) > 0;
      ASSERT_EQ(set.Add(span), !overlaps);
      if (!overlaps) std::fill(flags.begin() + span.from, flags.begin() + span.to, true);
    }
    std::vector<bool> gaps(kRows, true);
    for (Span gap : set.Gaps(kRows)) {
      ASSERT_GT(gap.rows(), 0);
      std::fill(gaps.begin() + gap.from, gaps.begin() + gap.to, false);
    }
    EXPECT_EQ(gaps, flags);
    EXPECT_EQ(set.rows(), std::count(flags.begin(), flags.end(), true));
    for (size_t i = 1; i < set.spans().size(); ++i) ASSERT_LT(set.spans()[i - 1].to, set.spans()[i].from);
  }
}

}  // namespace
}  // namespace tranche
