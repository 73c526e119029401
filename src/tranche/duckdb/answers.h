// Small answers as text.
#pragma once

#include <vector>

#include "tranche/connector/engine.h"
#include "tranche/duckdb/session.h"

namespace tranche::duckdb {

// All rows of an answer whose columns are VARCHAR.
Result<std::vector<TextRow>> TextRows(Session& session, Answer& answer, const Command& command);

}  // namespace tranche::duckdb
