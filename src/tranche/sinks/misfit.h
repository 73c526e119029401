// Values that a column of another type would change: SQL of the engine that finds them.
#pragma once

#include <string>
#include <string_view>

#include "tranche/connector/engine.h"

namespace tranche {

// Whole numbers and decimals: a value is one of theirs, or it is another number.
bool IsExact(std::string_view type);

// A condition: the value of `column` is not NULL, and as a `type` it would be NULL or, from a number, another
// number.
std::string Misfit(const Column& column, std::string_view type);
// Why it is refused: "value 1.5 does not fit INTEGER". `type` as the target writes it.
std::string MisfitReason(const Column& column, std::string_view type);

}  // namespace tranche
