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

  // Tables.
  std::string_view temporary_options = "";
};

extern const Dialect kSqlite;
extern const Dialect kDuckDb;
extern const Dialect kPostgres;

// The rows of `staging` into `table`, both with columns of the same names; `staging` holds one row a key.
// `values`: what stands for each column, over the staging table "s".
struct Assignment {
  std::string column;  // not quoted
  std::string value;   // SQL over s
  bool key = false;
};
std::string InsertSql(std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where);
std::string UpsertSql(std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where);
std::string UpdateSql(std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where);
std::string DeleteSql(std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where);

}  // namespace tranche::sql
