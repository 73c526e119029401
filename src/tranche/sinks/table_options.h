// What the stores into a table of a database have in common, whatever the database: their options, and the
// words of their errors.
//
//   struct FileOptions : TableOptions { std::string path; };
//   spec.shape = Shape::Object({{"path", Shape::Path(), …}} + TableFields(Schemas::kNone));
//   TRANCHE_TRY(parsed.ParseTable(options, Schemas::kNone));
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/result.h"
#include "tranche/connector/options.h"
#include "tranche/connector/shape.h"
#include "tranche/sql/changes.h"

namespace tranche {

enum class Mode { kAppend, kReplace, kUpsert, kUpdate, kDelete, kChanges };

using sql::Change;

struct Changes {
  std::string column;                                  // says it; is not stored itself
  std::vector<std::pair<std::string, Change>> values;  // of the column, as text; all others are refused
  bool Has(Change change) const {
    return std::ranges::find(values, change, &std::pair<std::string, Change>::second) != values.end();
  }
};

// Which columns the table must have.
enum class TableColumns {
  kCreate,  // all of the rows'; a missing table is made
  kEvolve,  // those that are missing are added
  kStrict,  // all of the rows', and the table must be there
};

// SQL of the user's own, one statement or several.
struct Statement {
  std::string text;
  Place place;
};

// Whether the database has schemas: then `table: a.b` is a table of schema a.
enum class Schemas { kNone, kSome };

std::vector<Field> TableFields(Schemas schemas);

struct TableOptions {
  std::string schema;  // empty: that of the session
  std::string table;
  Mode mode = Mode::kAppend;
  Changes changes;               // of mode changes
  std::vector<std::string> key;  // empty in modes append and replace
  TableColumns columns = TableColumns::kCreate;
  std::vector<Statement> before;  // in the transaction that opens the run, before the table is looked at
  std::vector<Statement> after;   // in the transaction that publishes
  Place place;

  Status ParseTable(const Options& options, Schemas schemas);

  bool replaces() const { return mode == Mode::kReplace; }
  // A row may become a new row of the table: all columns that need a value must have one, and a missing table
  // is no mistake.
  bool inserts() const {
    return mode == Mode::kChanges ? changes.Has(Change::kInsert) || changes.Has(Change::kUpsert)
                                  : mode != Mode::kUpdate && mode != Mode::kDelete;
  }
  bool deletes() const { return mode == Mode::kDelete || changes.Has(Change::kDelete); }
  bool adds_columns() const { return columns == TableColumns::kEvolve; }
  bool makes_table() const { return inserts() && columns != TableColumns::kStrict; }
  // Two rows of the table with one key would be a mistake.
  bool needs_unique_key() const { return inserts() && !key.empty(); }
  // Whether a column of the rows goes into the table.
  bool Writes(std::string_view column) const;
  bool InKey(std::string_view column) const;
  // Of every row, but in mode changes.
  Change ChangeOfAll() const;
  // SQL of the engine over a row: the number of the Change that it asks for, NULL where it asks for none; and
  // what is wrong with it then.
  std::string ChangeSql() const;
  std::string NoChangeSql() const;

  // The rows have the columns that the options name. Looks at nothing else.
  Status CheckRows(const arrow::Schema& schema) const;

  // Whether a table stays with its definition: `plain`, another one of its name does as well.
  bool Keeps(bool exists, bool plain) const { return exists && !(replaces() && plain); }

  // The table beside, of a run that replaces; a name that a server does not cut.
  std::string Staging(std::string_view run_id) const;
  std::string TableName() const { return schema.empty() ? table : schema + "." + table; }
  std::string_view ModeName() const;
  std::string Describe(std::string_view connector, std::string_view database) const;
  // For Sink::target: several stores may append to one table. `any_case`: of a database that compares names
  // so.
  std::string TargetIn(std::string_view database, bool any_case) const;

  // `stored` rows were committed, `there` are in the table.
  Status CheckStored(int64_t stored, int64_t there) const;
  // There is no such table: an error, where it is not made.
  Status CheckMissing() const;
  Error TableGone(std::string_view name) const;
  Error NoIndex() const;  // on the key; unique where it must be

  // What came of a look at the target before the run, for Sink::Check: the errors that stay until Open.
  Status Lasting(Status looked) const;
};

// Runs them one after the other by `execute`, or in the caller's transaction. What the database says against
// one is at its place.
Status RunStatements(const std::vector<Statement>& statements,
                     const std::function<Status(const std::string&)>& execute);
Status RunStatements(const std::vector<Statement>& statements, sql::SqlConnection& connection);

}  // namespace tranche
