// "table: name" or "table: schema.name", for databases that have schemas.
#pragma once

#include <string>

#include "tranche/connector/options.h"

namespace tranche::sql {

struct TableName {
  std::string schema;  // empty: that of the session
  std::string table;
  std::string quoted() const;
};

// From the fields `table` and `schema`. With `schema`, `table` is taken as it is.
Result<TableName> ParseTableName(const Options& options);

}  // namespace tranche::sql
