// The tables of state.db; docs/format/state.md explains them.
#pragma once

#include <string>

#include "tranche/base/result.h"
#include "tranche/base/sqlite.h"

namespace tranche {

// Creates the tables in an empty file. A file of a newer version, or of another program, is refused.
Status CreateOrCheckTables(sqlite::Database& database);
// The same without creating: an empty file holds no runs yet.
Status CheckTables(sqlite::Database& database);

// Says what to do about a damaged file; an error that only we can have caused becomes Code::kInternal.
Error ExplainStateError(Error error);

}  // namespace tranche
