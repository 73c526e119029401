// The answer of a query of PostgreSQL as Arrow record batches, by COPY … TO STDOUT in the binary format: the
// other direction of postgres_copy.h.
//
//   bool BOOL · int2 INT16 · int4 INT32 · int8 INT64 · float4 FLOAT · float8 DOUBLE · bytea BINARY · date
//   DATE32 numeric(p,s), p ≤ 38: DECIMAL128(p,s) · time TIME64[us] · timestamp TIMESTAMP[us] · timestamptz
//   TIMESTAMP[us, UTC] · interval INTERVAL_MONTH_DAY_NANO · everything else STRING, as the server writes it
#pragma once

#include <memory>
#include <string_view>

#include "tranche/connector/engine.h"
#include "tranche/sql/postgres_connection.h"

namespace tranche::sql {

// `connection` is busy until the reader is at its end or destroyed.
Result<std::unique_ptr<Reader>> ReadPostgres(PostgresConnection& connection, std::string_view sql);

}  // namespace tranche::sql
