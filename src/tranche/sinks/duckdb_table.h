// The table that a DuckDB store writes into: making it, checking it, swapping it. The connection has the
// database in use. Nothing here begins or ends a transaction.
#pragma once

#include <string>
#include <vector>

#include "tranche/connector/engine.h"
#include "tranche/sinks/table_options.h"
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
  // That rows of `columns` can be stored: each is there or will be added, and where rows are inserted, no
  // other must have a value.
  Status CheckTakes(const Columns& columns, const TableOptions& options) const;

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

}  // namespace tranche
