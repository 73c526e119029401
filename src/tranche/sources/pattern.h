// A regular expression of RE2 with named groups.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/result.h"

namespace tranche {

struct Pattern {
  std::string text;                 // (?<name>…) written as (?P<name>…), as DuckDB's RE2 takes it
  std::vector<std::string> groups;  // of all capturing groups in order; "" where it has no name
};

// Finds the groups; whether RE2 takes the rest is for the engine to say. An error where there is no named
// group or a name comes twice.
Result<Pattern> ParsePattern(std::string_view text);

}  // namespace tranche
