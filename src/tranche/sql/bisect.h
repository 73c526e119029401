// Bisect: finds the rows for which a batch was refused, where the target has no way to say which.
//
//   TRANCHE_ASSIGN(auto refused, Bisect(n, [&](const std::vector<Span>& rows) -> Result<Probe> {
//     return TryAndRollBack(rows);
//   }));
//
// A row is refused if the target refuses it after all rows before it that were not refused: so of two rows
// with one key the later is the bad one. At most about 2·k·log2(n) probes for k bad rows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/batch/span.h"

namespace tranche::sql {

struct RefusedRow {
  int64_t row = 0;
  std::string reason;
};

// Tries rows (disjoint ascending spans of [0, n)) together: nothing if they are taken, or why they are
// refused. An Error stops the search.
using Probe = std::function<Result<std::optional<std::string>>(const std::vector<Span>& rows)>;

Result<std::vector<RefusedRow>> Bisect(int64_t rows, const Probe& probe);

}  // namespace tranche::sql
