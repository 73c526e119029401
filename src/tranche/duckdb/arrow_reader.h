// The answer to a query, chunk by chunk, as Arrow record batches of a useful size.
#pragma once

#include <memory>

#include "tranche/connector/engine.h"
#include "tranche/duckdb/session.h"

namespace tranche::duckdb {

// At the end of the answer, the session's counts of the scans are set.
Result<std::unique_ptr<Reader>> StreamAsArrow(std::shared_ptr<Session> session, Prepared statement,
                                              Command command);

}  // namespace tranche::duckdb
