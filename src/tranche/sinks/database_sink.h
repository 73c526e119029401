// What the stores into a database file (SQLite, DuckDB) have in common beside their tables: its path.
#pragma once

#include <string>
#include <string_view>

#include "tranche/sinks/table_options.h"

namespace tranche {

Shape DatabaseShape(std::string_view example_file, Schemas schemas);

struct DatabaseOptions : TableOptions {
  std::string path;

  static Result<DatabaseOptions> Parse(const Options& options, Schemas schemas);

  // The path can be a database, the rows have the columns that are named. Writes nothing.
  Status Check(const arrow::Schema& schema) const;
  // Checks, and makes the file's folder.
  Status Prepare(const arrow::Schema& schema) const;
};

}  // namespace tranche
