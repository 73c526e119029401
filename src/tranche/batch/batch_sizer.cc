#include "tranche/batch/batch_sizer.h"

#include <algorithm>

namespace tranche {
namespace {

constexpr size_t kFew = 3;            // batches before a size is judged
constexpr size_t kKept = 7;           // batches that count
constexpr double kGain = 0.97;        // what a row must cost in a batch of twice the size
constexpr double kMostSeconds = 1.0;  // that a batch may take
constexpr int kLookAgain = 100;       // batches after which the neighbours are tried anew
constexpr int64_t kLeastCeiling = 100;

}  // namespace

double BatchSizer::Level::Cost() const {
  if (costs.size() < kFew) return 0;
  std::vector<double> sorted = costs;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  return *middle;
}

int64_t BatchSizer::rows() const { return std::min(SizeOf(level_), ceiling_); }

bool BatchSizer::Gains(int level) const {
  const double cost = levels_[level].Cost(), above = levels_[level + 1].Cost();
  return above < kGain * cost;
}

void BatchSizer::Stored(int64_t rows, double seconds) {
  if (ceiling_ != INT64_MAX) {
    ceiling_ += std::max<int64_t>(ceiling_ / 16, 1);
    if (ceiling_ >= SizeOf(kLevels - 1)) ceiling_ = INT64_MAX;
  }
  for (int level = 0; level < kLevels; ++level) {
    if (SizeOf(level) != rows) continue;
    std::vector<double>& costs = levels_[level].costs;
    if (costs.size() == kKept) costs.erase(costs.begin());
    costs.push_back(seconds / static_cast<double>(rows));
    if (level == level_) Choose();
  }
}

// At a level that is known: down where it does not pay, up where that pays; and to see it, where it is not
// known.
void BatchSizer::Choose() {
  const double cost = levels_[level_].Cost();
  if (cost == 0) return;
  if (++settled_ >= kLookAgain) {
    settled_ = 0;
    for (int level = 0; level < kLevels; ++level) {
      if (level != level_) levels_[level].costs.clear();
    }
  }
  const bool known_below = level_ > 0 && levels_[level_ - 1].Cost() > 0;
  const bool has_room =
      level_ + 1 < kLevels && cost * static_cast<double>(SizeOf(level_ + 1)) <= kMostSeconds;
  int next = level_;
  if (known_below && !Gains(level_ - 1)) {
    next = level_ - 1;
  } else if (has_room && (levels_[level_ + 1].Cost() == 0 || Gains(level_))) {
    next = level_ + 1;
  } else if (level_ > 0 && !known_below) {
    next = level_ - 1;
  }
  if (next != level_) settled_ = 0;
  level_ = next;
}

void BatchSizer::Refused() { ceiling_ = std::max(rows() / 2, std::min(kLeastCeiling, least_)); }

}  // namespace tranche
