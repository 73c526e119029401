#include "tranche/run/balance.h"

#include <gtest/gtest.h>

namespace tranche {
namespace {

ReportData::Stage StageOf(int64_t in, int64_t rejected, int64_t rows) {
  ReportData::Stage stage{.name = "rows"};
  stage.from.push_back({.name = "orders", .rows = in});
  stage.from.push_back({.name = "customers", .rows = 17, .joined = true});
  stage.rejected = rejected;
  stage.rows = rows;
  return stage;
}

TEST(Balance, AStageWithoutFilterHasNothingToSpare) {
  auto stage = StageOf(100, 2, 98);
  EXPECT_TRUE(JudgeStage(stage, false));
  stage = StageOf(100, 2, 97);
  const Status lost = JudgeStage(stage, false);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::kData);
}

TEST(Balance, FilteredIsTheDifference) {
  auto stage = StageOf(100, 2, 60);
  EXPECT_TRUE(JudgeStage(stage, true));
  EXPECT_EQ(stage.filtered, 38);
}

TEST(Balance, MoreRowsOutThanInNeverBalance) {
  auto stage = StageOf(100, 2, 99);
  EXPECT_FALSE(JudgeStage(stage, true));
}

TEST(Balance, AFoldCountsWhatItFolded) {
  auto stage = StageOf(100, 0, 4);
  stage.folds = true;
  stage.folded = 100;
  EXPECT_TRUE(JudgeStage(stage, false));
  stage.folded = 99;
  EXPECT_FALSE(JudgeStage(stage, false));
}

TEST(Balance, AJoinHasNoEquation) {
  auto stage = StageOf(100, 0, 250);
  stage.equation = false;
  EXPECT_TRUE(JudgeStage(stage, false));
}

}  // namespace
}  // namespace tranche
