// What a job's author may write: one expression or one SELECT over the inputs, and nothing that reaches for
// files, settings or catalogs. By DuckDB's own parser (json_serialize_sql), which binds nothing, and a walk
// over its tree.
#pragma once

#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/options.h"
#include "tranche/duckdb/session.h"

namespace tranche::duckdb {

Status ScreenExpression(Session& session, const Expression& expression);

// The tables in FROM clauses that are not its own CTEs, each once, as first spelled.
Result<std::vector<std::string>> ScreenSelect(Session& session, const Expression& select);

}  // namespace tranche::duckdb
