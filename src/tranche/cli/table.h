// A table of text on stdout, columns aligned; for results that people read.
#pragma once

#include <string>
#include <vector>

#include "tranche/connector/engine.h"

namespace tranche {

// NULL is shown as an empty cell; cells longer than `widest` characters are cut with "…".
std::string FormatTable(const std::vector<std::string>& header, const std::vector<TextRow>& rows,
                        size_t widest = 60);

}  // namespace tranche
