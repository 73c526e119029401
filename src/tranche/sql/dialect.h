// Dialect: what differs between databases in the SQL that we write. The one table of it is dialect.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tranche::sql {

struct Dialect {
  std::string_view name;  // as the connector's

  // The ledger (ledger.h).
  std::string_view share_lock = "";  // SELECT …: the row stays as it is until the transaction ends
  // One batch at a time: the run's row may count what is sent, and holds a lock that is no hindrance.
  bool counts_in_run = true;

  // A row that is there already stays as it is: INSERT … and what stands behind it.
  std::string_view insert_new = "INSERT";
  std::string_view or_nothing = "ON CONFLICT DO NOTHING";

  // Tables.
  bool ddl_commits = false;             // CREATE, ALTER, DROP and RENAME end the transaction
  std::string_view text_type = "TEXT";  // in CAST
  bool sizes_keys = false;              // a text in a key needs a length
  std::string_view table_options = "";
  std::string_view temporary_options = "";
  bool clears_temporary = true;        // at the end of a transaction
  std::string_view position_key = "";  // of a staging table, where an index is for free
  bool joins = false;                  // UPDATE and DELETE with JOIN; no ON CONFLICT
};

extern const Dialect kSqlite;
extern const Dialect kDuckDb;
extern const Dialect kPostgres;
extern const Dialect kMariaDb;

// The rows of `staging` into `table`, both with columns of the same names; `staging` holds one row a key.
// `values`: what stands for each column, over the staging table "s".
struct Assignment {
  std::string column;  // not quoted
  std::string value;   // SQL over s
  bool key = false;
};
std::string InsertSql(std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where);
// One statement or more; together they change each row once.
std::vector<std::string> UpsertSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                                   const std::vector<Assignment>& columns, std::string_view where);
std::string UpdateSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where);
std::string DeleteSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where);
// How many keys a staging table has more than once: asked first, mostly there is none, and this is cheaper.
std::string DoubledKeysSql(std::string_view staging, const std::vector<std::string>& key);
// Takes all but the last row (by `position`) of each key out of a staging table.
std::string SupersedeSql(const Dialect& dialect, std::string_view staging,
                         const std::vector<std::string>& key, std::string_view position);

}  // namespace tranche::sql
