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

std::string UpsertSql(std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where) {
  const std::string sets = List(columns, ", ", [](const Assignment& column) {
    return column.key ? "" : fmt::format("{0} = excluded.{0}", QuoteName(column.column));
  });
  return fmt::format("{} ON CONFLICT ({}) DO {}", InsertSql(table, staging, columns, where),
                     KeyNames(columns), sets.empty() ? "NOTHING" : "UPDATE SET " + sets);
}

std::string UpdateSql(std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where) {
  return fmt::format("UPDATE {} t SET {} FROM {} s WHERE {} AND {}", QuoteName(table), Sets(columns),
                     QuoteName(staging), SameKey(columns), where);
}

std::string DeleteSql(std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where) {
  return fmt::format("DELETE FROM {} t USING {} s WHERE {} AND {}", QuoteName(table), QuoteName(staging),
                     SameKey(columns), where);
}

}  // namespace tranche::sql
