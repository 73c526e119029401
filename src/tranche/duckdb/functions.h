// Strict conversions, as functions of SQL. DuckDB's own casts are too lenient (seen in 1.5.6: 1.5 cast to
// BIGINT is 2), and checks around them in SQL took longer than the reading itself.
#pragma once

#include <string>
#include <string_view>

#include "tranche/base/result.h"

namespace tranche {

// A whole number of up to 64 bits, for which StrictNumber and NumberOrNull know a function.
bool IsWholeType(std::string_view type);

// SQL: `source`, a DOUBLE or a VARCHAR, as `type` (a whole type, DOUBLE or FLOAT). It fails with `complaint`
// where a whole type cannot hold the very number, where a DOUBLE stands for a whole number of 2^53 or beyond
// (it could be a neighbour's), and where a DOUBLE is infinite (it could be one that was too large).
std::string StrictNumber(std::string_view source, std::string_view type, std::string_view complaint);

// SQL: `source`, a VARCHAR, as a whole type, NULL where it is none: [+-] digits, or a fraction or power of
// ten that is whole below 2^53 (3.0, 1e3); spaces around it are passed over, and so is a _ between digits, as
// DuckDB does.
std::string NumberOrNull(std::string_view source, std::string_view type);

// SQL: whether `source`, a VARCHAR, is written with no more than `scale` digits behind the point, zeros at
// the end aside: a cast to DECIMAL would round the others. What is no number is exact.
std::string IsExact(std::string_view source, std::string_view scale);

namespace duckdb {
class Instance;
Status CreateFunctions(const Instance& instance);
}  // namespace duckdb

}  // namespace tranche
