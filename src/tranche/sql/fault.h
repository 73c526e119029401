// What an SQLSTATE says of a failure (https://www.postgresql.org/docs/15/errcodes-appendix.html; the classes
// are those of the SQL standard).
#pragma once

#include <string_view>

#include "tranche/sql/server.h"

namespace tranche::sql {

Fault::Kind KindOfSqlState(std::string_view state);

}  // namespace tranche::sql
