// How many rows the scans of the last query handed on, by DuckDB's profile of it; not those of registered
// readers, which it cannot tell apart.
#pragma once

#include <vector>

#include <duckdb.h>

#include "tranche/connector/engine.h"

namespace tranche::duckdb {

std::vector<ScanCount> ReadScanCounts(duckdb_connection connection);

}  // namespace tranche::duckdb
