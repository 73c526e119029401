// PostgreSQL, and what speaks its protocol, by libpq.
//
// Rows go in by COPY in the binary format (https://www.postgresql.org/docs/15/sql-copy.html), so that no
// value is written as text and read again, and a refused row is named by the server: "COPY orders, line 778".
#pragma once

#include <memory>
#include <string>

#include "tranche/sql/server.h"

namespace tranche::sql {

// `url`: postgres://user:password@host:port/database?sslmode=…, or host=… dbname=…; several hosts are tried
// in their order. Checks the url. TLS with the server's name verified unless all of them are loopback
// addresses or sockets, or the url says otherwise by sslmode.
Result<std::unique_ptr<Server>> MakePostgres(const ServerUrl& options);

// Of Server.
std::string PostgresTypeFor(std::string_view type);
Fit PostgresFitFor(std::string_view type, const TableColumn& column);

}  // namespace tranche::sql
