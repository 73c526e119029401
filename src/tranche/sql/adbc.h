// Any database that has a driver of ADBC (https://arrow.apache.org/adbc): a shared library that is loaded
// when a job names it. Its answers are Arrow data.
#pragma once

#include <memory>

#include "tranche/connector/options.h"
#include "tranche/sql/server.h"

namespace tranche::sql {

// The server of the fields `driver` and `options`. Checks that no password stands there as it is; the driver
// is looked for when the first session is opened.
Result<std::unique_ptr<Server>> MakeAdbc(const Options& options);

// The same for a store, in a schema (empty: where the connection looks for names). What is promised of a
// store stands on the transactions and locks of its database: behind the driver must be a PostgreSQL,
// whatever it is called.
Result<std::unique_ptr<Server>> MakeAdbcStore(const Options& options, std::string schema);

}  // namespace tranche::sql
