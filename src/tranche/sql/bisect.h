// Finds the rows for which a batch was refused.
//
// A row is refused if the target refuses it after all rows before it that were not refused: so of two rows
// with one key the later is the bad one.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/batch/span.h"

namespace tranche::sql {

struct RefusedRow {
  int64_t row = 0;
  std::string reason;
  std::string column;
};

// Why rows are not taken; and which of them it was, where the target says so: an index in those rows.
struct Refusal {
  std::string reason;
  std::string column;
  std::optional<int64_t> row;
};

// Rows that stay where they are taken, and leave no trace where they are refused:
//
//   TRANCHE_ASSIGN(auto refused, Sift(n, [&](Span rows) -> Result<std::optional<Refusal>> {
//     return TryOrRollBack(rows);
//   }));
//
// For k bad rows of n, 2·k + 1 calls where the target names them, else about 2·k·log2(n); where half of the
// rows and more are bad, hardly more than one for a row. An Error stops the search. `allow` is asked now and
// then whether so many rows may be refused. Not more than `piece` rows are tried together: a bad row costs
// those before it in its piece a second time.
using Take = std::function<Result<std::optional<Refusal>>(Span rows)>;
using Allow = std::function<Status(int64_t refused)>;
Result<std::vector<RefusedRow>> Sift(int64_t rows, const Take& take, const Allow& allow = nullptr,
                                     int64_t piece = std::numeric_limits<int64_t>::max());

// The same, where nothing stays: each probe has all rows (disjoint ascending spans of [0, n)) that are to be
// taken together. Nothing if they are, or why they are not.
using Probe = std::function<Result<std::optional<std::string>>(const std::vector<Span>& rows)>;
Result<std::vector<RefusedRow>> Bisect(int64_t rows, const Probe& probe);

}  // namespace tranche::sql
