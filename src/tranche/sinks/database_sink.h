// What the stores into a database file (SQLite, DuckDB) have in common beside their tables: its path.
#pragma once

#include <string>
#include <string_view>

#include "tranche/connector/sink.h"
#include "tranche/sinks/table_options.h"
#include "tranche/sql/connection.h"
#include "tranche/sql/ledger.h"

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

// What the ledger says, and how many rows the table has.
Result<std::optional<Sink::Standing>> LookAtTable(sql::SqlConnection& connection, sql::Ledger ledger,
                                                  const std::string& table, const SinkContext& context);

}  // namespace tranche
