// What the stores into a database file (SQLite, DuckDB) have in common: their options, and the words of their
// errors.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/result.h"
#include "tranche/connector/options.h"
#include "tranche/connector/shape.h"

namespace tranche {

Shape DatabaseShape(std::string_view example_file);

struct DatabaseOptions {
  std::string path;
  std::string table;
  std::string mode;
  std::vector<std::string> key;  // of an upsert
  Place place;

  static Result<DatabaseOptions> Parse(const Options& options);
  bool replaces() const { return mode == "replace"; }

  // The path can be a database, the key's columns are there. Writes nothing.
  Status Check(const arrow::Schema& schema) const;
  // Checks, and makes the file's folder.
  Status Prepare(const arrow::Schema& schema) const;

  // Whether the table (after its Look) is there with a definition that stays.
  template <typename Table>
  bool Keeps(const Table& table) const {
    return table.exists() && !(replaces() && table.plain());
  }

  std::string Staging(std::string_view run_id) const {
    return table + "__tranche_" + std::string(run_id.substr(0, 8));
  }
  std::string Describe(std::string_view connector) const;
  // Several stores may append to one table.
  std::string Target() const { return mode == "append" ? "" : path + "#" + table; }

  // `stored` rows were committed, `there` are in the table.
  Status CheckStored(int64_t stored, int64_t there) const;
  Error TableGone(std::string_view name) const;
  Error NoUniqueIndex() const;

  // What came of a look at the target before the run, for Sink::Check: the errors that stay until Open.
  Status Lasting(Status looked) const;
};

}  // namespace tranche
