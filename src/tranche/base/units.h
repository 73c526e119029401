// Numbers as people write them in job files (rule R15 of the job language) and read them in a terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tranche/base/clock.h"
#include "tranche/base/result.h"

namespace tranche {

Result<int64_t> ParseSize(std::string_view text);       // "8MiB", "1.5 GB" → bytes; "8M" and "8" are refused
Result<Duration> ParseDuration(std::string_view text);  // "200ms", "1h30m", "2d"
Result<int64_t> ParseInteger(std::string_view text);
Result<double> ParseNumber(std::string_view text);
Result<bool> ParseBoolean(std::string_view text);  // true and false only

// `rejects: N | P%`
struct RejectLimit {
  std::optional<int64_t> count;
  std::optional<double> percent;  // 0.1 means 0.1 %
  bool operator==(const RejectLimit&) const = default;
  // Whether `rejected` of `seen` rows is too many. A percentage is judged only at the `end`.
  bool Exceeded(int64_t rejected, int64_t seen, bool end) const;
  std::string ToString() const;  // "10" or "0.1%"
};
Result<RejectLimit> ParseRejectLimit(std::string_view text);

std::string FormatCount(int64_t value);         // "1,234,567"
std::string FormatBytes(int64_t bytes);         // "12.3 MiB"
std::string FormatDuration(Duration duration);  // "1.24s", "2m 05s"

// The candidate nearest to `word`, if it is near enough to be meant.
template <typename Range>
std::string Nearest(std::string_view word, const Range& candidates);
int EditDistance(std::string_view a, std::string_view b);  // Damerau-Levenshtein (adjacent transpositions)

template <typename Range>
std::string Nearest(std::string_view word, const Range& candidates) {
  std::string best;
  int least = static_cast<int>(word.size() + 2) / 3 + 1;
  for (const auto& candidate : candidates) {
    int distance = EditDistance(word, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace tranche
