#include "tranche/run/budget.h"

#include <thread>

#include <gtest/gtest.h>

namespace tranche {
namespace {

Job JobWith(RejectLimit limit) {
  Job job;
  job.rejects = limit;
  job.inputs.push_back({.name = "orders", .rejects = RejectLimit{.percent = 1.0}});
  job.inputs.push_back({.name = "customers"});
  Body body;
  body.stores.push_back({.name = "warehouse", .rejects = RejectLimit{.count = 2}});
  body.stores.push_back({.name = "files"});
  job.bodies.push_back(std::move(body));
  return job;
}

TEST(RejectBudget, AllowsNothingByDefault) {
  RejectBudget budget{Job{.bodies = {}}};
  EXPECT_TRUE(budget.Add("input orders", 0));
  const Status refused = budget.Add("input orders", 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kData);
}

TEST(RejectBudget, PlacesWithoutTheirOwnLimitShareTheJobs) {
  RejectBudget budget(JobWith({.count = 3}));
  EXPECT_TRUE(budget.Add("input customers", 2));
  EXPECT_TRUE(budget.Add("store files", 1));
  EXPECT_FALSE(budget.Add("store files", 1));
  EXPECT_TRUE(budget.Add("store warehouse", 2)) << "has its own";
  EXPECT_FALSE(budget.Add("store warehouse", 1));
}

TEST(RejectBudget, APercentageIsJudgedAtTheEnd) {
  RejectBudget budget(JobWith({.count = 0}));
  EXPECT_TRUE(budget.Add("input orders", 11));
  EXPECT_FALSE(budget.JudgeEnd("input orders", 1000)) << "1.1 %";
  EXPECT_TRUE(budget.JudgeEnd("input orders", 1100)) << "1 %";
}

TEST(RejectBudget, WhatIsTakenBackIsFreeAgain) {
  RejectBudget budget(JobWith({.count = 2}));
  EXPECT_TRUE(budget.Add("store files", 2));
  budget.TakeBack("store files", 2);
  EXPECT_TRUE(budget.Add("store files", 2));
}

TEST(RejectBudget, IsExactUnderParallelBatches) {
  RejectBudget budget(JobWith({.count = 1000}));
  std::atomic<int> allowed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 500; ++k) allowed += budget.Add("store files", 1) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(allowed, 1000);
}

}  // namespace
}  // namespace tranche
