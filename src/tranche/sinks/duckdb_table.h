// The table that a DuckDB store writes into: making it, checking it, swapping it, and the SQL that puts rows
// into it. `engine` has the database in use. Nothing here begins or ends a transaction.
#pragma once

#include <string>
#include <vector>

#include "tranche/connector/engine.h"
#include "tranche/sql/connection.h"

namespace tranche {

class DuckDbTable {
 public:
  DuckDbTable(sql::SqlConnection& connection, std::string name)
      : connection_(connection), name_(std::move(name)) {}

  Status Look();
  bool exists() const { return !columns_.empty(); }
  const std::string& name() const { return name_; }
  Columns columns() const;
  bool NeedsValue(std::string_view column) const;  // NOT NULL

  Status Create(const Columns& columns, const std::vector<std::string>& key);
  // Those that the table does not have.
  Columns Without(const Columns& columns) const;
  Status Add(const Columns& columns);
  Status CheckTakes(const Columns& columns, bool adds) const;

  // It has no constraint, default or index: another table of the same name does as well.
  bool plain() const { return plain_; }
  // An empty table `name` with the constraints of this one.
  Status CreateLike(const std::string& name);
  // Puts the rows of `staging` in the place of this table's, and drops staging.
  Status ReplaceBy(const std::string& staging, const Columns& columns);

 private:
  struct ColumnInfo {
    std::string name, type;
    bool not_null = false, has_default = false;
  };
  const ColumnInfo* Find(std::string_view name) const;

  sql::SqlConnection& connection_;
  std::string name_, sql_;
  std::vector<ColumnInfo> columns_;
  bool plain_ = false;
};

// The statements of a store that puts rows of `from` (a relation with `columns` and kPositionColumn) into
// `table`.
inline constexpr std::string_view kPositionColumn = "__tranche_position";  // of a row in its batch
struct DuckDbStatements {
  std::string insert;
  std::string count_keys;  // how many different keys; empty without a key
  std::string
      unfit;  // (position, reason, column) of rows that can't be stored as they are; empty if there are none

  static DuckDbStatements Make(const DuckDbTable& table, const Columns& columns,
                               const std::vector<std::string>& key, const std::string& from);
};

}  // namespace tranche
