// Dialect: what differs between databases in the SQL that we write. The one table of it is dialect.cc.
//
// Names are quoted as "name" everywhere: a session of MariaDB is opened with ANSI_QUOTES.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tranche::sql {

struct Dialect {
  std::string_view name;  // as the connector's

  // The ledger (ledger.h).
  std::string_view key_type = "TEXT";                      // of text in a primary key
  std::string_view text_type = "TEXT";                     // of other text; holds 64 KiB
  std::string_view table_options = "";                     // behind CREATE TABLE (…)
  std::string_view keep_first = "ON CONFLICT DO NOTHING";  // INSERT …: a row whose key is there already stays
  std::string_view share_lock = "";  // SELECT …: the row stays as it is until the transaction ends
  std::string_view now = "CAST(CURRENT_TIMESTAMP AS TEXT)";
  // One batch at a time: the run's row may count what is sent, and holds a lock that is no hindrance.
  bool counts_in_run = true;

  // Tables.
  bool transactional_ddl = true;             // CREATE, ALTER, DROP in a transaction are undone by ROLLBACK
  std::string_view temporary = "TEMPORARY";  // CREATE … TABLE: a table of this session's own
  std::string_view temporary_options = "";
  bool on_conflict = true;  // INSERT … ON CONFLICT, UPDATE … FROM, DELETE … USING; else MySQL's forms
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
std::string InsertSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where);
std::string UpsertSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where);
std::string UpdateSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where);
std::string DeleteSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where);

}  // namespace tranche::sql
