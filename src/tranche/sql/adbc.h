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

}  // namespace tranche::sql
