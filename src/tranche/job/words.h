// Words of the job language that are the same in every message: what a shape is called, what is reserved,
// what the language has and this version has not.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/shape.h"

namespace tranche {

// "text", "list of columns", "one of inner, left": for messages and docs.
std::string ShapeWords(const Shape& shape);

bool IsName(std::string_view text);      // [a-z_][a-z0-9_]*
bool IsReserved(std::string_view name);  // input mark table run env secret

// Components and keys of the language that this version refuses at their place.
bool IsLaterConnector(std::string_view name);
bool IsLaterStep(std::string_view name);
bool IsLaterField(std::string_view name);
Error NotYet(std::string_view what);  // "'kafka' is not in this version"

// "; did you mean 'x'?", or a list of all.
Error WithNearest(Error error, std::string_view word, const std::vector<std::string>& candidates);

}  // namespace tranche
