// What an SQLSTATE says of a failure (https://www.postgresql.org/docs/15/errcodes-appendix.html; the classes
// are those of the SQL standard).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tranche/sql/server.h"

namespace tranche::sql {

Fault::Kind KindOfSqlState(std::string_view state);

// What PostgreSQL says of a refused row. Of "COPY orders, line 778, column amount: …": 777, amount.
std::optional<int64_t> PostgresRowIn(std::string_view context);
std::string PostgresColumnIn(std::string_view context);
// Whether the detail of the error only has the row once more.
bool RepeatsRow(std::string_view state);

}  // namespace tranche::sql
