// The table that a SQLite store writes into: making it, checking it, swapping it. All calls happen inside the
// caller's transaction.
#pragma once

#include <string>
#include <vector>

#include "tranche/base/sqlite.h"
#include "tranche/connector/engine.h"
#include "tranche/sinks/table_options.h"

namespace tranche {

class SqliteTable {
 public:
  SqliteTable(sqlite::Database& database, std::string name) : database_(database), name_(std::move(name)) {}

  // What there is under this name. A view or a virtual table is an error where it can't be used.
  Status Look();
  bool exists() const { return !sql_.empty(); }
  Columns columns() const;
  bool has_rowid() const { return has_rowid_; }
  bool has_triggers() const { return has_triggers_; }
  const std::string& name() const { return name_; }
  // A name by which its rowid can be had.
  std::string RowIdName() const;

  Status Create(const Columns& columns, const std::vector<std::string>& key);
  // Those that the table does not have.
  Columns Without(const Columns& columns) const;
  Status Add(const Columns& columns);
  // That rows of `columns` can be stored: each is there or will be added, and where rows are inserted, no
  // other must have a value.
  Status CheckTakes(const Columns& columns, const TableOptions& options) const;

  // Its definition is no more than names and types as Create makes them, and nothing else refers to it:
  // another table of the same name does as well.
  bool plain() const { return plain_; }
  // An empty table `name` with the constraints of this one.
  Status CreateLike(const std::string& name);

  // Puts the rows of `staging` in the place of this table's, and drops staging.
  Status ReplaceBy(const std::string& staging, const Columns& columns);

 private:
  struct ColumnInfo {
    std::string name, type;
    bool needs_value = false;  // NOT NULL without a default
    bool generated = false;
  };
  sqlite::Database& database_;
  std::string name_;
  std::string sql_;
  std::vector<ColumnInfo> columns_;
  bool has_rowid_ = true, has_triggers_ = false, plain_ = false;
};

}  // namespace tranche
