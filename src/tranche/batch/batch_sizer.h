// BatchSizer: finds how many rows a batch should have, while batches are stored.
//
// A batch costs something for itself (a claim, a commit, a sync) and something for each row. So larger
// batches are cheaper by the row, less and less so, until locks, memory and logs make them dearer again. The
// sizer doubles the batches as long as that makes a row cheaper by 3 % or more, and settles on the smallest
// size for which it does not: small batches hold locks for a short time, and less is done again after a
// crash. In a while it looks at its neighbours anew. Where a target has no room (locks, deadlocks, memory),
// batches are halved at once and grow again by a sixteenth each, as TCP does (AIMD: Chiu and Jain, 1989).
//
//   BatchSizer sizer(1000);
//   while (…) { cut sizer.rows() rows; store them; sizer.Stored(rows, seconds); }
//
// One thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace tranche {

class BatchSizer {
 public:
  // Begins with batches of `least` rows.
  explicit BatchSizer(int64_t least) : least_(least) {}

  // Of the next batch.
  int64_t rows() const;

  // A batch of so many rows was stored at the first try. Batches of another size than one that was asked for
  // (the last one, or one that is cut by its bytes) say nothing.
  void Stored(int64_t rows, double seconds);
  // The target had no room for a batch just now.
  void Refused();

 private:
  static constexpr int kLevels = 12;  // each twice the size of the one below
  struct Level {
    std::vector<double> costs;  // seconds a row, of the last batches
    double Cost() const;        // the median; 0 where too few are known
  };
  int64_t SizeOf(int level) const { return least_ << level; }
  // Whether batches of `level` + 1 make a row so much cheaper that they are worth it.
  bool Gains(int level) const;
  void Choose();

  int64_t least_;
  int level_ = 0;
  int settled_ = 0;              // batches since the level changed
  int64_t ceiling_ = INT64_MAX;  // after a target had no room
  std::array<Level, kLevels> levels_;
};

}  // namespace tranche
