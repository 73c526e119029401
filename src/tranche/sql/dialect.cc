#include "tranche/sql/dialect.h"

#include <fmt/format.h>

#include "tranche/connector/sql_text.h"

namespace tranche::sql {

const Dialect kSqlite{.name = "sqlite"};

const Dialect kDuckDb{.name = "duckdb"};

// FOR SHARE: a claim waits for a new epoch, and a new epoch for the claims of the old one.
const Dialect kPostgres{.name = "postgres",
                        .share_lock = "FOR SHARE",
                        .counts_in_run = false,
                        .temporary_options = "ON COMMIT DELETE ROWS"};

// Names of two spellings are one for its own collations, and so are texts with blanks behind them.
const Dialect kMariaDb{.name = "mariadb",
                       .share_lock = "LOCK IN SHARE MODE",
                       .counts_in_run = false,
                       .insert_new = "INSERT IGNORE",
                       .or_nothing = "",
                       .ddl_commits = true,
                       .text_type = "CHAR",
                       .sizes_keys = true,
                       .table_options = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin",
                       .temporary_options = "ENGINE=InnoDB",
                       .clears_temporary = false,
                       .position_key = "PRIMARY KEY",
                       .joins = true};

namespace {

// "a, b" of some of the columns.
template <typename Text>
std::string List(const std::vector<Assignment>& columns, std::string_view separator, Text text) {
  std::string list;
  for (const Assignment& column : columns) {
    const std::string part = text(column);
    if (!part.empty()) list += (list.empty() ? "" : std::string(separator)) + part;
  }
  return list;
}

std::string Names(const std::vector<Assignment>& columns) {
  return List(columns, ", ", [](const Assignment& column) { return QuoteName(column.column); });
}
std::string Values(const std::vector<Assignment>& columns) {
  return List(columns, ", ", [](const Assignment& column) { return column.value; });
}
std::string KeyNames(const std::vector<Assignment>& columns) {
  return List(columns, ", ",
              [](const Assignment& column) { return column.key ? QuoteName(column.column) : ""; });
}
// t.key = s.key
std::string SameKey(const std::vector<Assignment>& columns) {
  return List(columns, " AND ", [](const Assignment& column) {
    return column.key ? fmt::format("t.{} = {}", QuoteName(column.column), column.value) : "";
  });
}
std::string Sets(const std::vector<Assignment>& columns) {
  return List(columns, ", ", [&](const Assignment& column) {
    return column.key ? "" : fmt::format("{} = {}", QuoteName(column.column), column.value);
  });
}

}  // namespace

std::string InsertSql(std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where) {
  return fmt::format("INSERT INTO {} ({}) SELECT {} FROM {} s WHERE {}", QuoteName(table), Names(columns),
                     Values(columns), QuoteName(staging), where);
}

std::vector<std::string> UpsertSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                                   const std::vector<Assignment>& columns, std::string_view where) {
  const std::string insert = InsertSql(table, staging, columns, where);
  const bool sets = !Sets(columns).empty();
  if (dialect.joins) {  // ON DUPLICATE KEY would take any unique key for ours
    std::vector<std::string> statements;
    if (sets) statements.push_back(UpdateSql(dialect, table, staging, columns, where));
    statements.push_back(fmt::format("{} AND NOT EXISTS (SELECT 1 FROM {} t WHERE {})", insert,
                                     QuoteName(table), SameKey(columns)));
    return statements;
  }
  const std::string excluded = List(columns, ", ", [](const Assignment& column) {
    return column.key ? "" : fmt::format("{0} = excluded.{0}", QuoteName(column.column));
  });
  return {fmt::format("{} ON CONFLICT ({}) DO {}", insert, KeyNames(columns),
                      sets ? "UPDATE SET " + excluded : "NOTHING")};
}

std::string UpdateSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where) {
  if (dialect.joins) {
    const std::string sets = List(columns, ", ", [&](const Assignment& column) {
      return column.key ? "" : fmt::format("t.{} = {}", QuoteName(column.column), column.value);
    });
    return fmt::format("UPDATE {} t JOIN {} s ON {} SET {} WHERE {}", QuoteName(table), QuoteName(staging),
                       SameKey(columns), sets, where);
  }
  return fmt::format("UPDATE {} t SET {} FROM {} s WHERE {} AND {}", QuoteName(table), Sets(columns),
                     QuoteName(staging), SameKey(columns), where);
}

std::string DeleteSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where) {
  if (dialect.joins) {
    return fmt::format("DELETE t FROM {} t JOIN {} s ON {} WHERE {}", QuoteName(table), QuoteName(staging),
                       SameKey(columns), where);
  }
  return fmt::format("DELETE FROM {} t USING {} s WHERE {} AND {}", QuoteName(table), QuoteName(staging),
                     SameKey(columns), where);
}

std::string DoubledKeysSql(std::string_view staging, const std::vector<std::string>& key) {
  std::string names;
  for (const std::string& part : key) names += (names.empty() ? "" : ", ") + QuoteName(part);
  return fmt::format("SELECT count(*) FROM (SELECT 1 FROM {} GROUP BY {} HAVING count(*) > 1) AS doubled",
                     QuoteName(staging), names);
}

std::string SupersedeSql(const Dialect& dialect, std::string_view staging,
                         const std::vector<std::string>& key, std::string_view position) {
  std::string names, same;
  for (const std::string& part : key) {
    names += (names.empty() ? "" : ", ") + QuoteName(part);
    same += fmt::format("{0}s.{1} = later.{1}", same.empty() ? "" : " AND ", QuoteName(part));
  }
  const std::string last = fmt::format("(SELECT {0}, max({1}) AS {1} FROM {2} GROUP BY {0}) later", names,
                                       QuoteName(position), QuoteName(staging));
  const std::string earlier = fmt::format("later.{0} > s.{0}", QuoteName(position));
  if (dialect.joins) {
    return fmt::format("DELETE s FROM {} s JOIN {} ON {} WHERE {}", QuoteName(staging), last, same, earlier);
  }
  return fmt::format("DELETE FROM {} s USING {} WHERE {} AND {}", QuoteName(staging), last, earlier, same);
}

}  // namespace tranche::sql
