#include "tranche/sql/bisect.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace tranche::sql {
namespace {

// Rows with keys: a row is bad by itself, or because an earlier one that was taken has its key.
struct Table {
  std::vector<int> keys;
  std::set<int64_t> bad;
  int probes = 0;

  std::optional<std::string> Refusal(const std::vector<Span>& rows) {
    ++probes;
    std::set<int> seen;
    for (Span span : rows) {
      for (int64_t row = span.from; row < span.to; ++row) {
        if (bad.contains(row)) return "bad";
        if (!seen.insert(keys[row]).second) return "twice";
      }
    }
    return std::nullopt;
  }
  std::vector<RefusedRow> ByHand() const {
    std::vector<RefusedRow> refused;
    std::set<int> seen;
    for (int64_t row = 0; row < static_cast<int64_t>(keys.size()); ++row) {
      if (bad.contains(row)) {
        refused.push_back({row, "bad"});
      } else if (!seen.insert(keys[row]).second) {
        refused.push_back({row, "twice"});
      }
    }
    return refused;
  }
};

TEST(Bisect, FindsWhatAScanFinds) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    int64_t rows = random() % 200;
    Table table;
    for (int64_t row = 0; row < rows; ++row) table.keys.push_back(random() % (1 + random() % 2000));
    for (int i = 0; i < static_cast<int>(random() % 6) && rows > 0; ++i) table.bad.insert(random() % rows);
    auto refused = Bisect(rows, [&](const std::vector<Span>& spans) -> Result<std::optional<std::string>> {
      return table.Refusal(spans);
    });
    auto expected = table.ByHand();
    ASSERT_EQ(refused->size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ((*refused)[i].row, expected[i].row);
      EXPECT_EQ((*refused)[i].reason, expected[i].reason);
    }
    double bound = 2 + 2 * expected.size() * std::ceil(std::log2(rows + 2));
    EXPECT_LE(table.probes, bound) << rows << " rows, " << expected.size() << " bad";
  }
}

// A target that keeps what it takes. It looks for doubled keys only when all rows are read, as PostgreSQL
// does with foreign keys, and does not say then which row it was.
TEST(Sift, FindsWhatAScanFinds) {
  std::mt19937 random(11);
  for (int round = 0; round < 1000; ++round) {
    const bool names = round % 2 == 0;
    const int64_t rows = random() % 300;
    Table table;
    for (int64_t row = 0; row < rows; ++row) table.keys.push_back(random() % (1 + random() % 3000));
    const int bad = round % 5 == 0 ? static_cast<int>(rows) : static_cast<int>(random() % 6);
    for (int i = 0; i < bad && rows > 0; ++i) table.bad.insert(random() % rows);
    std::set<int> kept;
    auto take = [&](Span span) -> Result<std::optional<Refusal>> {
      ++table.probes;
      for (int64_t row = span.from; row < span.to; ++row) {
        if (table.bad.contains(row))
          return Refusal{"bad", "", names ? std::optional(row - span.from) : std::nullopt};
      }
      std::set<int> all = kept;
      for (int64_t row = span.from; row < span.to; ++row) {
        if (!all.insert(table.keys[row]).second) return Refusal{"twice", "", std::nullopt};
      }
      kept = std::move(all);
      return std::nullopt;
    };
    const int64_t piece = 1 + static_cast<int64_t>(random() % 300);
    auto refused = Sift(rows, take, nullptr, piece);
    const auto expected = table.ByHand();
    ASSERT_EQ(refused->size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ((*refused)[i].row, expected[i].row);
      EXPECT_EQ((*refused)[i].reason, expected[i].reason);
    }
    const bool all_named =
        names && std::ranges::all_of(expected, [](auto& row) { return row.reason == "bad"; });
    const int64_t pieces = (rows + piece - 1) / piece;
    if (all_named && expected.size() < 64) {
      EXPECT_LE(table.probes, 2 * expected.size() + pieces);
    }
    EXPECT_LE(table.probes, pieces + 1 + 2 * expected.size() * std::ceil(std::log2(rows + 2)));
  }
}

TEST(Sift, HardlyMoreThanOneTryForARowWhereAllAreBad) {
  for (const bool names : {false, true}) {
    int tries = 0;
    auto refused = Sift(10'000, [&](Span) -> Result<std::optional<Refusal>> {
      ++tries;
      return Refusal{"bad", "", names ? std::optional<int64_t>(0) : std::nullopt};
    });
    EXPECT_EQ(refused->size(), 10'000u);
    EXPECT_LE(tries, 10'200);
  }
}

TEST(Sift, AsksWhetherSoManyAreAllowed) {
  auto take = [](Span) -> Result<std::optional<Refusal>> { return Refusal{"bad", "", 0}; };
  auto refused = Sift(1000, take, [](int64_t refused) -> Status {
    if (refused <= 300) return {};
    return Fail(Code::kData, "too many: {}", refused);
  });
  EXPECT_EQ(refused.error().message, "too many: 400");
}

TEST(Bisect, AnErrorStopsIt) {
  auto refused = Bisect(8, [](const std::vector<Span>&) -> Result<std::optional<std::string>> {
    return Fail(Code::kOutside, "gone");
  });
  EXPECT_EQ(refused.error().message, "gone");
}

}  // namespace
}  // namespace tranche::sql
