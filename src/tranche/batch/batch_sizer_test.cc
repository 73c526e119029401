#include "tranche/batch/batch_sizer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace tranche {
namespace {

using Cost = std::function<double(double rows)>;  // seconds of a batch

// The size that most of the last of `batches` batches have.
int64_t Settled(BatchSizer& sizer, const Cost& cost, int batches) {
  std::mt19937 chance(1);
  std::uniform_real_distribution<double> noise(0.97, 1.05);
  std::vector<int64_t> sizes;
  for (int i = 0; i < batches; ++i) {
    sizes.push_back(sizer.rows());
    const double hiccup = chance() % 20 == 0 ? 3 : 1;
    sizer.Stored(sizer.rows(), cost(static_cast<double>(sizer.rows())) * noise(chance) * hiccup);
  }
  std::multiset<int64_t> last(sizes.end() - batches / 2, sizes.end());
  return *std::ranges::max_element(last, {}, [&](int64_t size) { return last.count(size); });
}

// Of the fixed sizes the one with the cheapest row, as a sweep would find it.
double BestCost(const Cost& cost) {
  double best = INFINITY;
  for (double rows = 1000; rows <= 1e6; rows *= 1.1) best = std::min(best, cost(rows) / rows);
  return best;
}

TEST(BatchSizer, IsWithinTwentyPercentOfTheBestFixedSize) {
  const Cost costs[] = {
      [](double rows) { return 0.002 + 1.5e-6 * rows; },                             // a server near by
      [](double rows) { return 0.02 + 2e-6 * rows; },                                // a slow disk
      [](double rows) { return 0.0002 + 1e-6 * rows; },                              // hardly a price to pay
      [](double rows) { return 0.005 + 1e-6 * rows + 4e-11 * rows * rows; },         // large ones are dear
      [](double rows) { return 0.003 + 1e-6 * rows + (rows > 20'000 ? 0.05 : 0); },  // and fall off a cliff
  };
  for (const Cost& cost : costs) {
    BatchSizer sizer(1000);
    const auto rows = static_cast<double>(Settled(sizer, cost, 300));
    EXPECT_LE(cost(rows) / rows, 1.2 * BestCost(cost)) << rows;
  }
}

TEST(BatchSizer, TakesTheSmallestSizeThatIsAsGood) {
  BatchSizer sizer(1000);
  EXPECT_LE(Settled(sizer, [](double rows) { return 1e-6 * rows; }, 300), 2000);
}

TEST(BatchSizer, KeepsABatchBelowASecond) {
  BatchSizer sizer(1000);
  const Cost slow = [](double rows) { return 5 + 1e-4 * rows; };
  EXPECT_EQ(Settled(sizer, slow, 50), 1000);
}

TEST(BatchSizer, HalvesWhereThereIsNoRoomAndGrowsAgain) {
  BatchSizer sizer(1000);
  const Cost cost = [](double rows) { return 0.01 + 1e-6 * rows; };
  const int64_t before = Settled(sizer, cost, 200);
  ASSERT_GT(before, 10'000);
  sizer.Refused();
  EXPECT_LE(sizer.rows(), before / 2);
  sizer.Refused();
  EXPECT_LE(sizer.rows(), before / 4);
  for (int i = 0; i < 100; ++i) sizer.Refused();
  EXPECT_EQ(sizer.rows(), 100);
  EXPECT_GE(Settled(sizer, cost, 300), before / 2);
}

TEST(BatchSizer, FollowsATargetThatChanges) {
  BatchSizer sizer(1000);
  const int64_t slow_commit = Settled(sizer, [](double rows) { return 0.05 + 1e-6 * rows; }, 300);
  const int64_t fast_commit = Settled(sizer, [](double rows) { return 0.0005 + 1e-6 * rows; }, 1500);
  EXPECT_LT(fast_commit, slow_commit / 4);
}

}  // namespace
}  // namespace tranche
