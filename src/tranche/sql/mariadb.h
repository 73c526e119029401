// MariaDB from 10.7 on, by libmariadb.
//
// Rows go in by arrays that are bound to a prepared INSERT (bulk operations of the protocol:
// https://mariadb.com/kb/en/bulk-insert-column-wise-binding/), and a refused row is named by the diagnostics
// (ROW_NUMBER, https://mariadb.com/kb/en/get-diagnostics/).
#pragma once

#include <memory>
#include <string>

#include "tranche/sql/server.h"

namespace tranche::sql {

// `url`: mariadb://user:password@host:port/database?sslrootcert=…&sslmode=…
// Checks the url. TLS with the server's name verified unless it is this machine, or the url says otherwise
// by sslmode (disable, require, verify-full).
Result<std::unique_ptr<Server>> MakeMariaDb(const ServerUrl& options);

// Of Server.
std::string MariaDbTypeFor(std::string_view type, bool key);
Fit MariaDbFitFor(std::string_view type, const TableColumn& column);

}  // namespace tranche::sql
